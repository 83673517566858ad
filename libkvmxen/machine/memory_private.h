/*
 * memory_private: what the files of memory share.
 *
 *	memory.c            the object, the ioctls, when a flush happens
 *	memory_slots.c      the table of slots and its snapshots
 *	memory_plan.c       which frame each gfn should show: owners, copies, holes
 *	memory_vma.c        the VMM's address space: what is mapped where, moving it aside
 *	memory_back.c       chunks: putting frames under VMM memory, and taking them away again
 *	memory_flush.c      making the p2m agree with the plan
 *
 * Everything here is guarded by vm->memory.lock but the snapshot, which readers use without a lock.
 */
#ifndef KVMXEN_MACHINE_MEMORY_PRIVATE_H
#define KVMXEN_MACHINE_MEMORY_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libkvmxen/machine/memory.h"
#include "libkvmxen/machine/vm.h"

#define MEMORY_PAGE_SHIFT 12
#define MEMORY_PAGE       (1ul << MEMORY_PAGE_SHIFT)
#define CHUNK_PAGES       512 /* 2 MiB: one order 9 extent */
#define CHUNK_ORDER       9

#define DEVICE_OP(vm, op, ...)  ((vm)->xen.dev->ops->op((vm)->xen.dev, (vm)->domid, ##__VA_ARGS__))
#define CONTROL_OP(vm, op, ...) ((vm)->xen.ctl->ops->op((vm)->xen.ctl, (vm)->domid, ##__VA_ARGS__))

/* --- slots: memory_slots.c --- */

struct slot {
	uint32_t id, flags; /* KVM_MEM_* */
	uint64_t gfn, pages;
	uintptr_t hva;
};

/* An immutable table, sorted by gfn. */
struct slots {
	size_t count;
	struct slot slot[];
};

/* The table as it is now; the caller holds the lock (readers without it: slots_enter). */
struct slots *slots_now(struct memory_private *p);
const struct slot *slots_by_id(const struct slots *slots, uint32_t id);
/* The slot with gfn, or NULL. */
const struct slot *slots_by_gfn(const struct slots *slots, uint64_t gfn);
/* Another slot than id that meets [gfn, gfn + pages), or NULL. */
const struct slot *slots_overlap(const struct slots *slots, uint32_t id, uint64_t gfn,
				 uint64_t pages);
/* Publishes a table without the slot old (may be NULL) and with new (may be NULL). */
int slots_replace(struct memory_private *p, const struct slot *old, const struct slot *new);

/* Between these two a reader without the lock may use what slots_enter gave it. */
const struct slots *slots_enter(struct memory_private *p);
void slots_leave(struct memory_private *p);
/* Frees data once no reader can hold it any more. */
void slots_retire(struct memory_private *p, void *data);
void slots_free(struct memory_private *p);

/* --- frames --- */

/* A frame, as we know it in the p2m: its gfn, and above that its enum mem_type. */
#define FRAME_TYPE_SHIFT 56
#define FRAME_GFN_MASK   ((1ull << FRAME_TYPE_SHIFT) - 1)

static inline uint64_t frame_make(uint64_t gfn, enum mem_type type)
{
	return gfn | (uint64_t)type << FRAME_TYPE_SHIFT;
}

static inline uint64_t frame_gfn(uint64_t frame)
{
	return frame & FRAME_GFN_MASK;
}

static inline enum mem_type frame_type(uint64_t frame)
{
	return frame >> FRAME_TYPE_SHIFT;
}

static inline bool gfn_is_parked(uint64_t gfn)
{
	return gfn >= MEMORY_PARKING_GFN && gfn < MEMORY_PARKING_END;
}

/* --- chunks: memory_back.c --- */

/* VMM memory under which frames of the domain were put: one foreign mapping, which the kernel does
 * not let anyone split. */
struct chunk {
	uintptr_t hva;
	uint32_t pages;
	bool shared;      /* was a shared or file mapping: MADV_DONTNEED keeps its content */
	uint64_t frame;   /* of the first page, when they are all in a row */
	uint64_t *frames; /* else one for each page */
};

static inline uintptr_t chunk_end(const struct chunk *chunk)
{
	return chunk->hva + chunk->pages * MEMORY_PAGE;
}

static inline uint64_t chunk_frame(const struct chunk *chunk, uint32_t page)
{
	return chunk->frames ? chunk->frames[page] : chunk->frame + page;
}

