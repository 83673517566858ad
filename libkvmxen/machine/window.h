/*
 * window: may the guest take an external interrupt now? For VMs whose PIC is the VMM's own (no
 * irqchip, or a split one): run->request_interrupt_window, ready_for_interrupt_injection, if_flag,
 * cr8, and KVM_INTERRUPT (KVM API 4.16, 5).
 *
 * Xen tells no device model that a guest's interrupts went on. So a vcpu with a request is looked
 * at from time to time while it runs, and brought to rest when it was seen with interrupts on.
 *
 * Looking costs a call to Xen for each exit. A VMM that never asks does not pay it for long: see
 * WINDOW_LOOKS.
 *
 * Threads: the vcpu's own, which holds vcpu->lock.
 */
#ifndef KVMXEN_MACHINE_WINDOW_H
#define KVMXEN_MACHINE_WINDOW_H

#include "libkvmxen/machine/vcpu.h"

/* How many exits of a vcpu are reported exactly before its VMM has asked for a window or injected
 * anything. From then on it reads "not ready", until it asks. */
#define WINDOW_LOOKS    256
#define WINDOW_FOLLOWED (WINDOW_LOOKS + 1) /* vcpu->window_looks of a VMM that has asked */

/* May the VMM look at the fields of kvm_run, or be told of windows and ends of interrupts? Not with
 * an irqchip, nor when it never asked. */
static inline __attribute__((always_inline)) bool window_asked(const struct vcpu *vcpu)
{
	return !vcpu->vm->interrupts.irqchip &&
	       (vcpu->window_looks != WINDOW_LOOKS || vcpu->wake_fd >= 0 ||
		vcpu->run->request_interrupt_window);
}
/* Does the VMM want KVM_EXIT_IRQ_WINDOW_OPEN? */
bool window_wanted(const struct vcpu *vcpu);

/* The vcpu runs: were interrupts on a moment ago? */
bool window_glimpse(struct vcpu *vcpu);
/* The vcpu is at rest, between two instructions: can it take an interrupt now? */
bool window_open(struct vcpu *vcpu);

/* Is something to be injected by the next context load that would have to wake the vcpu? */
bool window_injects(const struct vcpu *vcpu);

/* KVM_RUN begins: takes the VMM's run->cr8. -EINVAL for one that no guest could write. */
long window_begin(struct vcpu *vcpu);
/* KVM_RUN ends: fills in the fields of kvm_run. */
void window_report(struct vcpu *vcpu);

#endif
