/*
 * Backing: frames of the domain under the VMM's memory, and ordinary memory again.
 *
 * What the VMM has at an address is moved aside, its content is copied into the frames, these are
 * mapped there, and what was there is dropped. Until the last step all of it can be put back. Other
 * threads that touch the memory wait meanwhile (memory_hold.c).
 *
 * Differences that follow, and that real KVM has not: a shared or file mapping is no longer shared
 * with others while it is backed, nor afterwards, when it is private memory with the same content;
 * protections (PROT_READ) are gone.
 */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libkvmxen/message.h"

/* --- frames under memory --- */

/* What foreign mappings look like in this process, from the first of them. */
static void learn_identity(struct memory_private *p, uintptr_t hva)
{
	struct vmas vmas;

	if (p->inode || vmas_scan(&vmas, hva, hva + MEMORY_PAGE))
		return;
	if (vmas.count) {
		p->device = vmas.vma[0].device;
		p->inode = vmas.vma[0].inode;
	}
	vmas_free(&vmas);
}

/* What lies in memory that frames are put under: vma NULL for nothing that they do not have. */
struct content {
	const struct vma *vma;
	int fd; /* of vma_open */
};

/* The frames get the content before anybody can see them at their place: until then they are mapped
 * elsewhere. Memory that was never touched, most of it, needs none of that. */
static int fill(struct memory_private *p, const struct chunk *chunk, const uint64_t *gfns,
		const struct content *content, void *aside)
{
	size_t length = chunk->pages * MEMORY_PAGE;
	void *frames;
	int rc;

	if (!content->vma || !vma_has_content(content->vma, content->fd, chunk->hva, aside, length))
		return 0;
	rc = frames_map(p, NULL, gfns, chunk->pages, &frames);
	if (rc)
		return rc;
	vma_copy(content->vma, content->fd, chunk->hva, aside, frames, length);
	p->vm->xen.dev->ops->mem_unmap(p->vm->xen.dev, frames, chunk->pages);
	return 0;
}

static int replace(struct memory_private *p, const struct chunk *chunk,
		   const struct content *content)
{
	size_t length = chunk->pages * MEMORY_PAGE;
	uint64_t gfns[CHUNK_PAGES];
	void *aside = vma_move_aside(chunk->hva, length), *out;
	int rc, lost;

	if (aside == MAP_FAILED)
		return -errno;
	for (uint32_t i = 0; i < chunk->pages; i++)
		gfns[i] = frame_gfn(chunk_frame(chunk, i));
	rc = fill(p, chunk, gfns, content, aside);
	if (!rc)
		rc = frames_map(p, (void *)chunk->hva, gfns, chunk->pages, &out);
	if (!rc) {
		munmap(aside, length);
		return 0;
	}
	lost = vma_put_back(aside, chunk->hva, length);
	if (lost)
		message_error("the memory at %p cannot be moved back to %#lx: %s", aside,
			      chunk->hva, strerror(-lost));
	return rc;
}

/* Maps the frames of the chunk in place of the memory that is there, which goes. */
static int map_over(struct memory_private *p, const struct chunk *chunk,
		    const struct content *content)
{
	int hold = hold_begin(chunk->hva, chunk->pages * MEMORY_PAGE,
			      !content->vma || content->vma->anonymous);
	int rc = replace(p, chunk, content);

	hold_end(hold);
	if (!rc)
		learn_identity(p, chunk->hva);
	return rc;
}

static struct chunk *chunk_make(uintptr_t hva, uint32_t pages, bool shared, uint64_t frame)
{
	struct chunk *chunk = malloc(sizeof(*chunk));

	if (chunk)
		*chunk = (struct chunk){
			.hva = hva, .pages = pages, .shared = shared, .frame = frame};
	return chunk;
}

/* The frames at gfn are populated. */
static int back_one(struct memory_private *p, const struct vma *vma, int fd, uintptr_t hva,
		    uint64_t gfn, uint32_t pages)
{
	struct chunk *chunk = chunk_make(hva, pages, !vma->anonymous, frame_make(gfn, MEM_RAM_RW));
	int rc = chunk ? chunks_room(p) : -ENOMEM;

	if (!rc)
		rc = map_over(p, chunk, &(struct content){vma, fd});
	if (rc) {
		chunk_free(chunk);
		return rc;
	}
	chunks_insert(p, chunk);
	return 0;
}