/* Makes room for a frame of its own for each page. 0 or -ENOMEM. */
int chunk_spread(struct chunk *chunk);
/* n pages from first are in a row from frame on. Needs chunk_spread unless that is all of them. */
void chunk_set(struct chunk *chunk, uint32_t first, uint32_t n, uint64_t frame);
/* Stores frames in a row as such again. */
void chunk_compact(struct chunk *chunk);

/* Index of the first chunk that ends after hva. */
size_t chunks_find(const struct memory_private *p, uintptr_t hva);
/* Puts fresh frames at [gfn, gfn + pages) and under [hva, ...), with the content that is there.
 * None of it is backed yet. What has nothing mapped is left out. slot_id: for messages. */
int chunks_back(struct memory_private *p, uintptr_t hva, uint64_t gfn, uint64_t pages,
		uint32_t slot_id);
/* Gives the VMM ordinary memory in place of chunk i and forgets the chunk; its frames are left to
 * the caller or the domain's end. Content within [skip, skip_end) is not kept. */
int chunk_unback(struct memory_private *p, size_t i, bool keep_content, uintptr_t skip,
		 uintptr_t skip_end);
/* Forgets chunk i; its mapping stays. */
void chunk_forget(struct memory_private *p, size_t i);
/* Sets the domain's limits for that many more frames. */
int frames_reserve(struct memory_private *p, uint64_t more);
/* n frames in a row from gfn on, all or none. */
int frames_populate(struct memory_private *p, uint64_t gfn, uint64_t n);
void frames_release(struct memory_private *p, uint64_t gfn, uint64_t n);

/* --- the VMM's address space: memory_vma.c --- */

struct vma {
	uintptr_t start, end;
	bool accessible; /* not PROT_NONE */
	bool readable;
	bool anonymous; /* private, not of a file: untouched pages read as zeroes */
	bool foreign;   /* a device's memory, or another domain's: cannot be moved */
};
struct vmas {
	struct vma *vma;
	size_t count;
};

/* What is mapped in [start, end), in order. */
int vmas_scan(struct vmas *vmas, uintptr_t start, uintptr_t end);
void vmas_free(struct vmas *vmas);
/* Moves what is mapped at [hva, hva + length) elsewhere, in one piece, leaving nothing that others
 * could be given. The result is the new address, or MAP_FAILED with errno. */
void *vma_move_aside(uintptr_t hva, size_t length);
/* Moves it back, over whatever is there now. 0 or -errno. */
int vma_put_back(void *aside, uintptr_t hva, size_t length);
/* Copies what was moved aside to fresh (zeroed) memory at to. */
void vma_copy(const struct vma *vma, void *aside, void *to, size_t length);

/* --- the plan: memory_plan.c --- */

/* Host pages in a row, and where the guest should see them. */
struct want {
	uint64_t page; /* hva >> MEMORY_PAGE_SHIFT */
	uint64_t pages;
	uint64_t gfn;
	uint32_t id, flags; /* of the slot */
};
struct plan {
	struct want *owner; /* sorted by page, without overlap */
	size_t owners, owner_room;
	struct want *alias; /* what needs a copy of a page that an owner shows elsewhere */
	size_t aliases, alias_room;
};
/* apic: guest page 0xfee00 is the local APIC's and never memory. */
int plan_make(struct plan *plan, const struct slots *slots, bool apic);
void plan_free(struct plan *plan);

/* --- the object --- */

struct memory_private {
	struct vm *vm;
	_Atomic(struct slots *) slots;
	atomic_uint readers; /* of slots, without the lock */
	void **retired;
	size_t retired_count, retired_room;

	struct chunk **chunks; /* sorted by hva */
	size_t chunk_count, chunk_room;
	uint64_t frames;            /* in all chunks and copies */
	uint64_t limit, pool_bytes; /* what the domain was given so far */

	atomic_bool deferred; /* the worker has been asked to flush */
};

/* A flush is due: by the next KVM_RUN, or soon by the worker when the guest runs already. */
void memory_ask(struct memory_private *p);
/* memory_flush.c */
int memory_flush_locked(struct memory_private *p);

/* array: an allocated array of *room elements gets room for one more than count. */
int memory_grow(void *array, size_t count, size_t *room, size_t size);

#endif
