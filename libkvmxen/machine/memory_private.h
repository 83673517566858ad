/*
 * memory_private: what the files of memory share.
 *
 *	memory.c            the object, KVM_SET_USER_MEMORY_REGION, when a flush happens
 *	memory_slots.c      the table of slots and its snapshots
 *	memory_plan.c       which frame each gfn should show: owners, copies, holes
 *	memory_flush.c      making the p2m agree with the plan
 *	memory_frames.c     the domain's frames: getting, moving, typing, giving back
 *	memory_chunk.c      which frames are mapped where
 *	memory_back.c       putting frames under VMM memory, and taking them away again
 *	memory_hold.c       the VMM's threads that touch what is being replaced
 *	memory_vma.c        the VMM's address space: what is mapped, moving it aside, copying it
 *	memory_device.c     slots that show a device of the host
 *	memory_alias.c      copies of pages that several slots show
 *	memory_dirty.c      the log of written pages
 *	memory_intercept.c  what the VMM does to its own address space
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

/* Beside KVM_MEM_* in a slot's flags: see memory_executed.c. */
#define SLOT_EXECUTED (1u << 31)

struct slot {
	uint32_t id, flags; /* KVM_MEM_*, SLOT_EXECUTED */
	uint64_t gfn, pages;
	uintptr_t hva;
	/* With KVM_MEM_LOG_DIRTY_PAGES, see memory_dirty.c: a bit for each page, and which log it
	 * is of all that there ever were. */
	atomic_ulong *dirty;
	uint64_t log;
};

/* A table sorted by gfn. What is in it does not change; but where it has room, a slot that comes
 * last may be added behind. */
struct slots {
	size_t room;
	_Atomic size_t count;
	struct slot slot[];
};

/* The table as it is now; the caller holds the lock (readers without it: slots_enter). */
struct slots *slots_now(struct memory_private *p);
/* The slot of that id, with the lock held, or NULL. */
const struct slot *slots_by_id(const struct memory_private *p, uint32_t id);
/* The slot with gfn, or NULL. */
const struct slot *slots_by_gfn(const struct slots *slots, uint64_t gfn);
/* Another slot than id that meets [gfn, gfn + pages), or NULL. */
const struct slot *slots_overlap(const struct slots *slots, uint32_t id, uint64_t gfn,
				 uint64_t pages);
/* Publishes a table without the slot old (may be NULL) and with new (may be NULL), or the same with
 * new behind. Counts in p->slots_changes. */
int slots_replace(struct memory_private *p, const struct slot *old, const struct slot *new);

/* Between these two a reader without the lock may use what slots_enter gave it. */
const struct slots *slots_enter(struct memory_private *p);
void slots_leave(struct memory_private *p);
/* Frees data once no reader can hold it any more. */
void slots_retire(struct memory_private *p, void *data);
void slots_free(struct memory_private *p);

/* --- frames: memory_frames.c --- */

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

/* Sets the domain's limits for that many more frames. */
int frames_reserve(struct memory_private *p, uint64_t more);
/* n frames in a row from gfn on, all or none. */
int frames_populate(struct memory_private *p, uint64_t gfn, uint64_t n);
void frames_release(struct memory_private *p, uint64_t gfn, uint64_t n);
/* Moves n writable frames in a row. *moved: how many went, after a failure too. */
int frames_move(struct memory_private *p, uint64_t from, uint64_t to, uint32_t n, uint32_t *moved);
/* Changes the type of n frames in a row. On failure they are all writable memory. */
int frames_type(struct memory_private *p, uint64_t gfn, uint32_t n, enum mem_type from,
		enum mem_type to);
int frames_map(struct memory_private *p, void *at, const uint64_t *gfns, uint32_t n, void **out);

/* --- chunks: memory_chunk.c --- */

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
void chunk_free(struct chunk *chunk);

/* Index of the first chunk that ends after hva. */
size_t chunks_find(const struct memory_private *p, uintptr_t hva);
/* Room for one more: chunks_insert then cannot fail. 0 or -ENOMEM. */
int chunks_room(struct memory_private *p);
void chunks_insert(struct memory_private *p, struct chunk *chunk);
/* Takes chunk i out of the table; the caller owns it. */
struct chunk *chunks_take(struct memory_private *p, size_t i);
/* Is all of [hva, end) backed? */
bool chunks_cover(const struct memory_private *p, uintptr_t hva, uintptr_t end);

