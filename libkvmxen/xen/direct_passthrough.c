/*
 * Passthrough: devices of the host for a domain.
 *
 * Xen gives a domain's devices to DOMID_IO when the domain dies (its quarantine), where dom0 cannot
 * use them for DMA. So what a domain has is written down in xenstore, beside the domain and not
 * below it, for whoever destroys it: the janitor too.
 */
#include "libkvmxen/xen/direct_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/domctl.h>
#include <xenstore.h>

#include "libkvmxen/xen/host_pci.h"

/* Fields of an MSI: address bits, data bits; and of XEN_DOMCTL_bind_pt_irq's gflags. */
#define ADDRESS_DEST_SHIFT 12
#define ADDRESS_RH         (1u << 3)
#define ADDRESS_DM         (1u << 2)
#define DATA_VECTOR        0xffu
#define DATA_MODE_SHIFT    8
#define DATA_MODE          7u
#define DATA_LEVEL         (1u << 15)
#define GFLAGS_MODE_SHIFT  12

#define ANY_IRQ (-1)

int direct_host_iommu(struct control *ctl)
{
	xc_physinfo_t info = {0};
	int rc = direct_result(xc_physinfo(direct_xc(ctl), &info));

	return rc < 0 ? rc : !!(info.capabilities & XEN_SYSCTL_PHYSCAP_directio);
}

/* --- what a domain has --- */

static void path_of(char path[64], uint16_t domid, uint32_t sbdf)
{
	snprintf(path, 64, "/kvmxen/devices/%u/%08x", domid, sbdf);
}

static int note(uint16_t domid, uint32_t sbdf, const char *value)
{
	struct xs_handle *xs = xs_open(0);
	char path[64];
	bool ok;

	if (!xs)
		return direct_result(-1);
	path_of(path, domid, sbdf);
	ok = value ? xs_write(xs, XBT_NULL, path, value, strlen(value)) : xs_rm(xs, XBT_NULL, path);
	xs_close(xs);
	return ok || !value ? 0 : direct_result(-1);
}

/* --- devices --- */

/* Is it set aside for guests? Then it is DOMID_IO's no more. */
static bool take_from_aside(xc_interface *xc, uint32_t sbdf)
{
	return xc_deassign_device(xc, DOMID_IO, sbdf) == 0;
}

int direct_device_test(struct control *ctl, uint32_t sbdf)
{
	return direct_result(xc_test_assign_device(direct_xc(ctl), DOMID_INVALID, sbdf));
}

int direct_device_assign(struct control *ctl, uint16_t domid, uint32_t sbdf)
{
	xc_interface *xc = direct_xc(ctl);
	bool aside = take_from_aside(xc, sbdf);
	int rc = note(domid, sbdf, aside ? "aside" : "dom0");

	if (rc == 0)
		rc = direct_result(xc_assign_device(xc, domid, sbdf, 0));
	if (rc < 0) {
		note(domid, sbdf, NULL);
		if (aside)
			xc_assign_device(xc, DOMID_IO, sbdf, 0);
		return rc;
	}
	return aside;
}

int direct_device_deassign(struct control *ctl, uint16_t domid, uint32_t sbdf, bool aside)
{
	xc_interface *xc = direct_xc(ctl);
	int rc, back = 0;

	rc = direct_result(xc_deassign_device(xc, domid, sbdf));
	/* Now it is in quarantine, also when the domain had died before; but for Xen's
	 * iommu=no-quarantine. */
	if (!aside)
		back = direct_result(xc_deassign_device(xc, DOMID_IO, sbdf));
	if (rc == 0 || back == 0)
		note(domid, sbdf, NULL);
	return rc == 0 || (!aside && back == 0) ? 0 : rc;
}

void direct_devices_give_back(struct control *ctl, uint16_t domid)
{
	struct xs_handle *xs = xs_open(0);
	char dir[64], path[128];
	unsigned n, length;
	char **names;

	if (!xs)
		return;
	snprintf(dir, sizeof dir, "/kvmxen/devices/%u", domid);
	names = xs_directory(xs, XBT_NULL, dir, &n);
	for (unsigned i = 0; names && i < n; i++) {
		char *value;

		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		value = xs_read(xs, XBT_NULL, path, &length);
		if (value) {
			host_pci_quiet(strtoul(names[i], NULL, 16));
			direct_device_deassign(ctl, domid, strtoul(names[i], NULL, 16),
					       strcmp(value, "aside") == 0);
		}
		free(value);
	}
	if (names)
		xs_rm(xs, XBT_NULL, dir);
	free(names);
	xs_close(xs);
}

