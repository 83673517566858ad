/*
 * What the VMM does to its own address space where the domain's frames are mapped: the kernel
 * refuses most of it on a part of such a mapping, and does worse with some of it.
 *
 * - Protections and advice are answered here. MADV_DONTNEED gives the zeroes that it promises.
 * - Before a range is unmapped, replaced or moved, it becomes ordinary memory again; its frames go
 *   back to Xen. What the VMM then puts at the address of a slot is backed anew.
 */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "libkvmxen/ioctl/fd.h"

/* How long the VMM may take to do what it has called us for. */
#define EXPECTED_MS 1000

/* Younger than the headers of the oldest system that we build on. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct memory_private *list;
static atomic_uint listed; /* how many: none is what most calls find */

void memory_enlist(struct memory_private *p)
{
	pthread_mutex_lock(&list_lock);
	if (!p->listed) {
		p->listed = true;
		p->next = list;
		list = p;
		atomic_fetch_add(&listed, 1);
	}
	pthread_mutex_unlock(&list_lock);
}

void memory_delist(struct memory_private *p)
{
	pthread_mutex_lock(&list_lock);
	for (struct memory_private **at = &list; *at && p->listed; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			p->listed = false;
			atomic_fetch_sub(&listed, 1);
			break;
		}
	while (p->users) {
		pthread_mutex_unlock(&list_lock);
		sched_yield();
		pthread_mutex_lock(&list_lock);
	}
	pthread_mutex_unlock(&list_lock);
}

static bool may_touch(const struct memory_private *p, uintptr_t start, uintptr_t end)
{
	return p->vm->owner == fd_process() && start < atomic_load(&p->highest) &&
	       end > atomic_load(&p->lowest);
}

/* The memory after `last` (NULL: the first) that [start, end) may touch; it stays until
 * let_go. */
static struct memory_private *take_next(struct memory_private *last, uintptr_t start, uintptr_t end)
{
	struct memory_private *p;

	pthread_mutex_lock(&list_lock);
	for (p = last ? last->next : list; p && !may_touch(p, start, end); p = p->next)
		;
	if (p)
		p->users++;
	pthread_mutex_unlock(&list_lock);
	return p;
}

static void let_go(struct memory_private *p)
{
	pthread_mutex_lock(&list_lock);
	p->users--;
	pthread_mutex_unlock(&list_lock);
}

/* --- a range is about to be something else --- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

bool memory_expects(struct memory_private *p)
{
	struct vmas vmas;
	bool any = false;

	if (!p->expected_end || now_ms() >= p->expected_until ||
	    vmas_scan(&vmas, p->expected, p->expected_end))
		return false;
	for (size_t i = 0; i < vmas.count; i++)
		any |= !vmas.vma[i].accessible;
	vmas_free(&vmas);
	return any;
}

/* Is any of it in a slot? */
static bool shows(struct memory_private *p, uintptr_t start, uintptr_t end)
{
	const struct slots *slots = slots_now(p);

	for (size_t i = 0; i < slots->count; i++) {
		const struct slot *slot = &slots->slot[i];

		if (slot->hva < end && slot->hva + (slot->pages << MEMORY_PAGE_SHIFT) > start)
			return true;
	}
	return false;
}

/* The VMM's call comes after ours. A flush that is quicker than it finds nothing accessible, and
 * another one looks again until it does. */
static void expect_change(struct memory_private *p, uintptr_t start, uintptr_t end)
{
	p->expected = start;
	p->expected_end = end;
	p->expected_until = now_ms() + EXPECTED_MS;
	memory_ask(p);
	memory_look_again(p);
}

/* Fresh memory over all of [start, end), which slots show: the frames stay and are emptied. It is
 * how a balloon gives memory back, page by page, which would break the mappings to pieces. */
static bool empty(struct memory_private *p, uintptr_t start, uintptr_t end)
{
	struct vm *vm = p->vm;
	bool done;

	memory_lock(vm);
	done = vm->memory.private == p && chunks_cover(p, start, end) && shows(p, start, end) &&
	       !back_check(p, start, end) && chunks_cover(p, start, end);
	if (done)
		memset((void *)start, 0, end - start);
	memory_unlock(vm);
	return done;
}

static bool empty_in_any(uintptr_t start, uintptr_t end)
{
	struct memory_private *p, *next;
	bool done = false;

	for (p = take_next(NULL, start, end); p; p = next) {
		done = empty(p, start, end);
		next = done ? NULL : take_next(p, start, end);
		let_go(p);
	}
	return done;
}

static int give_up(struct memory_private *p, uintptr_t start, uintptr_t end, bool keep, bool change)
{
	struct vm *vm = p->vm;
	int rc = 0;

	memory_lock(vm);
	if (vm->memory.private == p) {
		rc = unback(p, start, end, keep);
		if (!rc && change && shows(p, start, end)) {
			if (!keep)
				mprotect((void *)start, end - start, PROT_NONE);
			expect_change(p, start, end);
		}
	}
	memory_unlock(vm);
	return rc;
}

/* In all memories. 0 or -errno: it would not work. */
static int give_up_all(uintptr_t start, uintptr_t end, bool keep, bool change)
{
	struct memory_private *p, *next;
	int rc = 0;

	for (p = take_next(NULL, start, end); p && !rc; p = next) {
		rc = give_up(p, start, end, keep, change);
		next = rc ? NULL : take_next(p, start, end);
		let_go(p);
	}
	return rc;
}

