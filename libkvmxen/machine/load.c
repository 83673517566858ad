#include "libkvmxen/machine/debug.h"
#include "libkvmxen/machine/inject.h"
#include "libkvmxen/machine/load.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/convert/image.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/tsc.h"
#include "libkvmxen/machine/world.h"
#include "libkvmxen/message.h"

#define VLAPIC_HW_DISABLED  1 /* xen/arch-x86/hvm/save.h: hvm_hw_lapic.disabled */
#define MSR_APICBASE_ENABLE (1u << 11)
#define XSAVE_RECORD_MAX    (sizeof(struct hvm_hw_cpu_xsave) + 16384)
#define CPU_MSR_RECORD_MAX  1024
/* The CPU record alone has these, and one call reads it. */
#define STATE_RECORD_PARTS (STATE_REGS | STATE_SREGS | STATE_DEBUG | STATE_EVENTS | STATE_TSC)
#define STATE_CPU_PARTS    (STATE_RECORD_PARTS | STATE_MSRS)

/* The Xen records of one vcpu, as they came from Xen or as they go there. */
struct vcpu_records {
	bool up;     /* Xen has it online: it has a CPU record */
	bool in_run; /* its thread is in KVM_RUN, and was when this load began */
	bool locked; /* it is not, and we keep it out */
	/* What the records are built from: the vcpu's own state when its thread is in KVM_RUN; else
	 * a copy of what Xen has, since the VMM may be halfway through setting the vcpu up. */
	struct vcpu_state *view, *own_view;
	struct hvm_hw_cpu cpu;
	bool has_lapic;
	struct hvm_hw_lapic lapic;
	struct hvm_hw_lapic_regs lapic_regs;
	struct hvm_hw_mtrr mtrr;
	struct hvm_tsc_adjust tsc_adjust;
};

/* --- reading --- */

static int get_one(struct vcpu *vcpu, uint16_t typecode, void *body, uint32_t length)
{
	struct vm *vm = vcpu->vm;

	return vm->xen.ctl->ops->context_get_one(vm->xen.ctl, vm->domid, typecode, vcpu->index,
						 body, length);
}

/* The CPU record into a state. 0 or -errno; -ENODATA: the vcpu is down. */
static int read_cpu(struct vcpu *vcpu, struct vcpu_state *fresh)
{
	struct hvm_hw_cpu cpu;
	uint64_t host = tsc_record_begin(vcpu->vm);
	int rc = get_one(vcpu, HVM_SAVE_CODE(CPU), &cpu, sizeof cpu);

	tsc_record_end(vcpu->vm);
	if (rc == 0) {
		cpu_record_to_state(fresh, &cpu);
		debug_from_record(vcpu, fresh);
		fresh->tsc_host = host;
		tsc_read(vcpu->vm, fresh);
	}
	return rc;
}

/* Xen gives no CPU record of a vcpu that is down. One that halted for good is brought up for the
 * moment that it takes to read it, with the domain paused. */
static int read_halted(struct vcpu *vcpu, struct vcpu_guest_context *context,
		       struct vcpu_state *fresh)
{
	struct vm *vm = vcpu->vm;
	const struct control_ops *ops = vm->xen.ctl->ops;
	int rc, back;

	rc = ops->domain_pause(vm->xen.ctl, vm->domid);
	if (rc < 0)
		return rc;
	context->flags |= VGCF_online;
	rc = ops->vcpu_context_set(vm->xen.ctl, vm->domid, vcpu->index, context);
	if (rc == 0) {
		rc = read_cpu(vcpu, fresh);
		context->flags &= ~(uint64_t)VGCF_online;
		back = ops->vcpu_context_set(vm->xen.ctl, vm->domid, vcpu->index, context);
		rc = rc < 0 ? rc : back;
	}
	back = ops->domain_unpause(vm->xen.ctl, vm->domid);
	return rc < 0 ? rc : back;
}

