/*
 * tsc: the guest's time stamp counter, exact wherever the guest is stopped or its state is loaded.
 *
 * A vcpu's TSC is a value that it had at a time of the host's TSC (state.h: msrs[MSR_ROW_TSC],
 * tsc_host), and goes on from there at the guest's frequency, whether it runs or not, as KVM's
 * does. Xen's CPU record holds it at the time of the last whole context load or save
 * (sync_tsc): `tsc_context_*` keeps that time.
 *
 * KVM API 4.20 (MSR 0x10), 4.55 (KVM_SET_TSC_KHZ), 4.56 (KVM_GET_TSC_KHZ).
 */
#ifndef KVMXEN_MACHINE_TSC_H
#define KVMXEN_MACHINE_TSC_H

#include "libkvmxen/machine/vcpu.h"

/* The host's TSC, as Xen counts it: a PV dom0 reads it natively. */
uint64_t tsc_host_now(void);

/* What the state's TSC is when the host's is `host`. */
uint64_t tsc_at(struct vm *vm, const struct vcpu_state *state, uint64_t host);

/*
 * Vcpus in step have the VM's TSC, to the cycle, whichever of them is loaded when: Xen does not say
 * exactly when it took or gave a record (sync_tsc lies somewhere within the hypercall), so what one
 * vcpu's record says is no measure for another whose TSC we only computed. tsc_saved takes what a
 * whole context says of a vcpu: the first that is in step sets the VM's TSC to that, and the others
 * are compared with it: the guest may have set one. True: it is in step. tsc_to_load is for between
 * tsc_context_begin and its end.
 */
bool tsc_saved(struct vm *vm, struct vcpu_state *state, uint64_t value, uint64_t host, bool first);
uint64_t tsc_to_load(struct vm *vm, const struct vcpu_state *state, uint64_t host);
/* The same at any other time. */
uint64_t tsc_now(struct vm *vm, const struct vcpu_state *state, uint64_t host);
/* A record that was read by itself. Where Xen emulates RDTSC (another frequency than the host's) it
 * says nothing: Xen lets no time that it computes be before one that any vcpu has seen. */
void tsc_read(struct vm *vm, struct vcpu_state *state);

/* KVM_CREATE_VCPU, and a write by the VMM of what the state now holds. A value of 0, or one within
 * a second of where the VM's TSC is, means that TSC: vcpus that are set one after the other stay
 * in step. */
void tsc_created(struct vcpu *vcpu);
void tsc_written(struct vcpu *vcpu);

/* KVM_VCPU_TSC_OFFSET: what the guest's TSC is ahead of the host's, of known state (STATE_TSC). */
uint64_t tsc_offset(struct vcpu *vcpu);
void tsc_offset_set(struct vcpu *vcpu, uint64_t offset);

/* The guest's frequency in kHz; 0: Xen does not tell the host's. */
uint32_t tsc_khz(struct vm *vm);
/* The VM's frequency from now on: before the domain is made only, but what it is already is fine
 * at any time. 0 or -EINVAL. */
int tsc_khz_set(struct vm *vm, uint32_t khz);

/* Around a whole context load or save: the time that records have from now on. */
uint64_t tsc_context_begin(struct vm *vm);
void tsc_context_end(struct vm *vm);
/* Around reading a CPU record by itself: its time. */
uint64_t tsc_record_begin(struct vm *vm);
void tsc_record_end(struct vm *vm);

#endif
