/*
 * The only program that the stub domain starts by itself: makes /dev and its like, loads Xen's
 * drivers, reads from xenstore what libxl says to a device model, and has kvmxen-dm do it. When no
 * process is left the domain switches itself off.
 *
 * What it prints goes to the domain's console, which libxl keeps as the device model's log.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenstore.h>

#define MODULES      "/lib/modules"
#define DEVICE_MODEL "/usr/bin/kvmxen-dm"
#define PROXY        "/usr/bin/vchan-socket-proxy"
#define QMP          "/run/qmp"
#define WORDS_MAX    256

/* Behind libxl's words: its monitor, which is dom0's by way of the proxy. */
static char *const monitor[] = {
	"-chardev",
	"socket,id=libxl-cmd,path=" QMP ",server=on,wait=off",
	"-mon",
	"chardev=libxl-cmd,mode=control",
};
#define MONITOR_WORDS (sizeof monitor / sizeof *monitor)

static const struct {
	const char *type, *at, *options;
	unsigned long flags;
} mounts[] = {
	{"proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
	{"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY},
	{"devtmpfs", "/dev", "mode=755", MS_NOSUID | MS_NOEXEC},
	{"tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV | MS_NOEXEC},
	{"tmpfs", "/run", "mode=755", MS_NOSUID | MS_NODEV | MS_NOEXEC},
	/* QEMU keeps drives that are snapshots there */
	{"tmpfs", "/tmp", "mode=1777", MS_NOSUID | MS_NODEV | MS_NOEXEC},
};

static void say(const char *what, const char *which)
{
	fprintf(stderr, "stubdom: %s%s%s: %s\n", what, *which ? " " : "", which, strerror(errno));
}

static void mount_all(void)
{
	for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
		mkdir(mounts[i].at, 0755);
		if (mount(mounts[i].type, mounts[i].at, mounts[i].type, mounts[i].flags,
			  mounts[i].options) < 0)
			say("mount", mounts[i].at);
	}
}

/* The kernel opened no console before there was a /dev. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		return;
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	fd = open("/dev/null", O_RDONLY);
	if (fd > STDIN_FILENO) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
}

/* A VMM asks for as much memory as its guest has, and Xen's frames take its place: more than this
 * domain has is no reason to refuse it. */
static void allow_overcommit(void)
{
	int fd = open("/proc/sys/vm/overcommit_memory", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1", 1) != 1)
		say("overcommit", "");
	if (fd >= 0)
		close(fd);
}

/* In the order in which they need each other. */
static void load_modules(void)
{
	char name[128], path[160];
	FILE *order = fopen(MODULES "/order", "re");

	if (!order) {
		say("open", MODULES "/order");
		return;
	}
	while (fscanf(order, "%127s", name) == 1) {
		int fd;

		snprintf(path, sizeof path, MODULES "/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
			say("module", name);
		if (fd >= 0)
			close(fd);
	}
	fclose(order);
}

/* --- libxl --- */

static char *read_node(struct xs_handle *xs, const char *path)
{
	unsigned length;

	return xs_read(xs, XBT_NULL, path, &length);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* <vm of the target>/image/dm-argv/NNN: a word each. How many. */
static int read_words(struct xs_handle *xs, char **words)
{
	char path[256], *target = read_node(xs, "target"), *vm = NULL, **names = NULL;
	unsigned count = 0;

	if (target) {
		snprintf(path, sizeof path, "/local/domain/%s/vm", target);
		vm = read_node(xs, path);
	}
	if (vm) {
		snprintf(path, sizeof path, "%s/image/dm-argv", vm);
		names = xs_directory(xs, XBT_NULL, path, &count);
	}
	if (!names || count > WORDS_MAX) {
		say("xenstore", !target ? "target" : path);
		return -1;
	}
	qsort(names, count, sizeof *names, by_name);
	for (unsigned i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/image/dm-argv/%s", vm, names[i]);
		words[i] = read_node(xs, path);
		if (!words[i]) {
			say("xenstore", path);
			return -1;
		}
	}
	free(names);
	free(vm);
	free(target);
	return count;
}

static int device_model(void)
{
	char *words[WORDS_MAX + MONITOR_WORDS + 2] = {DEVICE_MODEL};
	struct xs_handle *xs = xs_open(0);
	int rc;

	if (!xs) {
		say("xenstore", "");
		return 1;
	}
	rc = read_words(xs, words + 1);
	xs_close(xs);
	if (rc < 0)
		return 1;
	memcpy(words + 1 + rc, monitor, sizeof monitor);
	execv(DEVICE_MODEL, words);
	say("exec", DEVICE_MODEL);
	return 1;
}

/* libxl's monitor: Xen's own program at both ends. */
static int proxy(void)
{
	struct xs_handle *xs = xs_open(0);
	char *target = xs ? read_node(xs, "target") : NULL, path[64];

	if (!target) {
		say("xenstore", "target");
		return 1;
	}
	snprintf(path, sizeof path, "device-model/%s/qmp-vchan", target);
	xs_close(xs);
	execl(PROXY, PROXY, "--mode=server", "0", path, QMP, NULL);
	say("exec", PROXY);
	return 1;
}

static pid_t start(int (*run)(void))
{
	pid_t child = fork();

	if (child == 0)
		_exit(run());
	return child;
}

/* --- the process --- */

int main(void)
{
	static char *environment[] = {"PATH=/usr/bin", "HOME=/run", "KVMXEN_BROKER=vchan", NULL};
	pid_t child, vmm, relay;
	int status;

	mount_all();
	open_console();
	allow_overcommit();
	load_modules();
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		say("read-only", "/");
	environ = environment;
	relay = start(proxy);
	vmm = start(device_model);
	/* The minder is the last to go: it has told Xen how it ended. */
	while ((child = wait(&status)) > 0 || errno == EINTR) {
		if (child == vmm) {
			fprintf(stderr, "stubdom: the device model ended with status %x\n", status);
			kill(relay, SIGKILL);
		}
	}
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
