/*
 * memory_flush: the difference between where frames are and where the plan wants them.
 *
 * 1. Frames that no slot shows any more, and frames that are in another's way, go to the parking
 *    range. 2. Frames that belong elsewhere are moved there. 3. Pages without a frame get one.
 * 4. Types, and the log. After any failure the chunks say where each frame is, and the next flush
 *    goes on from there.
 */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/message.h"

/* Pages of one chunk, in a row on both sides. */
struct piece {
	struct chunk *chunk;
	uint32_t first, pages;
	uint64_t at; /* the frame of the first, as it is */
	uint64_t to; /* as it should be; NOWHERE: parked */
};
#define NOWHERE UINT64_MAX

struct pieces {
	struct piece *piece;
	size_t count, room;
};

/* --- the difference --- */

static int add_run(struct pieces *pieces, struct chunk *chunk, uint32_t first, uint32_t pages,
		   uint64_t at, uint64_t to)
{
	if (to == NOWHERE ? gfn_is_parked(frame_gfn(at)) : at == to)
		return 0;
	if (memory_grow(&pieces->piece, pieces->count, &pieces->room, sizeof(*pieces->piece)))
		return -ENOMEM;
	/* What is moved or typed in part needs a place for each frame: get it before. */
	if (pages != chunk->pages && chunk_spread(chunk))
		return -ENOMEM;
	pieces->piece[pieces->count++] = (struct piece){chunk, first, pages, at, to};
	return 0;
}

/* Pages [first, end) of the chunk should be at frame to and on. */
static int add_pages(struct pieces *pieces, struct chunk *chunk, uint32_t first, uint32_t end,
		     uint64_t to)
{
	int rc = 0;

	for (uint32_t n; first < end && !rc; first += n) {
		uint64_t at = chunk_frame(chunk, first);

		if (!chunk->frames)
			n = end - first;
		else
			for (n = 1; first + n < end && chunk->frames[first + n] == at + n; n++)
				;
		rc = add_run(pieces, chunk, first, n, at, to);
		if (to != NOWHERE)
			to += n;
	}
	return rc;
}

/* All frames of all chunks that are not as the plan wants them. */
static int find_difference(struct memory_private *p, const struct plan *plan,
			   enum mem_type readonly, struct pieces *pieces)
{
	const struct want *want = plan->owner, *last = want + plan->owners;
	int rc = 0;

	for (size_t i = 0; i < p->chunk_count && !rc; i++) {
		struct chunk *chunk = p->chunks[i];
		uint64_t page = chunk->hva >> MEMORY_PAGE_SHIFT, end = page + chunk->pages;

		for (uint64_t at = page; at < end && !rc;) {
			uint64_t stop = end, to = NOWHERE;

			while (want < last && want->page + want->pages <= at)
				want++;
			if (want < last && want->page <= at) {
				to = frame_make(want->gfn + (at - want->page),
						memory_readonly_type(want->flags, readonly));
				if (want->page + want->pages < end)
					stop = want->page + want->pages;
			} else if (want < last && want->page < end) {
				stop = want->page;
			}
			rc = add_pages(pieces, chunk, at - page, stop - page, to);
			at = stop;
		}
	}
	return rc;
}

/* --- moving --- */

/* The first n pages of the piece are known to be at frame now. */
static void record(struct piece *piece, uint32_t n, uint64_t frame)
{
	/* Only in part, and no memory to say so: the piece stays where we believe it was, and to
	 * move it again fails aloud. */
	if (n < piece->pages && chunk_spread(piece->chunk))
		return;
	chunk_set(piece->chunk, piece->first, n, frame);
	piece->at = frame;
}

/* Moves count pieces, n pages in a row, to gfn and on. */
static int move_row(struct memory_private *p, struct piece *piece, size_t count, uint32_t n,
		    uint64_t gfn)
{
	uint32_t moved;
	int rc = frames_move(p, frame_gfn(piece->at), gfn, n, &moved);

	for (size_t i = 0; i < count && moved; i++) {
		uint32_t some = piece[i].pages < moved ? piece[i].pages : moved;

		record(&piece[i], some, frame_make(gfn, MEM_RAM_RW));
		gfn += some;
		moved -= some;
	}
	return rc;
}

static int type_row(struct memory_private *p, struct piece *piece, size_t count, uint32_t n,
		    enum mem_type type)
{
	int rc = frames_type(p, frame_gfn(piece->at), n, frame_type(piece->at), type);

	if (rc)
		type = MEM_RAM_RW;
	for (size_t i = 0; i < count; i++)
		record(&piece[i], piece[i].pages, frame_make(frame_gfn(piece[i].at), type));
	return rc;
}

/* How many pieces from the first on are in a row, where they are and (unless NULL) in target[];
 * *n: their pages. */
static size_t row(const struct piece *piece, size_t count, const uint64_t *target, uint32_t *n)
{
	size_t i = 1;

	*n = piece->pages;
	while (i < count && piece[i].at == piece->at + *n &&
	       (!target || target[i] == target[0] + *n) && *n + piece[i].pages > *n) {
		*n += piece[i].pages;
		i++;
	}
	return i;
}

