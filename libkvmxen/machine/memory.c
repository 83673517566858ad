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
	vm->memory.private = p;
	return 0;
}

static void unback_all(struct memory_private *p, bool keep_content)
{
	while (p->chunk_count) {
		size_t last = p->chunk_count - 1;
		int rc = keep_content ? chunk_unback(p, last, true, 0, 0) : 0;

		if (rc)
			message_error("the memory at %#lx is lost with its domain: %s",
				      p->chunks[last]->hva, strerror(-rc));
		if (rc || !keep_content)
			chunk_forget(p, last);
	}
	p->limit = p->pool_bytes = 0;
}

void memory_destroy(struct vm *vm, bool keep_content)
{
	struct memory_private *p = vm->memory.private;

	if (!p)
		return;
	pthread_mutex_lock(&vm->memory.lock);
	unback_all(p, keep_content);
	if (vm_live(vm) && atomic_load(&vm->refs)) {
		atomic_store(&vm->memory.changed, true);
		p = NULL;
	} else {
		vm->memory.private = NULL;
	}
	pthread_mutex_unlock(&vm->memory.lock);
	if (!p)
		return;
	slots_free(p);
	free(p->chunks);
	free(p);
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
	int rc = -EIO;

	pthread_mutex_lock(&vm->memory.lock);
	p = vm->memory.private;
	if (p)
		rc = memory_flush_locked(p);
	if (!rc) {
		atomic_store(&vm->memory.changed, false);
		atomic_fetch_and(&vm->work, ~VM_WORK_MEMORY);
	}
	pthread_mutex_unlock(&vm->memory.lock);
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

/* On the worker: no vcpu came by in the meantime. */
static void flush_deferred(void *data)
{
	struct vm *vm = data;
	struct memory_private *p;

	pthread_mutex_lock(&vm->lock);
	p = vm->memory.private;
	if (p)
		atomic_store(&p->deferred, false);
	if (p && vm_live(vm) && atomic_load(&vm->memory.changed))
		flush_now(vm);
	pthread_mutex_unlock(&vm->lock);
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
	atomic_fetch_or(&vm->work, VM_WORK_MEMORY);
	/* Whoever enters KVM_RUN from here on sees the bit. */
	if (vm_live(vm) && anyone_runs(vm) && !atomic_exchange(&p->deferred, true) &&
	    worker_defer(vm->worker, FLUSH_DELAY, flush_deferred, vm))
		atomic_store(&p->deferred, false);
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

static int delete_slot(struct memory_private *p, const struct slot *old,
		       const struct kvm_userspace_memory_region *region)
{
	if (!old)
		return refuse(region, "there is no slot to delete", EINVAL);
	return slots_replace(p, old, NULL);
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

	if (old && (new.hva != old->hva || new.pages != old->pages ||
		    ((new.flags ^ old->flags) & KVM_MEM_READONLY)))
		return refuse(region, "a slot can change its guest address and its log only",
			      EINVAL);
	if (old && new.gfn == old->gfn &&new.flags == old->flags)
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
	return slots_replace(p, old, &new);
}

long memory_set_user_region(struct vm *vm, struct kvm_userspace_memory_region *region)
{
	struct memory_private *p;
	const struct slot *old;
	int rc = check_region(region);

	if (rc)
		return rc;
	pthread_mutex_lock(&vm->lock);
	pthread_mutex_lock(&vm->memory.lock);
	p = vm->memory.private;
	if (!p) {
		rc = -EIO;
	} else {
		struct slots *before = slots_now(p);

		old = slots_by_id(before, region->slot);
		rc = region->memory_size ? set_slot(p, old, region) : delete_slot(p, old, region);
		if (!rc && slots_now(p) != before)
			memory_ask(p);
	}
	pthread_mutex_unlock(&vm->memory.lock);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}