/* --- backing: memory_back.c --- */

/* Puts fresh frames at [gfn, gfn + pages) and under [hva, ...), with the content that is there.
 * None of it is backed yet. What has nothing accessible mapped is left out. slot_id: for
 * messages. */
int back(struct memory_private *p, uintptr_t hva, uint64_t gfn, uint64_t pages, uint32_t slot_id);
/* Gives the VMM ordinary memory, with the same content, in place of all chunks. The frames stay,
 * for the domain's end. */
void unback_all(struct memory_private *p, bool keep_content);
/* Gives the VMM ordinary memory in [start, end), and Xen its frames. keep: with the content. The
 * rest of the chunks concerned stays backed. */
int unback(struct memory_private *p, uintptr_t start, uintptr_t end, bool keep);
/* Forgets chunks in [start, end) whose mapping somebody has replaced without our knowledge. */
int back_check(struct memory_private *p, uintptr_t start, uintptr_t end);

/* --- the VMM's address space: memory_vma.c --- */

struct vma {
	uintptr_t start, end;
	bool accessible; /* not PROT_NONE */
	bool readable;
	bool anonymous; /* private, not of a file: untouched pages read as zeroes */
	bool shared;
	bool foreign; /* a device's memory, or another domain's: cannot be moved */
	uint64_t device, inode, offset;
	uintptr_t whole, whole_end; /* as it is, also outside of what was asked for */
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
/* The file of a shared mapping (before any of it is moved), or -1. Closed by the caller. */
int vma_open(const struct vma *vma);
/* Is there anything in it but zeroes? fd: of vma_open. */
bool vma_has_content(const struct vma *vma, int fd, uintptr_t hva, void *aside, size_t length);
/* Copies what was moved aside from hva to fresh (zeroed) memory at to. fd: of vma_open. */
void vma_copy(const struct vma *vma, int fd, uintptr_t hva, void *aside, void *to, size_t length);

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
/* How a page of a slot with these flags is typed; readonly: as dirty_readonly_type says. */
enum mem_type memory_readonly_type(uint32_t flags, enum mem_type readonly);
/* apic: guest page 0xfee00 is the local APIC's and never memory. */
int plan_make(struct plan *plan, const struct slots *slots, bool apic);
void plan_free(struct plan *plan);

/* --- memory_hold.c --- */

/* Other threads that touch [hva, hva + length) once its pages are moved aside wait for hold_end.
 * anonymous: as in struct vma. Not our own thread: it must not touch it. One hold at a time in this
 * process: another waits here. A handle for hold_end; any value is one. */
int hold_begin(uintptr_t hva, size_t length, bool anonymous);
void hold_end(int hold);

/* --- copies: memory_alias.c --- */

/* A copy of host pages for a slot that does not own them. */
struct alias {
	uint64_t page, gfn;
	uint32_t pages; /* at most CHUNK_PAGES */
	enum mem_type type;
	void *map; /* its frames, in the library's own address space */
};

/* Takes away the copies that the plan does not have. */
void alias_drop(struct memory_private *p, const struct plan *plan);
/* Makes those that are missing; their owners are backed. */
int alias_make(struct memory_private *p, const struct plan *plan);
int alias_types(struct memory_private *p, enum mem_type type);
/* Brings all copies up to date. */
void alias_refresh(struct memory_private *p);
/* The domain goes: forgets them all. */
void alias_forget(struct memory_private *p);

/* --- a device's memory: memory_device.c --- */

/* Pages of VMM memory that map a BAR, as the guest sees them. */
struct bar {
	uint64_t page, gfn, mfn, pages;
};
/* Takes away what the plan does not have. */
int device_drop(struct memory_private *p, const struct plan *plan);
/* The foreign mapping is to be seen at gfn; -EOPNOTSUPP: it is of no device's BAR. */
int device_back(struct memory_private *p, const struct vma *vma, uint64_t gfn);
/* The domain goes. */
void device_forget(struct memory_private *p);

/* --- the log: memory_dirty.c --- */

/* How Xen logs for us: not at all, one range, or everything. */
enum log_mode { LOG_NONE, LOG_RANGE, LOG_ALL };

/* A slot that is logged, and where it was at the last flush: that is what Xen's log is about. */
struct logged {
	uint32_t id;
	uint64_t gfn, pages, log;
};

struct dirty_log {
	enum log_mode mode;
	struct logged *logged;
	size_t count, room;
	uint64_t logs;          /* begun so far */
	uint64_t range_refused; /* Xen would not log a range of so many pages or more */
};

/* Begins a log for the slot. 0 or -ENOMEM. */
int dirty_begin(struct memory_private *p, struct slot *slot);
/* The mode that the slots as they are now ask for. */
enum log_mode dirty_wanted(struct memory_private *p);
/* The type of pages that the guest may not write. Xen does not log everything while pages exist
 * whose writes are sent to us; so for that time such writes are dropped without a word. */
enum mem_type dirty_readonly_type(enum log_mode mode);
/* Adds what Xen has logged to the slots' maps. */
int dirty_collect(struct memory_private *p);
/* Ends logging that the slots no longer ask for. */
int dirty_stop(struct memory_private *p, enum log_mode wanted);
/* Starts logging, or starts it anew: frames may have been moved. -EAGAIN: the mode that
 * dirty_wanted gave does not work, ask again. */
int dirty_start(struct memory_private *p, enum log_mode wanted);
/* The domain goes. */
void dirty_forget(struct memory_private *p);

/* --- the object --- */

struct memory_private {
	struct vm *vm;
	_Atomic(struct slots *) slots;
	uint64_t slots_changes;
	uint16_t slots_place[MEMORY_SLOTS]; /* by id: the index in slots, plus one; 0: none */
	atomic_uint readers;                /* of slots, without the lock */
	void **retired;
	size_t retired_count, retired_room;

