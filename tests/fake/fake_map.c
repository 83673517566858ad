/*
 * Foreign mappings. Each mem_map makes one VMA that the kernel's privcmd driver refuses to split:
 * it can be replaced or unmapped whole only.
 */
#include "tests/fake/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

struct mapping {
	struct mapping *next;
	uint16_t domid;
	uintptr_t start, end;
	frame_t *frames;
};
static struct mapping *mappings;

/* What the process did behind our back: munmap or MAP_FIXED over a mapping. */
enum liveness { ALIVE, GONE, TORN };

static enum liveness liveness(const struct mapping *m)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	uintptr_t covered = 0;

	while (maps && fgets(line, sizeof line, maps)) {
		uintptr_t start, end;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) != 2 ||
		    !xen_frames_named(line) || end <= m->start || start >= m->end)
			continue;
		start = start < m->start ? m->start : start;
		end = end > m->end ? m->end : end;
		covered += end - start;
	}
	if (maps)
		fclose(maps);
	return covered == m->end - m->start ? ALIVE : covered ? TORN : GONE;
}

static void forget(struct mapping **at)
{
	struct mapping *m = *at;

	*at = m->next;
	for (size_t i = 0; i < (m->end - m->start) / PAGE_SIZE; i++)
		xen_frame_put(m->frames[i]);
	free(m->frames);
	free(m);
}

/* Which mappings [start, end) touches: each must lie in it whole. what is said of it otherwise. */
static int check_overlaps(uintptr_t start, uintptr_t end, const char *what)
{
	for (struct mapping *m = mappings; m; m = m->next) {
		if (m->end <= start || m->start >= end || (m->start >= start && m->end <= end))
			continue;
		if (liveness(m) == GONE)
			continue;
		violation("%s of [%#" PRIxPTR ", %#" PRIxPTR ") splits the foreign mapping "
			  "[%#" PRIxPTR ", %#" PRIxPTR ")",
			  what, start, end, m->start, m->end);
		return -EINVAL;
	}
	return 0;
}

static void forget_within(uintptr_t start, uintptr_t end)
{
	for (struct mapping **at = &mappings; *at;) {
		if ((*at)->start >= start && (*at)->end <= end)
			forget(at);
		else
			at = &(*at)->next;
	}
}

/* Maps m's frames at its address, adjacent ones in one go. */
static int place(const struct mapping *m, int prot)
{
	size_t n = (m->end - m->start) / PAGE_SIZE;

	for (size_t i = 0, run; i < n; i += run) {
		run = 1;
		while (i + run < n && m->frames[i + run] == m->frames[i] + run)
			run++;
		if (xen_frames_mmap((void *)(m->start + i * PAGE_SIZE), m->frames[i], run, prot) ==
		    MAP_FAILED)
			return -errno;
	}
	return 0;
}

static struct mapping *mapping_new(struct domain *d, size_t n, const uint64_t *gfns)
{
	struct mapping *m = calloc(1, sizeof *m);

	if (m)
		m->frames = calloc(n, sizeof *m->frames);
	if (!m || !m->frames)
		abort();
	m->domid = d->domid;
	for (size_t i = 0; i < n; i++) {
		struct p2m_entry *entry = xen_p2m_find(&d->p2m, gfns[i]);

		if (entry)
			m->frames[i] = entry->frame;
	}
	return m;
}

int xen_map_create(struct domain *d, void *addr, int prot, size_t n, const uint64_t *gfns,
		   void **out)
{
	size_t length = n * PAGE_SIZE;
	struct mapping *m;
	void *at = addr;
	int rc = 0;

	if (!n || (uintptr_t)addr % PAGE_SIZE)
		return -EINVAL;
	/* mmap over a part of such a mapping: the kernel's answer is ENOMEM */
	if (addr && check_overlaps((uintptr_t)addr, (uintptr_t)addr + length, "MAP_FIXED"))
		return -ENOMEM;
	if (!addr)
		at = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			  0);
	if (at == MAP_FAILED)
		return -ENOMEM;
	forget_within((uintptr_t)at, (uintptr_t)at + length);
	m = mapping_new(d, n, gfns);
	m->start = (uintptr_t)at;
	m->end = m->start + length;
	for (size_t i = 0; i < n && !rc; i++)
		if (!m->frames[i])
			rc = -EINVAL;
	if (!rc)
		rc = place(m, prot);
	if (rc) {
		/* The mmap has happened by the time that a frame is refused: nothing is there. */
		munmap(at, length);
		free(m->frames);
		free(m);
		return rc;
	}
	for (size_t i = 0; i < n; i++)
		xen_frame_get(m->frames[i]);
	m->next = mappings;
	mappings = m;
	*out = at;
	return 0;
}

int xen_map_remove(void *addr, size_t n)
{
	uintptr_t start = (uintptr_t)addr, end = start + n * PAGE_SIZE;
	bool found = false;
	int rc = check_overlaps(start, end, "munmap");

	if (rc || !n || start % PAGE_SIZE)
		return rc ? rc : -EINVAL;
	for (struct mapping *m = mappings; m; m = m->next)
		found |= m->start >= start && m->end <= end && liveness(m) != GONE;
	if (!found)
		violation("mem_unmap of [%#" PRIxPTR ", %#" PRIxPTR ") where nothing is mapped",
			  start, end);
	else
		munmap(addr, n * PAGE_SIZE);
	forget_within(start, end);
	return found ? 0 : -EINVAL;
}

/* Drops what was unmapped by other means; complains of what was torn. */
void xen_maps_check(void)
{
	for (struct mapping **at = &mappings; *at;) {
		struct mapping *m = *at;
		enum liveness alive = liveness(m);

		if (alive == TORN)
			violation("the foreign mapping [%#" PRIxPTR ", %#" PRIxPTR ") was split",
				  m->start, m->end);
		else if (alive == ALIVE)
			leak("foreign mapping [%#" PRIxPTR ", %#" PRIxPTR ") of domain %u",
			     m->start, m->end, m->domid);
		if (alive == GONE)
			forget(at);
		else
			at = &m->next;
	}
}

void xen_maps_reset(void)
{
	while (mappings) {
		if (liveness(mappings) == ALIVE)
			munmap((void *)mappings->start, mappings->end - mappings->start);
		forget(&mappings);
	}
}

unsigned fake_mappings(void)
{
	unsigned n = 0;

	fake_lock();
	for (struct mapping *m = mappings; m; m = m->next)
		n += liveness(m) == ALIVE;
	fake_unlock();
	return n;
}
