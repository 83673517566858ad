/*
 * memory_device: slots that show a BAR of a device of the host: the VMM has mapped its resourceN.
 *
 * There are no frames to bring: the guest gets the host's, by XEN_DOMCTL_memory_mapping. The VMM's
 * own mapping stays as it is.
 */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libkvmxen/message.h"
#include "libkvmxen/xen/host_pci.h"

static bool is_wanted(const struct plan *plan, const struct bar *bar)
{
	for (size_t i = 0; i < plan->owners; i++) {
		const struct want *want = &plan->owner[i];

		if (want->page <= bar->page && bar->page + bar->pages <= want->page + want->pages)
			return want->gfn + (bar->page - want->page) == bar->gfn;
	}
	return false;
}

static int drop(struct memory_private *p, size_t i)
{
	const struct bar *bar = &p->bar[i];
	int rc = CONTROL_OP(p->vm, device_map, bar->gfn, bar->mfn, bar->pages, false);

	if (rc < 0)
		return rc;
	p->bar[i] = p->bar[--p->bar_count];
	return 0;
}

int device_drop(struct memory_private *p, const struct plan *plan)
{
	int rc = 0;

	for (size_t i = p->bar_count; i-- > 0 && !rc;)
		if (!is_wanted(plan, &p->bar[i]))
			rc = drop(p, i);
	return rc;
}

/* The file that is mapped there: of a device of the host? Then the host's frame of the first page.
 * Such a mapping's offset, as Linux shows it, is the address and not the place in the file. */
static bool find_resource(const struct vma *vma, uint64_t *mfn)
{
	uint64_t address, size, at = vma->offset + (vma->start - vma->whole);
	uint64_t length = vma->end - vma->start;
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/map_files/%lx-%lx", vma->whole, vma->whole_end);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	if (!host_pci_resource(path, &address, &size) || address % MEMORY_PAGE)
		return false;
	size = (size + MEMORY_PAGE - 1) & -MEMORY_PAGE;
	if (at < address || at - address > size || length > size - (at - address))
		return false;
	*mfn = at >> MEMORY_PAGE_SHIFT;
	return true;
}

int device_back(struct memory_private *p, const struct vma *vma, uint64_t gfn)
{
	struct bar bar = {
		.page = vma->start >> MEMORY_PAGE_SHIFT,
		.gfn = gfn,
		.pages = (vma->end - vma->start) >> MEMORY_PAGE_SHIFT,
	};
	int rc;

	for (size_t i = 0; i < p->bar_count; i++)
		if (p->bar[i].page == bar.page && p->bar[i].gfn == gfn &&
		    p->bar[i].pages == bar.pages)
			return 0;
	if (!find_resource(vma, &bar.mfn))
		return -EOPNOTSUPP;
	if (memory_grow(&p->bar, p->bar_count, &p->bar_room, sizeof(*p->bar)))
		return -ENOMEM;
	rc = CONTROL_OP(p->vm, device_map, bar.gfn, bar.mfn, bar.pages, true);
	if (rc < 0)
		return rc;
	p->bar[p->bar_count++] = bar;
	return 0;
}

void device_forget(struct memory_private *p)
{
	free(p->bar);
	p->bar = NULL;
	p->bar_count = p->bar_room = 0;
}
