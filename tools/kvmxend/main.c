/* kvmxend: the broker. See docs/broker.md and kvmxend(8). */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenctrl.h>

#include <xen/sys/evtchn.h>
#include <xen/sys/privcmd.h>

#include "tools/kvmxend/kvmxend.h"

#define CONFIG_FILE  "/etc/kvmxen/kvmxend.conf"
#define GROUP        "kvmxen"
#define BACKLOG      64
#define STACK_SIZE   (256 << 10)
#define SEND_SECONDS 10 /* a client that takes no reply for so long has none to expect */

struct options {
	const char *config, *socket, *group;
	bool sandbox;
};

static const struct argp_option option_list[] = {
	{"config", 'c', "FILE", 0, "Limits of the users (default " CONFIG_FILE ")", 0},
	{"socket", 's', "PATH", 0, "Where clients connect (default " WIRE_SOCKET ")", 0},
	{"group", 'g', "GROUP", 0, "Who may connect (default " GROUP ")", 0},
	{"no-sandbox", 'n', NULL, 0, "Without a system call filter: for debugging", 0},
	{0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'c':
		o->config = value;
		return 0;
	case 's':
		o->socket = value;
		return 0;
	case 'g':
		o->group = value;
		return 0;
	case 'n':
		o->sandbox = false;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void note(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fprintf(stderr, "kvmxend: %s\n", text);
}

static int restricted(int fd, unsigned long request, void *domid)
{
	int rc;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, request, domid) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int host_open_privcmd(uint16_t domid)
{
	domid_t id = domid;

	return restricted(open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC), IOCTL_PRIVCMD_RESTRICT,
			  &id);
}

int host_open_evtchn(uint16_t domid)
{
	struct ioctl_evtchn_restrict_domid restrict_to = {.domid = domid};

	return restricted(open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC), IOCTL_EVTCHN_RESTRICT_DOMID,
			  &restrict_to);
}

/* The socket's folder, and the records' in it. */
static int make_folders(const char *socket, char *records, size_t size)
{
	char folder[128];
	char *slash;

	snprintf(folder, sizeof folder, "%s", socket);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return -EINVAL;
	*slash = '\0';
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return -errno;
	snprintf(records, size, "%s/domains", folder);
	if (mkdir(records, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

/* One broker for a socket: the lock goes with the process, however it ends. */
static int take_lock(const char *socket)
{
	char path[128];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd;

	snprintf(path, sizeof path, "%s.lock", socket);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETLK, &lock) < 0)
		return errno == EACCES || errno == EAGAIN ? -EADDRINUSE : -errno;
	return 0;
}

static int listen_at(const char *path, const char *group)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct group *members = getgrnam(group);
	int fd, rc;

	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	/* Root's alone until the group is known to be right. */
	umask(0177);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	if (!members)
		note("there is no group %s: only root may connect", group);
	else if (chown(path, 0, members->gr_gid) < 0 || chmod(path, 0660) < 0)
		note("%s cannot be given to group %s: %s", path, group, strerror(errno));
	return fd;
}

struct start {
	struct registry *registry;
	int stream;
};

static void *connection_thread(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	connection_run(start.registry, start.stream);
	return NULL;
}

static void serve_clients(struct registry *registry, int listener)
{
	struct timeval limit = {.tv_sec = SEND_SECONDS};
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (;;) {
		struct start *start;
		pthread_t thread;
		int stream = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (stream < 0) {
			/* Out of descriptors, for instance: that passes. */
			if (errno != EINTR && errno != ECONNABORTED) {
				note("accept: %s", strerror(errno));
				usleep(100000);
			}
			continue;
		}
		setsockopt(stream, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
		start = malloc(sizeof *start);
		if (!start) {
			close(stream);
			continue;
		}
		*start = (struct start){registry, stream};
		if (pthread_create(&thread, &attr, connection_thread, start) != 0) {
			close(stream);
			free(start);
		}
	}
}

static char *socket_path;

/* Guests go on; whoever comes next looks after them again. */
static void leave(int signal)
{
	unlink(socket_path);
	_exit(0);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_list,
		.parser = parse,
		.doc = "The privileged half of kvmxen: makes domains for unprivileged VMMs.",
	};
	struct options o = {CONFIG_FILE, WIRE_SOCKET, GROUP, true};
	struct host host = {.open_privcmd = host_open_privcmd, .open_evtchn = host_open_evtchn};
	struct config config;
	struct registry *registry;
	char records[160];
	int listener = -1, rc;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	signal(SIGPIPE, SIG_IGN);
	rc = config_load(&config, o.config);
	if (rc < 0)
		return 1;
	rc = make_folders(o.socket, records, sizeof records);
	if (rc == 0)
		rc = take_lock(o.socket);
	if (rc < 0) {
		note("%s: %s", o.socket, strerror(-rc));
		return 1;
	}
	host.records = records;
	/* Not by way of another broker. */
	unsetenv("KVMXEN_BROKER");
	if (xen_open(&host.xen) < 0 || registry_new(&registry, &host, &config) < 0)
		return 1;
	if (o.sandbox && (rc = sandbox_enter()) < 0) {
		note("no system call filter: %s", strerror(-rc));
		return 1;
	}
	registry_recover(registry);
	listener = listen_at(o.socket, o.group);
	if (listener < 0) {
		note("%s: %s", o.socket, strerror(-listener));
		return 1;
	}
	socket_path = (char *)(uintptr_t)o.socket;
	signal(SIGTERM, leave);
	signal(SIGINT, leave);
	rc = stubdoms_start(registry);
	if (rc < 0)
		note("stub domains are not heard: %s", strerror(-rc));
	serve_clients(registry, listener);
	return 0;
}
