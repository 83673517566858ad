#include "libkvmxen/xen/privcmd.h"

#include <errno.h>
#include <sys/ioctl.h>

#include <xen/sys/privcmd.h>

#define NO_ERROR_CODE (~0u) /* of XEN_DMOP_inject_event */

int privcmd_dm_op(struct device *dev, uint16_t domid, struct xen_dm_op *op, void *buf, size_t size)
{
	const struct privcmd_device *privcmd = (const struct privcmd_device *)dev;
	struct privcmd_dm_op_buf bufs[] = {
		{.uptr = op, .size = sizeof(*op)},
		{.uptr = buf, .size = size},
	};
	struct privcmd_dm_op call = {.dom = domid, .num = buf ? 2 : 1, .ubufs = bufs};
	int fd = privcmd->fd(privcmd, domid);

	if (fd < 0)
		return fd;
	/* Linux 6.1's privcmd overruns its array of pages for an empty buffer at the start of a
	 * page: the memory of dom0's kernel is corrupt from then on. */
	if (buf && !size)
		return -EINVAL;
	return ioctl(fd, IOCTL_PRIVCMD_DM_OP, &call) < 0 ? -errno : 0;
}

int privcmd_isa_irq_set(struct device *dev, uint16_t domid, uint8_t irq, bool level)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_set_isa_irq_level,
		.u.set_isa_irq_level = {.isa_irq = irq, .level = level},
	};

	return privcmd_dm_op(dev, domid, &op, NULL, 0);
}

int privcmd_pci_intx_set(struct device *dev, uint16_t domid, uint8_t device, uint8_t intx,
			 bool level)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_set_pci_intx_level,
		.u.set_pci_intx_level = {.device = device, .intx = intx, .level = level},
	};

	return privcmd_dm_op(dev, domid, &op, NULL, 0);
}

int privcmd_pci_link_route(struct device *dev, uint16_t domid, uint8_t link, uint8_t irq)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_set_pci_link_route,
		.u.set_pci_link_route = {.link = link, .isa_irq = irq},
	};

	return privcmd_dm_op(dev, domid, &op, NULL, 0);
}

int privcmd_event_inject(struct device *dev, uint16_t domid, uint32_t vcpu, uint8_t vector,
			 uint8_t type, uint8_t length)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_inject_event,
		.u.inject_event = {.vcpuid = vcpu,
				   .vector = vector,
				   .type = type,
				   .insn_len = length,
				   .error_code = NO_ERROR_CODE},
	};

	return privcmd_dm_op(dev, domid, &op, NULL, 0);
}

int privcmd_msi_inject(struct device *dev, uint16_t domid, uint64_t address, uint32_t data)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_inject_msi,
		.u.inject_msi = {.addr = address, .data = data},
	};

	return privcmd_dm_op(dev, domid, &op, NULL, 0);
}
