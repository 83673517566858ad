/*
 * device: what kvmxen asks of Xen on the device plane.
 *
 * Every operation here is one that Xen's default policy allows to dom0 and to the device-model
 * domain of a guest alike (stable ABI: dm_op, memory_op, evtchn, hvm params). It is the hot path:
 * an exit is an ioreq page, an event channel and nothing else.
 *
 * Errors: every int result is >= 0 on success and a negative errno otherwise; no operation prints.
 * Threads: operations on one `struct device` may be called from any thread at once. A
 * `struct event_channels` belongs to one thread at a time.
 * Ownership: what an operation hands out is given back by its counterpart named beside it.
 *
 * Implementations: direct in xen/direct_device.c; for a process without privilege, on descriptors
 * that the broker handed out, in xen/broker_device.c; both on xen/privcmd.h; and the strict fake of
 * the unit tests in tests/fake.
 */
#ifndef KVMXEN_XEN_DEVICE_H
#define KVMXEN_XEN_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/ioreq.h>

struct device;         /* one connection to the device plane */
struct event_channels; /* one /dev/xen/evtchn: a set of local ports behind one fd */

/* Address space of an ioreq server's range: XEN_DMOP_IO_RANGE_* of xen/hvm/dm_op.h. */
enum io_space { IO_SPACE_PORT = 0, IO_SPACE_MEMORY = 1, IO_SPACE_PCI = 2 };

/* How a guest may use a frame: HVMMEM_* of xen/hvm/hvm_op.h. */
enum mem_type {
	MEM_RAM_RW = 0,
	MEM_RAM_RO = 1,       /* writes are dropped, silently */
	MEM_IOREQ_SERVER = 4, /* reads are native, writes become ioreqs */
};

struct device_ops {
	/* --- ioreq server (xen/hvm/dm_op.h, xen/hvm/ioreq.h) --- */

	/* XEN_DMOP_create_ioreq_server without buffered requests. */
	int (*ioreq_server_create)(struct device *dev, uint16_t domid, uint16_t *server);
	/* Requests still outstanding leave their vcpu blocked for good: answer them first. */
	int (*ioreq_server_destroy)(struct device *dev, uint16_t domid, uint16_t server);
	/* XENMEM_acquire_resource of ioreq frame 0: one slot for each vcpu. */
	int (*ioreq_server_map)(struct device *dev, uint16_t domid, uint16_t server,
				struct shared_iopage **page);
	int (*ioreq_server_unmap)(struct device *dev, struct shared_iopage *page);
	/* Claim [start, end], both inclusive. For PCI, start and end are SBDFs. */
	int (*ioreq_server_claim)(struct device *dev, uint16_t domid, uint16_t server,
				  enum io_space space, uint64_t start, uint64_t end);
	/* Enabling fills in vp_eport of every slot; enabling an enabled server pauses and unpauses
	 * the domain, nothing else: each vcpu passes through its resume path. */
	int (*ioreq_server_enable)(struct device *dev, uint16_t domid, uint16_t server, bool on);

	/* --- guest memory --- */

	/* XENMEM_populate_physmap: n extents of 2^order pages at gfns[]. Returns how many extents
	 * were populated (from the start of the list), or -errno: -ENOMEM when not even one was
	 * (Xen does not say why it stopped). Pages arrive zeroed. */
	int (*mem_populate)(struct device *dev, uint16_t domid, unsigned order, size_t n,
			    const uint64_t *gfns);
	/* XENMEM_decrease_reservation: gives n 4 KiB frames back to Xen. -EINVAL at the first one
	 * that is not there: those before it are gone. */
	int (*mem_release)(struct device *dev, uint16_t domid, size_t n, const uint64_t *gfns);
	/* XEN_DMOP_relocate_memory: moves n frames from gfn src to gfn dst; what dst held is freed;
	 * content and existing mappings stay. Arms an IOREQ_TYPE_INVALIDATE on every vcpu. */
	int (*mem_relocate)(struct device *dev, uint16_t domid, uint64_t src, uint64_t dst,
			    uint32_t n);
	/* XEN_DMOP_set_mem_type. */
	int (*mem_set_type)(struct device *dev, uint16_t domid, enum mem_type type, uint64_t gfn,
			    uint32_t n);
	/* XEN_DMOP_map_mem_type_to_ioreq_server: writes to MEM_IOREQ_SERVER frames go to server. */
	int (*mem_type_to_server)(struct device *dev, uint16_t domid, uint16_t server, bool on);
	/* XEN_DMOP_modified_memory: marks frames dirty in the log. */
	int (*mem_modified)(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n);
	/* XEN_DMOP_track_dirty_vram: bitmap of n bits since the last call, or NULL to stop. The
	 * first call sets all of them. -E2BIG for more than the kernel passes on (128 MiB). */
	int (*mem_track_vram)(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n,
			      uint8_t *bitmap);
	/* Foreign mapping of n frames. addr NULL: anywhere; else it replaces what is mapped at
	 * [addr, addr + n * 4096) (MAP_FIXED). prot as mmap. *out gets the address. Such a mapping
	 * cannot be split later: give it back whole. On failure (-EINVAL: a frame is not there)
	 * an addr given does not become free: nothing is accessible there. */
	int (*mem_map)(struct device *dev, uint16_t domid, void *addr, int prot, size_t n,
		       const uint64_t *gfns, void **out);
	int (*mem_unmap)(struct device *dev, void *addr, size_t n);

