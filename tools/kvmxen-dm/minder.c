#include "tools/kvmxen-dm/dm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>
#include <xenstore.h>

#include <xen/hvm/params.h>
#include <xen/sched.h>

#include "libkvmxen/xen/xen.h"

/* Where the minder keeps what it was given; it has no other descriptors of its parent's. */
#define QMP_FD    3
#define PIDFD     4
#define LINE_SIZE (1u << 20) /* of QEMU's monitor */

/*
 * libxl speaks to a guest's PV drivers by xenstore once HVM_PARAM_CALLBACK_IRQ says that there are
 * any, and here the minder listens in their place. To Xen a callback of this type is none at all:
 * the guest sees nothing of it.
 */
#define CALLBACK_BY_MINDER (0x7full << 56)

struct minder {
	uint16_t domid;
	struct control *ctl;
	struct device *dev;
	struct xs_handle *xs;
	char control[64]; /* the xenstore path by which libxl asks */
	char *line;       /* of QEMU's monitor, as far as it has come */
	size_t length;
	bool reboot; /* xl has asked for it: the next power-off is one */
};

/* --- QEMU --- */

static void qmp_send(const char *command)
{
	char text[64];
	int n = snprintf(text, sizeof text, "{\"execute\":\"%s\"}\n", command);

	/* QEMU that does not take it any more is about to end. */
	send(QMP_FD, text, n, MSG_NOSIGNAL);
}

/* How the guest ended, for Xen; -1: it was not the guest. */
static int shutdown_reason(const struct minder *minder, const char *reason)
{
	if (!strcmp(reason, "guest-shutdown"))
		return minder->reboot ? SHUTDOWN_reboot : SHUTDOWN_poweroff;
	if (!strcmp(reason, "guest-reset") || !strcmp(reason, "host-qmp-system-reset"))
		return SHUTDOWN_reboot;
	if (!strcmp(reason, "guest-panic"))
		return SHUTDOWN_crash;
	return -1;
}

/* The first reason counts. xl may destroy the domain at once, and Xen 4.17 loses two pages with
 * each domain that is destroyed with a monitor; without one no guest goes on. */
static int shut_domain_down(struct minder *minder, unsigned reason)
{
	const struct control_ops *ops = minder->ctl->ops;
	bool paused = ops->domain_pause(minder->ctl, minder->domid) == 0;
	int rc;

	ops->monitor_close(minder->ctl, minder->domid, NULL);
	rc = ops->domain_shutdown(minder->ctl, minder->domid, reason);
	if (paused)
		ops->domain_unpause(minder->ctl, minder->domid);
	return rc;
}

/* QEMU has stopped the machine and waits (-no-shutdown). Xen first, then QEMU: as it goes, the
 * library answers what the vcpus still wait for, and nothing runs in the domain any more. */
static void shut_down(struct minder *minder, const char *reason)
{
	int code = shutdown_reason(minder, reason), rc;

	if (code < 0)
		return;
	rc = shut_domain_down(minder, code);
	if (rc < 0)
		fprintf(stderr, "kvmxen-dm: domain %u cannot be shut down: %s\n", minder->domid,
			strerror(-rc));
	qmp_send("quit");
}

static const char *string_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? json_object_get_string(value) : "";
}

static void take_line(struct minder *minder, const char *line)
{
	struct json_object *message = json_tokener_parse(line), *data;

	if (!message)
		return;
	if (json_object_object_get_ex(message, "QMP", &data))
		qmp_send("qmp_capabilities");
	else if (!strcmp(string_of(message, "event"), "SHUTDOWN") &&
		 json_object_object_get_ex(message, "data", &data))
		shut_down(minder, string_of(data, "reason"));
	else if (json_object_object_get_ex(message, "error", &data))
		fprintf(stderr, "kvmxen-dm: QEMU: %s\n", string_of(data, "desc"));
	json_object_put(message);
}

