/* The direct device plane: opening it, its table, and what is one call: lines, MSIs, parameters. */
#include "libkvmxen/xen/direct_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "libkvmxen/xen/xen.h"

static int isa_irq_set(struct device *dev, uint16_t domid, uint8_t irq, bool level)
{
	return direct_result(
		xendevicemodel_set_isa_irq_level(direct_device(dev)->dm, domid, irq, level));
}

static int pci_intx_set(struct device *dev, uint16_t domid, uint8_t device, uint8_t intx,
			bool level)
{
	return direct_result(xendevicemodel_set_pci_intx_level(direct_device(dev)->dm, domid, 0, 0,
							       device, intx, level));
}

static int pci_link_route(struct device *dev, uint16_t domid, uint8_t link, uint8_t irq)
{
	return direct_result(
		xendevicemodel_set_pci_link_route(direct_device(dev)->dm, domid, link, irq));
}

static int msi_inject(struct device *dev, uint16_t domid, uint64_t address, uint32_t data)
{
	return direct_result(
		xendevicemodel_inject_msi(direct_device(dev)->dm, domid, address, data));
}

static int hvm_param_set(struct device *dev, uint16_t domid, uint32_t param, uint64_t value)
{
	return direct_result(xc_hvm_param_set(direct_device(dev)->xc, domid, param, value));
}

static int hvm_param_get(struct device *dev, uint16_t domid, uint32_t param, uint64_t *value)
{
	return direct_result(xc_hvm_param_get(direct_device(dev)->xc, domid, param, value));
}

static void device_close(struct device *dev)
{
	struct direct_device *direct = direct_device(dev);

	xc_interface_close(direct->xc);
	close(direct->privcmd);
	pthread_mutex_destroy(&direct->lock);
	free(direct);
}

static const struct device_ops direct_device_ops = {
	.ioreq_server_create = direct_ioreq_server_create,
	.ioreq_server_destroy = direct_ioreq_server_destroy,
	.ioreq_server_map = direct_ioreq_server_map,
	.ioreq_server_unmap = direct_ioreq_server_unmap,
	.ioreq_server_claim = direct_ioreq_server_claim,
	.ioreq_server_enable = direct_ioreq_server_enable,
	.mem_populate = direct_mem_populate,
	.mem_release = direct_mem_release,
	.mem_relocate = direct_mem_relocate,
	.mem_set_type = direct_mem_set_type,
	.mem_type_to_server = direct_mem_type_to_server,
	.mem_modified = direct_mem_modified,
	.mem_track_vram = direct_mem_track_vram,
	.mem_map = direct_mem_map,
	.mem_unmap = direct_mem_unmap,
	.isa_irq_set = isa_irq_set,
	.pci_intx_set = pci_intx_set,
	.pci_link_route = pci_link_route,
	.msi_inject = msi_inject,
	.hvm_param_set = hvm_param_set,
	.hvm_param_get = hvm_param_get,
	.evtchn_open = direct_evtchn_open,
	.evtchn_close = direct_evtchn_close,
	.evtchn_fd = direct_evtchn_fd,
	.evtchn_bind = direct_evtchn_bind,
	.evtchn_unbind = direct_evtchn_unbind,
	.evtchn_notify = direct_evtchn_notify,
	.evtchn_take = direct_evtchn_take,
	.evtchn_unmask = direct_evtchn_unmask,
	.close = device_close,
};

int direct_device_open(struct device **dev)
{
	struct direct_device *direct;
	int rc;

	direct = calloc(1, sizeof(*direct));
	if (!direct)
		return -ENOMEM;
	direct->privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	if (direct->privcmd < 0) {
		rc = -errno;
		goto out_free;
	}
	rc = direct_xc_open(&direct->xc);
	if (rc)
		goto out_close;
	direct->dm = xc_interface_dmod_handle(direct->xc);
	direct->fmem = xc_interface_fmem_handle(direct->xc);
	pthread_mutex_init(&direct->lock, NULL);
	direct->base.ops = &direct_device_ops;
	*dev = &direct->base;
	return 0;

out_close:
	close(direct->privcmd);
out_free:
	free(direct);
	return rc;
}