/* Halted for good, or waiting for SIPI: then it is as INIT left it. */
static int read_down(struct vcpu *vcpu, struct vcpu_state *fresh)
{
	struct vm *vm = vcpu->vm;
	struct vcpu_guest_context *context = calloc(1, sizeof *context);
	int rc;

	if (!context)
		return -ENOMEM;
	rc = vm->xen.ctl->ops->vcpu_context_get(vm->xen.ctl, vm->domid, vcpu->index, context);
	if (rc == 0) {
		rc = read_halted(vcpu, context, fresh);
		fresh->mp_state.mp_state = KVM_MP_STATE_HALTED;
	} else if (rc == -ENODATA) {
		fresh->mp_state.mp_state = KVM_MP_STATE_UNINITIALIZED;
		rc = 0;
	}
	free(context);
	return rc;
}

/* Takes the parts from `fresh` into the vcpu's state, but for those the VMM has set. */
static void take(struct vcpu *vcpu, const struct vcpu_state *fresh, uint32_t parts)
{
	struct vcpu_state *state = &vcpu->state;
	uint32_t want = parts & ~state->known & ~state->dirty;

	if (want & STATE_REGS)
		state->regs = fresh->regs;
	if (want & STATE_SREGS) {
		struct kvm_sregs old = state->sregs;

		state->sregs = fresh->sregs;
		state->sregs.apic_base = old.apic_base;
		state->sregs.cr8 = old.cr8;
		memcpy(state->sregs.interrupt_bitmap, old.interrupt_bitmap,
		       sizeof old.interrupt_bitmap);
	}
	if (want & STATE_XSAVE) {
		state->xsave = fresh->xsave;
		state->xcr0 = fresh->xcr0;
		state->fpu_set = fresh->fpu_set;
	}
	if (want & STATE_DEBUG)
		state->debugregs = fresh->debugregs;
	if (want & STATE_EVENTS) {
		state->events = fresh->events;
		memcpy(state->sregs.interrupt_bitmap, fresh->sregs.interrupt_bitmap,
		       sizeof fresh->sregs.interrupt_bitmap);
		if (vcpu->injecting != INJECT_NONE)
			inject_show(vcpu);
	}
	if (want & STATE_MSRS)
		for (int row = 0; row < MSR_TABLE_SIZE; row++)
			if (msr_table[row].home != MSR_HOME_TSC &&
			    msr_table[row].home != MSR_HOME_LAPIC)
				state->msrs[row] = fresh->msrs[row];
	if (want & STATE_TSC) {
		state->msrs[MSR_ROW_TSC] = fresh->msrs[MSR_ROW_TSC];
		state->tsc_host = fresh->tsc_host;
		state->tsc_step = fresh->tsc_step;
	}
	if (want & STATE_LAPIC) {
		state->msrs[MSR_ROW_TSC_DEADLINE] = fresh->msrs[MSR_ROW_TSC_DEADLINE];
		state->lapic = fresh->lapic;
		state->sregs.apic_base = fresh->sregs.apic_base;
		state->sregs.cr8 = fresh->sregs.cr8;
	}
	if (want & STATE_MP)
		state->mp_state = fresh->mp_state;
	state->known |= want;
}

static int read_lapic(struct vcpu *vcpu, struct vcpu_state *fresh)
{
	struct vcpu_records *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return -ENOMEM;
	rc = get_one(vcpu, HVM_SAVE_CODE(LAPIC), &r->lapic, sizeof r->lapic);
	if (rc == 0)
		rc = get_one(vcpu, HVM_SAVE_CODE(LAPIC_REGS), &r->lapic_regs, sizeof r->lapic_regs);
	if (rc == 0)
		lapic_record_to_state(fresh, &r->lapic, &r->lapic_regs);
	/* Without an irqchip Xen's LAPIC is there but switched off: KVM's answer is its own. */
	if (rc == 0 && !vcpu->vm->interrupts.lapic) {
		fresh->sregs.apic_base = vcpu->state.sregs.apic_base;
		fresh->sregs.cr8 = vcpu->state.sregs.cr8;
		fresh->lapic = vcpu->state.lapic;
	}
	free(r);
	return rc;
}