/* The frames of a run within one VMA are populated. */
static int back_populated(struct memory_private *p, const struct vma *vma, int fd, uintptr_t hva,
			  uint64_t gfn, uint64_t pages)
{
	while (pages) {
		/* Chunks end where 2 MiB of guest memory do. */
		uint64_t some = CHUNK_PAGES - gfn % CHUNK_PAGES;
		int rc;

		some = some < pages ? some : pages;
		rc = back_one(p, vma, fd, hva, gfn, some);
		if (rc) {
			frames_release(p, gfn, pages);
			return rc;
		}
		hva += some * MEMORY_PAGE;
		gfn += some;
		pages -= some;
	}
	return 0;
}

static int back_run(struct memory_private *p, const struct vma *vma, uint64_t gfn)
{
	uint64_t pages = (vma->end - vma->start) / MEMORY_PAGE;
	int fd, rc = frames_reserve(p, pages);

	if (!rc)
		rc = frames_populate(p, gfn, pages);
	if (rc)
		return rc;
	fd = vma_open(vma);
	rc = back_populated(p, vma, fd, vma->start, gfn, pages);
	if (fd >= 0)
		close(fd);
	return rc;
}

int back(struct memory_private *p, uintptr_t hva, uint64_t gfn, uint64_t pages, uint32_t slot_id)
{
	struct vmas vmas;
	int rc = vmas_scan(&vmas, hva, hva + pages * MEMORY_PAGE);

	if (rc)
		return rc;
	for (size_t i = 0; i < vmas.count && !rc; i++) {
		const struct vma *vma = &vmas.vma[i];
		uint64_t at = gfn + (vma->start - hva) / MEMORY_PAGE;

		/* KVM would fail KVM_RUN with EFAULT when the guest touches such a page; here the
		 * guest sees no memory there. */
		if (!vma->accessible)
			continue;
		rc = vma->foreign ? device_back(p, vma, at) : back_run(p, vma, at);
		if (rc)
			message_error("KVM_SET_USER_MEMORY_REGION: slot %u: no guest memory can be "
				      "put at %#lx-%#lx (guest address %#llx): %s",
				      slot_id, vma->start, vma->end,
				      (unsigned long long)at << MEMORY_PAGE_SHIFT,
				      rc == -EOPNOTSUPP ? "a device or another VM is mapped there"
							: strerror(-rc));
	}
	vmas_free(&vmas);
	return rc;
}

/* --- ordinary memory again --- */

