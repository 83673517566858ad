#include "libkvmxen/machine/inject.h"

#include <stdlib.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/convert/image.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/debug.h"
#include "libkvmxen/machine/load.h"
#include "libkvmxen/machine/tsc.h"
#include "libkvmxen/machine/world.h"
#include "libkvmxen/message.h"

#define EVENT_VALID                                                                                \
	(1u << 31) /* hvm_hw_cpu.pending_event, as EVENTINJ; type 0: external interrupt */
#define XSAVE_LIMIT  (sizeof(struct hvm_hw_cpu_xsave) + 16384)
#define DWORD_OR_ALL 4 /* a result of this size clears the register's upper half */

void inject_show(struct vcpu *vcpu)
{
	struct vcpu_state *state = &vcpu->state;
	unsigned vector = vcpu->injecting;

	state->events.interrupt.injected = 1;
	state->events.interrupt.nr = vector;
	state->events.interrupt.soft = 0;
	memset(state->sregs.interrupt_bitmap, 0, sizeof state->sregs.interrupt_bitmap);
	state->sregs.interrupt_bitmap[vector / 64] = 1ull << vector % 64;
}

static int get_one(struct vcpu *vcpu, uint16_t typecode, void *body, uint32_t length)
{
	struct vm *vm = vcpu->vm;

	return vm->xen.ctl->ops->context_get_one(vm->xen.ctl, vm->domid, typecode, vcpu->index,
						 body, length);
}

/* vm->lock held: nobody else brings a vcpu up. And with all others down no SIPI can come. */
static bool is_alone(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	unsigned count = atomic_load(&vm->vcpu_count), i;
	struct vcpu_info_bits bits;

	for (i = 0; i < count; i++)
		if (vm->vcpus[i] != vcpu &&
		    (vm->xen.ctl->ops->vcpu_info(vm->xen.ctl, vm->domid, i, &bits) != 0 ||
		     bits.online))
			return false;
	return true;
}

/* Xen forgets the IN that waits for its result: RIP has moved on already, RAX is missing. */
static void merge_input(const struct ioreq *io, struct hvm_hw_cpu *cpu)
{
	uint64_t mask = io->size == 1 ? 0xff : io->size == 2 ? 0xffff : ~0ull;

	if (io->dir != IOREQ_READ || io->data_is_ptr)
		return;
	cpu->rax = (cpu->rax & ~mask) | (io->data & (io->size == DWORD_OR_ALL ? ~0u : mask));
}

/* Xen resets PAT, and from 4.20 on the extended state, with a CPU record: they go along. */
static void add_others(struct vcpu *vcpu, struct image *image)
{
	struct vcpu_state *state = &vcpu->state;
	struct hvm_hw_mtrr mtrr;
	uint8_t *area = calloc(1, XSAVE_LIMIT);
	size_t length = 0;

	if (get_one(vcpu, HVM_SAVE_CODE(MTRR), &mtrr, sizeof mtrr) == 0) {
		mtrr_record_to_state(state, &mtrr, true);
		mtrr_record_from_state(&mtrr, state);
		image_add(image, HVM_SAVE_CODE(MTRR), vcpu->index, &mtrr, sizeof mtrr);
	}
	if (area && system_has_xsave() && get_one(vcpu, CPU_XSAVE_CODE, area, XSAVE_LIMIT) == 0) {
		xsave_record_to_state(state, area, XSAVE_LIMIT);
		length = xsave_record_from_state(area, XSAVE_LIMIT, state);
	}
	if (length)
		image_add(image, CPU_XSAVE_CODE, vcpu->index, area, length);
	free(area);
}

/* Guest time goes on over the load. */
static int set_with_tsc(struct vcpu *vcpu, struct image *image)
{
	struct vm *vm = vcpu->vm;
	uint64_t tsc = tsc_at(vm, &vcpu->state, tsc_context_begin(vm));
	uint8_t *body = (uint8_t *)image_find(image->data, image->length, HVM_SAVE_CODE(CPU),
					      vcpu->index, NULL);
	int rc;

	memcpy(body + offsetof(struct hvm_hw_cpu, tsc), &tsc, sizeof tsc);
	rc = vm->xen.ctl->ops->context_set(vm->xen.ctl, vm->domid, image->data, image->length);
	tsc_context_end(vm);
	return rc;
}

/* Of the vcpu's own records, none of which the VMM has changed. vm->lock held. */
static int load_alone(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	const struct control_ops *ops = vm->xen.ctl->ops;
	struct vcpu_state *state = &vcpu->state;
	struct image image;
	struct hvm_hw_cpu cpu;
	uint64_t host = tsc_record_begin(vm);
	int rc = get_one(vcpu, HVM_SAVE_CODE(CPU), &cpu, sizeof cpu), back;

	tsc_record_end(vm);
	if (rc < 0)
		return rc;
	if (vcpu->phase == VCPU_EXIT)
		merge_input(&vcpu->io, &cpu);
	cpu.pending_event = EVENT_VALID | vcpu->injecting;
	cpu.error_code = 0;
	state->known = 0;
	state->msrs[MSR_ROW_TSC] = cpu.tsc;
	state->tsc_host = host;
	image_begin(&image);
	image_add(&image, HVM_SAVE_CODE(CPU), vcpu->index, &cpu, sizeof cpu);
	add_others(vcpu, &image);
	rc = image_end(&image);
	if (rc == 0)
		rc = ops->domain_pause(vm->xen.ctl, vm->domid);
	if (rc < 0) {
		image_free(&image);
		return rc;
	}
	if (vcpu->phase == VCPU_IDLE) /* HLT is left by going down and coming up */
		rc = ops->vcpu_context_set(vm->xen.ctl, vm->domid, vcpu->index, NULL);
	if (rc == 0)
		rc = set_with_tsc(vcpu, &image);
	back = ops->domain_unpause(vm->xen.ctl, vm->domid);
	rc = rc < 0 ? rc : back;
	image_free(&image);
	return rc;
}

long inject(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	long rc = 0;
	bool quick = false;

	if (!vcpu->state.dirty && vm_live(vm) &&
	    (vcpu->phase == VCPU_EXIT || vcpu->phase == VCPU_PARKED || vcpu->phase == VCPU_IDLE)) {
		pthread_mutex_lock(&vm->lock);
		quick = !atomic_load(&vm->work) && is_alone(vcpu);
		if (quick)
			rc = load_alone(vcpu);
		pthread_mutex_unlock(&vm->lock);
	}
	if (quick && rc == 0) {
		vcpu->halted = false;
		if (vcpu->phase == VCPU_IDLE)
			vcpu->phase = VCPU_RUNNING;
		vcpu->injecting = INJECT_NONE;
		return 1;
	}
	/* Halted with interrupts off: it has no record, and comes up by a load of everything. */
	rc = load_read(vcpu, STATE_EVENTS);
	if (rc < 0)
		return rc;
	inject_show(vcpu);
	vcpu->state.dirty |= STATE_EVENTS;
	vcpu->injecting = INJECT_NONE;
	return 0;
}
