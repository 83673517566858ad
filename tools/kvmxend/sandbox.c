/*
 * The system calls of a broker: those of accepting, talking, making threads, asking Xen and keeping
 * records. Of ioctls only Xen's. Nothing that starts a program, changes who it is, reaches the
 * network or looks into another process.
 */
#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <xenctrl.h>

#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>
#include <xen/sys/privcmd.h>

#include "tools/kvmxend/kvmxend.h"

static const int allowed[] = {
	/* memory */
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(mremap),
	/* threads, signals, the end */
	SCMP_SYS(clone),
	SCMP_SYS(clone3),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(futex),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(tgkill),
	SCMP_SYS(sched_yield),
	SCMP_SYS(restart_syscall),
	/* time and chance */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(getrandom),
	/* files: records, /proc/PID/stat, /dev/xen, the socket */
	SCMP_SYS(openat),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(getdents64),
	SCMP_SYS(rename),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(fcntl),
	SCMP_SYS(access),
	SCMP_SYS(umask),
	SCMP_SYS(chown),
	SCMP_SYS(chmod),
	SCMP_SYS(dup),
	SCMP_SYS(stat),
	SCMP_SYS(readlink),
	/* clients, and xenstore's socket */
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(writev),
	SCMP_SYS(eventfd2),
};

static const unsigned long ioctls[] = {
	IOCTL_PRIVCMD_HYPERCALL,
	IOCTL_PRIVCMD_MMAPBATCH_V2,
	IOCTL_PRIVCMD_MMAP_RESOURCE,
	IOCTL_PRIVCMD_RESTRICT,
	IOCTL_PRIVCMD_DM_OP,
	IOCTL_PRIVCMD_UNIMPLEMENTED,
	IOCTL_EVTCHN_RESTRICT_DOMID,
	/* stub domains: libxenvchan, and the relay */
	IOCTL_EVTCHN_BIND_INTERDOMAIN,
	IOCTL_EVTCHN_BIND_UNBOUND_PORT,
	IOCTL_EVTCHN_UNBIND,
	IOCTL_EVTCHN_NOTIFY,
	IOCTL_GNTDEV_MAP_GRANT_REF,
	IOCTL_GNTDEV_UNMAP_GRANT_REF,
	IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR,
	IOCTL_GNTDEV_SET_UNMAP_NOTIFY,
};

int sandbox_enter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	size_t i;
	int rc = 0;

	if (!filter)
		return -ENOMEM;
	for (i = 0; rc == 0 && i < sizeof allowed / sizeof *allowed; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (i = 0; rc == 0 && i < sizeof ioctls / sizeof *ioctls; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				      SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}
