#include "libkvmxen/machine/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libkvmxen/machine/memory_private.h"
#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/world.h"
#include "libkvmxen/message.h"

/* How long a change of slots may wait for a KVM_RUN that makes it true, ms. */
#define FLUSH_DELAY 2
/* How often it may wait once more because there was another change. */
#define PATIENCE 10

/* The kernel's own limits. */
#define SLOT_PAGES_MAX ((1ull << 31) - 1) /* KVM_MEM_MAX_NR_PAGES */
#define USER_END       0x7ffffffff000ull  /* TASK_SIZE_MAX with four levels of page tables */

int memory_grow(void *array, size_t count, size_t *room, size_t size)
{
	void **base = array;
	size_t more = *room ? *room * 2 : 16;
	void *grown;

	if (count < *room)
		return 0;
	grown = realloc(*base, more * size);
	if (!grown)
		return -ENOMEM;
	*base = grown;
	*room = more;
	return 0;
}

int memory_init(struct vm *vm)
{
	struct memory_private *p = calloc(1, sizeof(*p));
	struct slots *none = calloc(1, sizeof(*none));

	if (!p || !none) {
		free(p);
		free(none);
		return -ENOMEM;
	}
	p->vm = vm;
	atomic_init(&p->slots, none);
	pthread_mutex_init(&vm->memory.lock, NULL);
	atomic_init(&vm->memory.changed, false);
	atomic_init(&vm->memory.deferred, false);
	atomic_init(&vm->memory.busy, false);
	vm->memory.patience = PATIENCE;
	vm->memory.private = p;
	return 0;
}

static _Thread_local unsigned inside;

bool memory_is_inside(void)
{
	return inside;
}

void memory_lock(struct vm *vm)
{
	inside++;
	pthread_mutex_lock(&vm->memory.lock);
}

void memory_unlock(struct vm *vm)
{
	pthread_mutex_unlock(&vm->memory.lock);
	inside--;
}

/* The domain goes: what was under the slots, not the slots. */
static void detach(struct memory_private *p, bool keep_content)
{
	alias_forget(p);
	device_forget(p);
	unback_all(p, keep_content);
	dirty_forget(p);
	p->frames = p->limit = p->pool_bytes = 0;
	p->expected = p->expected_end = 0;
}

static void memory_free(struct memory_private *p)
{
	const struct slots *slots = slots_now(p);

	for (size_t i = 0; i < slots->count; i++)
		free(slots->slot[i].dirty);
	slots_free(p);
	free(p->executed);
	free(p->chunks);
	free(p);
}

void memory_destroy(struct vm *vm, bool keep_content)
{
	bool last = !vm_live(vm) || !atomic_load(&vm->refs);
	struct memory_private *p;

	memory_lock(vm);
	p = vm->memory.private;
	if (last)
		vm->memory.private = NULL;
	memory_unlock(vm);
	if (!p)
		return;
	memory_delist(p);
	memory_lock(vm);
	detach(p, keep_content);
	atomic_store(&vm->memory.changed, true);
	memory_unlock(vm);
	if (last)
		memory_free(p);
}

uint64_t memory_pages(struct vm *vm)
{
	struct memory_private *p = vm->memory.private;
	const struct slots *slots;
	uint64_t pages = 0;

	if (!p)
		return 0;
	slots = slots_enter(p);
	for (size_t i = 0; i < slots->count; i++)
		pages += slots->slot[i].pages;
	slots_leave(p);
	return pages;
}

int memory_flush(struct vm *vm)
{
	struct memory_private *p;
	bool again = false;
	int rc = -EIO;

	memory_lock(vm);
	p = vm->memory.private;
	if (p) {
		again = memory_expects(p);
		rc = memory_flush_locked(p);
	}
	if (!rc) {
		atomic_store(&vm->memory.changed, false);
		atomic_fetch_and(&vm->work, ~VM_WORK_MEMORY);
		if (again)
			memory_look_again(p);
	}
	memory_unlock(vm);
	return rc;
}

/* --- when --- */

static int flush_now(struct vm *vm)
{
	int rc = world_stop(vm);

	if (rc < 0)
		return rc;
	rc = memory_flush(vm);
	world_start(vm);
	return rc;
}

static void defer(struct vm *vm);

/* On the worker: no vcpu came by in the meantime. */
static void flush_deferred(void *data)
{
	struct vm *vm = data;

	pthread_mutex_lock(&vm->lock);
	atomic_store(&vm->memory.deferred, false);
	if (vm_live(vm) && atomic_load(&vm->memory.changed)) {
		/* In the middle of a series: what is taken away now may be back in a moment. */
		if (atomic_exchange(&vm->memory.busy, false) && vm->memory.patience-- > 0) {
			defer(vm);
		} else {
			vm->memory.patience = PATIENCE;
			flush_now(vm);
		}
	}
	pthread_mutex_unlock(&vm->lock);
}