/* Moves each piece to its target, which is a gfn. */
static int move_all(struct memory_private *p, struct piece *piece, size_t count,
		    const uint64_t *target)
{
	int rc = 0;

	for (size_t i = 0, some; i < count && !rc; i += some) {
		uint32_t n;

		some = row(piece + i, count - i, target + i, &n);
		if (frame_type(piece[i].at) != MEM_RAM_RW)
			rc = type_row(p, piece + i, some, n, MEM_RAM_RW);
		if (!rc)
			rc = move_row(p, piece + i, some, n, target[i]);
	}
	return rc;
}

/* --- the parking range --- */

struct parking {
	struct extent {
		uint64_t gfn, end;
	} * used;
	size_t count, room, next;
	uint64_t free; /* nothing before used[next] and from here on is taken */
};

static int compare_extents(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->gfn < y->gfn ? -1 : x->gfn > y->gfn;
}

static int parking_look(struct memory_private *p, struct parking *parking)
{
	*parking = (struct parking){.free = MEMORY_PARKING_GFN};
	for (size_t i = 0; i < p->chunk_count; i++) {
		const struct chunk *chunk = p->chunks[i];

		for (uint32_t j = 0, n; j < chunk->pages; j += n) {
			uint64_t gfn = frame_gfn(chunk_frame(chunk, j));

			n = chunk->frames ? 1 : chunk->pages;
			if (!gfn_is_parked(gfn))
				continue;
			if (parking->count && parking->used[parking->count - 1].end == gfn) {
				parking->used[parking->count - 1].end = gfn + n;
				continue;
			}
			if (memory_grow(&parking->used, parking->count, &parking->room,
					sizeof(*parking->used)))
				return -ENOMEM;
			parking->used[parking->count++] = (struct extent){gfn, gfn + n};
		}
	}
	if (parking->count)
		qsort(parking->used, parking->count, sizeof(*parking->used), compare_extents);
	return 0;
}

/* n free gfns in a row, or NOWHERE. */
static uint64_t parking_take(struct parking *parking, uint32_t n)
{
	uint64_t gfn;

	while (parking->next < parking->count &&
	       parking->used[parking->next].gfn < parking->free + n) {
		if (parking->free < parking->used[parking->next].end)
			parking->free = parking->used[parking->next].end;
		parking->next++;
	}
	if (parking->free + n > MEMORY_PARKING_END)
		return NOWHERE;
	gfn = parking->free;
	parking->free += n;
	return gfn;
}

/* Does a slot show any of the gfns at which the piece is now? */
static bool is_in_the_way(const struct slots *slots, const struct piece *piece)
{
	uint64_t gfn = frame_gfn(piece->at);

	return !gfn_is_parked(gfn) && slots_overlap(slots, UINT32_MAX, gfn, piece->pages);
}

static bool must_park(const struct slots *slots, const struct piece *piece)
{
	if (piece->to == NOWHERE)
		return true;
	return frame_gfn(piece->to) != frame_gfn(piece->at) && is_in_the_way(slots, piece);
}

static int park(struct memory_private *p, struct pieces *pieces)
{
	const struct slots *slots = slots_now(p);
	uint64_t *target = calloc(pieces->count, sizeof(*target));
	struct parking parking;
	int rc = target ? parking_look(p, &parking) : -ENOMEM;

	for (size_t i = 0, n; i < pieces->count && !rc; i += n) {
		for (n = 0; i + n < pieces->count && must_park(slots, &pieces->piece[i + n]); n++) {
			target[i + n] = parking_take(&parking, pieces->piece[i + n].pages);
			if (target[i + n] == NOWHERE)
				rc = -ENOSPC;
		}
		if (n && !rc)
			rc = move_all(p, pieces->piece + i, n, target + i);
		if (!n)
			n = 1;
	}
	if (target)
		free(parking.used);
	free(target);
	return rc;
}

static int place(struct memory_private *p, struct pieces *pieces)
{
	uint64_t *target = calloc(pieces->count, sizeof(*target));
	int rc = target ? 0 : -ENOMEM;

	for (size_t i = 0, n; i < pieces->count && !rc; i += n) {
		for (n = 0; i + n < pieces->count; n++) {
			const struct piece *piece = &pieces->piece[i + n];

			if (piece->to == NOWHERE || frame_gfn(piece->to) == frame_gfn(piece->at))
				break;
			target[i + n] = frame_gfn(piece->to);
		}
		if (n)
			rc = move_all(p, pieces->piece + i, n, target + i);
		else
			n = 1;
	}
	free(target);
	return rc;
}

