/* evtchn_notify: the notification of an answer, in the caller's own code (libkvmxen/hot.h): what
 * libxenevtchn's xenevtchn_notify does. */
#ifndef KVMXEN_XEN_EVTCHN_NOTIFY_H
#define KVMXEN_XEN_EVTCHN_NOTIFY_H

#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <xen/xen.h>
#include <xen/sys/evtchn.h>

/* fd: of /dev/xen/evtchn. 0 or -errno. */
static inline int evtchn_notify_fd(int fd, uint32_t local)
{
	struct ioctl_evtchn_notify notify = {.port = local};
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(SYS_ioctl), "D"(fd), "S"(IOCTL_EVTCHN_NOTIFY), "d"(&notify)
		     : "rcx", "r11", "memory");
	return (int)result;
}

#endif