static int read_msrs(struct vcpu *vcpu, struct vcpu_state *fresh)
{
	struct hvm_hw_mtrr mtrr;
	struct hvm_tsc_adjust adjust;
	uint8_t msrs[CPU_MSR_RECORD_MAX] = {0};

	if (get_one(vcpu, HVM_SAVE_CODE(MTRR), &mtrr, sizeof mtrr) == 0)
		mtrr_record_to_state(fresh, &mtrr, true);
	if (get_one(vcpu, HVM_SAVE_CODE(TSC_ADJUST), &adjust, sizeof adjust) == 0)
		tsc_adjust_record_to_state(fresh, &adjust);
	/* All of them zero: no record. */
	if (get_one(vcpu, CPU_MSR_CODE, msrs, sizeof msrs) == 0)
		cpu_msr_record_to_state(fresh, msrs, sizeof msrs);
	else
		cpu_msr_record_to_state(fresh, NULL, 0);
	return 0;
}

static int read_xsave(struct vcpu *vcpu, struct vcpu_state *fresh)
{
	uint8_t *area = calloc(1, XSAVE_RECORD_MAX);

	if (!area)
		return -ENOMEM;
	/* No record: the host has no XSAVE, and the FXSAVE image of the CPU record is all. */
	if (get_one(vcpu, CPU_XSAVE_CODE, area, XSAVE_RECORD_MAX) == 0)
		xsave_record_to_state(fresh, area, XSAVE_RECORD_MAX);
	free(area);
	return 0;
}

int load_read(struct vcpu *vcpu, uint32_t parts)
{
	struct vcpu_state *state = &vcpu->state, *fresh;
	unsigned given = interrupts_given(vcpu->vm);
	int rc = 0;

	if (given != vcpu->lapic_given)
		state->known &= ~(uint32_t)STATE_LAPIC;
	parts &= ~state->known & ~state->dirty;
	if (parts == 0 || !vm_live(vcpu->vm) || vcpu->phase == VCPU_NEW)
		return 0;
	fresh = malloc(sizeof *fresh);
	if (!fresh) {
		rc = -ENOMEM;
		goto out;
	}
	*fresh = *state;
	if (parts & (STATE_RECORD_PARTS | STATE_MSRS | STATE_XSAVE | STATE_MP)) {
		parts |= STATE_RECORD_PARTS;
		rc = read_cpu(vcpu, fresh);
		if (rc == 0 && (parts & STATE_MP)) {
			struct vcpu_info_bits info = {0};

			vcpu->vm->xen.ctl->ops->vcpu_info(vcpu->vm->xen.ctl, vcpu->vm->domid,
							  vcpu->index, &info);
			fresh->mp_state.mp_state =
				info.blocked ? KVM_MP_STATE_HALTED : KVM_MP_STATE_RUNNABLE;
		} else if (rc == -ENODATA) {
			rc = read_down(vcpu, fresh);
		}
		if (rc < 0)
			goto out;
		if (parts & STATE_MSRS)
			rc = read_msrs(vcpu, fresh);
		if (rc == 0 && (parts & STATE_XSAVE))
			rc = read_xsave(vcpu, fresh);
	}
	if (rc == 0 && (parts & STATE_LAPIC))
		rc = read_lapic(vcpu, fresh);
	/* Without an in-kernel LAPIC KVM knows no halted vcpu: HLT was an exit. */
	if (!vcpu->vm->interrupts.lapic)
		fresh->mp_state.mp_state = KVM_MP_STATE_RUNNABLE;
	if (rc == 0)
		take(vcpu, fresh, parts);
	if (rc == 0 && (parts & STATE_LAPIC))
		vcpu->lapic_given = given;
out:
	if (rc < 0)
		message_error("state of vcpu %u of domain %u cannot be read: error %d", vcpu->id,
			      vcpu->vm->domid, -rc);
	free(fresh);
	return rc;
}

