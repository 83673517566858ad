/*
 * interrupts: the in-kernel irqchip (which is Xen's), GSI routing, lines, MSI, irqfd; and what is
 * matched on the exit path before the VMM sees it: ioeventfd and coalesced zones.
 */
#ifndef KVMXEN_INTERRUPTS_INTERRUPTS_H
#define KVMXEN_INTERRUPTS_INTERRUPTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>
#include <xen/xen.h>
#include <xen/hvm/ioreq.h>

struct vm;
struct vcpu;
struct image;
struct interrupts_private;

struct interrupts {
	struct interrupts_private *private; /* behind interrupts/ */
	bool irqchip;   /* KVM_CREATE_IRQCHIP: PIC and IOAPIC are Xen's, and the LAPIC too */
	bool lapic;     /* the LAPIC is Xen's: with irqchip, or alone (split irqchip) */
	unsigned split; /* split irqchip: GSIs below are pins of the VMM's IOAPIC */
	bool pit;       /* KVM_CREATE_PIT2 was done */
};

int interrupts_init(struct vm *vm);
/* Stops irqfds, frees everything. The worker is still there. */
void interrupts_destroy(struct vm *vm);

/* The domain has just been created (paused, no vcpu ran): set the lines that were raised before
 * and start what needs Xen. The records of PIC, IOAPIC and PIT that a VMM set come with
 * interrupts_records. vm->lock held. */
int interrupts_materialise(struct vm *vm);
/* Adds the PIC, IOAPIC and PIT records that the VMM has set since the last load to a context
 * image (convert/image.h), and forgets that they were dirty. vm->lock held. */
int interrupts_records(struct vm *vm, struct image *image);

/* The image that interrupts_records added to is Xen's now, or was refused: gives Xen the interrupts
 * that came meanwhile, which the image did not know of. For all images but a domain's first, after
 * which interrupts_materialise does it. vm->lock held. */
void interrupts_loaded(struct vm *vm);

/* In KVM the signal of an irqfd delivers its interrupt, here the worker does, a little later. When
 * this returns, those that were signalled before are delivered: for whoever reads or writes the
 * state of LAPIC, IOAPIC or PIC. Takes `config`. */
void interrupts_settle(struct vm *vm);
/* A number that changes with each interrupt that Xen is given: a copy of a LAPIC from before is
 * out of date. */
unsigned interrupts_given(const struct vm *vm);

/* HVM_PARAM_TIMER_MODE as KVM_REINJECT_CONTROL asked for. interrupts_materialise sets it where it
 * differs from the mode that a PIT starts with in KVM: every missed tick is made up for. */
unsigned interrupts_timer_mode(const struct vm *vm);

/* Exit path: true when an ioeventfd or a coalesced zone took a single-element access. space is
 * IOREQ_TYPE_PIO or IOREQ_TYPE_COPY; a read never matches. No lock, no allocation. The eventfd of
 * an ioeventfd is not signalled yet. */
bool interrupts_match(struct vcpu *vcpu, uint8_t type, uint64_t address, unsigned size,
		      uint64_t data, bool is_write);
/* Exit path: signals it. By the vcpu's thread, when the guest was let go on, or before the thread
 * waits for anything, or ends KVM_RUN. */
void interrupts_signal(struct vcpu *vcpu);
/* KVM signals before the guest goes on, so that no later exit of any vcpu comes first. To be called
 * before KVM_RUN ends: waits for what other vcpus' threads are in the middle of signalling. */
void interrupts_keep_order(struct vcpu *vcpu);

/* Split irqchip: the VMM's IOAPIC waits for the end of a level interrupt that was sent to this
 * vcpu. No lock, one load: for the run loop. */
bool interrupts_expect_eoi(struct vcpu *vcpu);
/* Asks Xen. The vector of an interrupt that has ended, or -1; it is told once. */
int interrupts_ended(struct vcpu *vcpu);

/* For devices of the host (machine/assign.h), whose interrupts do not come by way of the library.
 * What the GSI is routed to: a message, or -ENOENT. */
int interrupts_message(struct vm *vm, uint32_t gsi, struct kvm_msi *msi);
/* A wire of its own (as pci_intx_set names them) to the pins that the GSI is routed to, until it is
 * given back. The domain is live. -EINVAL: Xen has none to them; -ENOSPC: they are all in use. */
int interrupts_wire_take(struct vm *vm, uint32_t gsi, uint8_t *device, uint8_t *intx);
/* To be called when Xen has bound the device to it. */
int interrupts_wire_lead(struct vm *vm, uint8_t device, uint8_t intx);
void interrupts_wire_give(struct vm *vm, uint8_t device, uint8_t intx);

/* ioctl handlers: vm, argument already copied in; results are copied out by the dispatcher. */
long interrupts_create_irqchip(struct vm *vm);
/* KVM_ENABLE_CAP of KVM_CAP_SPLIT_IRQCHIP. */
long interrupts_split_irqchip(struct vm *vm, const struct kvm_enable_cap *cap);
long interrupts_create_pit2(struct vm *vm, const struct kvm_pit_config *config);
long interrupts_create_pit(struct vm *vm);
long interrupts_get_irqchip(struct vm *vm, struct kvm_irqchip *chip);
long interrupts_set_irqchip(struct vm *vm, const struct kvm_irqchip *chip);
long interrupts_get_pit2(struct vm *vm, struct kvm_pit_state2 *pit);
long interrupts_set_pit2(struct vm *vm, const struct kvm_pit_state2 *pit);
long interrupts_get_pit(struct vm *vm, struct kvm_pit_state *pit);
long interrupts_set_pit(struct vm *vm, const struct kvm_pit_state *pit);
long interrupts_reinject_control(struct vm *vm, const struct kvm_reinject_control *control);
long interrupts_irq_line(struct vm *vm, const struct kvm_irq_level *level);
long interrupts_irq_line_status(struct vm *vm, struct kvm_irq_level *level);
long interrupts_set_gsi_routing(struct vm *vm, uint32_t nr, uint32_t flags,
				const struct kvm_irq_routing_entry *entries);
long interrupts_signal_msi(struct vm *vm, const struct kvm_msi *msi);
long interrupts_irqfd(struct vm *vm, const struct kvm_irqfd *irqfd);
long interrupts_ioeventfd(struct vm *vm, const struct kvm_ioeventfd *ioeventfd);
long interrupts_register_coalesced(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone);
long interrupts_unregister_coalesced(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone);

#endif
