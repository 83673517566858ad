/* Ioreq servers as the tools see them: creation, ranges, the slot page, enabling. */
#include "tests/fake/internal.h"

#include <sys/mman.h>

static struct server *server_find(struct domain *d, uint16_t id)
{
	return id < MAX_SERVERS ? d->servers[id] : NULL;
}

int xen_server_create(struct domain *d, uint16_t *id)
{
	struct server *s;
	unsigned i = 0;

	while (i < MAX_SERVERS && d->servers[i])
		i++;
	if (i == MAX_SERVERS)
		return -ENOSPC;
	s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->d = d;
	s->id = *id = i;
	for (unsigned v = 0; v < d->nr_vcpus; v++) {
		s->ports[v] = xen_port_alloc(d, PORT_IOREQ, &d->vcpus[v]);
		if (!s->ports[v]) {
			xen_server_free(s);
			return -ENOSPC;
		}
	}
	d->servers[i] = s;
	return 0;
}

/* Pages of servers that are gone, which somebody still maps: as Xen's do, they stay until then. */
#define MAX_ORPHANS 16
static struct orphan {
	struct shared_iopage *page;
	frame_t frame;
} orphans[MAX_ORPHANS];

static void orphan_add(struct shared_iopage *page, frame_t frame)
{
	unsigned i = 0;

	while (i < MAX_ORPHANS && orphans[i].page)
		i++;
	if (i == MAX_ORPHANS)
		abort();
	xen_frame_get(frame);
	orphans[i] = (struct orphan){page, frame};
}

static bool orphan_drop(struct shared_iopage *page)
{
	for (unsigned i = 0; page && i < MAX_ORPHANS; i++) {
		if (orphans[i].page != page)
			continue;
		munmap(page, PAGE_SIZE);
		xen_frame_put(orphans[i].frame);
		orphans[i].page = NULL;
		return true;
	}
	return false;
}

void xen_orphans_check(void)
{
	for (unsigned i = 0; i < MAX_ORPHANS; i++)
		if (orphans[i].page)
			leak("mapped page of an ioreq server that is gone");
}

void xen_orphans_reset(void)
{
	for (unsigned i = 0; i < MAX_ORPHANS; i++)
		orphan_drop(orphans[i].page);
}

void xen_server_free(struct server *s)
{
	for (unsigned i = 0; i < 4; i++)
		if (s->theirs[i])
			orphan_add(s->theirs[i], s->frame);
	for (unsigned v = 0; v < s->d->nr_vcpus; v++)
		xen_port_free(s->ports[v]);
	if (s->own)
		munmap(s->own, PAGE_SIZE);
	if (s->frame)
		xen_frame_put(s->frame);
	if (s->d->type_server == s)
		xen_memory_type_to_server(s->d, s->id, false);
	if (s->d->servers[s->id] == s)
		s->d->servers[s->id] = NULL;
	free(s);
}

int xen_server_destroy(struct domain *d, uint16_t id)
{
	struct server *s = server_find(d, id);

	if (!s)
		return -ENOENT;
	for (unsigned v = 0; v < d->nr_vcpus; v++) {
		if (!s->pending[v])
			continue;
		violation("domain %u: ioreq server %u destroyed while vcpu %u waits for an answer",
			  d->domid, id, v);
		d->vcpus[v].stuck = true;
	}
	xen_server_free(s);
	return 0;
}

/* Frames of a server do not count among the domain's pages (MEMF_no_refcount). */
static int server_alloc_page(struct server *s)
{
	if (s->frame)
		return 0;
	s->frame = xen_frames_alloc(0, 1);
	if (!s->frame)
		return -ENOMEM;
	s->own = xen_frames_mmap(NULL, s->frame, 1, PROT_READ | PROT_WRITE);
	if (s->own == MAP_FAILED)
		abort();
	s->page = s->own;
	return 0;
}

int xen_server_map(struct domain *d, uint16_t id, struct shared_iopage **page)
{
	struct server *s = server_find(d, id);
	unsigned i = 0;
	int rc;

	if (!s)
		return -ENOENT;
	rc = server_alloc_page(s);
	while (i < 4 && s->theirs[i])
		i++;
	if (rc || i == 4)
		return rc ? rc : -ENOMEM;
	*page = xen_frames_mmap(NULL, s->frame, 1, PROT_READ | PROT_WRITE);
	if (*page == MAP_FAILED)
		return -errno;
	s->theirs[i] = *page;
	/* One address for both sides, so that a sanitizer can see an access without order. */
	s->page = *page;
	return 0;
}

int xen_server_unmap(struct shared_iopage *page)
{
	for (struct domain *d = fake_host.domains; d; d = d->next) {
		for (unsigned id = 0; id < MAX_SERVERS; id++) {
			struct server *s = d->servers[id];

			for (unsigned i = 0; s && page && i < 4; i++) {
				if (s->theirs[i] != page)
					continue;
				s->theirs[i] = NULL;
				if (s->page == page)
					s->page = s->own;
				munmap(page, PAGE_SIZE);
				return 0;
			}
		}
	}
	if (orphan_drop(page))
		return 0;
	violation("ioreq_server_unmap of a page that is not mapped");
	return -EINVAL;
}

/* Removes the i-th range. */
static void range_drop(struct server *s, enum io_space space, unsigned i)
{
	s->ranges[space][i] = s->ranges[space][--s->nr_ranges[space]];
}

int xen_server_claim(struct domain *d, uint16_t id, enum io_space space, uint64_t start,
		     uint64_t end)
{
	struct server *s = server_find(d, id);
	struct range range = {start, end};

	if (!s)
		return -ENOENT;
	if (space > IO_SPACE_PCI || start > end)
		return -EINVAL;
	for (unsigned i = 0; i < s->nr_ranges[space]; i++) {
		const struct range *r = &s->ranges[space][i];

		if (r->start <= end && r->end >= start)
			return -EEXIST;
	}
	/* Neighbours merge, as in Xen's rangeset. */
	for (unsigned i = 0; i < s->nr_ranges[space];) {
		const struct range *r = &s->ranges[space][i];

		if (range.start && r->end == range.start - 1)
			range.start = r->start;
		else if (r->start && range.end == r->start - 1)
			range.end = r->end;
		else {
			i++;
			continue;
		}
		range_drop(s, space, i);
		i = 0;
	}
	if (s->nr_ranges[space] == MAX_RANGES)
		return -ENOMEM;
	s->ranges[space][s->nr_ranges[space]++] = range;
	return 0;
}

int xen_server_enable(struct domain *d, uint16_t id, bool on)
{
	struct server *s = server_find(d, id);

	if (!s)
		return -ENOENT;
	if (on && !s->frame) {
		violation("domain %u: ioreq server %u enabled before its page was mapped", d->domid,
			  id);
		return -EINVAL;
	}
	for (unsigned v = 0; on && !s->enabled && v < d->nr_vcpus; v++)
		s->page->vcpu_ioreq[v].vp_eport = s->ports[v]->number;
	s->enabled = on;
	xen_domain_reschedule(d);
	return 0;
}

void xen_servers_check(struct domain *d)
{
	for (unsigned id = 0; id < MAX_SERVERS; id++)
		for (unsigned i = 0; d->servers[id] && i < 4; i++)
			if (d->servers[id]->theirs[i])
				leak("mapped page of ioreq server %u of domain %u", id, d->domid);
}
