/*
 * kvmxen: the Linux KVM API on a Xen host, for programs that call it directly.
 *
 * Programs that know nothing of kvmxen run under `kvmxen run -- PROGRAM`, which puts these calls
 * behind libc's open, ioctl, dup and close. A program that links with the library
 * (pkg-config kvmxen) calls them by name instead; everything else is as in the Linux KVM API
 * documentation (Documentation/virt/kvm/api.rst).
 *
 * Descriptors are real file descriptors. The one of a vcpu can be mapped by plain mmap
 * (KVM_GET_VCPU_MMAP_SIZE bytes); no other read, write or mmap is offered.
 *
 * Guest memory (KVM_SET_USER_MEMORY_REGION): from the first KVM_RUN on, the pages of a slot are
 * replaced, content kept, by mappings of the guest's own frames. Such pages cannot be unmapped or
 * protected in part, are not inherited over fork, and cannot be pinned (O_DIRECT, vhost-user,
 * userfaultfd fail on them). Delete the slot and call kvmxen_memory_release before unmapping.
 *
 * Threads: as KVM: KVM_RUN of a vcpu by one thread at a time, everything else by any.
 * Errors: -1 and errno as KVM gives them; ENOENT from kvmxen_open: no Xen under this system;
 * EACCES: no right to use it. One line on stderr says why whenever the reason is Xen's or ours.
 */
#ifndef KVMXEN_KVMXEN_H
#define KVMXEN_KVMXEN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As open("/dev/kvm", flags): O_RDWR, O_CLOEXEC. Returns a descriptor. */
int kvmxen_open(int flags);

/* As ioctl(fd, request, argument) on a descriptor of kvmxen; others: ENOTTY. */
int kvmxen_ioctl(int fd, unsigned long request, void *argument);

/* As close. The VM ends with the last descriptor of it and of its vcpus. */
int kvmxen_close(int fd);

/* 1 when fd is a descriptor of kvmxen, else 0. */
int kvmxen_owns(int fd);

/* After close-on-dup system calls that the program made itself: fd is now another descriptor for
 * what `from` names (dup, dup2, dup3, fcntl(F_DUPFD)). 0 or -1. */
int kvmxen_duplicated(int from, int fd);

/* Makes [address, address + length) ordinary memory again, with its content, after its slots were
 * deleted. 0, or -1: part of it is still in a slot (EBUSY). */
int kvmxen_memory_release(void *address, size_t length);

/* What of a state has no counterpart in Xen: one field. */
struct kvmxen_loss {
	const char *structure, *field; /* "kvm_vcpu_events", "nmi.masked" */
	unsigned index;                /* of an array's element, else 0 */
	uint64_t value;                /* as it is, its first 8 bytes */
	uint64_t becomes;              /* as it would be read back from Xen */
	const char *note;              /* what becomes of it, and why */
};

/* Calls report for each field of the present state of a vcpu (a vcpu's descriptor) or of the
 * interrupt controllers and the PIT (a VM's) that Xen cannot hold: what a program that moves the
 * state should know. No strings outlive the call but those of the library. Returns how many there
 * are, or -1. docs/state.md lists all fields. */
int kvmxen_losses(int fd, void (*report)(void *context, const struct kvmxen_loss *loss),
		  void *context);

/* "0.1.0" */
const char *kvmxen_version(void);

#ifdef __cplusplus
}
#endif

#endif
