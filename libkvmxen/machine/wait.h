/*
 * wait: how KVM_RUN waits for its vcpu, and how a signal takes it out.
 *
 * A kick must end KVM_RUN wherever it lands. There are two protocols (KVM API 4.10, 5):
 *
 * - The handler sets kvm_run->immediate_exit. Signals stay as they are; each look at the flag and
 *   the wait after it are one step (libkvmxen/gate.h). VMMs that ask for KVM_CAP_IMMEDIATE_EXIT,
 *   or ever set the flag, are taken to use it.
 * - Any signal counts. Then signals are blocked all through KVM_RUN and the wait takes the VMM's
 *   mask atomically. All others begin so, and so does the rest of a VMM's life once a handler has
 *   interrupted a wait and left the flag alone.
 *
 * Whatever is more than answering and waiting (hypercalls of the control plane, xenstore) runs with
 * signals blocked: wait_block.
 *
 * Before it sleeps a vcpu's thread watches the request slot for a while: for as long as some tens
 * of notifications take, less and less when that does not help, and not at all on one processor or
 * when all but one are watching already. An event that came is left masked until the next sleep:
 * while requests are found by watching, nobody is interrupted for them.
 *
 * Threads: the vcpu's running thread.
 */
#ifndef KVMXEN_MACHINE_WAIT_H
#define KVMXEN_MACHINE_WAIT_H

#include <signal.h>
#include <x86intrin.h>

#include "libkvmxen/machine/vcpu.h"

struct wait {
	sigset_t mask; /* the VMM's own, when blocked */
	bool blocked;
	bool stop;        /* a signal or immediate_exit wants KVM_RUN to end */
	unsigned watched; /* requests that watching has found, since KVM_RUN began */
};

/* Finds out what the host has, before a VMM may filter its system calls. */
void wait_prepare(void);
/* KVM_RUN begins and ends. */
void wait_begin(struct wait *wait, struct vcpu *vcpu);
void wait_end(struct wait *wait);

/* Signals are blocked from here to wait_end. */
void wait_block(struct wait *wait, struct vcpu *vcpu);

/* The VMM asked for KVM_CAP_IMMEDIATE_EXIT. */
void wait_expect_immediate_exit(void);

/* Waits for the vcpu's request, a kick (wait->stop) or the end of the time: true then. May return
 * early without any. */
bool wait_event(struct wait *wait, struct vcpu *vcpu, unsigned timeout_ms);

#define WAIT_COST_MAX (1ull << 24) /* of the TSC: some milliseconds */

/* Notes that a request was answered, and when that began (__rdtsc). */
static inline void wait_answered(struct vcpu *vcpu, uint64_t began)
{
	uint64_t now = __rdtsc(), cost = now - began;

	/* The smallest of late: an interrupted thread's is no measure, nor that of one which came
	 * to a processor with another TSC. */
	if (cost < vcpu->poll.cost || (!vcpu->poll.cost && cost < WAIT_COST_MAX))
		vcpu->poll.cost = cost;
	else
		vcpu->poll.cost += vcpu->poll.cost / 64;
	vcpu->poll.answered = now;
	vcpu->poll.fresh = true;
}

#endif
