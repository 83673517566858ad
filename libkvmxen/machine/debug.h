/*
 * debug: KVM_SET_GUEST_DEBUG (KVM API 4.87) and KVM_EXIT_DEBUG.
 *
 * Xen gives a debugger two events on the monitor's ring: INT3, and #DB, which single steps
 * (RFLAGS.TF) and hardware breakpoints (DR0-3, DR7) raise. While the VMM debugs a vcpu its TF or
 * its debug registers in Xen are the debugger's; the guest's own are kept in vcpu->state and come
 * back afterwards. An event arms an invalidate request before it is answered, so that its vcpu
 * parks where the event happened, as for any other exit.
 *
 * Instructions that Xen intercepts and steps over itself would take TF's #DB into the guest. They
 * are stepped with a hardware breakpoint behind them.
 *
 * Threads: monitor events on the monitor's; all else on the vcpu's own, with vcpu->lock.
 */
#ifndef KVMXEN_MACHINE_DEBUG_H
#define KVMXEN_MACHINE_DEBUG_H

#include "libkvmxen/machine/vcpu.h"

struct hvm_hw_cpu;

/* Tells Xen whether this VM is debugged: when that changes, and when the domain has been made.
 * vm->lock held. 0 or -errno. */
int debug_update(struct vm *vm);

/* --- load.c: a vcpu's CPU record --- */

/* The guest's own state, from a record that Xen gave: what is the debugger's is taken out. */
void debug_from_record(const struct vcpu *vcpu, struct vcpu_state *state);
/* What is the debugger's goes into a record that Xen gets. wanted: as it shall be when the vcpu
 * runs next; else as it is in Xen. */
void debug_to_record(struct vcpu *vcpu, struct hvm_hw_cpu *record, bool wanted);

/* --- run.c --- */

static inline bool debug_active(const struct vcpu *vcpu)
{
	return vcpu->debug.control;
}
static inline bool debug_stepping(const struct vcpu *vcpu)
{
	return vcpu->debug.control & KVM_GUESTDBG_SINGLESTEP;
}
/* Is there something of a debugger to set or to take out? */
static inline bool debug_busy(const struct vcpu *vcpu)
{
	return vcpu->debug.control || (vcpu->debug.in_xen & ~DEBUG_NOWHERE);
}
/* Before the vcpu is let run: marks what has to be loaded for it. 0 or -errno. */
long debug_prepare(struct vcpu *vcpu);
/* The vcpu is at rest between two instructions. Is that an exit to the debugger? stepped: it has
 * completed the instruction that was to be stepped. Fills in run->debug. */
bool debug_stopped(struct vcpu *vcpu, bool stepped);

/* --- monitor.c --- */

/* An event of a vcpu, before it is answered: true when it is the debugger's, and then the vcpu
 * parks. Else it is the guest's own, and is injected. length: of the instruction. */
bool debug_event(struct vcpu *vcpu, unsigned vector, unsigned type, unsigned length);
/* CPUID of a vcpu that is stepped: true when the step ends here, with these registers. */
bool debug_cpuid(struct vcpu *vcpu, const uint32_t answer[4], uint64_t rip);

#endif
