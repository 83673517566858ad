/*
 * memory: KVM's slots, and the Xen frames under them.
 *
 * In KVM the VMM owns pages and lends them; in Xen the domain owns frames and the VMM maps them.
 * What ties both is the host virtual address: each page of VMM memory that was ever part of a slot
 * of a live VM is *backed* by one frame, mapped at that very address in chunks of at most 2 MiB
 * (a privcmd mapping cannot be split later), and that frame sits at one gfn: where a slot shows
 * it to the guest, or in the parking range out of the guest's reach when no slot does.
 *
 * SET_USER_MEMORY_REGION changes the table of slots. memory_flush makes Xen's p2m agree with it:
 * the difference, not the history, so that a VMM's delete-and-add storms cost nothing. Two things
 * do not wait for a flush once the VM is live: memory that is new is backed within the ioctl (the
 * VMM may write to it from any thread afterwards, and while it is being replaced such a write
 * would be lost), and a log of written pages begins within it.
 *
 * Threads: any; the functions take the locks that they need, but for memory_flush.
 */
#ifndef KVMXEN_MACHINE_MEMORY_H
#define KVMXEN_MACHINE_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

struct vm;
struct memory_private;

struct memory {
	struct memory_private *private; /* memory*.c */
	pthread_mutex_t lock;           /* after vm->lock; memory_intercept takes this one alone */
	atomic_bool changed;            /* memory_flush has something to do */
	atomic_bool deferred;           /* the worker has been asked for a flush */
	atomic_bool busy;               /* and there was a change after that */
	int patience;                   /* how often it will wait for an end of them */
};

int memory_init(struct vm *vm);
/* With the domain still there: gives the VMM ordinary memory with the same content at the same
 * addresses. keep_content false: the process is ending, nothing is copied nor unmapped. A VM that
 * somebody still refers to while its domain ends keeps its slots: it may get another domain.
 * May be called again. */
void memory_destroy(struct vm *vm, bool keep_content);

/* Makes the domain's p2m and our mappings agree with the slots. vm->lock held, vm live, no vcpu
 * running in the guest (world stopped or domain paused). 0 or -errno. */
int memory_flush(struct vm *vm);

/* Pages that all slots hold, for sizing the domain before the first flush. */
uint64_t memory_pages(struct vm *vm);

/* The VMM's address of [gpa, gpa + length), which must lie in one slot; NULL when no slot has it.
 * Lock-free: for the exit path. *readonly (may be NULL) tells a KVM_MEM_READONLY slot. */
void *memory_at(struct vm *vm, uint64_t gpa, size_t length, bool *readonly);
/*
 * Several slots with one host page (Xen shows a frame at one guest address only): the one that the
 * guest may write, or else the one with the lowest id, has the page. A read-only one beside it has
 * a copy, brought up to date by each memory_flush and by memory_refresh_aliases (call it when the
 * VMM has set registers: it may have rewritten its ROM). A further writable one has no memory in
 * Xen: accesses arrive as requests, and memory_serve answers them; but the one with the reset
 * vector has a copy that takes no writes. memory_plan.c says why.
 */
void memory_refresh_aliases(struct vm *vm);

/* Exit path: does an access of size 1 to 8 that has come to us as a request belong to a slot's
 * memory? If so it is done, and logged. Not for writes to a read-only slot: they are the VMM's. */
bool memory_serve(struct vm *vm, uint64_t gpa, void *data, size_t size, bool is_write);

/* The guest is about to execute at gpa: true when that is in a read-only slot that had to be made
 * executable for it; memory_flush then has something to do. */
bool memory_executed(struct vm *vm, uint64_t gpa);

/* What the library itself stored into guest memory on the guest's behalf is logged as KVM would. */
void memory_mark_dirty(struct vm *vm, uint64_t gpa, size_t length);

/*
 * Guest addresses that no slot may use. A processor with 39 physical address bits is the smallest
 * that is still about, so all of it lies below 2^39: frames that no slot shows (parking), the
 * scratch frame (two gfns to move it between), the monitor's ring. The top eighth of those 39 bits
 * is left alone: firmware puts 64-bit PCI windows there. What a guest finds when it looks here is
 * its own parked memory, where KVM would show an exit.
 */
#define MEMORY_PARKING_GFN   0x6000000ull /* 384 GiB */
#define MEMORY_PARKING_END   0x6fffff0ull
#define MEMORY_SCRATCH_GFN_A 0x6fffff0ull
#define MEMORY_SCRATCH_GFN_B 0x6fffff1ull
#define MEMORY_MONITOR_GFN   0x6fffff2ull

/* Called by the interposed munmap/mmap(MAP_FIXED)/mremap/mprotect/madvise, before the libc call:
 * if the range touches memory backed by any VM, take the necessary steps (unback deleted slots
 * so that the range is ordinary memory again). True: the call must not be passed on, *result
 * (and errno) is the answer. */
enum memory_call {
	MEMORY_MUNMAP,
	MEMORY_MMAP_FIXED,
	MEMORY_MPROTECT,
	MEMORY_MADVISE,
	MEMORY_MREMAP
};
bool memory_intercept(enum memory_call call, void *address, size_t length, int argument,
		      long *result);

/* Makes [address, address + length) ordinary memory, with its content, once its slots were deleted.
 * -EBUSY: part of it is still in a slot. */
int memory_ordinary(void *address, size_t length);

/* ioctl handlers. */
long memory_set_user_region(struct vm *vm, struct kvm_userspace_memory_region *region);
long memory_get_dirty_log(struct vm *vm, struct kvm_dirty_log *log);
long memory_clear_dirty_log(struct vm *vm, struct kvm_clear_dirty_log *log);
/* KVM_ENABLE_CAP of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: KVM_DIRTY_LOG_* options for the whole VM. */
#define MEMORY_LOG_OPTIONS (KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET)
long memory_set_log_options(struct vm *vm, uint64_t options);
#define MEMORY_SLOTS 32764 /* KVM_CAP_NR_MEMSLOTS */

#endif