/* --- writing --- */

static void add_lapic(struct image *image, struct vcpu *vcpu, struct vcpu_records *r)
{
	lapic_record_from_state(&r->lapic, &r->lapic_regs, r->view);
	if (!vcpu->vm->interrupts.lapic) {
		r->lapic.apic_base_msr &= ~(uint64_t)MSR_APICBASE_ENABLE;
		r->lapic.disabled |= VLAPIC_HW_DISABLED;
	}
	image_add(image, HVM_SAVE_CODE(LAPIC), vcpu->index, &r->lapic, sizeof r->lapic);
	image_add(image, HVM_SAVE_CODE(LAPIC_REGS), vcpu->index, &r->lapic_regs,
		  sizeof r->lapic_regs);
}

static int add_late(struct image *image, struct vcpu *vcpu, struct vcpu_records *r)
{
	uint8_t *area = calloc(1, XSAVE_RECORD_MAX);
	size_t length;

	if (!area)
		return -ENOMEM;
	mtrr_record_from_state(&r->mtrr, r->view);
	image_add(image, HVM_SAVE_CODE(MTRR), vcpu->index, &r->mtrr, sizeof r->mtrr);
	length = system_has_xsave() ? xsave_record_from_state(area, XSAVE_RECORD_MAX, r->view) : 0;
	if (length)
		image_add(image, CPU_XSAVE_CODE, vcpu->index, area, length);
	tsc_adjust_record_from_state(&r->tsc_adjust, r->view);
	image_add(image, HVM_SAVE_CODE(TSC_ADJUST), vcpu->index, &r->tsc_adjust,
		  sizeof r->tsc_adjust);
	memset(area, 0, CPU_MSR_RECORD_MAX);
	length = cpu_msr_record_from_state(area, CPU_MSR_RECORD_MAX, r->view);
	if (length)
		image_add(image, CPU_MSR_CODE, vcpu->index, area, length);
	free(area);
	return 0;
}

/* Shall the vcpu be up after the load? */
static bool wants_up(struct vcpu *vcpu, const struct vcpu_records *r)
{
	uint32_t mp = vcpu->state.mp_state.mp_state;
	bool waits = mp == KVM_MP_STATE_UNINITIALIZED || mp == KVM_MP_STATE_INIT_RECEIVED;

	if (!r->in_run)
		return r->up;
	if (vcpu->phase == VCPU_NEW || (vcpu->state.dirty & STATE_MP))
		return !waits;
	/* One that halted for good comes up again when the VMM has given it new registers. */
	return r->up || (!waits && (vcpu->state.dirty & (STATE_REGS | STATE_SREGS)));
}

/* Notes what the load does to a request that is not answered yet, shown to the VMM or not: its
 * result is dropped by Xen (see work_on_request), and an MMIO access is issued again, unless the
 * VMM has moved the vcpu elsewhere. self: whose thread we are; it has put its result into the
 * registers beforehand, if it has taken the request. */
static void note_cancelled(struct vcpu *vcpu, const struct vcpu *self, bool same_rip)
{
	const struct ioreq *slot = vcpu->slot;

	if (!slot || world_slot_state(vcpu) != STATE_IOREQ_READY ||
	    slot->type == IOREQ_TYPE_INVALIDATE)
		return;
	vcpu->has_replay = same_rip && slot->type == IOREQ_TYPE_COPY && !slot->data_is_ptr;
	if (vcpu != self || vcpu->io_untaken)
		atomic_store(&vcpu->io_cancelled, true);
}

