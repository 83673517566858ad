/* Guest memory: what the memory ops and dm_ops do to the p2m. */
#include "tests/fake/internal.h"

/* A page that has just lost its gfn or its mapping. */
frame_t xen_memory_unhook(struct domain *d, uint64_t gfn)
{
	struct p2m_entry *entry = xen_p2m_find(&d->p2m, gfn);
	frame_t frame = entry ? entry->frame : 0;

	if (!entry)
		return 0;
	d->p2m.ioreq_pages -= entry->type == MEM_IOREQ_SERVER;
	memset(entry, 0, sizeof *entry);
	return frame;
}

/* Xen forgets the gfn of a page that another takes the place of: it is nobody's until the end. */
static void lose(struct domain *d, uint64_t gfn)
{
	frame_t frame = xen_memory_unhook(d, gfn);

	if (!frame)
		return;
	violation("leaked frame: domain %u gfn %#llx was populated twice", d->domid,
		  (unsigned long long)gfn);
	d->lost = realloc(d->lost, (d->nr_lost + 1) * sizeof *d->lost);
	if (!d->lost)
		abort();
	d->lost[d->nr_lost++] = frame;
}

static int populate_extent(struct domain *d, uint64_t gfn, unsigned order)
{
	uint32_t count = 1u << order;
	frame_t first;

	if (gfn >= MAX_GFN || count > MAX_GFN - gfn)
		return -EINVAL;
	if (d->pages + count > d->max_pages || d->p2m.nodes > d->pool_pages)
		return -ENOMEM;
	first = xen_frames_alloc(d->domid, count);
	if (!first)
		return -ENOMEM;
	d->pages += count;
	for (uint32_t i = 0; i < count; i++) {
		bool small = order < P2M_BITS || gfn % (1u << P2M_BITS);

		lose(d, gfn + i);
		*xen_p2m_make(&d->p2m, gfn + i, small) = (struct p2m_entry){
			.frame = first + i,
			.type = MEM_RAM_RW,
			.dirty = true,
		};
	}
	return 0;
}

int xen_memory_populate(struct domain *d, unsigned order, size_t n, const uint64_t *gfns)
{
	if (order > 18) /* max_order of the hardware domain */
		return -EPERM;
	for (size_t i = 0; i < n; i++) {
		int rc = populate_extent(d, gfns[i], order);

		if (rc)
			return i ? (int)i : rc;
	}
	return n;
}

int xen_memory_release(struct domain *d, size_t n, const uint64_t *gfns)
{
	for (size_t i = 0; i < n; i++) {
		frame_t frame = xen_memory_unhook(d, gfns[i]);

		if (!frame)
			return -EINVAL;
		xen_frame_put(frame);
		xen_domain_invalidate(d);
	}
	return 0;
}

int xen_memory_relocate(struct domain *d, uint64_t src, uint64_t dst, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct p2m_entry *to;
		frame_t frame, old;

		if (!xen_p2m_find(&d->p2m, src + i) || dst + i >= MAX_GFN)
			return -EINVAL;
		if (src == dst) {
			violation("domain %u gfn %#llx relocated onto itself", d->domid,
				  (unsigned long long)src);
			return -EINVAL;
		}
		if (d->p2m.nodes > d->pool_pages)
			return -ENOMEM;
		old = xen_memory_unhook(d, dst + i);
		if (old)
			xen_frame_put(old);
		/* the source loses its superpage as well */
		xen_p2m_make(&d->p2m, src + i, true);
		frame = xen_memory_unhook(d, src + i);
		to = xen_p2m_make(&d->p2m, dst + i, true);
		*to = (struct p2m_entry){.frame = frame, .type = MEM_RAM_RW, .dirty = true};
		xen_domain_invalidate(d);
	}
	return 0;
}

/* allow_p2m_type_change */
static bool may_become(const struct domain *d, enum mem_type from, enum mem_type to)
{
	if (from == MEM_IOREQ_SERVER)
		return to == MEM_RAM_RW;
	if (to == MEM_IOREQ_SERVER)
		return from == MEM_RAM_RW && !d->log_dirty;
	return true;
}

