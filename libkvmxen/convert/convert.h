/*
 * convert: pure functions between KVM's structures and Xen's HVM save records.
 *
 * No call here talks to Xen or to the kernel. Each file below convert/ holds one record family.
 * The `_from_kvm` functions start from a base record (what Xen last returned, or zeroes for a
 * domain that never ran), so that what KVM has no word for is kept.
 */
#ifndef KVMXEN_CONVERT_CONVERT_H
#define KVMXEN_CONVERT_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>
#include <xen/xen.h>
#include <xen/hvm/save.h>

#include "libkvmxen/machine/state.h"
#include "libkvmxen/xen/control.h"

/* None of these touches known or dirty. */

/* CPU: regs, sregs, fpu part of xsave, debugregs, events, the MSRs that live in it. The record's
 * tsc goes into the state, but never back: whoever loads a record must patch it. */
void cpu_record_from_state(struct hvm_hw_cpu *record, const struct vcpu_state *state);
void cpu_record_to_state(struct vcpu_state *state, const struct hvm_hw_cpu *record);
/* An exception waits in it to be delivered. */
bool cpu_record_has_exception(const struct hvm_hw_cpu *record);

/* struct vcpu_guest_context (XEN_DOMCTL_setvcpucontext): GPRs, RIP, RFLAGS, DRs, FXSAVE. */
void vcpu_context_from_state(struct vcpu_guest_context *context, const struct vcpu_state *state);

/* CPU_XSAVE: body = struct hvm_hw_cpu_xsave with its area. size: capacity; returns the length, 0
 * when it does not fit. Xen takes no such record for a guest without XSAVE in its CPUID. */
size_t xsave_record_from_state(void *body, size_t size, const struct vcpu_state *state);
void xsave_record_to_state(struct vcpu_state *state, const void *body, size_t length);

/* How long an area is depends on the processor: the leaves of control_ops.cpuid_host say. To be
 * called once, before the first record; without it records are 4 KiB, zeroes at the end. */
void xsave_layout_learn(const struct control_cpuid *host, uint32_t n);

/* CPU_MSR: struct hvm_msr with its entries; body holds the base record, a count of 0 for none.
 * Returns the length; 0 when there is nothing to say. Reading NULL means that Xen has no record:
 * all of them are zero. */
size_t cpu_msr_record_from_state(void *body, size_t size, const struct vcpu_state *state);
void cpu_msr_record_to_state(struct vcpu_state *state, const void *body, size_t length);

void mtrr_record_from_state(struct hvm_hw_mtrr *record, const struct vcpu_state *state);
/* keep_variable: leave variable ranges 1-7 as the state has them (Xen saves them wrong). */
void mtrr_record_to_state(struct vcpu_state *state, const struct hvm_hw_mtrr *record,
			  bool keep_variable);

void tsc_adjust_record_from_state(struct hvm_tsc_adjust *record, const struct vcpu_state *state);
void tsc_adjust_record_to_state(struct vcpu_state *state, const struct hvm_tsc_adjust *record);

/* LAPIC and LAPIC_REGS: lapic, sregs.apic_base, sregs.cr8, TSC deadline. The timer counts of
 * KVM's 1 GHz bus become counts of Xen's 100 MHz bus and back. A state without a LAPIC in the
 * kernel (vcpu_state_has_lapic) switches Xen's off and shares only its TPR, as cr8. */
void lapic_record_from_state(struct hvm_hw_lapic *record, struct hvm_hw_lapic_regs *regs,
			     const struct vcpu_state *state);
void lapic_record_to_state(struct vcpu_state *state, const struct hvm_hw_lapic *record,
			   const struct hvm_hw_lapic_regs *regs);

/* PIC: chip 0 master, 1 slave. */
void pic_record_from_kvm(struct hvm_hw_vpic *record, const struct kvm_pic_state *pic,
			 unsigned chip);
void pic_record_to_kvm(struct kvm_pic_state *pic, const struct hvm_hw_vpic *record, unsigned chip,
		       uint16_t isa_wires);

/* IOAPIC: KVM's 24 pins are the first of Xen's 48; pins above keep the base record's content. */
void ioapic_record_from_kvm(struct hvm_hw_vioapic *record, const struct kvm_ioapic_state *ioapic);
void ioapic_record_to_kvm(struct kvm_ioapic_state *ioapic, const struct hvm_hw_vioapic *record,
			  uint32_t wires);

void pit_record_from_kvm(struct hvm_hw_pit *record, const struct kvm_pit_state2 *pit);
void pit_record_to_kvm(struct kvm_pit_state2 *pit, const struct hvm_hw_pit *record);

#endif
