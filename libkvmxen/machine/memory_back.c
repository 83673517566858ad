/*
 * Chunks: frames of the domain under the VMM's memory.
 *
 * What the VMM has at an address is moved aside, the frames are mapped there, the content is
 * copied, and what was there is dropped. Until the last step all of it can be put back.
 */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libkvmxen/message.h"

#define BATCH         512 /* gfns in one call */
#define KIB_PER_PAGE  4
#define PAGES_PER_MIB 256
#define PAGES_SLACK   256          /* scratch frame, monitor ring, Xen's own special pages */
#define POOL_PER_VCPU (1ull << 20) /* libxl's rule: 1 MiB a vcpu, 4 KiB a MiB of memory; */
#define POOL_SLACK    (4ull << 20) /* and page tables for the parking range and what moved */

/* --- the domain's frames --- */

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
		if (!rc)
			p->limit = pages;
	}
	if (!rc && bytes > p->pool_bytes) {
		rc = CONTROL_OP(vm, domain_set_paging_pool, bytes);
		if (!rc)
			p->pool_bytes = bytes;
	}
	return rc;
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
	int rc;

	while (done < n) {
		uint64_t some = populate_some(p, gfn + done, n - done, &rc);

		if (!some) {
			frames_release(p, gfn, done);
			return rc ? rc : -ENOMEM;
		}
		done += some;
	}
	return 0;
}

/* --- one chunk --- */

int chunk_spread(struct chunk *chunk)
{
	if (chunk->frames)
		return 0;
	chunk->frames = malloc(chunk->pages * sizeof(*chunk->frames));
	if (!chunk->frames)
		return -ENOMEM;
	for (uint32_t i = 0; i < chunk->pages; i++)
		chunk->frames[i] = chunk->frame + i;
	return 0;
}

