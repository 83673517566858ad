/* Opening, with and without what it needs. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lab/xen/check.h"
#include "tests/lab/xen/machine.h"
#include "tests/lab/xen/ops.h"

#include <xen/sys/privcmd.h>

void test_without_xen(void)
{
	struct xen xen;

	messages_reset();
	check_is(xen_open(&xen), -ENOENT, "xen_open without Xen is ENOENT");
	check_is(messages.errors, 1, "and says so in one line");
	check(strstr(messages.error, "no Xen hypervisor under this system: ") != NULL,
	      "that reads: %s", messages.error);
}

/* What may be wrong with the system, for a child: nothing of it can be taken back. */
static bool hide_files(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", "/dev/xen", "tmpfs", 0, NULL) == 0;
}

static bool drop_root(void)
{
	return setuid(65534) == 0;
}

static enum { DOMCTL_AS_IS, DOMCTL_OTHER_VERSION, DOMCTL_FORBIDDEN } domctl;

static bool other_version(void)
{
	domctl = DOMCTL_OTHER_VERSION;
	return true;
}

static bool forbidden(void)
{
	domctl = DOMCTL_FORBIDDEN;
	return true;
}

/* Stands between libxencall and the kernel: the answer to the changed call is Xen's. */
__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...)
{
	privcmd_hypercall_t *call;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	call = arg;
	if (domctl != DOMCTL_AS_IS && request == IOCTL_PRIVCMD_HYPERCALL &&
	    call->op == __HYPERVISOR_domctl) {
		if (domctl == DOMCTL_FORBIDDEN) {
			errno = EPERM;
			return -1;
		}
		((uint32_t *)(uintptr_t)call->arg[0])[1]++; /* interface_version */
	}
	return syscall(SYS_ioctl, fd, request, arg);
}

static void in_child(bool (*spoil)(void), int want, const char *word)
{
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		struct xen xen;
		int rc;

		if (!spoil())
			_exit(2);
		rc = xen_open(&xen);
		printf("# %d: %s\n", rc, messages.error);
		fflush(stdout);
		_exit(rc == want && messages.errors == 1 && strstr(messages.error, word) ? 0 : 1);
	}
	waitpid(child, &status, 0);
	check_is(status, 0, "xen_open is %s, with one line about %s", strerrorname_np(-want), word);
}

void test_without_permission(void)
{
	/* Without root the broker is the way, and none runs here. */
	in_child(drop_root, -ENOENT, "root");
	in_child(forbidden, -EACCES, "dom0");
}

void test_without_files(void)
{
	in_child(hide_files, -ENOENT, "modules");
}

void test_other_version(void)
{
	in_child(other_version, -EPROTO, "built for");
}

/* No fd of Xen's libraries reaches a program that is executed. */
static unsigned inherited_fds(void)
{
	unsigned n = 0;
	char path[64], target[64];

	for (int fd = 3; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);
		ssize_t len;

		if (flags < 0 || flags & FD_CLOEXEC)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, target, sizeof(target) - 1);
		target[len < 0 ? 0 : len] = 0;
		n += strstr(target, "/xen") != NULL;
	}
	return n;
}

void test_opening(void)
{
	struct xen first = the_xen(), second = the_xen(), other = {0}, third;
	const char *version = first.ctl->ops->version(first.ctl);
	struct event_channels *evtchn;
	struct device *dev;
	struct control *ctl;
	int major, minor;

	check(first.dev == second.dev && first.ctl == second.ctl,
	      "the pair is opened once for the process");
	check(sscanf(version, "%d.%d", &major, &minor) == 2 && major == 4,
	      "the version is told: %s", version);
	xen_override(&other);
	third = the_xen();
	check(!third.dev && !third.ctl, "an override is given out instead");
	xen_override(NULL);
	third = the_xen();
	check(third.dev == first.dev, "and the direct pair again after it");
	check_is(direct_device_open(&dev), 0, "another device plane can be opened");
	check_is(direct_control_open(&ctl), 0, "another control plane can be opened");
	check_is(dev->ops->evtchn_open(dev, DOMID_SELF, &evtchn), 0, "and a set of event channels");
	check_is(inherited_fds(), 0, "no fd of theirs is inherited");
	dev->ops->evtchn_close(evtchn);
	dev->ops->close(dev);
	ctl->ops->close(ctl);
}