static void defer(struct vm *vm)
{
	if (!atomic_exchange(&vm->memory.deferred, true) &&
	    worker_defer(vm->worker, FLUSH_DELAY, flush_deferred, vm))
		atomic_store(&vm->memory.deferred, false);
}

void memory_look_again(struct memory_private *p)
{
	atomic_store(&p->vm->memory.changed, true);
	defer(p->vm);
}

static bool anyone_runs(struct vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count);

	for (unsigned i = 0; i < count; i++)
		if (vm->vcpus[i] && atomic_load(&vm->vcpus[i]->in_run))
			return true;
	return false;
}

void memory_ask(struct memory_private *p)
{
	struct vm *vm = p->vm;

	atomic_store(&vm->memory.changed, true);
	atomic_store(&vm->memory.busy, atomic_load(&vm->memory.deferred));
	atomic_fetch_or(&vm->work, VM_WORK_MEMORY);
	/* Whoever enters KVM_RUN from here on sees the bit. */
	if (vm_live(vm) && anyone_runs(vm))
		memory_look_again(p);
}

/* --- KVM_SET_USER_MEMORY_REGION --- */

static int refuse(const struct kvm_userspace_memory_region *region, const char *why, int error)
{
	message_refused("KVM_SET_USER_MEMORY_REGION: slot %#x, flags %#x, guest address %#llx, "
			"size %#llx, address %#llx: %s",
			region->slot, region->flags, region->guest_phys_addr, region->memory_size,
			region->userspace_addr, why);
	return -error;
}