/* Guest time goes on over the load: each CPU record of the image gets the TSC of the moment. */
static int set_with_tsc(struct vm *vm, const struct vcpu_records *all, struct image *image)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;
	uint64_t host = tsc_context_begin(vm);
	int rc;

	for (i = 0; i < count; i++) {
		uint64_t tsc = tsc_to_load(vm, all[i].view, host);
		uint8_t *body = (uint8_t *)image_find(image->data, image->length,
						      HVM_SAVE_CODE(CPU), i, NULL);

		if (body)
			memcpy(body + offsetof(struct hvm_hw_cpu, tsc), &tsc, sizeof tsc);
	}
	rc = vm->xen.ctl->ops->context_set(vm->xen.ctl, vm->domid, image->data, image->length);
	tsc_context_end(vm);
	return rc;
}

/* What KVM has taken and Xen would refuse must be known before anything is changed: Xen 4.17
 * applies a context while it checks it. */
static int check_states(struct vm *vm, const struct vcpu_records *all)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;
	int rc = 0;

	for (i = 0; i < count && rc == 0; i++)
		if (wants_up(vm->vcpus[i], &all[i]) && all[i].view->dirty)
			rc = load_check(vm->vcpus[i], all[i].view);
	return rc;
}

/* A vcpu that comes into KVM_RUN while we are at it counts as outside: what it brings is for its
 * own load. One that is outside for longer cannot change its state under our hands. */
static void hold(struct vm *vm, struct vcpu_records *all)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;

	for (i = 0; i < count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		for (int patience = 100; patience > 0; patience--) {
			all[i].in_run = atomic_load(&vcpu->in_run);
			if (!all[i].in_run)
				all[i].locked = vcpu_trylock(&vcpu->lock);
			if (all[i].in_run || all[i].locked)
				break;
			sched_yield(); /* in an ioctl of its own: that may wait for us */
		}
	}
}

static void let_go(struct vm *vm, struct vcpu_records *all)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;

	for (i = 0; i < count; i++) {
		if (all[i].locked)
			vcpu_unlock(&vm->vcpus[i]->lock);
		free(all[i].own_view);
	}
	free(all);
}

/* The LAPIC of a vcpu that has not come back to KVM_RUN yet is loaded with the first that does, as
 * KVM's call would have: interrupts from the others must find it as it will be, and stay in it. */
static bool wants_lapic(const struct vcpu_records *r, bool first)
{
	return first || ((r->in_run || r->locked) && (r->view->dirty & STATE_LAPIC));
}

static int build_and_set(struct vm *vm, struct vcpu_records *all, bool first,
			 const struct vcpu *self)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;
	struct image image;
	int rc = 0;

	image_begin(&image);
	for (i = 0; i < count; i++) {
		/* Only what the VMM has set: what Xen said comes back as it was. */
		if (message_verbose() && all[i].view->dirty)
			loss_vcpu(all[i].view, system_has_xsave(), loss_tell, NULL);
	}
	for (i = 0; i < count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];
		struct vcpu_records *r = &all[i];
		uint64_t old_rip = r->cpu.rip;

		if (!wants_up(vcpu, r))
			continue;
		cpu_record_from_state(&r->cpu, r->view);
		if (vcpu->debug.control || vcpu->debug.in_xen)
			debug_to_record(vcpu, &r->cpu, r->view == &vcpu->state);
		image_add(&image, HVM_SAVE_CODE(CPU), i, &r->cpu, sizeof r->cpu);
		note_cancelled(vcpu, self, old_rip == r->cpu.rip);
	}
	if (rc == 0 && vm->interrupts.lapic)
		rc = interrupts_records(vm, &image);
	for (i = 0; i < count; i++)
		if (wants_lapic(&all[i], first))
			add_lapic(&image, vm->vcpus[i], &all[i]);
	for (i = 0; i < count && rc == 0; i++)
		if (wants_up(vm->vcpus[i], &all[i]))
			rc = add_late(&image, vm->vcpus[i], &all[i]);
	if (image_end(&image) < 0 || rc < 0)
		rc = -ENOMEM;
	if (rc == 0)
		rc = set_with_tsc(vm, all, &image);
	image_free(&image);
	if (rc < 0)
		message_error("KVM_RUN: Xen refuses the state of domain %u: error %d", vm->domid,
			      -rc);
	return rc;
}