	struct chunk **chunks; /* sorted by hva */
	size_t chunk_count, chunk_room;
	uint64_t device, inode; /* of foreign mappings */
	struct alias *alias;
	size_t alias_count, alias_room;
	struct bar *bar;
	size_t bar_count, bar_room;
	uint64_t frames;            /* in all chunks and copies */
	uint64_t limit, pool_bytes; /* what the domain was given so far */
	struct dirty_log log;
	uint64_t log_options; /* KVM_DIRTY_LOG_*, from KVM_ENABLE_CAP */
	struct executed {
		uintptr_t hva;
		uint64_t pages;
	} * executed; /* memory that was SLOT_EXECUTED in a slot that is gone */
	size_t executed_count, executed_room;

	/* memory_intercept.c */
	struct memory_private *next;
	bool listed;
	unsigned users;                   /* threads that found it in the list */
	atomic_ulong lowest, highest;     /* all that was ever in a slot lies between; 0: nothing */
	uintptr_t expected, expected_end; /* where the VMM is about to map something, */
	uint64_t expected_until;          /* until then at the latest: CLOCK_MONOTONIC, ms */
};

/* Every thread that holds vm->memory.lock holds it by these: what it does to the address space then
 * is ours and not the VMM's (memory_intercept). */
void memory_lock(struct vm *vm);
void memory_unlock(struct vm *vm);
bool memory_is_inside(void);

/* A flush is due: by the next KVM_RUN, or soon by the worker when the guest runs already. */
void memory_ask(struct memory_private *p);
/* The worker shall flush soon, whether a vcpu runs or not. */
void memory_look_again(struct memory_private *p);
/* memory_flush.c */
int memory_flush_locked(struct memory_private *p);
/* Backs what is new in a slot, where nothing is in its way: while the guest runs. */
int memory_back_slot(struct memory_private *p, uint32_t id);

/* memory_intercept.c: the list of all memories in this process that have frames somewhere. */
void memory_enlist(struct memory_private *p);
/* Returns when no thread uses it any more; the lock is not held. */
void memory_delist(struct memory_private *p);
/* Is the VMM about to map what it could not use so far? Then a flush has to follow. */
bool memory_expects(struct memory_private *p);

/* array: an allocated array of *room elements gets room for one more than count. */
int memory_grow(void *array, size_t count, size_t *room, size_t size);

#endif
