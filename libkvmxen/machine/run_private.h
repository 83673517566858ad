/*
 * run_private: what the parts of KVM_RUN share: run.c (the way of an exit), run_load.c (what goes
 * into Xen before the guest goes on), run_look.c (what is found by asking Xen).
 */
#ifndef KVMXEN_MACHINE_RUN_PRIVATE_H
#define KVMXEN_MACHINE_RUN_PRIVATE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "libkvmxen/machine/stats.h"
#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/wait.h"

struct run {
	struct vcpu *vcpu;
	struct wait wait;
	unsigned idle_ms;
	unsigned poll_ms; /* how soon to look for a window or an end of interrupt */
	int eoi;          /* the vector of an end of interrupt to be shown, or -1 */
	bool hold;        /* the vcpu is wanted at rest between two instructions: see held */
	bool exact;       /* it stops where it is: it has not run since the stop was wanted */
	bool stepped;     /* an I/O instruction that the debugger steps is being completed */
};

static inline long finish(struct vcpu *vcpu, enum vcpu_phase phase, long rc)
{
	vcpu->phase = phase;
	return rc;
}

static inline long finish_interrupted(struct vcpu *vcpu, enum vcpu_phase phase)
{
	vcpu->put_off = 0;
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	stats_exit(vcpu->stats, KVM_EXIT_INTR);
	return finish(vcpu, phase, -EINTR);
}

static inline long finish_exit(struct vcpu *vcpu, enum vcpu_phase phase, uint32_t reason)
{
	vcpu->run->exit_reason = reason;
	stats_exit(vcpu->stats, reason);
	return finish(vcpu, phase, 0);
}

static inline long finish_internal_error(struct vcpu *vcpu, enum vcpu_phase phase)
{
	vcpu->run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	vcpu->run->internal.ndata = 0;
	return finish_exit(vcpu, phase, KVM_EXIT_INTERNAL_ERROR);
}

static inline bool needs_flush(struct vcpu *vcpu)
{
	return atomic_load_explicit(&vcpu->vm->work, memory_order_relaxed) || vcpu->state.dirty ||
	       vcpu->phase == VCPU_NEW;
}

/* --- run_load.c --- */

/* The domain is made with the first KVM_RUN. 0 or -errno. */
long run_materialise(struct vcpu *vcpu);
/* Slots, dirty state and irqchip records. 0 or -errno. _locked: vm->lock is held. */
long run_flush(struct vcpu *vcpu);
long run_flush_locked(struct vcpu *vcpu);
/* A context load makes Xen forget a request in progress: what has to be put right. 0 or -errno. */
long run_merge_input(struct vcpu *vcpu);
long run_make_up(struct vcpu *vcpu);
void run_remember_replay(struct vcpu *vcpu);
/* Does the request in vcpu->io repeat the one that was forgotten? vcpu->has_replay. */
bool run_is_replay(struct vcpu *vcpu);
long run_leave_halt(struct vcpu *vcpu);

/* --- run_look.c --- */

long run_finish_shutdown(struct vcpu *vcpu);
/* Has the domain ended, or shut down? 1: KVM_RUN ends with *rc; 0: no; -1: it goes on again. */
int run_look_domain(struct vcpu *vcpu, struct domain_info *info, long *rc);
/* Nothing has come for a while. 1: KVM_RUN ends with *rc. */
int run_look_idle(struct run *r, long *rc);

#endif
