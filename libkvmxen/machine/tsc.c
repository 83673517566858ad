#include "libkvmxen/machine/tsc.h"

#include <errno.h>
#include <x86intrin.h>

#define TOLERANCE_PPM   250 /* KVM's own */
#define KHZ_UNKNOWN     1000000
#define STEP_PART_OF_MS 100 /* 10 us: what scaling may round, and no guest would set */

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

/* tsc_lock held. */
static uint64_t vm_tsc_at(struct vm *vm, uint64_t host)
{
	if ((int64_t)(host - vm->tsc_value_host) < 0)
		return vm->tsc_value;
	return vm->tsc_value + scaled(vm, host - vm->tsc_value_host);
}

static bool in_step(const struct vm *vm, const struct vcpu_state *state)
{
	return state->tsc_step && state->tsc_step == vm->tsc_step;
}

uint64_t tsc_to_load(struct vm *vm, const struct vcpu_state *state, uint64_t host)
{
	return in_step(vm, state) ? vm_tsc_at(vm, host) : tsc_at(vm, state, host);
}

uint64_t tsc_now(struct vm *vm, const struct vcpu_state *state, uint64_t host)
{
	uint64_t value;

	pthread_mutex_lock(&vm->tsc_lock);
	value = tsc_to_load(vm, state, host);
	pthread_mutex_unlock(&vm->tsc_lock);
	return value;
}

void tsc_read(struct vm *vm, struct vcpu_state *state)
{
	if (!vm->tsc_khz)
		tsc_saved(vm, state, state->msrs[MSR_ROW_TSC], state->tsc_host, false);
}

bool tsc_saved(struct vm *vm, struct vcpu_state *state, uint64_t value, uint64_t host, bool first)
{
	uint64_t khz = tsc_khz(vm) ? tsc_khz(vm) : KHZ_UNKNOWN,
		 limit = first ? khz * 1000 : khz / STEP_PART_OF_MS;
	int64_t off;

	if (!in_step(vm, state) || (state->dirty & STATE_TSC))
		return false;
	pthread_mutex_lock(&vm->tsc_lock);
	off = value - vm_tsc_at(vm, host);
	if ((uint64_t)(off < 0 ? -off : off) > limit) {
		state->tsc_step = 0; /* the guest has set it */
	} else if (first) {
		vm->tsc_value = value;
		vm->tsc_value_host = host;
	}
	pthread_mutex_unlock(&vm->tsc_lock);
	return in_step(vm, state);
}

/* KVM's kvm_synchronize_tsc. */
static void synchronise(struct vcpu *vcpu, bool first)
{
	struct vm *vm = vcpu->vm;
	uint64_t *value = &vcpu->state.msrs[MSR_ROW_TSC];
	uint64_t now = tsc_host_now(), second = *value ? tsc_khz(vm) * 1000ull : 0, expected;

	pthread_mutex_lock(&vm->tsc_lock);
	expected = vm_tsc_at(vm, now);
	if (!first && (*value == 0 || (*value<expected + second && * value + second> expected))) {
		*value = expected;
	} else {
		vm->tsc_value = *value;
		vm->tsc_value_host = now;
		vm->tsc_step++;
	}
	vcpu->state.tsc_host = now;
	vcpu->state.tsc_step = vm->tsc_step;
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

	return tsc_now(vcpu->vm, &vcpu->state, now) - scaled(vcpu->vm, now);
}

void tsc_offset_set(struct vcpu *vcpu, uint64_t offset)
{
	struct vm *vm = vcpu->vm;
	uint64_t now = tsc_host_now();

	pthread_mutex_lock(&vm->tsc_lock);
	vcpu->state.msrs[MSR_ROW_TSC] = scaled(vm, now) + offset;
	/* Vcpus with the same offset are in step. */
	if (vm_tsc_at(vm, now) != vcpu->state.msrs[MSR_ROW_TSC])
		vm->tsc_step++;
	vm->tsc_value = vcpu->state.msrs[MSR_ROW_TSC];
	vm->tsc_value_host = vcpu->state.tsc_host = now;
	vcpu->state.tsc_step = vm->tsc_step;
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
