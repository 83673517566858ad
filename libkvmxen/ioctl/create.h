/* create: the ioctls that hand out descriptors. */
#ifndef KVMXEN_IOCTL_CREATE_H
#define KVMXEN_IOCTL_CREATE_H

#include "libkvmxen/machine/vm.h"

/* The descriptor of /dev/kvm itself, or -errno. flags as open(2). */
int create_system_fd(int flags);
long create_vm_fd(void *type);
/* A device has a descriptor that is not returned but in create->fd. */
long create_device_fd(struct vm *vm, struct kvm_create_device *create);
long create_vcpu_fd(struct vm *vm, unsigned long id);

#endif
