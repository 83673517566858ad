/*
 * Copies of host pages that several slots show: the BIOS at the end of the first MiB and at the end
 * of the first 4 GiB, for one.
 *
 * A copy has frames of its own, mapped where only the library knows. It follows its owner when the
 * slots are flushed and when memory_refresh_aliases is called, not in between.
 */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void unmap(struct memory_private *p, const struct alias *alias)
{
	p->vm->xen.dev->ops->mem_unmap(p->vm->xen.dev, alias->map, alias->pages);
	p->frames -= alias->pages;
}

static uintptr_t source(const struct alias *alias)
{
	return alias->page << MEMORY_PAGE_SHIFT;
}

static bool source_is_there(const struct memory_private *p, const struct alias *alias)
{
	return chunks_cover(p, source(alias), source(alias) + alias->pages * MEMORY_PAGE);
}

/* Pages that one want has in one 2 MiB of guest memory, from its n-th on: what one alias holds. */
static uint32_t piece(const struct want *want, uint64_t n)
{
	uint64_t pages = CHUNK_PAGES - (want->gfn + n) % CHUNK_PAGES;

	return pages < want->pages - n ? pages : want->pages - n;
}

static bool is_planned(const struct plan *plan, const struct alias *alias)
{
	for (size_t i = 0; i < plan->aliases; i++) {
		const struct want *want = &plan->alias[i];
		uint64_t n = alias->gfn - want->gfn;

		if (alias->gfn >= want->gfn && n < want->pages && want->page + n == alias->page &&
		    (n == 0 || alias->gfn % CHUNK_PAGES == 0) && piece(want, n) == alias->pages)
			return true;
	}
	return false;
}

void alias_drop(struct memory_private *p, const struct plan *plan)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->alias_count; i++) {
		struct alias *alias = &p->alias[i];

		if (is_planned(plan, alias) && source_is_there(p, alias)) {
			p->alias[kept++] = *alias;
			continue;
		}
		unmap(p, alias);
		frames_release(p, alias->gfn, alias->pages);
	}
	p->alias_count = kept;
}

static bool exists(const struct memory_private *p, uint64_t gfn)
{
	for (size_t i = 0; i < p->alias_count; i++)
		if (p->alias[i].gfn == gfn)
			return true;
	return false;
}

static int make_one(struct memory_private *p, struct alias alias)
{
	uint64_t gfns[CHUNK_PAGES];
	int rc = memory_grow(&p->alias, p->alias_count, &p->alias_room, sizeof(*p->alias));

	if (!rc)
		rc = frames_reserve(p, alias.pages);
	if (!rc)
		rc = frames_populate(p, alias.gfn, alias.pages);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < alias.pages; i++)
		gfns[i] = alias.gfn + i;
	rc = frames_map(p, NULL, gfns, alias.pages, &alias.map);
	if (rc) {
		frames_release(p, alias.gfn, alias.pages);
		return rc;
	}
	p->alias[p->alias_count++] = alias;
	p->frames += alias.pages;
	return 0;
}

int alias_make(struct memory_private *p, const struct plan *plan)
{
	int rc = 0;

	for (size_t i = 0; i < plan->aliases && !rc; i++) {
		const struct want *want = &plan->alias[i];

		for (uint64_t n = 0; n < want->pages && !rc; n += piece(want, n)) {
			struct alias alias = {
				.page = want->page + n,
				.gfn = want->gfn + n,
				.pages = piece(want, n),
				.type = MEM_RAM_RW,
			};

			/* What the VMM has not mapped is no memory here either. */
			if (!exists(p, alias.gfn) && source_is_there(p, &alias))
				rc = make_one(p, alias);
		}
	}
	return rc;
}

int alias_types(struct memory_private *p, enum mem_type type)
{
	int rc = 0;

	for (size_t i = 0; i < p->alias_count && !rc; i++) {
		struct alias *alias = &p->alias[i];

		const struct slot *slot = slots_by_gfn(slots_now(p), alias->gfn);
		enum mem_type wanted = slot ? memory_readonly_type(slot->flags, type) : type;

		/* Of a slot that the guest may write: rather than let two pages drift apart the
		 * copy takes no writes. */
		if (wanted == MEM_RAM_RW)
			wanted = MEM_RAM_RO;

		if (alias->type == wanted)
			continue;
		rc = frames_type(p, alias->gfn, alias->pages, alias->type, wanted);
		alias->type = rc ? MEM_RAM_RW : wanted;
	}
	return rc;
}

void alias_refresh(struct memory_private *p)
{
	for (size_t i = 0; i < p->alias_count; i++) {
		struct alias *alias = &p->alias[i];
		const char *from = (const char *)source(alias);
		char *to = alias->map;

		if (!source_is_there(p, alias))
			continue;
		for (size_t at = 0; at < alias->pages * MEMORY_PAGE; at += MEMORY_PAGE)
			if (memcmp(to + at, from + at, MEMORY_PAGE))
				memcpy(to + at, from + at, MEMORY_PAGE);
	}
}

void alias_forget(struct memory_private *p)
{
	for (size_t i = 0; i < p->alias_count; i++)
		unmap(p, &p->alias[i]);
	free(p->alias);
	p->alias = NULL;
	p->alias_count = p->alias_room = 0;
}

void memory_refresh_aliases(struct vm *vm)
{
	memory_lock(vm);
	if (vm->memory.private)
		alias_refresh(vm->memory.private);
	memory_unlock(vm);
}
