/* What no request tells, and Xen is asked for: an end of the domain, a HLT, a vcpu that stands
 * still. */
#include "libkvmxen/machine/run_private.h"

#include <xen/sched.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/hot.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/shutdown.h"
#include "libkvmxen/machine/spare.h"
#include "libkvmxen/machine/world.h"
#include "libkvmxen/message.h"

#define IDLE_LAST_MS 512

/* KVM would reset the vcpu here; but where it has no instruction it does not come so far. */
COLD long run_finish_shutdown(struct vcpu *vcpu)
{
	bool nowhere = shutdown_is_fetch(vcpu);

	shutdown_forget_events(vcpu);
	if (nowhere)
		return finish_internal_error(vcpu, VCPU_STOPPED);
	return finish_exit(vcpu, VCPU_STOPPED, KVM_EXIT_SHUTDOWN);
}

/* A vcpu that fetches instructions from a read-only slot stands still until the slot is shown in
 * another way. 1: that was it; 0: not so; -errno. */
static long look_executed(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	const struct control_ops *ops = vm->xen.ctl->ops;
	struct kvm_translation translation = {0};
	struct hvm_hw_cpu cpu;
	long rc;

	/* One record, and of a running vcpu: it must not be kept. */
	rc = ops->context_get_one(vm->xen.ctl, vm->domid, HVM_SAVE_CODE(CPU), vcpu->index, &cpu,
				  sizeof cpu);
	if (rc < 0)
		return 0; /* down by now */
	cpu_record_to_state(&vcpu->state, &cpu);
	vcpu->state.known = STATE_SREGS;
	translation.linear_address = vcpu->state.sregs.cs.base + vcpu->state.regs.rip;
	rc = vcpu_translate(vcpu, &translation);
	vcpu->state.known = 0;
	if (rc < 0)
		return rc;
	if (!translation.valid || !memory_executed(vm, translation.physical_address))
		return 0;
	pthread_mutex_lock(&vm->lock);
	rc = world_stop(vm);
	if (rc == 0) {
		rc = memory_flush(vm);
		world_start(vm);
	}
	pthread_mutex_unlock(&vm->lock);
	return rc < 0 ? rc : 1;
}

/* Has the domain ended, or shut down? 1: KVM_RUN ends with *rc; 0: no; -1: it goes on again. */
COLD int run_look_domain(struct vcpu *vcpu, struct domain_info *info, long *rc)
{
	struct vm *vm = vcpu->vm;

	if (vm->xen.ctl->ops->domain_info(vm->xen.ctl, vm->domid, info) != 0 || info->dying) {
		if (vm_live(vm))
			message_error("KVM_RUN: domain %u is gone: somebody destroyed it",
				      vm->domid);
		*rc = finish_exit(vcpu, VCPU_STOPPED, KVM_EXIT_SHUTDOWN);
		return 1;
	}
	if (!info->shutdown)
		return 0;
	if (vm->adopted && info->shutdown_reason == SHUTDOWN_reboot) {
		*rc = run_finish_shutdown(vcpu);
		return 1;
	}
	if (info->shutdown_reason == SHUTDOWN_suspend) {
		*rc = shutdown_look(vcpu);
		if (*rc == 1)
			*rc = run_finish_shutdown(vcpu);
		else if (*rc == 0)
			return -1;
		return 1;
	}
	if (info->shutdown_reason == SHUTDOWN_crash) {
		vcpu->run->fail_entry.hardware_entry_failure_reason = ~0ull; /* VMEXIT_INVALID */
		vcpu->run->fail_entry.cpu = 0;
		*rc = finish_exit(vcpu, VCPU_STOPPED, KVM_EXIT_FAIL_ENTRY);
		return 1;
	}
	return 0;
}

/* Nothing has come for a while. 1: KVM_RUN ends with *rc. */
COLD int run_look_idle(struct run *r, long *rc)
{
	struct vcpu *vcpu = r->vcpu;
	struct vm *vm = vcpu->vm;
	const struct control_ops *ops = vm->xen.ctl->ops;
	struct domain_info info;
	struct vcpu_info_bits bits;
	int ended;

	wait_block(&r->wait, vcpu);
	r->idle_ms = r->idle_ms * 2 > IDLE_LAST_MS ? IDLE_LAST_MS : r->idle_ms * 2;
	if (world_slot_state(vcpu) == STATE_IOREQ_READY)
		return 0;
	/* An answer that Xen has not looked at: its event was refused. */
	if (world_slot_state(vcpu) == STATE_IORESP_READY)
		vm->xen.dev->ops->evtchn_notify(vcpu->evtchn, vcpu->port);
	ended = run_look_domain(vcpu, &info, rc);
	if (ended)
		return ended > 0;
	spare_beat(vm);
	if (info.paused || ops->vcpu_info(vm->xen.ctl, vm->domid, vcpu->index, &bits) != 0 ||
	    world_slot_state(vcpu) == STATE_IOREQ_READY)
		return 0;
	if (bits.online && !bits.blocked) {
		*rc = look_executed(vcpu);
		return *rc < 0;
	}
	if (vm->interrupts.lapic)
		return 0;
	/* Without a LAPIC in the kernel HLT is the VMM's business. */
	vcpu->halted = true;
	*rc = finish_exit(vcpu, VCPU_IDLE, KVM_EXIT_HLT);
	return 1;
}
