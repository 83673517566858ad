/* The table of slots: snapshots that readers may go on using, so that the exit path needs no lock.
 */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/ioctl/copy.h"

/* More than this many snapshots waiting to be freed: wait for the readers instead. */
#define RETIRED_MAX 64

struct slots *slots_now(struct memory_private *p)
{
	return atomic_load_explicit(&p->slots, memory_order_relaxed);
}

const struct slot *slots_by_id(const struct memory_private *p, uint32_t id)
{
	size_t place = id < MEMORY_SLOTS ? p->slots_place[id] : 0;

	return place ? &slots_now((struct memory_private *)p)->slot[place - 1] : NULL;
}

/* Index of the first slot that ends after gfn. */
static size_t find(const struct slots *slots, uint64_t gfn)
{
	size_t low = 0, high = slots->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (slots->slot[mid].gfn + slots->slot[mid].pages <= gfn)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct slot *slots_by_gfn(const struct slots *slots, uint64_t gfn)
{
	size_t i = find(slots, gfn);

	return i < slots->count && slots->slot[i].gfn <= gfn ? &slots->slot[i] : NULL;
}

const struct slot *slots_overlap(const struct slots *slots, uint32_t id, uint64_t gfn,
				 uint64_t pages)
{
	for (size_t i = find(slots, gfn); i < slots->count; i++) {
		if (slots->slot[i].gfn >= gfn + pages)
			break;
		if (slots->slot[i].id != id)
			return &slots->slot[i];
	}
	return NULL;
}

/* Behind the others, where readers see it once the count says so. */
static void append(struct memory_private *p, struct slots *slots, const struct slot *slot)
{
	size_t count = slots->count;

	slots->slot[count] = *slot;
	p->slots_place[slot->id] = count + 1;
	atomic_store_explicit(&slots->count, count + 1, memory_order_release);
}

int slots_replace(struct memory_private *p, const struct slot *old, const struct slot *new)
{
	struct slots *from = slots_now(p), *to;
	size_t count = from->count, room = count + 1;
	bool last = new && (!count || from->slot[count - 1].gfn < new->gfn);

	p->slots_changes++;
	if (last && !old && count < from->room) {
		append(p, from, new);
		return 0;
	}
	if (last)
		room *= 2; /* others will follow */
	to = malloc(sizeof(*to) + room * sizeof(to->slot[0]));
	if (!to)
		return -ENOMEM;
	to->room = room;
	atomic_init(&to->count, 0);
	if (old)
		p->slots_place[old->id] = 0;
	for (size_t i = 0; i < count; i++) {
		if (new && from->slot[i].gfn > new->gfn) {
			append(p, to, new);
			new = NULL;
		}
		if (&from->slot[i] != old)
			append(p, to, &from->slot[i]);
	}
	if (new)
		append(p, to, new);
	atomic_store(&p->slots, to);
	slots_retire(p, from);
	return 0;
}

/* Both orders matter: a reader announces itself before it loads the table, a writer publishes the
 * new table before it looks for readers. So whoever holds an old one has been counted. */
const struct slots *slots_enter(struct memory_private *p)
{
	atomic_fetch_add(&p->readers, 1);
	return atomic_load(&p->slots);
}

void slots_leave(struct memory_private *p)
{
	atomic_fetch_sub_explicit(&p->readers, 1, memory_order_release);
}

static void free_retired(struct memory_private *p)
{
	while (p->retired_count)
		free(p->retired[--p->retired_count]);
}

void slots_retire(struct memory_private *p, void *data)
{
	bool kept = !memory_grow(&p->retired, p->retired_count, &p->retired_room, sizeof(void *));

	if (kept)
		p->retired[p->retired_count++] = data;
	/* Readers stay for as long as a lookup takes. */
	while (atomic_load(&p->readers)) {
		if (kept && p->retired_count < RETIRED_MAX)
			return;
		sched_yield();
	}
	if (!kept)
		free(data);
	free_retired(p);
}

void slots_free(struct memory_private *p)
{
	free_retired(p);
	free(p->retired);
	free(slots_now(p));
}

/* The VMM's address of [gpa, gpa + length) and its slot's flags; NULL: in no slot. */
static void *locate(struct memory_private *p, uint64_t gpa, size_t length, uint32_t *flags)
{
	const struct slot *slot = slots_by_gfn(slots_enter(p), gpa >> MEMORY_PAGE_SHIFT);
	void *at = NULL;

	if (slot) {
		uint64_t offset = gpa - (slot->gfn << MEMORY_PAGE_SHIFT);

		if (length <= (slot->pages << MEMORY_PAGE_SHIFT) - offset) {
			at = (void *)(slot->hva + offset);
			*flags = slot->flags;
		}
	}
	slots_leave(p);
	return at;
}

void *memory_at(struct vm *vm, uint64_t gpa, size_t length, bool *readonly)
{
	struct memory_private *p = vm->memory.private;
	uint32_t flags = 0;
	void *at = p ? locate(p, gpa, length, &flags) : NULL;

	if (at && readonly)
		*readonly = flags & KVM_MEM_READONLY;
	return at;
}

bool memory_serve(struct vm *vm, uint64_t gpa, void *data, size_t size, bool is_write)
{
	bool readonly, done = false;
	uintptr_t at = (uintptr_t)memory_at(vm, gpa, size, &readonly);

	if (!at || (is_write && readonly))
		return false;
	/* Rare enough for the lock: frames that somebody else shows, or that a flush will bring. */
	memory_lock(vm);
	if (vm->memory.private && chunks_cover(vm->memory.private, at, at + size)) {
		memcpy(is_write ? (void *)at : data, is_write ? data : (void *)at, size);
		done = true;
	} else {
		done = !(is_write ? copy_out((void *)at, data, size)
				  : copy_in(data, (void *)at, size));
	}
	memory_unlock(vm);
	if (done && is_write)
		memory_mark_dirty(vm, gpa, size);
	return done;
}
