/* A dm_op of our own making, for what libxendevicemodel cannot do. */
#include "libkvmxen/xen/direct_private.h"

#include <sys/ioctl.h>

#include <xen/sys/privcmd.h>

int direct_dm_op(struct direct_device *direct, uint16_t domid, struct xen_dm_op *op, void *buf,
		 size_t size)
{
	struct privcmd_dm_op_buf bufs[] = {
		{.uptr = op, .size = sizeof(*op)},
		{.uptr = buf, .size = size},
	};
	struct privcmd_dm_op call = {.dom = domid, .num = buf ? 2 : 1, .ubufs = bufs};

	/* Linux 6.1's privcmd overruns its array of pages for an empty buffer at the start of a
	 * page: the memory of dom0's kernel is corrupt from then on. */
	if (buf && !size)
		return -EINVAL;
	return direct_result(ioctl(direct->privcmd, IOCTL_PRIVCMD_DM_OP, &call));
}
