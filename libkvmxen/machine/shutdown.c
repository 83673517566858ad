#include "libkvmxen/machine/shutdown.h"

#include <xen/hvm/save.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/load.h"
#include "libkvmxen/machine/world.h"

/* What speaks for it that this vcpu met the triple fault. */
enum suspicion {
	SUSPECT_NOT,    /* it waits for us, is halted or down: it was executing nothing */
	SUSPECT_RUNS,   /* it was in the guest */
	SUSPECT_FAULTS, /* and an exception could not be delivered to it */
};

static enum suspicion suspect(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	const struct control_ops *ops = vm->xen.ctl->ops;
	struct vcpu_info_bits bits;
	struct hvm_hw_cpu cpu;

	if (!vcpu->slot || world_slot_state(vcpu) == STATE_IOREQ_READY)
		return SUSPECT_NOT;
	if (ops->vcpu_info(vm->xen.ctl, vm->domid, vcpu->index, &bits) != 0 || !bits.online ||
	    bits.blocked)
		return SUSPECT_NOT;
	if (ops->context_get_one(vm->xen.ctl, vm->domid, HVM_SAVE_CODE(CPU), vcpu->index, &cpu,
				 sizeof cpu) != 0)
		return SUSPECT_NOT;
	return cpu_record_has_exception(&cpu) ? SUSPECT_FAULTS : SUSPECT_RUNS;
}

/* The one vcpu whose triple fault it was, or NULL when several may be. */
static struct vcpu *find(struct vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count), running = 0, faulting = 0, i;
	struct vcpu *runs = NULL, *faults = NULL;

	for (i = 0; i < count; i++) {
		enum suspicion suspicion = suspect(vm->vcpus[i]);

		if (suspicion == SUSPECT_NOT)
			continue;
		running++;
		runs = vm->vcpus[i];
		if (suspicion == SUSPECT_FAULTS) {
			faulting++;
			faults = vm->vcpus[i];
		}
	}
	if (running == 1)
		return runs;
	return faulting == 1 ? faults : NULL;
}

int shutdown_look(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	const struct control_ops *ops = vm->xen.ctl->ops;
	struct domain_info info;
	struct vcpu *whose;
	int rc;

	/* Nobody else is there to go on. */
	if (atomic_load(&vm->vcpu_count) == 1)
		return 1;
	pthread_mutex_lock(&vm->lock);
	rc = ops->domain_info(vm->xen.ctl, vm->domid, &info);
	/* Another vcpu's thread may have been here before. */
	if (rc < 0 || !info.shutdown)
		goto out;
	whose = find(vm);
	if (!whose) {
		rc = 1;
		goto out;
	}
	rc = world_arm(vm);
	if (rc == 0) {
		atomic_store(&whose->tripled, true);
		rc = ops->domain_resume(vm->xen.ctl, vm->domid);
	}
out:
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

bool shutdown_is_fetch(struct vcpu *vcpu)
{
	const struct vcpu_state *state = &vcpu->state;
	uint64_t linear, physical;

	if (load_read(vcpu, STATE_REGS | STATE_SREGS) < 0)
		return false;
	linear = state->sregs.cs.base + state->regs.rip;
	if (!state->sregs.cs.l)
		linear = (uint32_t)linear;
	return vcpu_translate_with(vcpu, &state->sregs, linear, &physical) &&
	       !memory_at(vcpu->vm, physical, 1, NULL);
}

void shutdown_forget_events(struct vcpu *vcpu)
{
	if (load_read(vcpu, STATE_EVENTS) < 0)
		return;
	vcpu->state.events.exception.injected = 0;
	vcpu->state.events.exception.pending = 0;
	vcpu->state.events.interrupt.injected = 0;
	vcpu->state.events.nmi.injected = 0;
	vcpu->state.dirty |= STATE_EVENTS;
}
