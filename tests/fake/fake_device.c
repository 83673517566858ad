/* struct device_ops: each member counts, may be made to fail, and finds its domain. */
#include "tests/fake/internal.h"

#define CALL(op, expression)                                                                       \
	int rc = fake_call_begin(OP_##op);                                                         \
	return fake_call_end(rc ? rc : (expression))

#define CALL_DOMAIN(op, expression)                                                                \
	int rc = fake_call_begin(OP_##op);                                                         \
	struct domain *d = xen_domain_find(domid);                                                 \
	return fake_call_end(rc ? rc : d ? (expression) : -ESRCH)

static int op_server_create(struct device *dev, uint16_t domid, uint16_t *server)
{
	CALL_DOMAIN(ioreq_server_create, xen_server_create(d, server));
}

static int op_server_destroy(struct device *dev, uint16_t domid, uint16_t server)
{
	CALL_DOMAIN(ioreq_server_destroy, xen_server_destroy(d, server));
}

static int op_server_map(struct device *dev, uint16_t domid, uint16_t server,
			 struct shared_iopage **page)
{
	CALL_DOMAIN(ioreq_server_map, xen_server_map(d, server, page));
}

static int op_server_unmap(struct device *dev, struct shared_iopage *page)
{
	CALL(ioreq_server_unmap, xen_server_unmap(page));
}

static int op_server_claim(struct device *dev, uint16_t domid, uint16_t server, enum io_space space,
			   uint64_t start, uint64_t end)
{
	CALL_DOMAIN(ioreq_server_claim, xen_server_claim(d, server, space, start, end));
}

static int op_server_enable(struct device *dev, uint16_t domid, uint16_t server, bool on)
{
	CALL_DOMAIN(ioreq_server_enable, xen_server_enable(d, server, on));
}

static int op_populate(struct device *dev, uint16_t domid, unsigned order, size_t n,
		       const uint64_t *gfns)
{
	CALL_DOMAIN(mem_populate, xen_memory_populate(d, order, n, gfns));
}

static int op_release(struct device *dev, uint16_t domid, size_t n, const uint64_t *gfns)
{
	CALL_DOMAIN(mem_release, xen_memory_release(d, n, gfns));
}

static int op_relocate(struct device *dev, uint16_t domid, uint64_t src, uint64_t dst, uint32_t n)
{
	CALL_DOMAIN(mem_relocate, xen_memory_relocate(d, src, dst, n));
}

static int op_set_type(struct device *dev, uint16_t domid, enum mem_type type, uint64_t gfn,
		       uint32_t n)
{
	CALL_DOMAIN(mem_set_type, xen_memory_set_type(d, type, gfn, n));
}

static int op_type_to_server(struct device *dev, uint16_t domid, uint16_t server, bool on)
{
	CALL_DOMAIN(mem_type_to_server, xen_memory_type_to_server(d, server, on));
}

static int op_modified(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n)
{
	CALL_DOMAIN(mem_modified, xen_dirty_modified(d, gfn, n));
}

static int op_track_vram(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n,
			 uint8_t *bitmap)
{
	CALL_DOMAIN(mem_track_vram, xen_dirty_track_vram(d, gfn, n, bitmap));
}

static int op_map(struct device *dev, uint16_t domid, void *addr, int prot, size_t n,
		  const uint64_t *gfns, void **out)
{
	CALL_DOMAIN(mem_map, xen_map_create(d, addr, prot, n, gfns, out));
}

static int op_unmap(struct device *dev, void *addr, size_t n)
{
	CALL(mem_unmap, xen_map_remove(addr, n));
}

static int op_isa_irq(struct device *dev, uint16_t domid, uint8_t irq, bool level)
{
	CALL_DOMAIN(isa_irq_set, xen_isa_irq_set(d, irq, level));
}

static int op_pci_intx(struct device *dev, uint16_t domid, uint8_t device, uint8_t intx, bool level)
{
	CALL_DOMAIN(pci_intx_set, xen_pci_intx_set(d, device, intx, level));
}

static int op_pci_link(struct device *dev, uint16_t domid, uint8_t link, uint8_t irq)
{
	CALL_DOMAIN(pci_link_route, xen_pci_link_route(d, link, irq));
}

static int op_msi(struct device *dev, uint16_t domid, uint64_t address, uint32_t data)
{
	CALL_DOMAIN(msi_inject, xen_msi_inject(d, address, data));
}

static int op_event(struct device *dev, uint16_t domid, uint32_t vcpu, uint8_t vector, uint8_t type,
		    uint8_t length)
{
	CALL_DOMAIN(event_inject, xen_event_inject(d, vcpu, vector, type));
}

static int op_param_set(struct device *dev, uint16_t domid, uint32_t param, uint64_t value)
{
	CALL_DOMAIN(hvm_param_set, xen_param_set(d, param, value));
}

static int op_param_get(struct device *dev, uint16_t domid, uint32_t param, uint64_t *value)
{
	CALL_DOMAIN(hvm_param_get, xen_param_get(d, param, value));
}

static int op_evtchn_open(struct device *dev, uint16_t domid, struct event_channels **out)
{
	CALL(evtchn_open, xen_evtchn_open(domid, out));
}

static void op_evtchn_close(struct event_channels *evtchn)
{
	fake_call_begin(OP_evtchn_close);
	xen_evtchn_close(evtchn);
	fake_call_end(0);
}

static int op_evtchn_fd(struct event_channels *evtchn)
{
	CALL(evtchn_fd, xen_evtchn_fd(evtchn));
}

static int bind_offer(struct event_channels *evtchn, uint32_t remote)
{
	CALL(evtchn_bind, xen_evtchn_bind_offer(evtchn, remote));
}

/* dom0 and stub domains are no domains of the fake. */
static bool is_guest(uint16_t domid)
{
	bool is;

	fake_lock();
	is = xen_domain_any(domid);
	fake_unlock();
	return is;
}

static int op_evtchn_bind(struct event_channels *evtchn, uint16_t domid, uint32_t remote)
{
	if (!is_guest(domid)) {
		int rc = bind_offer(evtchn, remote);

		return rc == -EINVAL && domid != 0 ? -ESRCH : rc;
	}
	CALL_DOMAIN(evtchn_bind, xen_evtchn_bind(evtchn, d, remote));
}

static int op_evtchn_offer(struct event_channels *evtchn, uint16_t domid)
{
	CALL(evtchn_offer, xen_evtchn_offer(evtchn));
}

static int op_evtchn_unbind(struct event_channels *evtchn, uint32_t local)
{
	CALL(evtchn_unbind, xen_evtchn_unbind(evtchn, local));
}

static int op_evtchn_notify(struct event_channels *evtchn, uint32_t local)
{
	CALL(evtchn_notify, xen_evtchn_notify(evtchn, local));
}

static int op_evtchn_take(struct event_channels *evtchn)
{
	CALL(evtchn_take, xen_evtchn_take(evtchn));
}

static int op_evtchn_unmask(struct event_channels *evtchn, uint32_t local)
{
	CALL(evtchn_unmask, xen_evtchn_unmask(evtchn, local));
}

/* The pair is static: one serves the whole process. */
static void op_close(struct device *dev)
{
	fake_call_begin(OP_device_close);
	fake_call_end(0);
}

const struct device_ops fake_device_ops = {
	.ioreq_server_create = op_server_create,
	.ioreq_server_destroy = op_server_destroy,
	.ioreq_server_map = op_server_map,
	.ioreq_server_unmap = op_server_unmap,
	.ioreq_server_claim = op_server_claim,
	.ioreq_server_enable = op_server_enable,
	.mem_populate = op_populate,
	.mem_release = op_release,
	.mem_relocate = op_relocate,
	.mem_set_type = op_set_type,
	.mem_type_to_server = op_type_to_server,
	.mem_modified = op_modified,
	.mem_track_vram = op_track_vram,
	.mem_map = op_map,
	.mem_unmap = op_unmap,
	.isa_irq_set = op_isa_irq,
	.pci_intx_set = op_pci_intx,
	.pci_link_route = op_pci_link,
	.msi_inject = op_msi,
	.event_inject = op_event,
	.hvm_param_set = op_param_set,
	.hvm_param_get = op_param_get,
	.evtchn_open = op_evtchn_open,
	.evtchn_close = op_evtchn_close,
	.evtchn_fd = op_evtchn_fd,
	.evtchn_bind = op_evtchn_bind,
	.evtchn_offer = op_evtchn_offer,
	.evtchn_unbind = op_evtchn_unbind,
	.evtchn_notify = op_evtchn_notify,
	.evtchn_take = op_evtchn_take,
	.evtchn_unmask = op_evtchn_unmask,
	.close = op_close,
};
