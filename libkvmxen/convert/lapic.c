/*
 * LAPIC and LAPIC_REGS: the local APIC, hidden state and register page.
 */
#include <assert.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"

static_assert(sizeof(struct hvm_hw_lapic) == 24, "LAPIC record of Xen up to 4.17");
static_assert(sizeof(struct hvm_hw_lapic_regs) == sizeof(struct kvm_lapic_state),
	      "the same page on both sides");

/* hvm_hw_lapic.disabled */
#define HARDWARE_DISABLED 1u /* by the APIC base register */
#define SOFTWARE_DISABLED 2u /* by the spurious vector register */

#define SPIV_ENABLED (1u << 8)

/* One count of the timer lasts 1 ns in KVM and 10 ns in Xen, each times the divider. */
#define TIMER_RATIO 10

static uint32_t reg_get(const struct hvm_hw_lapic_regs *regs, unsigned offset)
{
	uint32_t value;

	memcpy(&value, regs->data + offset, sizeof value);
	return value;
}

static void reg_set(struct hvm_hw_lapic_regs *regs, unsigned offset, uint32_t value)
{
	memcpy(regs->data + offset, &value, sizeof value);
}

static uint32_t count_to_kvm(uint32_t count)
{
	return count > UINT32_MAX / TIMER_RATIO ? UINT32_MAX : count * TIMER_RATIO;
}

/* A count that Xen reported and the VMM gives back unchanged stays exact, though KVM's register
 * has no room for ten times the largest. A count that is not zero stays so: the timer is armed. */
static uint32_t count_from_kvm(uint32_t count, uint32_t base)
{
	if (count == count_to_kvm(base))
		return base;
	return count / TIMER_RATIO + (count % TIMER_RATIO != 0);
}

/* Bits 0, 1 and 3 of the divide configuration: 2, 4, ..., 128, then 1. */
static uint32_t divisor(uint32_t tdcr)
{
	uint32_t shift = ((tdcr & 3) | (tdcr & 8) >> 1) + 1;

	return 1u << (shift & 7);
}

/* The page of a LAPIC that never was in Xen and that the VMM does not set. */
static void page_reset(struct hvm_hw_lapic_regs *regs)
{
	reg_set(regs, STATE_LAPIC_VERSION, STATE_LAPIC_VERSION_KVM);
	reg_set(regs, STATE_LAPIC_DFR, 0xffffffff);
	reg_set(regs, STATE_LAPIC_SPIV, 0xff);
	for (unsigned offset = STATE_LAPIC_LVTT; offset < STATE_LAPIC_TMICT; offset += 0x10)
		reg_set(regs, offset, STATE_LAPIC_LVT_MASKED);
}

void lapic_record_from_state(struct hvm_hw_lapic *record, struct hvm_hw_lapic_regs *regs,
			     const struct vcpu_state *state)
{
	bool own = !vcpu_state_has_lapic(state);
	uint64_t base = state->sregs.apic_base;

	if (own) {
		/* The VMM emulates the LAPIC: Xen's is switched off, so that its page falls
		 * through to the VMM, and only lends its TPR to CR8. */
		base &= ~STATE_APIC_ENABLE;
		if (!reg_get(regs, STATE_LAPIC_VERSION))
			page_reset(regs);
		reg_set(regs, STATE_LAPIC_TPR, (state->sregs.cr8 & 0xf) << 4);
	} else {
		uint32_t initial = reg_get(regs, STATE_LAPIC_TMICT);
		uint32_t current = reg_get(regs, STATE_LAPIC_TMCCT);

		memcpy(regs->data, state->lapic.regs, sizeof regs->data);
		reg_set(regs, STATE_LAPIC_TMICT,
			count_from_kvm(reg_get(regs, STATE_LAPIC_TMICT), initial));
		reg_set(regs, STATE_LAPIC_TMCCT,
			count_from_kvm(reg_get(regs, STATE_LAPIC_TMCCT), current));
	}
	record->apic_base_msr = base;
	record->disabled = (base & STATE_APIC_ENABLE ? 0 : HARDWARE_DISABLED) |
			   (reg_get(regs, STATE_LAPIC_SPIV) & SPIV_ENABLED ? 0 : SOFTWARE_DISABLED);
	record->timer_divisor = divisor(reg_get(regs, STATE_LAPIC_TDCR));
	record->tdt_msr = state->msrs[MSR_ROW_TSC_DEADLINE];
}

void lapic_record_to_state(struct vcpu_state *state, const struct hvm_hw_lapic *record,
			   const struct hvm_hw_lapic_regs *regs)
{
	state->sregs.cr8 = (reg_get(regs, STATE_LAPIC_TPR) >> 4) & 0xf;
	/* Xen's LAPIC is off because the VMM has its own, whose base register is the VMM's. */
	if (!vcpu_state_has_lapic(state) && record->disabled & HARDWARE_DISABLED)
		return;
	memcpy(state->lapic.regs, regs->data, sizeof regs->data);
	vcpu_state_lapic_set(state, STATE_LAPIC_TMICT,
			     count_to_kvm(reg_get(regs, STATE_LAPIC_TMICT)));
	vcpu_state_lapic_set(state, STATE_LAPIC_TMCCT,
			     count_to_kvm(reg_get(regs, STATE_LAPIC_TMCCT)));
	vcpu_state_lapic_derive(state);
	state->sregs.apic_base = record->apic_base_msr;
	state->msrs[MSR_ROW_TSC_DEADLINE] = record->tdt_msr;
}
