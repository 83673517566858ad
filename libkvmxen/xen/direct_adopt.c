/* A domain that a toolstack has built becomes the library's: emptied of what it was built with. */
#include "libkvmxen/xen/direct_private.h"

#include <sys/mman.h>

#include <xen/hvm/params.h>

#include "libkvmxen/message.h"
#include "libkvmxen/xen/direct_version.h"
#include "libkvmxen/xen/toolstack.h"

#define FRAMES_AT_ONCE 1024

/* In libxl's layout RAM begins at 0 and goes on at 4 GiB, and its special pages are a little below.
 * Where a frame is, Xen is asked; this only says where to look first. */
#define FOUR_GIB     0x100000ull
#define SPECIAL_FROM (FOUR_GIB - 0x2000)

/* Which of n frames from first on are there: those that can be mapped. */
static int find_frames(xc_interface *xc, uint16_t domid, uint64_t first, unsigned n,
		       xen_pfn_t *found)
{
	xenforeignmemory_handle *fmem = xc_interface_fmem_handle(xc);
	xen_pfn_t gfns[FRAMES_AT_ONCE];
	int errors[FRAMES_AT_ONCE], count = 0;
	void *mapped;

	for (unsigned i = 0; i < n; i++)
		gfns[i] = first + i;
	mapped = xenforeignmemory_map(fmem, domid, PROT_READ, n, gfns, errors);
	if (!mapped)
		return direct_result(-1);
	for (unsigned i = 0; i < n; i++)
		if (errors[i] == 0)
			found[count++] = gfns[i];
	xenforeignmemory_unmap(fmem, mapped, n);
	return count;
}

/* Gives back what of [from, to) is there, until *left frames are gone. */
static int release_range(xc_interface *xc, uint16_t domid, uint64_t from, uint64_t to,
			 uint64_t *left)
{
	xen_pfn_t found[FRAMES_AT_ONCE];

	for (; from < to && *left; from += FRAMES_AT_ONCE) {
		unsigned n = to - from < FRAMES_AT_ONCE ? to - from : FRAMES_AT_ONCE;
		int nfound = find_frames(xc, domid, from, n, found), rc;

		if (nfound < 0)
			return nfound;
		if (nfound == 0)
			continue;
		rc = direct_result(xc_domain_decrease_reservation(xc, domid, nfound, 0, found));
		if (rc < 0)
			return rc;
		if (rc != nfound)
			return -EBUSY;
		*left -= *left < (uint64_t)nfound ? *left : (uint64_t)nfound;
	}
	return 0;
}

/* Nothing lists a domain's frames by gfn: look where they may be, and stop with the last. */
static int release_all(xc_interface *xc, uint16_t domid, uint64_t pages)
{
	xen_pfn_t highest;
	int rc = direct_result(xc_domain_maximum_gpfn(xc, domid, &highest));

	if (rc >= 0)
		rc = release_range(xc, domid, SPECIAL_FROM, FOUR_GIB, &pages);
	if (rc >= 0)
		rc = release_range(xc, domid, 0, SPECIAL_FROM, &pages);
	if (rc >= 0)
		rc = release_range(xc, domid, FOUR_GIB, highest + 1, &pages);
	if (rc >= 0 && pages)
		message_debug("domain %u: %llu of its pages are nowhere in its memory", domid,
			      (unsigned long long)pages);
	return rc < 0 ? rc : 0;
}

/* Populate-on-demand: looking at a page would make it. */
static bool on_demand(xc_interface *xc, uint16_t domid)
{
	uint64_t pages, cache, entries;

	return xc_domain_get_pod_target(xc, domid, &pages, &cache, &entries) == 0 && entries;
}

int direct_domain_adopt(struct control *ctl, uint16_t domid, struct domain_config *found)
{
	/* The rings for PV drivers are gone with the memory: a guest that looks must see none. */
	static const uint32_t none[] = {HVM_PARAM_STORE_PFN, HVM_PARAM_CONSOLE_PFN};
	xc_interface *xc = direct_xc(ctl);
	xc_domaininfo_t info;
	int rc = direct_result(direct_version_domains(xc, domid, 1, &info));

	if (rc < 0)
		return rc;
	if (rc != 1 || info.domain != domid)
		return -ESRCH;
	if (!(info.flags & XEN_DOMINF_paused) || info.cpu_time ||
	    info.flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown))
		return -EBUSY;
	rc = direct_version_config(&info, found);
	if (rc == 0 && on_demand(xc, domid))
		rc = -EOPNOTSUPP;
	if (rc == 0)
		rc = release_all(xc, domid, info.tot_pages);
	for (size_t i = 0; rc == 0 && i < sizeof none / sizeof *none; i++)
		rc = direct_result(xc_hvm_param_set(xc, domid, none[i], 0));
	return rc;
}

int direct_domain_ready(struct control *ctl, uint16_t domid)
{
	return toolstack_ready(domid);
}

int direct_domain_shutdown(struct control *ctl, uint16_t domid, unsigned reason)
{
	if (toolstack_ending(domid))
		return 0;
	return direct_result(xc_domain_shutdown(direct_xc(ctl), domid, reason));
}
