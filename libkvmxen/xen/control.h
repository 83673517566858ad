/*
 * control: what kvmxen asks of Xen on the control plane.
 *
 * Xen's default policy allows these to the control domain only, and their ABI belongs to one Xen
 * version: everything that a new Xen changes stays behind this table. None of them may be called
 * on the exit path: domctls take one lock for the whole host.
 *
 * Errors: every int result is >= 0 on success and a negative errno otherwise; no operation prints.
 * Threads: any, at once.
 *
 * Implementations: direct (libxenctrl) in xen/direct_control.c; for a process without privilege, by
 * messages to the broker, in xen/broker_control.c (a new operation needs a row in xen/wire.h); and
 * the strict fake of the unit tests in tests/fake.
 */
#ifndef KVMXEN_XEN_CONTROL_H
#define KVMXEN_XEN_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

struct control; /* one connection to the control plane */

/* Which of Xen's emulated devices a domain gets: fixed at creation. */
enum emulation {
	EMULATION_LAPIC, /* XEN_X86_EMU_LAPIC alone */
	EMULATION_HVM,   /* the full set: PIC, IOAPIC, PIT, RTC, HPET, PM timer, stdvga */
};

struct domain_config {
	uint32_t vcpus; /* all of them, 1 to 128; they start down */
	enum emulation emulation;
	uint8_t handle[16]; /* UUID: how a leaked domain is found again */
	bool iommu;         /* host devices may be assigned to it: fixed at creation, too */
};

/* XEN_DOMCTL_getdomaininfo, as far as kvmxen uses it. */
struct domain_info {
	bool dying;
	bool shutdown;
	uint8_t shutdown_reason; /* SHUTDOWN_* of xen/sched.h, when shutdown */
	bool paused;
	uint64_t pages;     /* 4 KiB pages held by the domain */
	uint64_t max_pages; /* that it may hold: domain_set_maxmem */
	uint32_t vcpus;     /* that it was created with */
};

/* XEN_DOMCTL_getvcpuinfo. */
struct vcpu_info_bits {
	bool online;  /* not VPF_down: has been started and did not halt for good */
	bool blocked; /* in HLT, waiting for an event */
	bool running;
};

/* A CPUID leaf. subleaf is CONTROL_CPUID_NO_SUBLEAF for a leaf without any. */
#define CONTROL_CPUID_NO_SUBLEAF 0xffffffffu
struct control_cpuid {
	uint32_t leaf, subleaf;
	uint32_t eax, ebx, ecx, edx;
};

/* An interrupt of an assigned device, and where in the guest it goes. */
struct device_irq {
	enum device_irq_kind { DEVICE_INTX, DEVICE_MSI, DEVICE_MSIX } kind;
	uint32_t sbdf;
	uint32_t gsi;   /* DEVICE_INTX: the host's */
	uint16_t entry; /* DEVICE_MSIX: of the device's table, */
	uint64_t table; /* which is there */
	/* DEVICE_INTX: a wire of the guest's, as pci_intx_set names them. */
	uint8_t device, intx;
	/* Otherwise a message: fixed or lowest priority. */
	uint64_t address;
	uint32_t data;
	int pirq; /* Xen's number for it in the domain; -1: none yet */
};

enum log_dirty_op { LOG_DIRTY_ENABLE, LOG_DIRTY_OFF, LOG_DIRTY_CLEAN, LOG_DIRTY_PEEK };

