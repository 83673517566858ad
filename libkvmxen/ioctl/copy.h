/*
 * copy: the VMM's arguments in and out, as copy_from_user and copy_to_user would: a bad pointer is
 * -EFAULT, never a signal. 0 or -EFAULT.
 */
#ifndef KVMXEN_IOCTL_COPY_H
#define KVMXEN_IOCTL_COPY_H

#include <stddef.h>

int copy_in(void *to, const void *user, size_t length);
int copy_out(void *user, const void *from, size_t length);

#endif
