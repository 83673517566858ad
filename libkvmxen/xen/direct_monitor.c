/* The CPUID monitor: a vm_event ring in a frame that is the guest's for a moment. */
#include "libkvmxen/xen/direct_private.h"

#include <string.h>

#include <xen/hvm/params.h>
#include <xen/io/ring.h>
#include <xen/vm_event.h>

int direct_monitor_open(struct control *ctl, uint16_t domid, uint64_t gfn, void **ring,
			uint32_t *port)
{
	xc_interface *xc = direct_xc(ctl);
	vm_event_sring_t *shared;
	int rc;

	rc = direct_result(xc_hvm_param_set(xc, domid, HVM_PARAM_MONITOR_RING_PFN, gfn));
	if (rc < 0)
		return rc;
	/* Populates the frame, maps it, takes it from the guest again. */
	shared = xc_monitor_enable(xc, domid, port);
	if (!shared)
		return direct_result(-1);
	/* Before the first event can be there: nothing is monitored yet. */
	SHARED_RING_INIT(shared);
	rc = direct_result(xc_monitor_cpuid(xc, domid, true));
	if (rc < 0) {
		xc_monitor_disable(xc, domid);
		xenforeignmemory_unmap(xc_interface_fmem_handle(xc), shared, 1);
		return rc;
	}
	*ring = shared;
	return 0;
}

int direct_monitor_debug(struct control *ctl, uint16_t domid, bool on)
{
	xc_interface *xc = direct_xc(ctl);
	int rc = direct_result(xc_monitor_software_breakpoint(xc, domid, on));

	if (rc < 0)
		return rc;
	rc = direct_result(xc_monitor_debug_exceptions(xc, domid, on, true));
	if (rc < 0 && on)
		xc_monitor_software_breakpoint(xc, domid, false);
	return rc;
}

int direct_monitor_close(struct control *ctl, uint16_t domid, void *ring)
{
	xc_interface *xc = direct_xc(ctl);
	int cpuid, disable, unmap;

	/* A domain that is gone has no monitor, but the page is still ours. */
	cpuid = direct_result(xc_monitor_cpuid(xc, domid, false));
	disable = direct_result(xc_monitor_disable(xc, domid));
	unmap = ring ? direct_result(xenforeignmemory_unmap(xc_interface_fmem_handle(xc), ring, 1))
		     : 0;
	return cpuid < 0 ? cpuid : disable < 0 ? disable : unmap;
}
