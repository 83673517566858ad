#include "libkvmxen/ioctl/create.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "libkvmxen/ioctl/fd.h"
#include "libkvmxen/machine/vfio.h"
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

/* An empty epoll set reads, writes and maps as KVM's descriptors do: not at all. */
static int anonymous_file(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

long create_vm_fd(void *type)
{
	struct vm *vm = vm_create((unsigned long)type);
	int fd, rc;

	if (!vm)
		return -errno;
	fd = anonymous_file();
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

long create_device_fd(struct vm *vm, struct kvm_create_device *create)
{
	struct vfio *vfio;
	long rc = vfio_check(create);
	int fd;

	if (rc < 0 || (create->flags & KVM_CREATE_DEVICE_TEST))
		return rc;
	vfio = vfio_create(vm);
	if (!vfio)
		return -errno;
	fd = anonymous_file();
	rc = fd < 0 ? -errno : fd_install(fd, FD_DEVICE, vfio);
	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		vfio_release(vfio);
		return rc;
	}
	create->fd = fd;
	return 0;
}
