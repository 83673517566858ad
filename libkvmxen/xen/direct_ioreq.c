/* The ioreq server of a domain, and its page. */
#include "libkvmxen/xen/direct_private.h"

#include <stdlib.h>
#include <sys/mman.h>

#include <xen/memory.h>

/* A mapped ioreq page; libxenforeignmemory wants its own handle back to unmap it. */
struct direct_resource {
	struct direct_resource *next;
	void *page;
	xenforeignmemory_resource_handle *handle;
};

int direct_ioreq_server_create(struct device *dev, uint16_t domid, uint16_t *server)
{
	return direct_result(xendevicemodel_create_ioreq_server(direct_device(dev)->dm, domid,
								HVM_IOREQSRV_BUFIOREQ_OFF, server));
}

int direct_ioreq_server_destroy(struct device *dev, uint16_t domid, uint16_t server)
{
	return direct_result(
		xendevicemodel_destroy_ioreq_server(direct_device(dev)->dm, domid, server));
}

int direct_ioreq_server_map(struct device *dev, uint16_t domid, uint16_t server,
			    struct shared_iopage **page)
{
	struct direct_device *direct = direct_device(dev);
	struct direct_resource *resource;
	int rc;

	resource = calloc(1, sizeof(*resource));
	if (!resource)
		return -ENOMEM;
	resource->handle =
		xenforeignmemory_map_resource(direct->fmem, domid, XENMEM_resource_ioreq_server,
					      server, XENMEM_resource_ioreq_server_frame_ioreq(0),
					      1, &resource->page, PROT_READ | PROT_WRITE, 0);
	if (!resource->handle) {
		rc = direct_result(-1);
		free(resource);
		return rc;
	}
	pthread_mutex_lock(&direct->lock);
	resource->next = direct->resources;
	direct->resources = resource;
	pthread_mutex_unlock(&direct->lock);
	*page = resource->page;
	return 0;
}

int direct_ioreq_server_unmap(struct device *dev, struct shared_iopage *page)
{
	struct direct_device *direct = direct_device(dev);
	struct direct_resource **link, *resource;
	int r;

	pthread_mutex_lock(&direct->lock);
	for (link = &direct->resources; *link && (*link)->page != page; link = &(*link)->next)
		;
	resource = *link;
	if (resource)
		*link = resource->next;
	pthread_mutex_unlock(&direct->lock);
	if (!resource)
		return -EINVAL;
	r = direct_result(xenforeignmemory_unmap_resource(direct->fmem, resource->handle));
	free(resource);
	return r;
}

/* libxendevicemodel claims one PCI function at a time, of the 65536; Xen takes the range. */
static int claim_pci(struct direct_device *direct, uint16_t domid, uint16_t server, uint64_t start,
		     uint64_t end)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_map_io_range_to_ioreq_server,
		.u.map_io_range_to_ioreq_server =
			{
				.id = server,
				.type = XEN_DMOP_IO_RANGE_PCI,
				.start = start,
				.end = end,
			},
	};

	return direct_dm_op(direct, domid, &op, NULL, 0);
}

int direct_ioreq_server_claim(struct device *dev, uint16_t domid, uint16_t server,
			      enum io_space space, uint64_t start, uint64_t end)
{
	struct direct_device *direct = direct_device(dev);

	if (space == IO_SPACE_PCI)
		return claim_pci(direct, domid, server, start, end);
	return direct_result(xendevicemodel_map_io_range_to_ioreq_server(
		direct->dm, domid, server, space == IO_SPACE_MEMORY, start, end));
}

int direct_ioreq_server_enable(struct device *dev, uint16_t domid, uint16_t server, bool on)
{
	return direct_result(
		xendevicemodel_set_ioreq_server_state(direct_device(dev)->dm, domid, server, on));
}
