#include "libkvmxen/machine/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/message.h"

long vfio_check(const struct kvm_create_device *create)
{
	return create->type == KVM_DEV_TYPE_VFIO ? 0 : -ENODEV;
}

struct vfio *vfio_create(struct vm *vm)
{
	struct vfio *vfio = calloc(1, sizeof *vfio);

	if (!vfio)
		return NULL;
	pthread_mutex_lock(&vm->lock);
	if (vm->vfio_device) {
		errno = EBUSY;
		free(vfio);
		vfio = NULL;
	} else {
		vfio->vm = vm;
		vm->vfio_device = vfio;
	}
	pthread_mutex_unlock(&vm->lock);
	if (vfio)
		vm_get(vm);
	return vfio;
}

void vfio_release(struct vfio *vfio)
{
	struct vm *vm = vfio->vm;

	pthread_mutex_lock(&vm->lock);
	vm->vfio_device = NULL;
	pthread_mutex_unlock(&vm->lock);
	free(vfio);
	vm_put(vm);
}

long vfio_set_attr(struct vfio *vfio, const struct kvm_device_attr *attr)
{
	int32_t fd;

	if (attr->group != KVM_DEV_VFIO_GROUP)
		return -ENXIO;
	if (attr->attr != KVM_DEV_VFIO_GROUP_ADD && attr->attr != KVM_DEV_VFIO_GROUP_DEL)
		return -ENXIO;
	if (copy_in(&fd, (void *)(uintptr_t)attr->addr, sizeof fd))
		return -EFAULT;
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	if (attr->attr == KVM_DEV_VFIO_GROUP_DEL)
		return -ENOENT;
	message_refused("KVM_SET_DEVICE_ATTR: descriptor %d is no VFIO group: there is none on a "
			"Xen host",
			fd);
	return -EINVAL;
}

/* KVM's device has no attribute that can be read. */
long vfio_get_attr(struct vfio *vfio)
{
	return -EPERM;
}

long vfio_has_attr(struct vfio *vfio, const struct kvm_device_attr *attr)
{
	if (attr->group != KVM_DEV_VFIO_GROUP)
		return -ENXIO;
	return attr->attr == KVM_DEV_VFIO_GROUP_ADD || attr->attr == KVM_DEV_VFIO_GROUP_DEL
		       ? 0
		       : -ENXIO;
}