void chunk_set(struct chunk *chunk, uint32_t first, uint32_t n, uint64_t frame)
{
	if (n == chunk->pages) {
		free(chunk->frames);
		chunk->frames = NULL;
		chunk->frame = frame;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		chunk->frames[first + i] = frame + i;
}

void chunk_compact(struct chunk *chunk)
{
	uint64_t *frames = chunk->frames;

	if (!frames)
		return;
	for (uint32_t i = 1; i < chunk->pages; i++)
		if (frames[i] != frames[0] + i)
			return;
	chunk_set(chunk, 0, chunk->pages, frames[0]);
}

size_t chunks_find(const struct memory_private *p, uintptr_t hva)
{
	size_t low = 0, high = p->chunk_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (chunk_end(p->chunks[mid]) <= hva)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void chunk_insert(struct memory_private *p, struct chunk *chunk)
{
	size_t at = chunks_find(p, chunk->hva);

	memmove(p->chunks + at + 1, p->chunks + at, (p->chunk_count - at) * sizeof(*p->chunks));
	p->chunks[at] = chunk;
	p->chunk_count++;
	p->frames += chunk->pages;
}

void chunk_forget(struct memory_private *p, size_t i)
{
	p->frames -= p->chunks[i]->pages;
	free(p->chunks[i]->frames);
	free(p->chunks[i]);
	p->chunk_count--;
	memmove(p->chunks + i, p->chunks + i + 1, (p->chunk_count - i) * sizeof(*p->chunks));
}

static int map_frames(struct memory_private *p, uintptr_t hva, uint64_t gfn, uint32_t pages)
{
	uint64_t gfns[CHUNK_PAGES];
	void *out;

	for (uint32_t i = 0; i < pages; i++)
		gfns[i] = gfn + i;
	return DEVICE_OP(p->vm, mem_map, (void *)hva, PROT_READ | PROT_WRITE, pages, gfns, &out);
}

/* The frames at gfn are populated. */
static int back_one(struct memory_private *p, const struct vma *vma, uintptr_t hva, uint64_t gfn,
		    uint32_t pages)
{
	size_t length = pages * MEMORY_PAGE;
	struct chunk *chunk = malloc(sizeof(*chunk));
	void *aside;
	int rc;

	if (!chunk || memory_grow(&p->chunks, p->chunk_count, &p->chunk_room, sizeof(chunk))) {
		free(chunk);
		return -ENOMEM;
	}
	aside = vma_move_aside(hva, length);
	if (aside == MAP_FAILED) {
		rc = -errno;
		free(chunk);
		return rc;
	}
	rc = map_frames(p, hva, gfn, pages);
	if (rc < 0) {
		int lost = vma_put_back(aside, hva, length);

		if (lost)
			message_error("the memory at %p cannot be moved back to %#lx: %s", aside,
				      hva, strerror(-lost));
		free(chunk);
		return rc;
	}
	vma_copy(vma, aside, (void *)hva, length);
	munmap(aside, length);
	*chunk = (struct chunk){
		.hva = hva,
		.pages = pages,
		.shared = !vma->anonymous,
		.frame = frame_make(gfn, MEM_RAM_RW),
	};
	chunk_insert(p, chunk);
	return 0;
}

/* Within one VMA. */
static int back_run(struct memory_private *p, const struct vma *vma, uintptr_t hva, uint64_t gfn,
		    uint64_t pages)
{
	int rc = frames_reserve(p, pages);

	if (!rc)
		rc = frames_populate(p, gfn, pages);
	while (!rc && pages) {
		/* Chunks end where 2 MiB of guest memory do. */
		uint64_t some = CHUNK_PAGES - gfn % CHUNK_PAGES;

		some = some < pages ? some : pages;
		rc = back_one(p, vma, hva, gfn, some);
		if (rc < 0)
			break;
		hva += some * MEMORY_PAGE;
		gfn += some;
		pages -= some;
	}
	if (rc && pages)
		frames_release(p, gfn, pages);
	return rc;
}

int chunks_back(struct memory_private *p, uintptr_t hva, uint64_t gfn, uint64_t pages,
		uint32_t slot_id)
{
	uintptr_t end = hva + pages * MEMORY_PAGE;
	struct vmas vmas;
	int rc = vmas_scan(&vmas, hva, end);

	if (rc)
		return rc;
	for (size_t i = 0; i < vmas.count && !rc; i++) {
		const struct vma *vma = &vmas.vma[i];

		/* KVM would fail KVM_RUN with EFAULT when the guest touches such a page; here the
		 * guest sees no memory there. */
		if (!vma->accessible)
			continue;
		rc = vma->foreign
			     ? -EOPNOTSUPP
			     : back_run(p, vma, vma->start, gfn + (vma->start - hva) / MEMORY_PAGE,
					(vma->end - vma->start) / MEMORY_PAGE);
		if (rc)
			message_error("KVM_SET_USER_MEMORY_REGION: slot %u: no guest memory can be "
				      "put at %#lx-%#lx (guest address %#llx): %s",
				      slot_id, vma->start, vma->end,
				      (unsigned long long)(gfn + (vma->start - hva) / MEMORY_PAGE)
					      << MEMORY_PAGE_SHIFT,
				      vma->foreign ? "it is mapped from a device" : strerror(-rc));
	}
	vmas_free(&vmas);
	return rc;
}

/* --- giving memory back to the VMM --- */

static bool page_is_zero(const void *page)
{
	const uint64_t *word = page;

	for (size_t i = 0; i < MEMORY_PAGE / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

int chunk_unback(struct memory_private *p, size_t i, bool keep_content, uintptr_t skip,
		 uintptr_t skip_end)
{
	struct chunk *chunk = p->chunks[i];
	size_t length = chunk->pages * MEMORY_PAGE;
	char *ordinary = mmap(NULL, length, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (ordinary == MAP_FAILED)
		return -errno;
	for (size_t at = 0; at < length && keep_content; at += MEMORY_PAGE) {
		const char *page = (const char *)chunk->hva + at;

		if (chunk->hva + at >= skip && chunk->hva + at < skip_end)
			continue;
		if (!page_is_zero(page))
			memcpy(ordinary + at, page, MEMORY_PAGE);
	}
	/* Replaces the whole of the foreign mapping, which the kernel allows. */
	if (mremap(ordinary, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)chunk->hva) ==
	    MAP_FAILED) {
		int rc = -errno;

		munmap(ordinary, length);
		return rc;
	}
	chunk_forget(p, i);
	return 0;
}
