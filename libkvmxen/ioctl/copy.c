#include "libkvmxen/ioctl/copy.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* The kernel checks the VMM's pointer for us. A sandbox that forbids the call to itself leaves
 * plain access, where a bad pointer is the signal that it would be in any library. */
static int self_copy(void *local, const void *user, size_t length, int out)
{
	struct iovec l = {.iov_base = local, .iov_len = length};
	struct iovec r = {.iov_base = (void *)(uintptr_t)user, .iov_len = length};
	ssize_t n;

	if (length == 0)
		return 0;
	n = out ? process_vm_writev(getpid(), &l, 1, &r, 1, 0)
		: process_vm_readv(getpid(), &l, 1, &r, 1, 0);
	if (n == (ssize_t)length)
		return 0;
	if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
		if (!user)
			return -EFAULT;
		if (out)
			memcpy((void *)(uintptr_t)user, local, length);
		else
			memcpy(local, user, length);
		return 0;
	}
	return -EFAULT;
}

int copy_in(void *to, const void *user, size_t length)
{
	return self_copy(to, user, length, 0);
}

int copy_out(void *user, const void *from, size_t length)
{
	return self_copy((void *)(uintptr_t)from, user, length, 1);
}
