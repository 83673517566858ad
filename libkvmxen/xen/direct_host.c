/* The host itself. */
#include "libkvmxen/xen/direct_private.h"

int direct_host_tsc_khz(struct control *ctl, uint32_t *khz)
{
	xc_physinfo_t info = {0};
	int rc = direct_result(xc_physinfo(direct_xc(ctl), &info));

	if (rc == 0)
		*khz = info.cpu_khz;
	return rc;
}