/* --- protections and advice --- */

/* For [at, end) of one chunk. 0 or an errno. */
static int advise(const struct chunk *chunk, uintptr_t at, uintptr_t end, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		if (!chunk->shared)
			memset((void *)at, 0, end - at);
		return 0;
	case MADV_REMOVE:
		if (!chunk->shared)
			return EINVAL;
		memset((void *)at, 0, end - at);
		return 0;
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_FREE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
	case MADV_COLLAPSE:
		return 0;
	default:
		return EINVAL;
	}
}

/* A piece of a range that a call is for: backed by some VM, or not. */
struct part {
	uintptr_t start, end;
	int error;
};

/* The first backed piece of [start, end) in p, answered if it begins before the one in *part. */
static bool answer_first(struct memory_private *p, enum memory_call call, int argument,
			 uintptr_t start, uintptr_t end, struct part *part)
{
	struct vm *vm = p->vm;
	bool found = false;
	size_t i;

	memory_lock(vm);
	if (vm->memory.private == p) {
		i = chunks_find(p, start);
		found = i < p->chunk_count && p->chunks[i]->hva < end;
	}
	if (found) {
		const struct chunk *chunk = p->chunks[i];

		part->start = chunk->hva > start ? chunk->hva : start;
		part->end = chunk_end(chunk) < end ? chunk_end(chunk) : end;
		part->error = call == MEMORY_MADVISE
				      ? advise(chunk, part->start, part->end, argument)
				      : 0;
	}
	memory_unlock(vm);
	return found;
}

static int pass_on(enum memory_call call, int argument, uintptr_t start, uintptr_t end)
{
	int r = call == MEMORY_MADVISE ? madvise((void *)start, end - start, argument)
				       : mprotect((void *)start, end - start, argument);

	return r ? errno : 0;
}

/* Backed parts are answered here, what lies between them by the kernel. Returns false when nothing
 * is backed. *error: of the first part that has one. */
static bool answer(struct memory_private *p, enum memory_call call, int argument, uintptr_t start,
		   uintptr_t end, int *error)
{
	struct part part;
	bool any = false;

	*error = 0;
	while (start < end && !*error) {
		bool found = answer_first(p, call, argument, start, end, &part);

		if (!found && !any)
			return false;
		if (!found)
			part = (struct part){end, end, 0};
		any = true;
		if (part.start > start)
			*error = pass_on(call, argument, start, part.start);
		if (!*error)
			*error = part.error;
		start = part.end;
	}
	return true;
}

/* Memory of a slot that could not be used may become usable. */
static void look_at_protection(struct memory_private *p, uintptr_t start, uintptr_t end)
{
	memory_lock(p->vm);
	if (p->vm->memory.private == p && shows(p, start, end))
		expect_change(p, start, end);
	memory_unlock(p->vm);
}

static bool answer_in_any(enum memory_call call, int argument, uintptr_t start, uintptr_t end,
			  int *error)
{
	struct memory_private *p, *next;
	bool answered = false;

	for (p = take_next(NULL, start, end); p; p = next) {
		answered = answer(p, call, argument, start, end, error);
		if (!answered && call == MEMORY_MPROTECT)
			look_at_protection(p, start, end);
		next = answered ? NULL : take_next(p, start, end);
		let_go(p);
	}
	return answered;
}

/* --- the calls --- */

static bool fail(int error, long *result)
{
	errno = error;
	*result = -1;
	return true;
}

bool memory_intercept(enum memory_call call, void *address, size_t length, int argument,
		      long *result)
{
	uintptr_t start = (uintptr_t)address, end;
	int error = 0;

	if (!atomic_load_explicit(&listed, memory_order_relaxed) || memory_is_inside())
		return false;
	end = (start + length + MEMORY_PAGE - 1) & ~(MEMORY_PAGE - 1);
	/* The kernel refuses these itself. */
	if (start % MEMORY_PAGE || end <= start)
		return false;
	switch (call) {
	case MEMORY_MPROTECT:
	case MEMORY_MADVISE:
		if (!answer_in_any(call, argument, start, end, &error))
			return false;
		*result = 0;
		return error ? fail(error, result) : true;
	case MEMORY_MMAP_FIXED:
		if ((argument & (MAP_TYPE | MAP_ANONYMOUS | MAP_HUGETLB)) ==
			    (MAP_PRIVATE | MAP_ANONYMOUS) &&
		    empty_in_any(start, end)) {
			*result = (long)start;
			return true;
		}
		/* fallthrough */
	case MEMORY_MUNMAP:
	case MEMORY_MREMAP:
		error = -give_up_all(start, end, call == MEMORY_MREMAP, true);
		return error ? fail(error, result) : false;
	}
	return false;
}

int memory_ordinary(void *address, size_t length)
{
	uintptr_t start = (uintptr_t)address, end = start + length;
	struct memory_private *p, *next;
	bool shown = false;

	if (start % MEMORY_PAGE || end < start)
		return -EINVAL;
	end = (end + MEMORY_PAGE - 1) & ~(MEMORY_PAGE - 1);
	for (p = take_next(NULL, start, end); p && !shown; p = next) {
		memory_lock(p->vm);
		shown = p->vm->memory.private == p && shows(p, start, end);
		memory_unlock(p->vm);
		next = take_next(p, start, end);
		let_go(p);
	}
	if (p)
		let_go(p);
	return shown ? -EBUSY : give_up_all(start, end, true, false);
}
