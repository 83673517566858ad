/* Dirty logging: the global log and the single tracked range. */
#include "tests/fake/internal.h"

int xen_dirty_modified(struct domain *d, uint64_t gfn, uint32_t n)
{
	if (gfn >= MAX_GFN || n > MAX_GFN - gfn)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		struct p2m_entry *entry = xen_p2m_find(&d->p2m, gfn + i);

		if (entry)
			entry->dirty = true;
	}
	return 0;
}

/* Reads the bits of n frames, and clears them. */
static void collect(struct domain *d, uint64_t gfn, uint64_t n, uint8_t *bitmap, bool clear)
{
	memset(bitmap, 0, (n + 7) / 8);
	for (uint64_t i = 0; i < n; i++) {
		struct p2m_entry *entry = xen_p2m_find(&d->p2m, gfn + i);

		if (!entry || !entry->dirty)
			continue;
		bitmap[i / 8] |= 1 << i % 8;
		if (clear)
			entry->dirty = false;
	}
}

static void clean_all(void *arg, uint64_t gfn, struct p2m_entry *entry)
{
	entry->dirty = false;
}

int xen_dirty_track_vram(struct domain *d, uint64_t gfn, uint32_t n, uint8_t *bitmap)
{
	if (!bitmap || !n) {
		d->vram.n = 0;
		return 0;
	}
	if (n > (1u << 30) / PAGE_SIZE)
		return -EINVAL;
	if (d->log_dirty)
		return -EINVAL;
	if (d->vram.n == n && d->vram.gfn == gfn) {
		collect(d, gfn, n, bitmap, true);
		return 0;
	}
	/* A new range: Xen cannot know what was written before. */
	collect(d, gfn, n, bitmap, true);
	memset(bitmap, 0xff, (n + 7) / 8);
	d->vram.gfn = gfn;
	d->vram.n = n;
	return 0;
}

int xen_dirty_log(struct domain *d, enum log_dirty_op op, uint64_t pages, uint8_t *bitmap)
{
	switch (op) {
	case LOG_DIRTY_ENABLE:
		if (d->p2m.ioreq_pages)
			return -EBUSY;
		if (d->log_dirty || d->vram.n || xen_domain_has_devices(d))
			return -EINVAL;
		d->log_dirty = true;
		xen_p2m_walk(&d->p2m, clean_all, NULL);
		return 0;
	case LOG_DIRTY_OFF:
		d->log_dirty = false;
		return 0;
	case LOG_DIRTY_CLEAN:
	case LOG_DIRTY_PEEK:
		if (!d->log_dirty) {
			violation("domain %u: dirty log read while it is off", d->domid);
			return -EINVAL;
		}
		collect(d, 0, pages, bitmap, op == LOG_DIRTY_CLEAN);
		/* CLEAN takes everything, also what the caller's bitmap has no room for */
		if (op == LOG_DIRTY_CLEAN)
			xen_p2m_walk(&d->p2m, clean_all, NULL);
		return 0;
	}
	return -EINVAL;
}