/* Of the events, what no record carries: a pending NMI is sent; the rest ends with the first
 * instruction that runs, as far as anyone can tell. */
static void forget_unread(struct vcpu *vcpu)
{
	struct kvm_vcpu_events *events = &vcpu->state.events;
	struct vm *vm = vcpu->vm;

	if ((vcpu->state.dirty & STATE_EVENTS) && events->nmi.pending)
		vm->xen.ctl->ops->vcpu_nmi(vm->xen.ctl, vm->domid, vcpu->index);
	events->nmi.pending = events->nmi.masked = 0;
	events->interrupt.shadow = 0;
}

static void loaded(struct vm *vm, const struct vcpu_records *all, bool first)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;

	for (i = 0; i < count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		/* A vcpu that has not entered KVM_RUN yet keeps its dirty state for that. */
		if (!all[i].in_run) {
			if (all[i].locked && wants_lapic(&all[i], first)) {
				vcpu->state.dirty &= ~STATE_LAPIC;
				vcpu->state.known &= ~STATE_LAPIC;
			}
			continue;
		}
		if (vcpu->phase == VCPU_NEW || vcpu->phase == VCPU_STOPPED)
			vcpu->phase = VCPU_RUNNING;
		forget_unread(vcpu);
		if (vcpu->state.dirty & STATE_LAPIC)
			atomic_store(&vcpu->lapic_on, false);
		vcpu->state.dirty = 0;
		vcpu->state.known = 0; /* it runs on from here */
	}
	STATS_ADD(&vm->stats->loads);
}

int load_first(struct vm *vm)
{
	struct vcpu_records *all = calloc(VM_MAX_VCPUS, sizeof *all);
	unsigned i;
	int rc;

	if (!all)
		return -ENOMEM;
	for (i = 0; i < atomic_load(&vm->vcpu_count); i++)
		all[i].view = &vm->vcpus[i]->state;
	hold(vm, all);
	rc = build_and_set(vm, all, true, NULL);
	if (rc == 0)
		loaded(vm, all, true);
	let_go(vm, all);
	return rc;
}

/* The parts that the VMM has not set come from Xen's context, so that the records built from the
 * state below say what Xen said. */
static int refresh(struct vcpu *vcpu, struct vcpu_records *r, const void *context, size_t size,
		   uint64_t host)
{
	struct vcpu_state *fresh = malloc(sizeof *fresh);
	const void *body;
	size_t length;

	if (!fresh)
		return -ENOMEM;
	*fresh = vcpu->state;
	fresh->dirty &= r->locked ? STATE_LAPIC : 0;
	r->own_view = r->view = fresh;
	body = image_find(context, size, HVM_SAVE_CODE(LAPIC), vcpu->index, &length);
	if (body && length <= sizeof r->lapic)
		memcpy(&r->lapic, body, length);
	body = image_find(context, size, HVM_SAVE_CODE(LAPIC_REGS), vcpu->index, &length);
	if (body && length <= sizeof r->lapic_regs)
		memcpy(&r->lapic_regs, body, length);
	body = image_find(context, size, HVM_SAVE_CODE(CPU), vcpu->index, &length);
	if (body && length == sizeof r->cpu) {
		r->up = true;
		memcpy(&r->cpu, body, sizeof r->cpu);
		cpu_record_to_state(fresh, &r->cpu);
		debug_from_record(vcpu, fresh);
		fresh->tsc_host = host;
	}
	body = image_find(context, size, HVM_SAVE_CODE(MTRR), vcpu->index, &length);
	if (body && length == sizeof r->mtrr) {
		memcpy(&r->mtrr, body, sizeof r->mtrr);
		mtrr_record_to_state(fresh, &r->mtrr, true);
	}
	body = image_find(context, size, HVM_SAVE_CODE(TSC_ADJUST), vcpu->index, &length);
	if (body && length == sizeof r->tsc_adjust) {
		memcpy(&r->tsc_adjust, body, sizeof r->tsc_adjust);
		tsc_adjust_record_to_state(fresh, &r->tsc_adjust);
	}
	body = image_find(context, size, CPU_XSAVE_CODE, vcpu->index, &length);
	if (body)
		xsave_record_to_state(fresh, body, length);
	body = image_find(context, size, CPU_MSR_CODE, vcpu->index, &length);
	cpu_msr_record_to_state(fresh, body, body ? length : 0);
	if (r->in_run) {
		if (r->up)
			take(vcpu, fresh, STATE_CPU_PARTS | STATE_XSAVE);
		r->view = &vcpu->state;
	}
	return 0;
}

