/*
 * The plan: what each slot should show.
 *
 * Xen's p2m has one gfn for each frame. When several slots show one host page, one of them *owns*
 * its frame: a slot that the guest may write, if there is one, else the one with the lowest id.
 *
 * - The other read-only ones get a copy (memory_alias.c). It is refreshed at each flush; between
 *   flushes it does not follow what the guest or the VMM write to the owner. Real KVM would.
 * - The other writable ones show nothing: an access there is an ioreq, which memory_serve answers
 *   from the owner's frame. Slow, but never two truths. (Refusing such slots would end QEMU's VGA:
 *   chain 4 shows the frame buffer at 0xa0000 as well.) Code cannot be executed from there, so the
 *   one with the reset vector gets a copy that takes no writes: QEMU's microvm has its BIOS
 *   writable at the end of the first MiB and just below 4 GiB, where it is only started.
 */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <stdlib.h>

#define XAPIC_GFN        0xfee00ull /* APIC_DEFAULT_PHYS_BASE */
#define RESET_VECTOR_GFN 0xfffffull /* the page of 0xfffffff0 */

static int put(struct want **array, size_t *count, size_t *room, const struct want *want)
{
	struct want *last = *count ? *array + *count - 1 : NULL;

	if (last && last->id == want->id && last->page + last->pages == want->page &&
	    last->gfn + last->pages == want->gfn) {
		last->pages += want->pages;
		return 0;
	}
	if (memory_grow(array, *count, room, sizeof(**array)))
		return -ENOMEM;
	(*array)[(*count)++] = *want;
	return 0;
}

/* The processor starts in it, so it must be there to be executed. */
static bool holds_reset_vector(const struct want *want)
{
	return want->gfn <= RESET_VECTOR_GFN && want->gfn + want->pages > RESET_VECTOR_GFN;
}

/* What may be written comes first; of such, what is more than the place to start from. */
static bool owns_before(const struct want *a, const struct want *b)
{
	bool a_readonly = a->flags & KVM_MEM_READONLY, b_readonly = b->flags & KVM_MEM_READONLY;

	if (a_readonly != b_readonly)
		return b_readonly;
	if (!a_readonly && holds_reset_vector(a) != holds_reset_vector(b))
		return holds_reset_vector(b);
	return a->id < b->id;
}

/* [from, to) of the host pages, which the same ones of the n wants cover everywhere. */
static int divide(struct plan *plan, const struct want *wants, size_t n, uint64_t from, uint64_t to)
{
	const struct want *owner = NULL;
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		if (wants[i].page <= from && wants[i].page + wants[i].pages >= to &&
		    (!owner || owns_before(&wants[i], owner)))
			owner = &wants[i];
	for (size_t i = 0; i < n && !rc && owner; i++) {
		struct want part = wants[i];

		if (part.page > from || part.page + part.pages < to)
			continue;
		part.gfn += from - part.page;
		part.page = from;
		part.pages = to - from;
		if (&wants[i] == owner)
			rc = put(&plan->owner, &plan->owners, &plan->owner_room, &part);
		else if ((part.flags & KVM_MEM_READONLY) || holds_reset_vector(&wants[i]))
			rc = put(&plan->alias, &plan->aliases, &plan->alias_room, &part);
	}
	return rc;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* n wants that touch each other: cut at every boundary. */
static int divide_all(struct plan *plan, const struct want *wants, size_t n)
{
	uint64_t *edges;
	int rc = 0;

	if (n == 1)
		return put(&plan->owner, &plan->owners, &plan->owner_room, wants);
	edges = calloc(2 * n, sizeof(*edges));
	if (!edges)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		edges[2 * i] = wants[i].page;
		edges[2 * i + 1] = wants[i].page + wants[i].pages;
	}
	qsort(edges, 2 * n, sizeof(*edges), compare_numbers);
	for (size_t i = 0; i + 1 < 2 * n && !rc; i++)
		if (edges[i] != edges[i + 1])
			rc = divide(plan, wants, n, edges[i], edges[i + 1]);
	free(edges);
	return rc;
}

static int compare_wants(const void *a, const void *b)
{
	const struct want *x = a, *y = b;

	if (x->page != y->page)
		return x->page < y->page ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* All that the slots show, without the page that belongs to the local APIC. */
static int list(const struct slots *slots, bool apic, struct want **wants, size_t *count)
{
	size_t room = 0;

	*wants = NULL;
	*count = 0;
	for (size_t i = 0; i < slots->count; i++) {
		const struct slot *slot = &slots->slot[i];
		uint64_t end = slot->gfn + slot->pages, gfn = slot->gfn;

		while (gfn < end) {
			bool before = apic && gfn <= XAPIC_GFN && end > XAPIC_GFN;
			uint64_t stop = before ? XAPIC_GFN : end;

			if (stop > gfn) {
				if (memory_grow(wants, *count, &room, sizeof(**wants)))
					return -ENOMEM;
				(*wants)[(*count)++] = (struct want){
					.page = (slot->hva >> MEMORY_PAGE_SHIFT) + gfn - slot->gfn,
					.pages = stop - gfn,
					.gfn = gfn,
					.id = slot->id,
					.flags = slot->flags,
				};
			}
			gfn = before ? XAPIC_GFN + 1 : end;
		}
	}
	return 0;
}

int plan_make(struct plan *plan, const struct slots *slots, bool apic)
{
	struct want *wants;
	size_t count;
	int rc;

	*plan = (struct plan){0};
	rc = list(slots, apic, &wants, &count);
	if (!rc && count)
		qsort(wants, count, sizeof(*wants), compare_wants);
	for (size_t i = 0, n; i < count && !rc; i += n) {
		uint64_t end = wants[i].page + wants[i].pages;

		for (n = 1; i + n < count && wants[i + n].page < end; n++)
			if (wants[i + n].page + wants[i + n].pages > end)
				end = wants[i + n].page + wants[i + n].pages;
		rc = divide_all(plan, wants + i, n);
	}
	free(wants);
	if (rc)
		plan_free(plan);
	return rc;
}

void plan_free(struct plan *plan)
{
	free(plan->owner);
	free(plan->alias);
	*plan = (struct plan){0};
}
