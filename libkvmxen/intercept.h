/*
 * intercept: what the preloaded shim needs of the library beside its public calls. Not for
 * programs.
 */
#ifndef KVMXEN_INTERCEPT_H
#define KVMXEN_INTERCEPT_H

#include <stdbool.h>
#include <stddef.h>

enum intercept_call {
	INTERCEPT_MUNMAP,
	INTERCEPT_MMAP_FIXED,
	INTERCEPT_MPROTECT,
	INTERCEPT_MADVISE,
	INTERCEPT_MREMAP,
};

/* See memory_intercept. True: *result and errno are the call's answer. */
bool kvmxen_memory_intercept(enum intercept_call call, void *address, size_t length, int argument,
			     long *result);

/* [address, address + length) has just been mapped from fd, one of ours, at offset: puts the VM's
 * one coalesced ring where it belongs, which is in the mapping of every vcpu. */
void kvmxen_mapped(int fd, void *address, size_t length, long offset, int protection);

/* Descriptors first to last are about to be closed. */
void kvmxen_forget(unsigned first, unsigned last);
#define intercept_forget kvmxen_forget

/* ioctls that the kernel answers for any descriptor before it asks the file. */
bool kvmxen_is_generic(unsigned long request);
#define intercept_is_generic kvmxen_is_generic

#endif