/* Down, not initialised, not blocked: what INIT leaves, and the only way out of HLT there is. */
static int take_down(struct vm *vm, struct vcpu *vcpu)
{
	return vm->xen.ctl->ops->vcpu_context_set(vm->xen.ctl, vm->domid, vcpu->index, NULL);
}

/* The TSCs that Xen has: of all vcpus at one moment. */
static void keep_step(struct vm *vm, struct vcpu_records *all, uint64_t host)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;
	bool first = true;

	for (i = 0; i < count; i++)
		if (all[i].up && tsc_saved(vm, all[i].view, all[i].cpu.tsc, host, first))
			first = false;
}

static int read_all(struct vm *vm, struct vcpu_records *all)
{
	const struct control_ops *ops = vm->xen.ctl->ops;
	unsigned count = atomic_load(&vm->vcpu_count), i;
	uint32_t size = 0;
	uint64_t host = 0;
	void *context = NULL;
	int rc = ops->context_get(vm->xen.ctl, vm->domid, NULL, &size);

	if (rc == 0)
		context = malloc(size);
	if (rc == 0 && !context)
		rc = -ENOMEM;
	if (rc == 0) {
		host = tsc_context_begin(vm);
		rc = ops->context_get(vm->xen.ctl, vm->domid, context, &size);
		tsc_context_end(vm);
	}
	for (i = 0; i < count && rc == 0; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		all[i].view = &vcpu->state;
		if (vcpu->phase == VCPU_NEW)
			continue;
		/* A copy that is older than this stop must not be written back. */
		if (vcpu->phase == VCPU_RUNNING)
			vcpu->state.known = 0;
		rc = refresh(vcpu, &all[i], context, size, host);
	}
	if (rc == 0)
		keep_step(vm, all, host);
	free(context);
	return rc;
}

int load_dirty(struct vm *vm, const struct vcpu *self)
{
	struct vcpu_records *all = calloc(VM_MAX_VCPUS, sizeof *all);
	unsigned count = atomic_load(&vm->vcpu_count), i;
	struct domain_info info = {0};
	int rc;

	if (!all)
		return -ENOMEM;
	hold(vm, all);
	rc = read_all(vm, all);
	if (rc == 0)
		rc = check_states(vm, all);
	for (i = 0; i < count && rc == 0; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		if (vcpu->phase != VCPU_NEW && all[i].in_run && (vcpu->state.dirty & STATE_MP))
			rc = take_down(vm, vcpu);
	}
	if (rc == 0)
		rc = build_and_set(vm, all, false, self);
	interrupts_loaded(vm);
	if (rc == 0)
		loaded(vm, all, false);
	if (rc == 0)
		rc = vm->xen.ctl->ops->domain_info(vm->xen.ctl, vm->domid, &info);
	if (rc == 0 && info.shutdown)
		rc = vm->xen.ctl->ops->domain_resume(vm->xen.ctl, vm->domid);
	let_go(vm, all);
	return rc;
}
