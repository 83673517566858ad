/*
 * preload: libc's entry points, for a VMM that knows nothing of kvmxen.
 *
 * Each calls the next definition of its name unless a descriptor, path or address of ours is
 * concerned. A VMM's ioctl on any other descriptor costs one table look-up.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "include/kvmxen/kvmxen.h"
#include "libkvmxen/intercept.h"

#define EXPORT __attribute__((visibility("default")))

/* The next definition of a libc function, found once. Two threads may both look: same answer. */
#define NEXT(name)                                                                                 \
	({                                                                                         \
		static __typeof__(&name) next;                                                     \
		if (__builtin_expect(!next, 0))                                                    \
			next = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                         \
		next;                                                                              \
	})

/* In its fortified forms open takes no mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

static bool is_dev_kvm(const char *path)
{
	return path && strcmp(path, "/dev/kvm") == 0;
}

/* Does open take a mode with these flags? */
static bool wants_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

#define OPEN(name)                                                                                 \
	EXPORT int name(const char *path, int flags, ...)                                          \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
		if (wants_mode(flags)) {                                                           \
			va_list args;                                                              \
			va_start(args, flags);                                                     \
			mode = va_arg(args, mode_t);                                               \
			va_end(args);                                                              \
		}                                                                                  \
		if (is_dev_kvm(path))                                                              \
			return kvmxen_open(flags);                                                 \
		return NEXT(name)(path, flags, mode);                                              \
	}
#define OPENAT(name)                                                                               \
	EXPORT int name(int dir, const char *path, int flags, ...)                                 \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
		if (wants_mode(flags)) {                                                           \
			va_list args;                                                              \
			va_start(args, flags);                                                     \
			mode = va_arg(args, mode_t);                                               \
			va_end(args);                                                              \
		}                                                                                  \
		if (is_dev_kvm(path))                                                              \
			return kvmxen_open(flags);                                                 \
		return NEXT(name)(dir, path, flags, mode);                                         \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

EXPORT int __open_2(const char *path, int flags)
{
	return is_dev_kvm(path) ? kvmxen_open(flags) : NEXT(__open_2)(path, flags);
}

EXPORT int __open64_2(const char *path, int flags)
{
	return is_dev_kvm(path) ? kvmxen_open(flags) : NEXT(__open64_2)(path, flags);
}

EXPORT int __openat_2(int dir, const char *path, int flags)
{
	return is_dev_kvm(path) ? kvmxen_open(flags) : NEXT(__openat_2)(dir, path, flags);
}

EXPORT int __openat64_2(int dir, const char *path, int flags)
{
	return is_dev_kvm(path) ? kvmxen_open(flags) : NEXT(__openat64_2)(dir, path, flags);
}

/* VMMs ask for the device before they open it. */
EXPORT int access(const char *path, int mode)
{
	return is_dev_kvm(path) ? 0 : NEXT(access)(path, mode);
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list args;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	/* What every descriptor knows (FIONBIO, FIOCLEX ...) is the kernel's, ours included. */
	if (kvmxen_owns(fd) && !intercept_is_generic(request))
		return kvmxen_ioctl(fd, request, argument);
	return NEXT(ioctl)(fd, request, argument);
}

/* KVM's descriptors are neither read nor written; ours stand on files that are. */
EXPORT ssize_t read(int fd, void *buffer, size_t size)
{
	if (kvmxen_owns(fd)) {
		errno = EINVAL;
		return -1;
	}
	return NEXT(read)(fd, buffer, size);
}

EXPORT ssize_t write(int fd, const void *buffer, size_t size)
{
	if (kvmxen_owns(fd)) {
		errno = EINVAL;
		return -1;
	}
	return NEXT(write)(fd, buffer, size);
}

EXPORT int close(int fd)
{
	if (kvmxen_owns(fd)) {
		intercept_forget(fd, fd);
		return NEXT(close)(fd);
	}
	return NEXT(close)(fd);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	if (!(flags & CLOSE_RANGE_CLOEXEC))
		intercept_forget(first, last);
	return NEXT(close_range)(first, last, flags);
}