	/* --- interrupts --- */

	int (*isa_irq_set)(struct device *dev, uint16_t domid, uint8_t irq, bool level);
	/* INTx 0-3 of device 0-31 on segment 0 bus 0; GSI = 16 + ((4 * dev + dev / 8 + intx) & 31)
	 */
	int (*pci_intx_set)(struct device *dev, uint16_t domid, uint8_t device, uint8_t intx,
			    bool level);
	/* XEN_DMOP_set_pci_link_route: PCI link 0-3 to an ISA irq, 0: none. */
	int (*pci_link_route)(struct device *dev, uint16_t domid, uint8_t link, uint8_t irq);
	int (*msi_inject)(struct device *dev, uint16_t domid, uint64_t address, uint32_t data);
	/* XEN_DMOP_inject_event without an error code: an exception (type: XEN_DMOP_EVENT_hw_exc,
	 * _sw_exc or _pri_sw_exc) for when the vcpu resumes. length: of the instruction, for the
	 * last two. Interrupts of any kind crash a guest on AMD. */
	int (*event_inject)(struct device *dev, uint16_t domid, uint32_t vcpu, uint8_t vector,
			    uint8_t type, uint8_t length);

	/* --- HVM parameters (xen/hvm/params.h) --- */
	int (*hvm_param_set)(struct device *dev, uint16_t domid, uint32_t param, uint64_t value);
	int (*hvm_param_get)(struct device *dev, uint16_t domid, uint32_t param, uint64_t *value);

	/* --- event channels --- */

	/* A set for the event channels of one domain: a restricted process may bind no others. */
	int (*evtchn_open)(struct device *dev, uint16_t domid, struct event_channels **out);
	void (*evtchn_close)(struct event_channels *evtchn);
	/* Readable when a bound port is pending. Owned by evtchn. */
	int (*evtchn_fd)(struct event_channels *evtchn);
	/* Binds to domid's unbound port; returns the local port, which becomes pending once a
	 * moment later, for what may have come before: an event is a hint, look what is there. */
	int (*evtchn_bind)(struct event_channels *evtchn, uint16_t domid, uint32_t remote);
	/* A port of ours that domid may bind to; returns it, as bind does. */
	int (*evtchn_offer)(struct event_channels *evtchn, uint16_t domid);
	int (*evtchn_unbind)(struct event_channels *evtchn, uint32_t local);
	int (*evtchn_notify)(struct event_channels *evtchn, uint32_t local);
	bool notifies_by_fd; /* evtchn_notify_fd (evtchn_notify.h) on evtchn_fd does the same */
	/* Takes one pending port (masking it), or -EAGAIN: never blocks. */
	int (*evtchn_take)(struct event_channels *evtchn);
	int (*evtchn_unmask)(struct event_channels *evtchn, uint32_t local);
	/* unmask (a taken port, 0: none), wait and take, in one system call; NULL, or -EOPNOTSUPP:
	 * not to be had here. gate: as libkvmxen/gate.h's. The port; -EAGAIN: the time is over;
	 * -EINTR: a signal's handler has run; -ECANCELED: the gate is set; -EDEADLK: nothing was
	 * done, signals must be blocked instead. The port is unmasked after all but the last. */
	int (*evtchn_wait)(struct event_channels *evtchn, uint32_t unmask,
			   const volatile uint8_t *gate, unsigned timeout_ms);

	void (*close)(struct device *dev);
};

struct device {
	const struct device_ops *ops;
};

#endif
