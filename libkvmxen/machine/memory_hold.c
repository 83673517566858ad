/*
 * Hold: the VMM's other threads wait while memory that they touch is being replaced.
 *
 * The pages are moved aside, and what stays at their address is empty memory under a userfaultfd
 * that nobody reads: who touches it sleeps in the kernel, system calls as well, until hold_end has
 * the access tried again. Where there is no such thing (a mapped file of a disk, an old kernel, no
 * permission) nobody waits.
 */
#include "libkvmxen/machine/memory_private.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

/* Memory of a memfd is still in its file after its pages have been moved aside: "minor" faults. */
#define FEATURES (UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM)

int hold_begin(uintptr_t hva, size_t length, bool anonymous)
{
	struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};
	struct uffdio_register range = {
		.range = {.start = hva, .len = length},
		.mode = UFFDIO_REGISTER_MODE_MISSING | (anonymous ? 0 : UFFDIO_REGISTER_MODE_MINOR),
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void hold_end(int hold)
{
	/* Whoever waits is woken, and what is still registered is forgotten. */
	if (hold >= 0)
		close(hold);
}