int direct_device_map(struct control *ctl, uint16_t domid, uint64_t gfn, uint64_t mfn,
		      uint64_t pages, bool on)
{
	xc_interface *xc = direct_xc(ctl);
	int rc = 0;

	if (on)
		rc = direct_result(xc_domain_iomem_permission(xc, domid, mfn, pages, 1));
	if (rc == 0)
		rc = direct_result(xc_domain_memory_mapping(
			xc, domid, gfn, mfn, pages, on ? DPCI_ADD_MAPPING : DPCI_REMOVE_MAPPING));
	return rc;
}

/* --- interrupts --- */

static uint32_t gflags(const struct device_irq *irq)
{
	uint32_t flags = irq->address >> ADDRESS_DEST_SHIFT & XEN_DOMCTL_VMSI_X86_DEST_ID_MASK;

	if (irq->address & ADDRESS_RH)
		flags |= XEN_DOMCTL_VMSI_X86_RH_MASK;
	if (irq->address & ADDRESS_DM)
		flags |= XEN_DOMCTL_VMSI_X86_DM_MASK;
	if (irq->data & DATA_LEVEL)
		flags |= XEN_DOMCTL_VMSI_X86_TRIG_MASK;
	/* KVM's interface has no way to mask one. */
	return flags | (irq->data >> DATA_MODE_SHIFT & DATA_MODE) << GFLAGS_MODE_SHIFT |
	       XEN_DOMCTL_VMSI_X86_UNMASKED;
}

static int map_pirq(xc_interface *xc, uint16_t domid, struct device_irq *irq)
{
	int pirq = irq->kind == DEVICE_INTX ? (int)irq->gsi : ANY_IRQ, rc;

	if (irq->kind == DEVICE_INTX)
		rc = xc_physdev_map_pirq(xc, domid, irq->gsi, &pirq);
	else if (irq->sbdf >> 16)
		return -EOPNOTSUPP;
	else
		rc = xc_physdev_map_pirq_msi(xc, domid, ANY_IRQ, &pirq, irq->sbdf & 0xff,
					     irq->sbdf >> 8 & 0xff, irq->entry,
					     irq->kind == DEVICE_MSIX ? irq->table : 0);
	if (rc < 0)
		return direct_result(rc);
	irq->pirq = pirq;
	return 0;
}

int direct_device_irq_bind(struct control *ctl, uint16_t domid, struct device_irq *irq)
{
	xc_interface *xc = direct_xc(ctl);
	bool fresh = irq->pirq < 0;
	int rc = fresh ? map_pirq(xc, domid, irq) : 0;

	if (rc < 0)
		return rc;
	if (irq->kind == DEVICE_INTX)
		rc = xc_domain_bind_pt_pci_irq(xc, domid, irq->pirq, 0, irq->device, irq->intx);
	else
		rc = xc_domain_update_msi_irq(xc, domid, irq->data & DATA_VECTOR, irq->pirq,
					      gflags(irq), 0);
	rc = direct_result(rc);
	if (rc < 0 && fresh) {
		xc_physdev_unmap_pirq(xc, domid, irq->pirq);
		irq->pirq = -1;
	}
	return rc;
}

int direct_device_irq_unbind(struct control *ctl, uint16_t domid, struct device_irq *irq)
{
	xc_interface *xc = direct_xc(ctl);
	int rc;

	if (irq->kind == DEVICE_INTX)
		rc = xc_domain_unbind_pt_irq(xc, domid, irq->pirq, PT_IRQ_TYPE_PCI, 0, irq->device,
					     irq->intx, 0);
	else
		rc = xc_domain_unbind_msi_irq(xc, domid, irq->data & DATA_VECTOR, irq->pirq,
					      gflags(irq));
	rc = direct_result(rc);
	xc_physdev_unmap_pirq(xc, domid, irq->pirq);
	irq->pirq = -1;
	return rc < 0 ? rc : 0;
}
