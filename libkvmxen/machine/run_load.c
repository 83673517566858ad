/* What goes into Xen before the guest goes on, and what a load of it makes Xen forget. */
#include "libkvmxen/machine/run_private.h"

#include <errno.h>

#include "libkvmxen/hot.h"
#include "libkvmxen/machine/load.h"
#include "libkvmxen/machine/memory.h"
#include "libkvmxen/machine/quiet.h"
#include "libkvmxen/machine/world.h"

COLD long run_materialise(struct vcpu *vcpu)
{
	long rc = vm_materialise(vcpu->vm);

	if (rc < 0)
		return rc;
	return vcpu->slot ? 0 : -EINVAL;
}

/* The records of all vcpus are loaded with this one's. */
static int stop_for_load(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	unsigned tries = 0;
	int rc = world_stop(vm);

	while (rc == 0 && quiet_others_not_yet(vm, vcpu, tries)) {
		world_start(vm);
		quiet_wait(tries++);
		rc = world_stop(vm);
	}
	return rc;
}

/* The part of the preparation that needs the world stopped: slots, dirty state, irqchip records.
 * vm->lock held. */
COLD long run_flush_locked(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	unsigned work = atomic_exchange(&vm->work, 0);
	long rc;

	if (work == 0 && vcpu->state.dirty == 0 && vcpu->phase != VCPU_NEW)
		return 0;
	rc = stop_for_load(vcpu);
	if (rc == 0) {
		if (work & VM_WORK_MEMORY)
			rc = memory_flush(vm);
		else
			memory_refresh_aliases(vm); /* a reset may have rewritten a ROM */
		if (rc == 0 && (vcpu->state.dirty || vcpu->phase == VCPU_NEW ||
				(work & (VM_WORK_INTERRUPTS | VM_WORK_VCPUS))))
			rc = load_dirty(vm, vcpu);
		world_start(vm);
	}
	if (rc < 0)
		atomic_fetch_or(&vm->work, work);
	return rc;
}

COLD long run_flush(struct vcpu *vcpu)
{
	long rc;

	pthread_mutex_lock(&vcpu->vm->lock);
	rc = run_flush_locked(vcpu);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return rc;
}

/* An IN whose result Xen has forgotten (a context load came in between): RIP has moved on already,
 * so RAX is all that is missing. */
COLD long run_merge_input(struct vcpu *vcpu)
{
	const struct ioreq *io = &vcpu->io;
	struct kvm_regs *regs = &vcpu->state.regs;
	long rc;

	if (io->type != IOREQ_TYPE_PIO || io->dir != IOREQ_READ || io->data_is_ptr)
		return 0;
	rc = load_read(vcpu, STATE_REGS);
	if (rc < 0)
		return rc;
	switch (io->size) {
	case 1:
		regs->rax = (regs->rax & ~0xffull) | (io->data & 0xff);
		break;
	case 2:
		regs->rax = (regs->rax & ~0xffffull) | (io->data & 0xffff);
		break;
	default:
		regs->rax = io->data & 0xffffffff;
		break;
	}
	vcpu->state.dirty |= STATE_REGS;
	return 0;
}

COLD void run_remember_replay(struct vcpu *vcpu)
{
	vcpu->replay = vcpu->io;
	vcpu->replay_data = vcpu->io.data;
}

/* Does the request in vcpu->io repeat the one that a context load made Xen forget? */
COLD bool run_is_replay(struct vcpu *vcpu)
{
	const struct ioreq *a = &vcpu->io, *b = &vcpu->replay;
	bool same;

	vcpu->has_replay = false;
	same = a->type == b->type && a->addr == b->addr && a->size == b->size && a->dir == b->dir &&
	       a->count == b->count && !a->data_is_ptr &&
	       (a->dir == IOREQ_READ || a->data == b->data);
	if (same)
		vcpu->io.data = vcpu->replay_data;
	return same;
}

/* A context load made Xen forget the request: the guest's registers must take what it dropped.
 * Under the lock, since a load of another vcpu's writes this one's registers too: it comes before
 * or after, and never takes what is half done. */
COLD long run_make_up(struct vcpu *vcpu)
{
	long rc;

	pthread_mutex_lock(&vcpu->vm->lock);
	atomic_store(&vcpu->io_cancelled, false);
	rc = run_merge_input(vcpu);
	if (rc == 0 && vcpu->state.dirty)
		rc = run_flush_locked(vcpu);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return rc;
}

/* Xen leaves HLT for an interrupt only. To go on without one, the vcpu is taken down and brought up
 * again with the state that it has. */
COLD long run_leave_halt(struct vcpu *vcpu)
{
	long rc;

	pthread_mutex_lock(&vcpu->vm->lock);
	rc = load_read(vcpu, STATE_ALL);
	if (rc == 0) {
		vcpu->halted = false;
		vcpu->state.mp_state.mp_state = KVM_MP_STATE_RUNNABLE;
		vcpu->state.dirty |= STATE_MP | STATE_REGS;
	}
	pthread_mutex_unlock(&vcpu->vm->lock);
	return rc;
}
