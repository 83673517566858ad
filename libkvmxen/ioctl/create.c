#include "libkvmxen/ioctl/create.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "libkvmxen/ioctl/fd.h"
#include "libkvmxen/machine/vcpu.h"

/* Stands for /dev/kvm: a character device that answers poll and cannot be mapped. */
#define SYSTEM_PLACEHOLDER "/dev/null"

int create_system_fd(int flags)
{
	struct xen xen;
	int fd, rc = xen_open(&xen);

	if (rc < 0)
		return rc;
	fd = open(SYSTEM_PLACEHOLDER, (flags & O_ACCMODE) | (flags & (O_CLOEXEC | O_NONBLOCK)));
	if (fd < 0)
		return -errno;
	rc = fd_install(fd, FD_SYSTEM, NULL);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

long create_vm_fd(void *type)
{
	struct vm *vm = vm_create((unsigned long)type);
	int fd, rc;

	if (!vm)
		return -errno;
	/* An empty epoll set reads, writes and maps as a VM's descriptor does: not at all. */
	fd = epoll_create1(EPOLL_CLOEXEC);
	rc = fd < 0 ? -errno : fd_install(fd, FD_VM, vm);
	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		vm_put(vm);
		return rc;
	}
	return fd;
}

long create_vcpu_fd(struct vm *vm, unsigned long id)
{
	struct vcpu *vcpu = vcpu_create(vm, id);
	int fd, rc;

	if (!vcpu)
		return -errno;
	fd = fcntl(vcpu->memfd, F_DUPFD_CLOEXEC, 0);
	rc = fd < 0 ? -errno : fd_install(fd, FD_VCPU, vcpu);
	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		vcpu_release(vcpu);
		return rc;
	}
	return fd;
}