/* What is where it belongs gets its type. */
static int set_types(struct memory_private *p, struct pieces *pieces)
{
	int rc = 0;

	for (size_t i = 0, some; i < pieces->count && !rc; i += some) {
		struct piece *piece = &pieces->piece[i];
		uint32_t n;

		some = 1;
		if (piece->to == NOWHERE || frame_gfn(piece->to) != frame_gfn(piece->at))
			continue;
		for (n = piece->pages; i + some < pieces->count; some++) {
			const struct piece *next = piece + some;

			if (next->at != piece->at + n || next->to != piece->to + n)
				break;
			n += next->pages;
		}
		rc = type_row(p, piece, some, n, frame_type(piece->to));
	}
	return rc;
}

/* --- pages without a frame --- */

static int back_all(struct memory_private *p, const struct plan *plan)
{
	int rc = 0;

	for (size_t i = 0; i < plan->owners && !rc; i++) {
		const struct want *want = &plan->owner[i];
		uintptr_t hva = want->page << MEMORY_PAGE_SHIFT, start = hva;
		uintptr_t end = hva + (want->pages << MEMORY_PAGE_SHIFT);

		while (hva < end && !rc) {
			size_t next = chunks_find(p, hva);
			uintptr_t stop = end;

			if (next < p->chunk_count && p->chunks[next]->hva <= hva) {
				hva = chunk_end(p->chunks[next]);
				continue;
			}
			if (next < p->chunk_count && p->chunks[next]->hva < end)
				stop = p->chunks[next]->hva;
			rc = back(p, hva, want->gfn + (hva - start) / MEMORY_PAGE,
				  (stop - hva) / MEMORY_PAGE, want->id);
			hva = stop;
		}
	}
	return rc;
}

/* Is any frame of ours at [gfn, gfn + n)? */
static bool is_taken(const struct memory_private *p, uint64_t gfn, uint64_t n)
{
	for (size_t i = 0; i < p->chunk_count; i++) {
		const struct chunk *chunk = p->chunks[i];
		uint32_t step = chunk->frames ? 1 : chunk->pages;

		for (uint32_t j = 0; j < chunk->pages; j += step) {
			uint64_t at = frame_gfn(chunk_frame(chunk, j));

			if (at < gfn + n && gfn < at + step)
				return true;
		}
	}
	for (size_t i = 0; i < p->alias_count; i++)
		if (p->alias[i].gfn < gfn + n && gfn < p->alias[i].gfn + p->alias[i].pages)
			return true;
	return false;
}

int memory_back_slot(struct memory_private *p, uint32_t id)
{
	struct plan plan;
	int rc = plan_make(&plan, slots_now(p), p->vm->interrupts.irqchip);
	size_t kept = 0;

	if (!rc)
		rc = device_drop(p, &plan);
	for (size_t i = 0; i < plan.owners && !rc; i++)
		if (plan.owner[i].id == id && !is_taken(p, plan.owner[i].gfn, plan.owner[i].pages))
			plan.owner[kept++] = plan.owner[i];
	if (!rc) {
		plan.owners = kept;
		rc = back_all(p, &plan);
	}
	plan_free(&plan);
	return rc;
}

/* --- all of it --- */

static int difference(struct memory_private *p, const struct plan *plan, enum mem_type readonly,
		      struct pieces *pieces)
{
	free(pieces->piece);
	*pieces = (struct pieces){0};
	return find_difference(p, plan, readonly, pieces);
}

static int move(struct memory_private *p, const struct plan *plan, enum log_mode mode)
{
	enum mem_type readonly = dirty_readonly_type(mode);
	struct pieces pieces = {0};
	int rc = difference(p, plan, readonly, &pieces);

	if (!rc && pieces.count) {
		rc = park(p, &pieces);
		if (!rc)
			rc = place(p, &pieces);
	}
	if (!rc)
		rc = back_all(p, plan);
	if (!rc)
		rc = difference(p, plan, readonly, &pieces);
	if (!rc)
		rc = set_types(p, &pieces);
	for (size_t i = 0; i < p->chunk_count; i++)
		chunk_compact(p->chunks[i]);
	free(pieces.piece);
	if (rc)
		return rc;
	rc = alias_make(p, plan);
	alias_refresh(p);
	return rc ? rc : alias_types(p, readonly);
}

static int flush(struct memory_private *p, const struct plan *plan)
{
	enum log_mode mode = dirty_wanted(p);
	int rc = dirty_stop(p, mode);

	if (!rc)
		rc = move(p, plan, mode);
	return rc ? rc : dirty_start(p, mode);
}

int memory_flush_locked(struct memory_private *p)
{
	struct plan plan;
	int rc = plan_make(&plan, slots_now(p), p->vm->interrupts.irqchip);

	if (rc)
		return rc;
	memory_enlist(p);
	rc = dirty_collect(p);
	if (!rc)
		alias_drop(p, &plan);
	if (!rc)
		rc = device_drop(p, &plan);
	if (!rc)
		rc = flush(p, &plan);
	/* Xen does not log such a range: everything, then. */
	if (rc == -EAGAIN)
		rc = flush(p, &plan);
	plan_free(&plan);
	return rc;
}