/* False: QEMU has closed its end, or says what nobody can read. */
static bool take_qmp(struct minder *minder)
{
	ssize_t n = recv(QMP_FD, minder->line + minder->length, LINE_SIZE - 1 - minder->length, 0);
	char *end;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	minder->length += n;
	minder->line[minder->length] = '\0';
	while ((end = strchr(minder->line, '\n'))) {
		*end = '\0';
		take_line(minder, minder->line);
		minder->length -= end + 1 - minder->line;
		memmove(minder->line, end + 1, minder->length + 1);
	}
	return minder->length < LINE_SIZE - 1;
}

/* --- libxl --- */

static void take_request(struct minder *minder)
{
	unsigned length;
	char **watch = xs_read_watch(minder->xs, &length), *word;

	free(watch);
	word = xs_read(minder->xs, XBT_NULL, minder->control, &length);
	if (!word || !*word) {
		free(word);
		return;
	}
	/* Anything else, as "suspend", stays unanswered: libxl gives up then. */
	if (!strcmp(word, "poweroff") || !strcmp(word, "halt") || !strcmp(word, "reboot")) {
		minder->reboot = !strcmp(word, "reboot");
		xs_write(minder->xs, XBT_NULL, minder->control, "", 0);
		qmp_send("system_powerdown");
	}
	free(word);
}

static int listen_to_libxl(struct minder *minder)
{
	snprintf(minder->control, sizeof minder->control, "/local/domain/%u/control/shutdown",
		 minder->domid);
	errno = 0;
	minder->xs = xs_open(0);
	if (!minder->xs || !xs_watch(minder->xs, minder->control, "shutdown"))
		return errno ? -errno : -EIO;
	return minder->dev->ops->hvm_param_set(minder->dev, minder->domid, HVM_PARAM_CALLBACK_IRQ,
					       CALLBACK_BY_MINDER);
}

/* --- the process --- */

static void mind(struct minder *minder)
{
	struct pollfd fds[] = {
		{.fd = QMP_FD, .events = POLLIN},
		{.fd = PIDFD, .events = POLLIN},
		{.fd = xs_fileno(minder->xs), .events = POLLIN},
	};

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			break;
		/* What QEMU said at last comes before its end. */
		if (fds[0].revents && !take_qmp(minder))
			fds[0].fd = -1;
		else if (!fds[0].revents && fds[1].revents)
			break;
		if (fds[2].revents)
			take_request(minder);
	}
}

/* In the minder: status. */
static int run(uint16_t domid)
{
	struct minder minder = {.domid = domid, .line = malloc(LINE_SIZE)};
	struct xen xen;
	int rc;

	xen_forget();
	rc = minder.line ? xen_open(&xen) : -ENOMEM;
	if (rc == 0) {
		minder.ctl = xen.ctl;
		minder.dev = xen.dev;
		rc = listen_to_libxl(&minder);
	}
	if (rc < 0) {
		fprintf(stderr, "kvmxen-dm: xl is not heard and told nothing: %s\n", strerror(-rc));
		return 1;
	}
	mind(&minder);
	/* Without its devices no guest goes on; QEMU may have had no time to say so. */
	shut_domain_down(&minder, SHUTDOWN_crash);
	return 0;
}

static void detach(int qmp, int pidfd)
{
	/* Both first out of the way of each other's place. */
	qmp = dup(qmp);
	pidfd = dup(pidfd);
	dup2(qmp, QMP_FD);
	dup2(pidfd, PIDFD);
	close_range(PIDFD + 1, ~0u, 0);
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	prctl(PR_SET_NAME, "kvmxen-dm");
}

int minder_start(uint16_t domid, int qmp)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0), status;
	pid_t child;

	if (pidfd < 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		/* Left to init at once: QEMU must not have a child that it does not know. */
		child = fork();
		if (child != 0)
			_exit(child < 0);
		detach(qmp, pidfd);
		_exit(run(domid));
	}
	close(pidfd);
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status))
		return -EAGAIN;
	return 0;
}
