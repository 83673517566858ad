/*
 * The log of written pages: KVM_MEM_LOG_DIRTY_PAGES, KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG.
 *
 * Xen has one log for the whole domain, which starts at gfn 0 and is emptied by reading it; or it
 * logs a single range, which is cheaper: what a VMM's display asks for. KVM has one log for each
 * slot. So each logged slot has a map in which what Xen says is gathered until the VMM asks.
 */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/machine/assign.h"
#include "libkvmxen/message.h"

#define WORD_BITS (8 * sizeof(unsigned long))
#define RANGE_MAX ((1ull << 30) >> MEMORY_PAGE_SHIFT) /* XEN_DMOP_track_dirty_vram: 1 GiB */

static size_t map_words(uint64_t pages)
{
	return (pages + WORD_BITS - 1) / WORD_BITS;
}

static void set_first(atomic_ulong *map, uint64_t pages)
{
	for (uint64_t i = 0; i < pages / WORD_BITS; i++)
		atomic_store_explicit(&map[i], ~0ul, memory_order_relaxed);
	if (pages % WORD_BITS)
		atomic_store_explicit(&map[pages / WORD_BITS], (1ul << pages % WORD_BITS) - 1,
				      memory_order_relaxed);
}

int dirty_begin(struct memory_private *p, struct slot *slot)
{
	slot->dirty = calloc(map_words(slot->pages), sizeof(atomic_ulong));
	slot->log = ++p->log.logs;
	if (!slot->dirty)
		return -ENOMEM;
	if (p->log_options & KVM_DIRTY_LOG_INITIALLY_SET)
		set_first(slot->dirty, slot->pages);
	return 0;
}

static void mark(atomic_ulong *map, uint64_t page)
{
	atomic_fetch_or_explicit(&map[page / WORD_BITS], 1ul << page % WORD_BITS,
				 memory_order_relaxed);
}

/* Adds n bits of bitmap, from bit `from` on, to the map. */
static void gather(atomic_ulong *map, const uint8_t *bitmap, uint64_t from, uint64_t n)
{
	for (uint64_t i = 0; i < n;) {
		uint8_t bits = bitmap[(from + i) / 8];

		if ((from + i) % 8 == 0 && !bits) {
			i += 8;
			continue;
		}
		if (bits >> (from + i) % 8 & 1)
			mark(map, i);
		i++;
	}
}

/* --- Xen's side --- */

