/* create: the ioctls that hand out descriptors. */
#ifndef KVMXEN_IOCTL_CREATE_H
#define KVMXEN_IOCTL_CREATE_H

#include "libkvmxen/machine/vm.h"

/* The descriptor of /dev/kvm itself, or -errno. flags as open(2). */
int create_system_fd(int flags);
long create_vm_fd(void *type);
long create_vcpu_fd(struct vm *vm, unsigned long id);

#endif