struct control_ops {
	/* XEN_DOMCTL_createdomain and max_vcpus: an HVM domain with HAP, paused, without memory.
	 * On failure nothing is left. */
	int (*domain_create)(struct control *ctl, const struct domain_config *config,
			     uint16_t *domid);
	/* Takes the name away as well. The domain lingers, dying, while a frame of it is mapped. */
	int (*domain_destroy)(struct control *ctl, uint16_t domid);
	/* Takes over a domain that a toolstack has built and not yet let run: gives all its memory
	 * back, and tells what it is. -EBUSY: it has run, or is not paused; -EOPNOTSUPP: another
	 * kind of domain. */
	int (*domain_adopt)(struct control *ctl, uint16_t domid, struct domain_config *found);
	/* Tells that toolstack (libxl, by xenstore) that the device model is there. */
	int (*domain_ready)(struct control *ctl, uint16_t domid);
	/* SCHEDOP_remote_shutdown of such a domain, reason: SHUTDOWN_*; nothing happens when the
	 * toolstack is about to destroy it. A vcpu with an unanswered ioreq delays it until the
	 * answer, but for SHUTDOWN_crash. The first reason stays. */
	int (*domain_shutdown)(struct control *ctl, uint16_t domid, unsigned reason);
	/* Finds the domain that carries a handle and is not dying: its domid, or -ESRCH. */
	int (*domain_find)(struct control *ctl, const uint8_t handle[16], uint16_t *domid);
	/* The name by which xl knows it; NULL takes the entries away: before domain_destroy. */
	int (*domain_set_name)(struct control *ctl, uint16_t domid, const uint8_t handle[16],
			       const char *name);
	int (*domain_set_maxmem)(struct control *ctl, uint16_t domid, uint64_t kib);
	int (*domain_set_paging_pool)(struct control *ctl, uint16_t domid, uint64_t bytes);
	int (*domain_pause)(struct control *ctl, uint16_t domid);
	int (*domain_unpause)(struct control *ctl, uint16_t domid);
	/* XEN_DOMCTL_resumedomain: takes a shut-down domain out of its shutdown. */
	int (*domain_resume)(struct control *ctl, uint16_t domid);
	int (*domain_info)(struct control *ctl, uint16_t domid, struct domain_info *info);
	/* An event channel of the domain that fires when it shuts down with SHUTDOWN_suspend
	 * (XEN_DOMCTL_subscribe); *port is the domain's unbound port to bind to. */
	int (*domain_subscribe)(struct control *ctl, uint16_t domid, uint32_t *port);

	/* TSC: native when khz is 0, else of that frequency: scaled by the processor or, where
	 * that cannot be, with RDTSC emulated. tsc_get tells the host's when it is native. */
	int (*tsc_set)(struct control *ctl, uint16_t domid, uint32_t khz);
	int (*tsc_get)(struct control *ctl, uint16_t domid, uint32_t *khz);

	/* The host's own TSC frequency (XEN_SYSCTL_physinfo). */
	int (*host_tsc_khz)(struct control *ctl, uint32_t *khz);

	/* The leaves that Xen can give an HVM guest on this host (hvm_default). *n: in capacity,
	 * out count; -ENOBUFS when it does not fit. */
	int (*cpuid_host)(struct control *ctl, struct control_cpuid *leaves, uint32_t *n);
	/* Before the first unpause only (-EEXIST later). Leaves that Xen's policy cannot carry
	 * are refused with -ERANGE: filter first. Xen clamps silently. */
	int (*cpuid_set)(struct control *ctl, uint16_t domid, const struct control_cpuid *leaves,
			 uint32_t n);
	/* Every CPUID of the guest becomes an event (XEN_DOMCTL_MONITOR_EVENT_CPUID) on a
	 * vm_event ring, whose frame is populated at gfn, unless one is there, and taken from the
	 * guest again. *ring is a page shared with Xen, whose vm_event_sring_t is initialised.
	 * *port: out, the domain's event channel to bind to; where `relayed`, in, one of ours that
	 * was offered to dom0. Closing lets waiting vcpus go on; ring NULL when it is not mapped
	 * here. */
	int (*monitor_open)(struct control *ctl, uint16_t domid, uint64_t gfn, void **ring,
			    uint32_t *port);
	/* Every INT3 and #DB of the guest becomes an event on that ring as well, or no more. */
	int (*monitor_debug)(struct control *ctl, uint16_t domid, bool on);
	int (*monitor_close)(struct control *ctl, uint16_t domid, void *ring);