static bool is_logged(const struct slot *slot)
{
	return slot->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

enum log_mode dirty_wanted(struct memory_private *p)
{
	const struct slots *slots = slots_now(p);
	const struct slot *only = NULL;
	size_t count = 0;

	for (size_t i = 0; i < slots->count; i++)
		if (is_logged(&slots->slot[i])) {
			only = &slots->slot[i];
			count++;
		}
	if (count == 1 && only->pages <= RANGE_MAX &&
	    (!p->log.range_refused || only->pages < p->log.range_refused))
		return LOG_RANGE;
	return count ? LOG_ALL : LOG_NONE;
}

enum mem_type dirty_readonly_type(enum log_mode mode)
{
	return mode == LOG_ALL ? MEM_RAM_RO : MEM_IOREQ_SERVER;
}

/* The map that a slot logged at the last flush still has, or NULL. */
static atomic_ulong *map_of(struct memory_private *p, const struct logged *logged)
{
	const struct slot *slot = slots_by_id(p, logged->id);

	return slot && slot->dirty && slot->log == logged->log ? slot->dirty : NULL;
}

/* The frames that Xen's bitmap has to reach: from *first, so many. */
static uint64_t extent(const struct dirty_log *log, uint64_t *first)
{
	uint64_t end = 0;

	*first = 0;
	if (log->mode == LOG_RANGE) {
		*first = log->logged[0].gfn;
		return log->logged[0].pages;
	}
	for (size_t i = 0; i < log->count; i++)
		if (log->logged[i].gfn + log->logged[i].pages > end)
			end = log->logged[i].gfn + log->logged[i].pages;
	return end;
}

static int read_log(struct memory_private *p, uint64_t first, uint64_t pages, uint8_t *bitmap)
{
	return p->log.mode == LOG_RANGE
		       ? DEVICE_OP(p->vm, mem_track_vram, first, (uint32_t)pages, bitmap)
		       : CONTROL_OP(p->vm, log_dirty, LOG_DIRTY_CLEAN, pages, bitmap);
}

/* Xen's bitmap since it was read last; keep: for the slots, else for nobody. */
static int take_log(struct memory_private *p, bool keep)
{
	struct dirty_log *log = &p->log;
	uint64_t first, pages = extent(log, &first);
	uint8_t *bitmap = calloc((pages + 63) / 64, 8);
	int rc = bitmap ? read_log(p, first, pages, bitmap) : -ENOMEM;

	for (size_t i = 0; i < log->count && rc >= 0 && keep; i++) {
		const struct logged *logged = &log->logged[i];
		atomic_ulong *map = map_of(p, logged);

		if (map)
			gather(map, bitmap, logged->gfn - first, logged->pages);
	}
	free(bitmap);
	return rc < 0 ? rc : 0;
}

int dirty_collect(struct memory_private *p)
{
	return p->log.mode == LOG_NONE ? 0 : take_log(p, true);
}

static int stop(struct memory_private *p)
{
	int rc = 0;

	if (p->log.mode == LOG_RANGE)
		rc = DEVICE_OP(p->vm, mem_track_vram, 0, 0, NULL);
	else if (p->log.mode == LOG_ALL)
		rc = CONTROL_OP(p->vm, log_dirty, LOG_DIRTY_OFF, 0, NULL);
	if (rc < 0)
		return rc;
	p->log.mode = LOG_NONE;
	p->log.count = 0;
	return 0;
}

int dirty_stop(struct memory_private *p, enum log_mode wanted)
{
	return p->log.mode == wanted ? 0 : stop(p);
}

/* The slots that are logged now. */
static int list(struct memory_private *p, struct dirty_log *log)
{
	const struct slots *slots = slots_now(p);

	log->count = 0;
	for (size_t i = 0; i < slots->count; i++) {
		const struct slot *slot = &slots->slot[i];

		if (!is_logged(slot))
			continue;
		if (memory_grow(&log->logged, log->count, &log->room, sizeof(*log->logged)))
			return -ENOMEM;
		log->logged[log->count++] =
			(struct logged){slot->id, slot->gfn, slot->pages, slot->log};
	}
	return 0;
}

int dirty_start(struct memory_private *p, enum log_mode wanted)
{
	/* A range is about the frames that were there when it was named. */
	int rc = wanted == LOG_RANGE ? stop(p) : 0;

	if (!rc)
		rc = list(p, &p->log);
	if (rc || wanted == LOG_NONE)
		return rc;
	if (wanted == LOG_ALL && p->log.mode == LOG_NONE)
		rc = CONTROL_OP(p->vm, log_dirty, LOG_DIRTY_ENABLE, 0, NULL);
	if (rc >= 0) {
		/* The first look gives all ones for a range; a log of everything learns in it of
		 * the frames that are new. The guest stands still: none of this counts. */
		p->log.mode = wanted;
		rc = take_log(p, false);
	}
	if (rc < 0 && wanted == LOG_RANGE) {
		p->log.mode = LOG_NONE;
		p->log.range_refused = p->log.logged[0].pages;
		return -EAGAIN;
	}
	if (rc < 0 && assign_wanted(p->vm))
		message_error("KVM_MEM_LOG_DIRTY_PAGES: Xen does not log all written pages of a "
			      "domain that has devices of the host");
	return rc < 0 ? rc : 0;
}

void dirty_forget(struct memory_private *p)
{
	free(p->log.logged);
	p->log = (struct dirty_log){.logs = p->log.logs};
}

/* --- what the library writes itself --- */

void memory_mark_dirty(struct vm *vm, uint64_t gpa, size_t length)
{
	struct memory_private *p = vm->memory.private;
	uint64_t gfn = gpa >> MEMORY_PAGE_SHIFT, last = (gpa + length - 1) >> MEMORY_PAGE_SHIFT;
	const struct slots *slots;

	if (!p || !length)
		return;
	slots = slots_enter(p);
	for (; gfn <= last; gfn++) {
		const struct slot *slot = slots_by_gfn(slots, gfn);

		if (slot && slot->dirty)
			mark(slot->dirty, gfn - slot->gfn);
	}
	slots_leave(p);
}

/* --- the ioctls --- */

/* The slot that an ioctl of the log names, brought up to date. */
static int look_up(struct vm *vm, const char *ioctl, uint32_t id, const struct slot **slot)
{
	struct memory_private *p = vm->memory.private;
	int rc;

	if (id >> 16 || id >= MEMORY_SLOTS) {
		message_refused("%s: slot %#x: there is no such slot", ioctl, id);
		return -EINVAL;
	}
	*slot = p ? slots_by_id(p, id) : NULL;
	if (!*slot || !(*slot)->dirty) {
		message_refused("%s: slot %u: it is not logged", ioctl, id);
		return -ENOENT;
	}
	rc = vm_live(vm) ? dirty_collect(p) : 0;
	if (rc)
		message_error("%s: slot %u: Xen's log cannot be read: %s", ioctl, id,
			      strerror(-rc));
	return rc;
}

static int get_log(struct vm *vm, struct kvm_dirty_log *log)
{
	const struct slot *slot;
	unsigned long *bits;
	size_t words;
	bool keep;
	int rc = look_up(vm, "KVM_GET_DIRTY_LOG", log->slot, &slot);

	if (rc)
		return rc;
	words = map_words(slot->pages);
	bits = malloc(words * sizeof(*bits));
	if (!bits)
		return -ENOMEM;
	keep = vm->memory.private->log_options & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	for (size_t i = 0; i < words; i++) {
		bits[i] = atomic_load_explicit(&slot->dirty[i], memory_order_relaxed);
		if (bits[i] && !keep)
			bits[i] = atomic_exchange(&slot->dirty[i], 0);
	}
	rc = copy_out(log->dirty_bitmap, bits, words * sizeof(*bits));
	for (size_t i = 0; i < words && rc; i++)
		atomic_fetch_or(&slot->dirty[i], bits[i]);
	free(bits);
	return rc;
}

long memory_get_dirty_log(struct vm *vm, struct kvm_dirty_log *log)
{
	long rc;

	pthread_mutex_lock(&vm->lock);
	memory_lock(vm);
	rc = get_log(vm, log);
	memory_unlock(vm);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

static int clear_log(struct vm *vm, const struct kvm_clear_dirty_log *log)
{
	const struct slot *slot;
	unsigned long *bits;
	size_t words;
	int rc;

	if (log->first_page % 64) {
		message_refused("KVM_CLEAR_DIRTY_LOG: first page %llu: not a multiple of 64",
				log->first_page);
		return -EINVAL;
	}
	rc = look_up(vm, "KVM_CLEAR_DIRTY_LOG", log->slot, &slot);
	if (rc)
		return rc;
	if (log->first_page > slot->pages || log->num_pages > slot->pages - log->first_page ||
	    (log->num_pages < slot->pages - log->first_page && log->num_pages % 64)) {
		message_refused("KVM_CLEAR_DIRTY_LOG: slot %u: %u pages from %llu on", log->slot,
				log->num_pages, log->first_page);
		return -EINVAL;
	}
	words = map_words(log->num_pages);
	bits = malloc(words * sizeof(*bits) + 1);
	if (!bits)
		return -ENOMEM;
	rc = copy_in(bits, log->dirty_bitmap, words * sizeof(*bits));
	for (size_t i = 0; i < words && !rc; i++)
		atomic_fetch_and(&slot->dirty[log->first_page / WORD_BITS + i], ~bits[i]);
	free(bits);
	return rc;
}

long memory_clear_dirty_log(struct vm *vm, struct kvm_clear_dirty_log *log)
{
	long rc;

	pthread_mutex_lock(&vm->lock);
	memory_lock(vm);
	rc = clear_log(vm, log);
	memory_unlock(vm);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

long memory_set_log_options(struct vm *vm, uint64_t options)
{
	struct memory_private *p;

	/* A map cannot begin full when reading it empties it. */
	if ((options & ~(uint64_t)MEMORY_LOG_OPTIONS) || options == KVM_DIRTY_LOG_INITIALLY_SET) {
		message_refused("KVM_ENABLE_CAP: KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: options %#llx",
				(unsigned long long)options);
		return -EINVAL;
	}
	pthread_mutex_lock(&vm->lock);
	memory_lock(vm);
	p = vm->memory.private;
	if (p)
		p->log_options = options;
	memory_unlock(vm);
	pthread_mutex_unlock(&vm->lock);
	return p ? 0 : -EIO;
}
