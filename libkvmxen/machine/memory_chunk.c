/* Chunks: which of the domain's frames are mapped where in the VMM. */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

void chunk_free(struct chunk *chunk)
{
	if (chunk)
		free(chunk->frames);
	free(chunk);
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

int chunks_room(struct memory_private *p)
{
	return memory_grow(&p->chunks, p->chunk_count, &p->chunk_room, sizeof(*p->chunks));
}

void chunks_insert(struct memory_private *p, struct chunk *chunk)
{
	size_t at = chunks_find(p, chunk->hva);

	memmove(p->chunks + at + 1, p->chunks + at, (p->chunk_count - at) * sizeof(*p->chunks));
	p->chunks[at] = chunk;
	p->chunk_count++;
	p->frames += chunk->pages;
}

struct chunk *chunks_take(struct memory_private *p, size_t i)
{
	struct chunk *chunk = p->chunks[i];

	p->frames -= chunk->pages;
	p->chunk_count--;
	memmove(p->chunks + i, p->chunks + i + 1, (p->chunk_count - i) * sizeof(*p->chunks));
	return chunk;
}

bool chunks_cover(const struct memory_private *p, uintptr_t hva, uintptr_t end)
{
	for (size_t i = chunks_find(p, hva); hva < end; i++) {
		if (i == p->chunk_count || p->chunks[i]->hva > hva)
			return false;
		hva = chunk_end(p->chunks[i]);
	}
	return true;
}