/* The checks of KVM, in its order. */
static int check_region(const struct kvm_userspace_memory_region *region)
{
	uint64_t pages = region->memory_size >> MEMORY_PAGE_SHIFT;

	if ((region->slot & 0xffff) >= MEMORY_SLOTS)
		return refuse(region, "there is no such slot", EINVAL);
	if (region->flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return refuse(region, "unknown flags", EINVAL);
	if (region->memory_size % MEMORY_PAGE)
		return refuse(region, "the size is not in pages", EINVAL);
	if (region->guest_phys_addr % MEMORY_PAGE)
		return refuse(region, "the guest address is not aligned", EINVAL);
	if (region->userspace_addr % MEMORY_PAGE || region->userspace_addr > USER_END ||
	    region->memory_size > USER_END - region->userspace_addr)
		return refuse(region, "that is not an address range of a program", EINVAL);
	if (region->slot >> 16)
		return refuse(region, "there is only one address space", EINVAL);
	if (region->guest_phys_addr + region->memory_size < region->guest_phys_addr)
		return refuse(region, "the guest range wraps around", EINVAL);
	if (pages > SLOT_PAGES_MAX)
		return refuse(region, "the slot is too large", EINVAL);
	return 0;
}

/* A VMM takes its ROMs away and puts them back; what was executed once need not be found out anew:
 * that takes the guest a moment each time (memory_executed). */
static void note_executed(struct memory_private *p, const struct slot *slot)
{
	if (!(slot->flags & SLOT_EXECUTED) ||
	    memory_grow(&p->executed, p->executed_count, &p->executed_room, sizeof(*p->executed)))
		return;
	for (size_t i = 0; i < p->executed_count; i++)
		if (p->executed[i].hva == slot->hva && p->executed[i].pages == slot->pages)
			return;
	p->executed[p->executed_count++] = (struct executed){slot->hva, slot->pages};
}

static bool was_executed(const struct memory_private *p, const struct slot *slot)
{
	for (size_t i = 0; i < p->executed_count; i++) {
		const struct executed *e = &p->executed[i];

		if (e->hva < slot->hva + slot->pages * MEMORY_PAGE &&
		    slot->hva < e->hva + e->pages * MEMORY_PAGE)
			return slot->flags & KVM_MEM_READONLY;
	}
	return false;
}

static int delete_slot(struct memory_private *p, const struct slot *old,
		       const struct kvm_userspace_memory_region *region)
{
	atomic_ulong *dirty;
	int rc;

	if (!old)
		return refuse(region, "there is no slot to delete", EINVAL);
	dirty = old->dirty;
	note_executed(p, old);
	rc = slots_replace(p, old, NULL);
	if (!rc && dirty)
		slots_retire(p, dirty);
	return rc;
}

/* A new slot over memory that is backed already: is it still the same memory? */
static int check_backing(struct memory_private *p, const struct slot *slot)
{
	uintptr_t end = slot->hva + (slot->pages << MEMORY_PAGE_SHIFT);

	if (slot->hva < p->lowest || !p->lowest)
		p->lowest = slot->hva;
	if (end > p->highest)
		p->highest = end;
	return back_check(p, slot->hva, end);
}

/* Publishes the slot with a map of its own when it is logged. */
static int publish(struct memory_private *p, const struct slot *old, struct slot *new)
{
	atomic_ulong *before = old ? old->dirty : NULL;
	int rc;

	if (new->flags & KVM_MEM_LOG_DIRTY_PAGES) {
		new->dirty = before;
		new->log = old ? old->log : 0;
		if (!before && dirty_begin(p, new))
			return -ENOMEM;
	}
	rc = slots_replace(p, old, new);
	if (rc && new->dirty != before)
		free(new->dirty);
	if (!rc && before && new->dirty != before)
		slots_retire(p, before);
	return rc;
}

static int set_slot(struct memory_private *p, const struct slot *old,
		    const struct kvm_userspace_memory_region *region)
{
	struct slot new = {
		.id = region->slot,
		.flags = region->flags,
		.gfn = region->guest_phys_addr >> MEMORY_PAGE_SHIFT,
		.pages = region->memory_size >> MEMORY_PAGE_SHIFT,
		.hva = region->userspace_addr,
	};
	int rc = 0;

	if (old && (new.hva != old->hva || new.pages != old->pages ||
		    ((new.flags ^ old->flags) & KVM_MEM_READONLY)))
		return refuse(region, "a slot can change its guest address and its log only",
			      EINVAL);
	if (old && new.gfn == old->gfn &&new.flags == (old->flags & ~SLOT_EXECUTED))
		return 0;
	if (!old || new.gfn != old->gfn) {
		if (slots_overlap(slots_now(p), new.id, new.gfn, new.pages))
			return refuse(region, "another slot is there", EEXIST);
		if (new.gfn + new.pages > MEMORY_PARKING_GFN) {
			message_error("KVM_SET_USER_MEMORY_REGION: slot %u: guest memory must end "
				      "below %#llx, not at %#llx",
				      new.id, MEMORY_PARKING_GFN << MEMORY_PAGE_SHIFT,
				      region->guest_phys_addr + region->memory_size);
			return -EINVAL;
		}
	}
	if (old)
		note_executed(p, old);
	else
		rc = check_backing(p, &new);
	if (was_executed(p, &new))
		new.flags |= SLOT_EXECUTED;
	return rc ? rc : publish(p, old, &new);
}

/* A change of one slot, and what it was before. */
struct change {
	struct slot before;            /* pages 0: there was none */
	bool any, created, moved, log; /* log: begins */
};

static int set_region(struct memory_private *p, const struct kvm_userspace_memory_region *region,
		      struct change *change)
{
	uint64_t before = p->slots_changes;
	const struct slot *old = slots_by_id(p, region->slot), *new;
	int rc;

	if (old)
		change->before = *old;
	rc = region->memory_size ? set_slot(p, old, region) : delete_slot(p, old, region);
	if (rc || p->slots_changes == before)
		return rc;
	new = slots_by_id(p, region->slot);
	change->any = true;
	change->created = new && !change->before.pages;
	change->moved = new && change->before.pages &&new->gfn != change->before.gfn;
	change->log = new &&new->dirty && !change->before.dirty;
	memory_ask(p);
	return 0;
}

/* A slot that could not become what it should is what it was. */
static void take_back(struct vm *vm, uint32_t id, const struct change *change)
{
	struct memory_private *p = vm->memory.private;
	const struct slot *slot;
	atomic_ulong *dirty;

	memory_lock(vm);
	slot = slots_by_id(p, id);
	dirty = slot->dirty;
	if (!slots_replace(p, slot, change->before.pages ? &change->before : NULL) && dirty)
		slots_retire(p, dirty);
	memory_ask(p);
	memory_unlock(vm);
}

/* What cannot wait for the next KVM_RUN of a live VM. */
static int at_once(struct vm *vm, uint32_t id, const struct change *change)
{
	int rc = 0;

	/* From now on the VMM may write to the memory of the slot, from any thread: it is put under
	 * the guest's frames while the VMM is still with us. */
	if (change->created) {
		memory_lock(vm);
		rc = memory_back_slot(vm->memory.private, id);
		memory_unlock(vm);
	}
	/* And no write of the guest may go unseen, none find the place where the slot was. (A slot
	 * that is taken away waits for what comes in its place.) */
	if (!rc && (change->log || (change->moved && anyone_runs(vm))))
		rc = flush_now(vm);
	return rc;
}

long memory_set_user_region(struct vm *vm, struct kvm_userspace_memory_region *region)
{
	struct change change = {0};
	int rc = check_region(region);

	if (rc)
		return rc;
	pthread_mutex_lock(&vm->lock);
	memory_lock(vm);
	rc = vm->memory.private ? set_region(vm->memory.private, region, &change) : -EIO;
	memory_unlock(vm);
	if (change.any && vm_live(vm)) {
		rc = at_once(vm, region->slot, &change);
		if (rc)
			take_back(vm, region->slot, &change);
	}
	pthread_mutex_unlock(&vm->lock);
	return rc;
}
