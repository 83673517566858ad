/*
 * hit: the eventfd of an ioeventfd that a guest hit is signalled when the guest was let go on.
 *
 * The write to it costs about as much as the notification of Xen, and the guest need not wait for
 * both. No exit overtakes the signal: KVM_RUN of another vcpu does not return before it. Only a
 * thread of the VMM's that watches guest memory could see the guest go on first
 * (docs/differences.md).
 */
#include "libkvmxen/interrupts/interrupts_private.h"

#include <sched.h>

#include "libkvmxen/hot.h"

HOT void hit_keep(struct vcpu *vcpu, const struct eventfd *eventfd, unsigned ticket)
{
	vcpu->hit.eventfd = eventfd;
	vcpu->hit.ticket = ticket;
	atomic_fetch_add_explicit(&vcpu->hit.turn, 1, memory_order_release);
}

HOT void interrupts_signal(struct vcpu *vcpu)
{
	if (!vcpu->hit.eventfd)
		return;
	eventfd_signal(vcpu->hit.eventfd);
	vcpu->hit.eventfd = NULL;
	atomic_fetch_add_explicit(&vcpu->hit.turn, 1, memory_order_release);
	readers_exit(&vcpu->vm->interrupts.private->readers, vcpu->hit.ticket);
}

/* Each at most once: what it hits after this is behind our exit. */
COLD static void wait_for_signals(struct vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;

	for (i = 0; i < count; i++) {
		atomic_uint *turn = &vm->vcpus[i]->hit.turn;
		unsigned now = atomic_load(turn);

		while ((now & 1) && atomic_load(turn) == now)
			sched_yield();
	}
}

HOT void interrupts_keep_order(struct vcpu *vcpu)
{
	struct readers *readers = &vcpu->vm->interrupts.private->readers;

	if (atomic_load(&readers->inside[0]) || atomic_load(&readers->inside[1]))
		wait_for_signals(vcpu->vm);
}