static bool page_is_zero(const void *page)
{
	const uint64_t *word = page;

	for (size_t i = 0; i < MEMORY_PAGE / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

/* Replaces the foreign mapping, as a whole, by ordinary memory with its content but that of
 * [skip, skip_end). */
static int make_ordinary(const struct chunk *chunk, uintptr_t skip, uintptr_t skip_end)
{
	size_t length = chunk->pages * MEMORY_PAGE;
	char *ordinary = mmap(NULL, length, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int rc;

	if (ordinary == MAP_FAILED)
		return -errno;
	for (size_t at = 0; at < length; at += MEMORY_PAGE) {
		const char *page = (const char *)chunk->hva + at;

		if (chunk->hva + at >= skip && chunk->hva + at < skip_end)
			continue;
		if (!page_is_zero(page))
			memcpy(ordinary + at, page, MEMORY_PAGE);
	}
	if (mremap(ordinary, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)chunk->hva) !=
	    MAP_FAILED)
		return 0;
	rc = -errno;
	munmap(ordinary, length);
	return rc;
}

static void release_pages(struct memory_private *p, const struct chunk *chunk, uint32_t first,
			  uint32_t end)
{
	for (uint32_t n; first < end; first += n) {
		uint64_t gfn = frame_gfn(chunk_frame(chunk, first));

		for (n = 1; first + n < end && frame_gfn(chunk_frame(chunk, first + n)) == gfn + n;
		     n++)
			;
		frames_release(p, gfn, n);
	}
}

/* A chunk of its own for pages [first, end) of another. NULL with no pages too. */
static struct chunk *chunk_part(const struct chunk *of, uint32_t first, uint32_t end, int *rc)
{
	struct chunk *part;

	if (first == end)
		return NULL;
	part = chunk_make(of->hva + first * MEMORY_PAGE, end - first, of->shared,
			  chunk_frame(of, first));
	if (!part || (of->frames && chunk_spread(part))) {
		chunk_free(part);
		*rc = -ENOMEM;
		return NULL;
	}
	if (of->frames)
		memcpy(part->frames, of->frames + first, (end - first) * sizeof(*of->frames));
	return part;
}

/* Its memory has just become ordinary; the guest never lost sight of its frames. */
static void back_part(struct memory_private *p, struct chunk *part)
{
	if (!part)
		return;
	if (chunks_room(p) || map_over(p, part, &(struct content){NULL, -1})) {
		/* Then it stays ordinary memory, until the next flush. */
		release_pages(p, part, 0, part->pages);
		chunk_free(part);
		memory_ask(p);
		return;
	}
	chunks_insert(p, part);
}

static int unback_one(struct memory_private *p, size_t i, uintptr_t start, uintptr_t end, bool keep)
{
	struct chunk *chunk = p->chunks[i], *before, *after;
	uint32_t first = 0, last = chunk->pages;
	int rc = 0;

	if (start > chunk->hva)
		first = (start - chunk->hva) / MEMORY_PAGE;
	if (end < chunk_end(chunk))
		last = (end - chunk->hva) / MEMORY_PAGE;
	before = chunk_part(chunk, 0, first, &rc);
	after = chunk_part(chunk, last, chunk->pages, &rc);
	if (!rc)
		rc = keep ? make_ordinary(chunk, 0, 0) : make_ordinary(chunk, start, end);
	if (rc) {
		chunk_free(before);
		chunk_free(after);
		return rc;
	}
	chunks_take(p, i);
	release_pages(p, chunk, first, last);
	chunk_free(chunk);
	back_part(p, before);
	back_part(p, after);
	return 0;
}

int unback(struct memory_private *p, uintptr_t start, uintptr_t end, bool keep)
{
	int rc = back_check(p, start, end);

	for (size_t i; !rc && (i = chunks_find(p, start)) < p->chunk_count;) {
		uintptr_t next = chunk_end(p->chunks[i]);

		if (p->chunks[i]->hva >= end)
			break;
		rc = unback_one(p, i, start, end, keep);
		start = next < end ? next : end;
	}
	return rc;
}

void unback_all(struct memory_private *p, bool keep_content)
{
	if (keep_content && p->chunk_count)
		back_check(p, p->chunks[0]->hva, chunk_end(p->chunks[p->chunk_count - 1]));
	while (p->chunk_count) {
		struct chunk *chunk = chunks_take(p, p->chunk_count - 1);
		int rc = keep_content ? make_ordinary(chunk, 0, 0) : 0;

		if (rc)
			message_error("the memory at %#lx is lost with its domain: %s", chunk->hva,
				      strerror(-rc));
		chunk_free(chunk);
	}
}

/* --- has somebody changed a mapping? --- */

/* Not all memory goes through calls that we see: free() unmaps inside libc. */
static bool is_still_ours(const struct memory_private *p, const struct vmas *vmas,
			  const struct chunk *chunk, size_t *i)
{
	uintptr_t at = chunk->hva;

	while (*i < vmas->count && vmas->vma[*i].end <= at)
		++*i;
	for (size_t j = *i; at < chunk_end(chunk); j++) {
		const struct vma *vma = &vmas->vma[j];

		if (j == vmas->count || vma->start > at || vma->device != p->device ||
		    vma->inode != p->inode)
			return false;
		at = vma->end;
	}
	return true;
}

int back_check(struct memory_private *p, uintptr_t start, uintptr_t end)
{
	size_t first = chunks_find(p, start), last = first, vma = 0;
	struct vmas vmas;
	int rc;

	while (last < p->chunk_count && p->chunks[last]->hva < end)
		last++;
	if (first == last || !p->inode)
		return 0;
	rc = vmas_scan(&vmas, p->chunks[first]->hva, chunk_end(p->chunks[last - 1]));
	if (rc)
		return rc;
	while (first < last) {
		if (is_still_ours(p, &vmas, p->chunks[first], &vma)) {
			first++;
			continue;
		}
		struct chunk *gone = chunks_take(p, first);

		message_debug("the VMM has dropped its memory at %#lx", gone->hva);
		release_pages(p, gone, 0, gone->pages);
		chunk_free(gone);
		last--;
	}
	vmas_free(&vmas);
	return 0;
}
