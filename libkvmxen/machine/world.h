/*
 * world: letting vcpus run and stopping them, with what Xen has.
 *
 * Debian's Xen has no pause for one vcpu. Two facts stand in for it: a vcpu with an unanswered
 * ioreq does not run, and an IOREQ_TYPE_INVALIDATE can be *armed* for all vcpus by moving a scratch
 * frame between two gfns: each vcpu sends it before its next guest instruction, also right after
 * completing an I/O. An unanswered one parks its vcpu.
 */
#ifndef KVMXEN_MACHINE_WORLD_H
#define KVMXEN_MACHINE_WORLD_H

#include "libkvmxen/machine/vcpu.h"

/*
 * Stops every vcpu of a live VM until world_start, and leaves the domain paused. vm->lock held by
 * the caller all the while. After it each vcpu has an unanswered request, or is halted, or is
 * down: none is inside an instruction, none will execute one. 0 or -errno (nothing is stopped).
 */
int world_stop(struct vm *vm);
void world_start(struct vm *vm);

/* Arms an invalidate request for every vcpu (they answer spurious ones at once). 0 or -errno. */
int world_arm(struct vm *vm);

/*
 * Parks one running vcpu; called by its own thread, in KVM_RUN. Returns with an unanswered request
 * in its slot (an invalidate, or an I/O that came first), or with the vcpu halted or down and the
 * request armed, which is as stable. 0: look at the slot; 1: idle; -errno.
 */
int world_park(struct vcpu *vcpu);

/* Answers the request in the vcpu's slot: the guest goes on. Waits while the world is stopped.
 * False: a context load has made Xen forget the request (vcpu->io_cancelled), and nothing was
 * answered: make up for that first. */
bool world_answer(struct vcpu *vcpu);

/* Waits (on a futex) until the world is not stopped. */
void world_wait(struct vm *vm);

/* The state of a request slot, with acquire semantics; no load before it sees the rest. */
static inline uint8_t world_request_state(const struct ioreq *slot)
{
	/* state is a bit-field: its byte is read as a whole and picked apart. Xen writes it with
	 * plain stores after a barrier, as the header's protocol says. */
	const volatile uint8_t *bytes = (const volatile uint8_t *)slot;
	uint8_t state = bytes[offsetof(struct ioreq, vp_eport) + 6] & 0xf;

	atomic_thread_fence(memory_order_acquire);
	return state;
}

static inline uint8_t world_slot_state(const struct vcpu *vcpu)
{
	return world_request_state(vcpu->slot);
}

#endif
