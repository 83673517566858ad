/*
 * privcmd: the device plane on a descriptor of /dev/xen/privcmd, with plain ioctls of Linux.
 *
 * A descriptor serves every domain, or was restricted to one (IOCTL_PRIVCMD_RESTRICT). A restricted
 * one does dm_ops on that domain and maps its memory, and refuses plain hypercalls: what needs one
 * (populating and releasing memory, HVM parameters) is the business of whoever embeds a struct
 * privcmd_device: direct_device.c, which asks Xen itself, and broker_device.c, which asks the
 * broker. Xen's own libraries open their descriptor themselves and cannot be given one.
 *
 * The functions are operations of struct device_ops; see device.h.
 */
#ifndef KVMXEN_XEN_PRIVCMD_H
#define KVMXEN_XEN_PRIVCMD_H

#include <xenctrl.h>
#include <xen/hvm/dm_op.h>

#include "libkvmxen/xen/device.h"

struct privcmd_device {
	struct device base; /* first: a struct device * is a struct privcmd_device * */
	/* The descriptor for a domain, or -errno. */
	int (*fd)(const struct privcmd_device *dev, uint16_t domid);
};

/* A dm_op with an optional buffer, which is never empty nor in foreign memory. */
int privcmd_dm_op(struct device *dev, uint16_t domid, struct xen_dm_op *op, void *buf, size_t size);

int privcmd_ioreq_server_create(struct device *dev, uint16_t domid, uint16_t *server);
int privcmd_ioreq_server_destroy(struct device *dev, uint16_t domid, uint16_t server);
int privcmd_ioreq_server_map(struct device *dev, uint16_t domid, uint16_t server,
			     struct shared_iopage **page);
int privcmd_ioreq_server_unmap(struct device *dev, struct shared_iopage *page);
int privcmd_ioreq_server_claim(struct device *dev, uint16_t domid, uint16_t server,
			       enum io_space space, uint64_t start, uint64_t end);
int privcmd_ioreq_server_enable(struct device *dev, uint16_t domid, uint16_t server, bool on);

int privcmd_mem_relocate(struct device *dev, uint16_t domid, uint64_t src, uint64_t dst,
			 uint32_t n);
int privcmd_mem_set_type(struct device *dev, uint16_t domid, enum mem_type type, uint64_t gfn,
			 uint32_t n);
int privcmd_mem_type_to_server(struct device *dev, uint16_t domid, uint16_t server, bool on);
int privcmd_mem_modified(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n);
int privcmd_mem_track_vram(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n,
			   uint8_t *bitmap);
int privcmd_mem_map(struct device *dev, uint16_t domid, void *addr, int prot, size_t n,
		    const uint64_t *gfns, void **out);
int privcmd_mem_unmap(struct device *dev, void *addr, size_t n);

int privcmd_isa_irq_set(struct device *dev, uint16_t domid, uint8_t irq, bool level);
int privcmd_pci_intx_set(struct device *dev, uint16_t domid, uint8_t device, uint8_t intx,
			 bool level);
int privcmd_pci_link_route(struct device *dev, uint16_t domid, uint8_t link, uint8_t irq);
int privcmd_msi_inject(struct device *dev, uint16_t domid, uint64_t address, uint32_t data);
int privcmd_event_inject(struct device *dev, uint16_t domid, uint32_t vcpu, uint8_t vector,
			 uint8_t type, uint8_t length);

/* The rows of a table that are the same for all. */
#define PRIVCMD_DEVICE_OPS                                                                         \
	.ioreq_server_create = privcmd_ioreq_server_create,                                        \
	.ioreq_server_destroy = privcmd_ioreq_server_destroy,                                      \
	.ioreq_server_map = privcmd_ioreq_server_map,                                              \
	.ioreq_server_unmap = privcmd_ioreq_server_unmap,                                          \
	.ioreq_server_claim = privcmd_ioreq_server_claim,                                          \
	.ioreq_server_enable = privcmd_ioreq_server_enable, .mem_relocate = privcmd_mem_relocate,  \
	.mem_set_type = privcmd_mem_set_type, .mem_type_to_server = privcmd_mem_type_to_server,    \
	.mem_modified = privcmd_mem_modified, .mem_track_vram = privcmd_mem_track_vram,            \
	.mem_map = privcmd_mem_map, .mem_unmap = privcmd_mem_unmap,                                \
	.isa_irq_set = privcmd_isa_irq_set, .pci_intx_set = privcmd_pci_intx_set,                  \
	.pci_link_route = privcmd_pci_link_route, .msi_inject = privcmd_msi_inject,                \
	.event_inject = privcmd_event_inject, .evtchn_close = evtchn_close,                        \
	.evtchn_fd = evtchn_fd, .evtchn_bind = evtchn_bind, .evtchn_offer = evtchn_offer,          \
	.evtchn_unbind = evtchn_unbind, .evtchn_notify = evtchn_notify, .notifies_by_fd = true,    \
	.evtchn_take = evtchn_take, .evtchn_unmask = evtchn_unmask, .evtchn_wait = evtchn_wait

/* --- event channels: evtchn.c --- */

/* A set on a descriptor of /dev/xen/evtchn, or on one opened here when fd is negative. The set owns
 * fd, also on failure. */
int evtchn_open(int fd, struct event_channels **out);
void evtchn_close(struct event_channels *evtchn);
int evtchn_fd(struct event_channels *evtchn);
int evtchn_bind(struct event_channels *evtchn, uint16_t domid, uint32_t remote);
int evtchn_offer(struct event_channels *evtchn, uint16_t domid);
int evtchn_unbind(struct event_channels *evtchn, uint32_t local);
int evtchn_notify(struct event_channels *evtchn, uint32_t local);
int evtchn_take(struct event_channels *evtchn);
int evtchn_unmask(struct event_channels *evtchn, uint32_t local);
int evtchn_wait(struct event_channels *evtchn, uint32_t unmask, const volatile uint8_t *gate,
		unsigned timeout_ms);

#endif
