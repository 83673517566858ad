#include "libkvmxen/machine/tsc.h"

#include <errno.h>
#include <x86intrin.h>

#define TOLERANCE_PPM 250 /* KVM's own */

uint64_t tsc_host_now(void)
{
	return __rdtsc();
}

/* Asked once; a constant of the host. */
static uint32_t host_khz(struct vm *vm)
{
	uint32_t khz = 0;

	if (!vm->tsc_host_khz && vm->xen.ctl->ops->host_tsc_khz(vm->xen.ctl, &khz) == 0)
		vm->tsc_host_khz = khz;
	return vm->tsc_host_khz;
}

/* Cycles of the host as cycles of the guest. */
static uint64_t scaled(struct vm *vm, uint64_t cycles)
{
	if (!vm->tsc_khz || !host_khz(vm))
		return cycles;
	return (unsigned __int128)cycles * vm->tsc_khz / host_khz(vm);
}

uint64_t tsc_at(struct vm *vm, const struct vcpu_state *state, uint64_t host)
{
	/* A time before the state's: reading the host's TSC on another processor may go back. */
	if ((int64_t)(host - state->tsc_host) < 0)
		return state->msrs[MSR_ROW_TSC];
	return state->msrs[MSR_ROW_TSC] + scaled(vm, host - state->tsc_host);
}

/* KVM's kvm_synchronize_tsc. */
static void synchronise(struct vcpu *vcpu, bool first)
{
	struct vm *vm = vcpu->vm;
	uint64_t *value = &vcpu->state.msrs[MSR_ROW_TSC];
	uint64_t now = tsc_host_now(), second = *value ? tsc_khz(vm) * 1000ull : 0, expected;

	pthread_mutex_lock(&vm->tsc_lock);
	expected = vm->tsc_value + scaled(vm, now - vm->tsc_value_host);
	if (!first && (*value == 0 || (*value<expected + second && * value + second> expected))) {
		*value = expected;
	} else {
		vm->tsc_value = *value;
		vm->tsc_value_host = now;
	}
	vcpu->state.tsc_host = now;
	pthread_mutex_unlock(&vm->tsc_lock);
}

void tsc_created(struct vcpu *vcpu)
{
	synchronise(vcpu, vcpu->index == 0);
}

void tsc_written(struct vcpu *vcpu)
{
	synchronise(vcpu, false);
}

uint64_t tsc_offset(struct vcpu *vcpu)
{
	uint64_t now = tsc_host_now();

	return tsc_at(vcpu->vm, &vcpu->state, now) - scaled(vcpu->vm, now);
}

void tsc_offset_set(struct vcpu *vcpu, uint64_t offset)
{
	struct vm *vm = vcpu->vm;
	uint64_t now = tsc_host_now();

	pthread_mutex_lock(&vm->tsc_lock);
	vm->tsc_value = vcpu->state.msrs[MSR_ROW_TSC] = scaled(vm, now) + offset;
	vm->tsc_value_host = vcpu->state.tsc_host = now;
	vcpu->state.dirty |= STATE_TSC;
	pthread_mutex_unlock(&vm->tsc_lock);
}

uint32_t tsc_khz(struct vm *vm)
{
	return vm->tsc_khz ? vm->tsc_khz : host_khz(vm);
}

static bool close_to(uint64_t khz, uint64_t other)
{
	uint64_t tolerance = other * TOLERANCE_PPM / 1000000;

	return khz + tolerance >= other && khz <= other + tolerance;
}

int tsc_khz_set(struct vm *vm, uint32_t khz)
{
	int rc = 0;

	if (khz == 0)
		khz = host_khz(vm);
	pthread_mutex_lock(&vm->lock);
	if (close_to(khz, tsc_khz(vm)))
		rc = 0;
	else if (vm_live(vm))
		rc = -EINVAL;
	else
		vm->tsc_khz = close_to(khz, host_khz(vm)) ? 0 : khz;
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

uint64_t tsc_context_begin(struct vm *vm)
{
	pthread_mutex_lock(&vm->tsc_lock);
	return vm->tsc_sync = tsc_host_now();
}

void tsc_context_end(struct vm *vm)
{
	pthread_mutex_unlock(&vm->tsc_lock);
}

uint64_t tsc_record_begin(struct vm *vm)
{
	pthread_mutex_lock(&vm->tsc_lock);
	return vm->tsc_sync;
}

void tsc_record_end(struct vm *vm)
{
	pthread_mutex_unlock(&vm->tsc_lock);
}
