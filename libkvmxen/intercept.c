#include "libkvmxen/intercept.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "include/kvmxen/kvmxen.h"
#include "libkvmxen/ioctl/fd.h"
#include "libkvmxen/ioctl/trace.h"
#include "libkvmxen/machine/memory.h"
#include "libkvmxen/machine/vcpu.h"

#define EXPORT __attribute__((visibility("default")))

_Static_assert((int)INTERCEPT_MUNMAP == (int)MEMORY_MUNMAP, "one list");
_Static_assert((int)INTERCEPT_MREMAP == (int)MEMORY_MREMAP, "one list");

EXPORT bool kvmxen_memory_intercept(enum intercept_call call, void *address, size_t length,
				    int argument, long *result)
{
	return memory_intercept((enum memory_call)call, address, length, argument, result);
}

EXPORT void kvmxen_mapped(int fd, void *address, size_t length, long offset, int protection)
{
	const long ring = VCPU_COALESCED_PAGE * VCPU_PAGE;
	struct file *file = fd_get(fd);

	if (!file)
		return;
	if (file->kind == FD_VCPU) {
		const struct vcpu *vcpu = file->object, *first = vcpu->vm->vcpus[0];

		if (vcpu != first && offset <= ring && offset + (long)length > ring)
			syscall(SYS_mmap, (char *)address + (ring - offset), VCPU_PAGE, protection,
				MAP_SHARED | MAP_FIXED, first->memfd, ring);
	}
	file_put(file);
}

EXPORT void kvmxen_forget(unsigned first, unsigned last)
{
	if (first == last && trace_wanted() && fd_is_ours((int)first))
		trace_descriptor("close", (int)first, 0, 0);
	if (first == last)
		fd_forget((int)first);
	else
		fd_forget_range(first, last);
}

EXPORT bool kvmxen_is_generic(unsigned long request)
{
	return request == FIOCLEX || request == FIONCLEX || request == FIONBIO ||
	       request == FIOASYNC;
}

EXPORT int kvmxen_memory_release(void *address, size_t length)
{
	int rc = memory_ordinary(address, length);

	if (rc == 0)
		return 0;
	errno = -rc;
	return -1;
}
