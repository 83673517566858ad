/* The domain's frames: getting them, moving them, their types, giving them back. */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "libkvmxen/message.h"

#define BATCH         512 /* gfns in one call */
#define KIB_PER_PAGE  4
#define PAGES_PER_MIB 256
#define PAGES_SLACK   256          /* scratch frame, monitor ring, Xen's own special pages */
#define POOL_PER_VCPU (1ull << 20) /* libxl's rule: 1 MiB a vcpu, 4 KiB a MiB of memory; */
#define POOL_SLACK    (4ull << 20) /* and page tables for the parking range and what moved */

static int grow_pool(struct memory_private *p, uint64_t bytes)
{
	int rc = CONTROL_OP(p->vm, domain_set_paging_pool, bytes);

	if (rc >= 0)
		p->pool_bytes = bytes;
	return rc;
}

int frames_reserve(struct memory_private *p, uint64_t more)
{
	struct vm *vm = p->vm;
	uint64_t pages = memory_pages(vm), bytes;
	int rc = 0;

	/* Never below what the domain was created with. */
	if (pages < p->frames + more)
		pages = p->frames + more;
	pages += PAGES_SLACK;
	bytes = atomic_load(&vm->vcpu_count) * POOL_PER_VCPU +
		(pages / PAGES_PER_MIB + 1) * MEMORY_PAGE + POOL_SLACK;
	if (pages > p->limit) {
		rc = CONTROL_OP(vm, domain_set_maxmem, pages * KIB_PER_PAGE);
		if (rc >= 0)
			p->limit = pages;
	}
	if (rc >= 0 && bytes > p->pool_bytes)
		rc = grow_pool(p, bytes);
	return rc < 0 ? rc : 0;
}

void frames_release(struct memory_private *p, uint64_t gfn, uint64_t n)
{
	while (n) {
		uint64_t gfns[BATCH];
		size_t some = n < BATCH ? n : BATCH;
		int rc;

		for (size_t i = 0; i < some; i++)
			gfns[i] = gfn + i;
		rc = DEVICE_OP(p->vm, mem_release, some, gfns);
		if (rc < 0)
			message_debug("%zu frames at gfn %#llx not released: %s", some,
				      (unsigned long long)gfn, strerror(-rc));
		gfn += some;
		n -= some;
	}
}

/* How many of n extents in a row were populated, or -errno. */
static int populate_extents(struct memory_private *p, unsigned order, uint64_t gfn, size_t n)
{
	uint64_t gfns[BATCH];

	for (size_t i = 0; i < n; i++)
		gfns[i] = gfn + (i << order);
	return DEVICE_OP(p->vm, mem_populate, order, n, gfns);
}

/* As many 4 KiB frames as possible from gfn on. */
static uint64_t populate_some(struct memory_private *p, uint64_t gfn, uint64_t n, int *rc)
{
	uint64_t to_boundary = -gfn & (CHUNK_PAGES - 1), some;

	if (!to_boundary && n >= CHUNK_PAGES) {
		some = n / CHUNK_PAGES < BATCH ? n / CHUNK_PAGES : BATCH;
		*rc = populate_extents(p, CHUNK_ORDER, gfn, some);
		if (*rc > 0)
			return *rc * (uint64_t)CHUNK_PAGES;
		/* No 2 MiB of the host in a row: single pages may still do. */
		to_boundary = CHUNK_PAGES;
	}
	some = to_boundary && to_boundary < n ? to_boundary : n;
	some = some < BATCH ? some : BATCH;
	*rc = populate_extents(p, 0, gfn, some);
	return *rc > 0 ? *rc : 0;
}

int frames_populate(struct memory_private *p, uint64_t gfn, uint64_t n)
{
	uint64_t done = 0;
	bool grown = false;
	int rc;

	while (done < n) {
		uint64_t some = populate_some(p, gfn + done, n - done, &rc);

		if (some) {
			done += some;
			grown = false;
			continue;
		}
		/* Xen does not say of what there was too little. Of page tables, when many frames
		 * have been moved: those that are empty by now stay. */
		if (!grown && grow_pool(p, p->pool_bytes + POOL_SLACK) >= 0) {
			grown = true;
			continue;
		}
		frames_release(p, gfn, done);
		return rc ? rc : -ENOMEM;
	}
	return 0;
}

int frames_map(struct memory_private *p, void *at, const uint64_t *gfns, uint32_t n, void **out)
{
	int rc = DEVICE_OP(p->vm, mem_map, at, PROT_READ | PROT_WRITE, n, gfns, out);

	return rc < 0 ? rc : 0;
}

static bool is_populated(struct memory_private *p, uint64_t gfn)
{
	void *at;

	if (DEVICE_OP(p->vm, mem_map, NULL, PROT_READ, 1, &gfn, &at) < 0)
		return false;
	p->vm->xen.dev->ops->mem_unmap(p->vm->xen.dev, at, 1);
	return true;
}

/* Xen moves one frame after the other and does not say how far it got: the first that is still
 * there tells. */
static uint32_t count_moved(struct memory_private *p, uint64_t from, uint32_t n)
{
	uint32_t low = 0, high = n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (is_populated(p, from + mid))
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

int frames_move(struct memory_private *p, uint64_t from, uint64_t to, uint32_t n, uint32_t *moved)
{
	int rc = DEVICE_OP(p->vm, mem_relocate, from, to, n);

	*moved = rc < 0 ? count_moved(p, from, n) : n;
	/* Page tables for what is scattered by now: no rule knows how many there will be. */
	while (rc == -ENOMEM && grow_pool(p, p->pool_bytes + POOL_SLACK) >= 0) {
		uint32_t before = *moved;

		rc = DEVICE_OP(p->vm, mem_relocate, from + before, to + before, n - before);
		*moved = rc < 0 ? before + count_moved(p, from + before, n - before) : n;
		if (*moved == before)
			break;
	}
	if (rc < 0)
		message_error("guest memory at %#llx cannot be moved to %#llx: %s",
			      (unsigned long long)from << MEMORY_PAGE_SHIFT,
			      (unsigned long long)to << MEMORY_PAGE_SHIFT, strerror(-rc));
	return rc < 0 ? rc : 0;
}

int frames_type(struct memory_private *p, uint64_t gfn, uint32_t n, enum mem_type from,
		enum mem_type to)
{
	int rc = 0;

	/* Between two restricted types there is no direct way. */
	if (from != MEM_RAM_RW && to != MEM_RAM_RW)
		rc = DEVICE_OP(p->vm, mem_set_type, MEM_RAM_RW, gfn, n);
	if (rc >= 0)
		rc = DEVICE_OP(p->vm, mem_set_type, to, gfn, n);
	if (rc >= 0)
		return 0;
	/* Some of them may have it already: bring all back to where they came from. */
	DEVICE_OP(p->vm, mem_set_type, MEM_RAM_RW, gfn, n);
	message_error("guest memory at %#llx: its type cannot be changed: %s",
		      (unsigned long long)gfn << MEMORY_PAGE_SHIFT, strerror(-rc));
	return rc;
}