int xen_memory_set_type(struct domain *d, enum mem_type type, uint64_t gfn, uint32_t n)
{
	if (type != MEM_RAM_RW && type != MEM_RAM_RO && type != MEM_IOREQ_SERVER)
		return -EINVAL;
	if (type == MEM_IOREQ_SERVER && !d->type_server)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		struct p2m_entry *entry = xen_p2m_find(&d->p2m, gfn + i);

		if (!entry || !may_become(d, entry->type, type))
			return -EINVAL;
		xen_p2m_make(&d->p2m, gfn + i, true);
		d->p2m.ioreq_pages += type == MEM_IOREQ_SERVER;
		d->p2m.ioreq_pages -= entry->type == MEM_IOREQ_SERVER;
		entry->type = type;
	}
	return 0;
}

static void to_ram(void *arg, uint64_t gfn, struct p2m_entry *entry)
{
	if (entry->type == MEM_IOREQ_SERVER)
		entry->type = MEM_RAM_RW;
}

int xen_memory_type_to_server(struct domain *d, uint16_t id, bool on)
{
	struct server *s = id < MAX_SERVERS ? d->servers[id] : NULL;

	if (!s)
		return -ENOENT;
	if (on) {
		if (d->type_server || d->p2m.ioreq_pages)
			return -EBUSY;
		d->type_server = s;
		return 0;
	}
	if (d->type_server != s)
		return -EINVAL;
	d->type_server = NULL;
	xen_p2m_walk(&d->p2m, to_ram, NULL); /* Xen sweeps the p2m, sooner or later */
	d->p2m.ioreq_pages = 0;
	return 0;
}

static void drop(void *arg, uint64_t gfn, struct p2m_entry *entry)
{
	xen_frame_put(entry->frame);
}

void xen_memory_free(struct domain *d)
{
	xen_p2m_walk(&d->p2m, drop, NULL);
	xen_p2m_free(&d->p2m);
	while (d->nr_lost)
		xen_frame_put(d->lost[--d->nr_lost]);
	free(d->lost);
	d->lost = NULL;
}

bool xen_memory_read(struct domain *d, uint64_t gpa, void *buf, size_t len)
{
	struct p2m_entry *entry = xen_p2m_find(&d->p2m, gpa >> PAGE_SHIFT);

	if (!entry || gpa % PAGE_SIZE + len > PAGE_SIZE)
		return false;
	xen_frame_read(entry->frame, gpa % PAGE_SIZE, buf, len);
	return true;
}

bool xen_memory_write(struct domain *d, uint64_t gpa, const void *buf, size_t len)
{
	struct p2m_entry *entry = xen_p2m_find(&d->p2m, gpa >> PAGE_SHIFT);

	if (!entry || gpa % PAGE_SIZE + len > PAGE_SIZE)
		return false;
	xen_frame_write(entry->frame, gpa % PAGE_SIZE, buf, len);
	entry->dirty = true;
	return true;
}

static bool look(uint16_t domid, uint64_t gpa, void *in, const void *out, size_t len)
{
	struct domain *d;
	bool ok;

	fake_lock();
	d = xen_domain_find(domid);
	ok = d != NULL;
	for (size_t at = 0, piece; ok && at < len; at += piece) {
		struct p2m_entry *entry = xen_p2m_find(&d->p2m, (gpa + at) >> PAGE_SHIFT);
		unsigned offset = (gpa + at) % PAGE_SIZE;

		piece = PAGE_SIZE - offset < len - at ? PAGE_SIZE - offset : len - at;
		ok = entry != NULL;
		if (ok && in)
			xen_frame_read(entry->frame, offset, (char *)in + at, piece);
		else if (ok)
			xen_frame_write(entry->frame, offset, (const char *)out + at, piece);
	}
	fake_unlock();
	return ok;
}

bool fake_ram_read(uint16_t domid, uint64_t gpa, void *buf, size_t len)
{
	return look(domid, gpa, buf, NULL, len);
}

bool fake_ram_write(uint16_t domid, uint64_t gpa, const void *buf, size_t len)
{
	return look(domid, gpa, NULL, buf, len);
}

int fake_mem_type(uint16_t domid, uint64_t gfn)
{
	struct domain *d;
	struct p2m_entry *entry;
	int type;

	fake_lock();
	d = xen_domain_find(domid);
	entry = d ? xen_p2m_find(&d->p2m, gfn) : NULL;
	type = entry ? entry->type : -1;
	fake_unlock();
	return type;
}
