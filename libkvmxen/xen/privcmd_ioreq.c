/* The ioreq server of a domain, and its page. */
#include "libkvmxen/xen/privcmd.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>
#include <xen/sys/privcmd.h>

_Static_assert(IO_SPACE_PORT == XEN_DMOP_IO_RANGE_PORT &&
		       IO_SPACE_MEMORY == XEN_DMOP_IO_RANGE_MEMORY &&
		       IO_SPACE_PCI == XEN_DMOP_IO_RANGE_PCI,
	       "Xen's numbers");

int privcmd_ioreq_server_create(struct device *dev, uint16_t domid, uint16_t *server)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_create_ioreq_server,
		.u.create_ioreq_server = {.handle_bufioreq = HVM_IOREQSRV_BUFIOREQ_OFF},
	};
	int rc = privcmd_dm_op(dev, domid, &op, NULL, 0);

	if (rc < 0)
		return rc;
	*server = op.u.create_ioreq_server.id;
	return 0;
}

int privcmd_ioreq_server_destroy(struct device *dev, uint16_t domid, uint16_t server)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_destroy_ioreq_server,
		.u.destroy_ioreq_server = {.id = server},
	};

	return privcmd_dm_op(dev, domid, &op, NULL, 0);
}

int privcmd_ioreq_server_map(struct device *dev, uint16_t domid, uint16_t server,
			     struct shared_iopage **page)
{
	const struct privcmd_device *privcmd = (const struct privcmd_device *)dev;
	struct privcmd_mmap_resource call = {
		.dom = domid,
		.type = XENMEM_resource_ioreq_server,
		.id = server,
		.idx = XENMEM_resource_ioreq_server_frame_ioreq(0),
		.num = 1,
	};
	int fd = privcmd->fd(privcmd, domid), rc;
	void *at;

	if (fd < 0)
		return fd;
	at = mmap(NULL, XC_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	call.addr = (uintptr_t)at;
	if (ioctl(fd, IOCTL_PRIVCMD_MMAP_RESOURCE, &call) < 0) {
		rc = -errno;
		munmap(at, XC_PAGE_SIZE);
		return rc;
	}
	*page = at;
	return 0;
}

int privcmd_ioreq_server_unmap(struct device *dev, struct shared_iopage *page)
{
	return munmap(page, XC_PAGE_SIZE) < 0 ? -errno : 0;
}

int privcmd_ioreq_server_claim(struct device *dev, uint16_t domid, uint16_t server,
			       enum io_space space, uint64_t start, uint64_t end)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_map_io_range_to_ioreq_server,
		.u.map_io_range_to_ioreq_server = {.id = server,
						   .type = space,
						   .start = start,
						   .end = end},
	};

	return privcmd_dm_op(dev, domid, &op, NULL, 0);
}

int privcmd_ioreq_server_enable(struct device *dev, uint16_t domid, uint16_t server, bool on)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_set_ioreq_server_state,
		.u.set_ioreq_server_state = {.id = server, .enabled = on},
	};

	return privcmd_dm_op(dev, domid, &op, NULL, 0);
}