	/* HVM save records (xen/arch-x86/hvm/save.h). */
	/* The whole context. *len: in capacity, out length; buf NULL asks for the length. -ENOSPC
	 * when it does not fit. */
	int (*context_get)(struct control *ctl, uint16_t domid, void *buf, uint32_t *len);
	/* One record's body, without its descriptor. -ENODATA for the CPU of a vcpu that is down.
	 * Pauses the vcpu (or, for a record of the domain, the domain) for a moment. */
	int (*context_get_one)(struct control *ctl, uint16_t domid, uint16_t typecode,
			       uint16_t instance, void *body, uint32_t len);
	/* Takes down every vcpu without a CPU record in the image, drops in-flight emulation. */
	int (*context_set)(struct control *ctl, uint16_t domid, const void *image, uint32_t len);

	/* XEN_DOMCTL_get/setvcpucontext: GPRs, RIP, RFLAGS, DRs, FXSAVE of one vcpu; segments and
	 * control registers are read only here. set with NULL: down and never initialised. */
	int (*vcpu_context_get)(struct control *ctl, uint16_t domid, uint32_t vcpu,
				struct vcpu_guest_context *context);
	int (*vcpu_context_set)(struct control *ctl, uint16_t domid, uint32_t vcpu,
				const struct vcpu_guest_context *context);
	int (*vcpu_info)(struct control *ctl, uint16_t domid, uint32_t vcpu,
			 struct vcpu_info_bits *info);
	/* XEN_DOMCTL_sendtrigger, XEN_DOMCTL_SENDTRIGGER_NMI. */
	int (*vcpu_nmi)(struct control *ctl, uint16_t domid, uint32_t vcpu);

	/* XEN_DOMCTL_shadow_op. For CLEAN and PEEK: bitmap of the frames 0 to pages - 1, empty
	 * when the log is off. ENABLE while it is on, also for mem_track_vram: it starts anew. */
	int (*log_dirty)(struct control *ctl, uint16_t domid, enum log_dirty_op op, uint64_t pages,
			 uint8_t *bitmap);

	/* Has Xen an IOMMU for the devices of guests (XEN_SYSCTL_PHYSCAP_directio)? 1, 0 or -errno.
	 */
	int (*host_iommu)(struct control *ctl);
	/* XEN_DOMCTL_test_assign_device: 0: no guest has the device. */
	int (*device_test)(struct control *ctl, uint32_t sbdf);
	/* XEN_DOMCTL_assign_device; sbdf: segment << 16 | bus << 8 | devfn. 1: the host had set the
	 * device aside for guests (it was DOMID_IO's), else 0. -EBUSY: another guest has it;
	 * -EOPNOTSUPP: the domain was made without config.iommu. */
	int (*device_assign)(struct control *ctl, uint16_t domid, uint32_t sbdf);
	/* The device, which host_pci_quiet has made quiet, is dom0's; or set aside, when it was.
	 * Also when the domain is gone. domain_destroy does both for all devices that the domain
	 * still has. */
	int (*device_deassign)(struct control *ctl, uint16_t domid, uint32_t sbdf, bool aside);
	/* XEN_DOMCTL_memory_mapping: the host's frames mfn and on are the guest's gfn and on, or no
	 * more. */
	int (*device_map)(struct control *ctl, uint16_t domid, uint64_t gfn, uint64_t mfn,
			  uint64_t pages, bool on);
	/* Gives the interrupt to the domain, unless it has it, and binds it to where it goes;
	 * again: to where it goes now. */
	int (*device_irq_bind)(struct control *ctl, uint16_t domid, struct device_irq *irq);
	int (*device_irq_unbind)(struct control *ctl, uint16_t domid, struct device_irq *irq);

	/* "4.17.7" and the like. Owned by ctl. */
	const char *(*version)(struct control *ctl);
	void (*close)(struct control *ctl);
};

struct control {
	const struct control_ops *ops;
	bool watches; /* destroys the domains of a process that ends: no janitor is needed */
	bool relayed; /* in a stub domain: the monitor's events come by way of the broker */
};

#endif
