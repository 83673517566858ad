/*
 * vfio: KVM_CREATE_DEVICE (KVM API 4.79). x86 has one kind: the vfio pseudo-device, which tells
 * KVM of the VFIO groups of a VM. Linux under Xen has no IOMMU of its own, hence no VFIO group: the
 * device is there, and any group it is told of is none.
 *
 * A device lives with its descriptor and holds a reference of its VM.
 */
#ifndef KVMXEN_MACHINE_VFIO_H
#define KVMXEN_MACHINE_VFIO_H

#include "libkvmxen/machine/vm.h"

struct vfio {
	struct vm *vm;
};

/* KVM's answer to a type: 0, or -ENODEV. */
long vfio_check(const struct kvm_create_device *create);
/* NULL with errno: EBUSY, the VM has one. */
struct vfio *vfio_create(struct vm *vm);
void vfio_release(struct vfio *vfio);

long vfio_set_attr(struct vfio *vfio, const struct kvm_device_attr *attr);
long vfio_get_attr(struct vfio *vfio);
long vfio_has_attr(struct vfio *vfio, const struct kvm_device_attr *attr);

#endif