EXPORT void closefrom(int first)
{
	intercept_forget(first < 0 ? 0 : first, ~0u);
	NEXT(closefrom)(first);
}

EXPORT int dup(int fd)
{
	int copy = NEXT(dup)(fd);

	if (copy >= 0)
		kvmxen_duplicated(fd, copy);
	return copy;
}

/* `to` is closed by the call, whatever it was. */
static void duplicated_over(int from, int to)
{
	if (from == to)
		return;
	intercept_forget(to, to);
	kvmxen_duplicated(from, to);
}

EXPORT int dup2(int from, int to)
{
	int copy = NEXT(dup2)(from, to);

	if (copy >= 0)
		duplicated_over(from, copy);
	return copy;
}

EXPORT int dup3(int from, int to, int flags)
{
	int copy = NEXT(dup3)(from, to, flags);

	if (copy >= 0)
		duplicated_over(from, copy);
	return copy;
}

static int after_fcntl(int fd, int command, int result)
{
	if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
		kvmxen_duplicated(fd, result);
	return result;
}

#define FCNTL(name)                                                                                \
	EXPORT int name(int fd, int command, ...)                                                  \
	{                                                                                          \
		va_list args;                                                                      \
		void *argument;                                                                    \
		va_start(args, command);                                                           \
		argument = va_arg(args, void *);                                                   \
		va_end(args);                                                                      \
		return after_fcntl(fd, command, NEXT(name)(fd, command, argument));                \
	}
FCNTL(fcntl)
FCNTL(fcntl64)

/* --- memory: guest pages are foreign mappings that cannot be split --- */

EXPORT int munmap(void *address, size_t length)
{
	long result;

	if (kvmxen_memory_intercept(INTERCEPT_MUNMAP, address, length, 0, &result))
		return (int)result;
	return NEXT(munmap)(address, length);
}

EXPORT int mprotect(void *address, size_t length, int protection)
{
	long result;

	if (kvmxen_memory_intercept(INTERCEPT_MPROTECT, address, length, protection, &result))
		return (int)result;
	return NEXT(mprotect)(address, length, protection);
}

EXPORT int madvise(void *address, size_t length, int advice)
{
	long result;

	if (kvmxen_memory_intercept(INTERCEPT_MADVISE, address, length, advice, &result))
		return (int)result;
	return NEXT(madvise)(address, length, advice);
}

EXPORT int posix_madvise(void *address, size_t length, int advice)
{
	long result;

	/* Advice only, by definition: no content ever goes. */
	if (kvmxen_memory_intercept(INTERCEPT_MADVISE, address, length, MADV_NORMAL, &result))
		return 0;
	return NEXT(posix_madvise)(address, length, advice);
}

#define MMAP(name, offset_type)                                                                    \
	EXPORT void *name(void *address, size_t length, int protection, int flags, int fd,         \
			  offset_type offset)                                                      \
	{                                                                                          \
		long result;                                                                       \
		if ((flags & MAP_FIXED) && kvmxen_memory_intercept(INTERCEPT_MMAP_FIXED, address,  \
								   length, flags, &result))        \
			return (void *)result;                                                     \
		void *at = NEXT(name)(address, length, protection, flags, fd, offset);             \
		if (at != MAP_FAILED && fd >= 0 && kvmxen_owns(fd))                                \
			kvmxen_mapped(fd, at, length, (long)offset, protection);                   \
		return at;                                                                         \
	}
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

EXPORT void *mremap(void *old, size_t old_size, size_t new_size, int flags, ...)
{
	va_list args;
	void *fixed;
	long result;

	va_start(args, flags);
	fixed = va_arg(args, void *);
	va_end(args);
	if (kvmxen_memory_intercept(INTERCEPT_MREMAP, old, old_size, flags, &result))
		return (void *)result;
	return NEXT(mremap)(old, old_size, new_size, flags, fixed);
}
