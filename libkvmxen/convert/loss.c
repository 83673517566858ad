#include "libkvmxen/convert/loss.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/convert/fields.h"
#include "libkvmxen/message.h"

#define XSAVE_RECORD_MAX   (sizeof(struct hvm_hw_cpu_xsave) + sizeof(struct kvm_xsave))
#define CPU_MSR_RECORD_MAX 1024

/* One comparison: a structure as set, as it comes back, as a reset leaves it. */
struct trip {
	const void *set, *back, *reset;
	loss_report *report;
	void *context;
	int losses;
};

static uint64_t element_value(const void *at, uint32_t size)
{
	uint64_t value = 0;

	memcpy(&value, at, size < sizeof value ? size : sizeof value);
	return value;
}

static void compare_field(struct trip *t, unsigned number, const char *structure, uint32_t base,
			  const struct field *f)
{
	for (uint32_t at = 0; at < f->size; at += f->element) {
		uint32_t offset = base + f->offset + at;
		const char *set = (const char *)t->set + offset;
		const char *back = (const char *)t->back + offset;
		const char *reset = (const char *)t->reset + offset;

		if (memcmp(set, back, f->element) == 0 &&
		    (f->fidelity != LOST || memcmp(set, reset, f->element) == 0))
			continue;
		t->losses++;
		if (t->report)
			t->report(t->context, &(struct loss){
						      .number = number,
						      .structure = structure,
						      .field = f->name,
						      .index = at / f->element,
						      .is_array = f->size != f->element,
						      .value = element_value(set, f->element),
						      .becomes = element_value(back, f->element),
						      .note = f->note,
					      });
	}
}

static void compare(struct trip *t, enum field_object object)
{
	size_t count;
	const struct structure *s = structures(&count);
	unsigned number = MSR_TABLE_SIZE;

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < s[i].count; k++, number++)
			if (s[i].object == object)
				compare_field(t, number, s[i].name, s[i].base, &s[i].fields[k]);
}

/* Through every record of a vcpu and back, into what a reset leaves. */
static int round_trip(struct vcpu_state *back, const struct vcpu_state *state, bool has_xsave)
{
	struct hvm_hw_cpu cpu = {0};
	struct hvm_hw_mtrr mtrr = {0};
	struct hvm_tsc_adjust adjust = {0};
	struct hvm_hw_lapic lapic = {0};
	struct hvm_hw_lapic_regs regs = {0};
	uint8_t msrs[CPU_MSR_RECORD_MAX] = {0};
	uint8_t *xsave = calloc(1, XSAVE_RECORD_MAX);
	size_t length;

	if (!xsave)
		return -ENOMEM;
	cpu_record_from_state(&cpu, state);
	cpu.tsc = state->msrs[MSR_ROW_TSC];
	cpu_record_to_state(back, &cpu);
	length = has_xsave ? xsave_record_from_state(xsave, XSAVE_RECORD_MAX, state) : 0;
	if (length)
		xsave_record_to_state(back, xsave, length);
	free(xsave);
	mtrr_record_from_state(&mtrr, state);
	mtrr_record_to_state(back, &mtrr, false);
	tsc_adjust_record_from_state(&adjust, state);
	tsc_adjust_record_to_state(back, &adjust);
	length = cpu_msr_record_from_state(msrs, sizeof msrs, state);
	cpu_msr_record_to_state(back, length ? msrs : NULL, length);
	lapic_record_from_state(&lapic, &regs, state);
	lapic_record_to_state(back, &lapic, &regs);
	return 0;
}

/* What the library keeps itself, and what says nothing. */
static void keep(struct vcpu_state *back, const struct vcpu_state *state)
{
	back->events.flags = state->events.flags;
	back->events.nmi.pending = state->events.nmi.pending;
	switch (state->mp_state.mp_state) {
	case KVM_MP_STATE_INIT_RECEIVED:
		back->mp_state.mp_state = KVM_MP_STATE_UNINITIALIZED;
		break;
	case KVM_MP_STATE_UNINITIALIZED:
		back->mp_state = state->mp_state;
		break;
	default:
		back->mp_state.mp_state = KVM_MP_STATE_RUNNABLE;
	}
	if (!vcpu_state_has_lapic(state))
		back->sregs.apic_base = state->sregs.apic_base;
}

static void compare_msrs(struct trip *t)
{
	struct field field;

	for (int row = 0; row < MSR_TABLE_SIZE; row++) {
		/* Those of kvm_sregs have been seen there. */
		if (msr_table[row].home == MSR_HOME_SREGS ||
		    msr_table[row].home == MSR_HOME_APIC_BASE)
			continue;
		msr_field(row, &field);
		compare_field(t, row, "msr", 0, &field);
	}
}

int loss_vcpu(const struct vcpu_state *state, bool has_xsave, loss_report *report, void *context)
{
	struct vcpu_state *copies = calloc(2, sizeof *copies);
	struct vcpu_state *back = &copies[0], *reset = &copies[1];
	struct trip t = {state, back, reset, report, context, 0};
	bool lapic = vcpu_state_has_lapic(state);
	int rc;

	if (!copies)
		return -ENOMEM;
	vcpu_state_reset(reset, 0, true, lapic);
	*back = *reset;
	rc = round_trip(back, state, has_xsave);
	if (rc == 0) {
		keep(back, state);
		compare(&t, IN_VCPU);
		compare_msrs(&t);
	}
	free(copies);
	return rc < 0 ? rc : t.losses;
}

int loss_pic(const struct kvm_pic_state *pic, unsigned chip, loss_report *report, void *context)
{
	static const struct kvm_pic_state none;
	struct hvm_hw_vpic record = {0};
	struct kvm_pic_state back;
	struct trip t = {pic, &back, &none, report, context, 0};

	pic_record_from_kvm(&record, pic, chip);
	pic_record_to_kvm(&back, &record, chip, (uint16_t)pic->last_irr << (chip ? 8 : 0));
	compare(&t, IN_PIC);
	return t.losses;
}

int loss_ioapic(const struct kvm_ioapic_state *ioapic, loss_report *report, void *context)
{
	static const struct kvm_ioapic_state none;
	struct hvm_hw_vioapic record = {0};
	struct kvm_ioapic_state back;
	struct trip t = {ioapic, &back, &none, report, context, 0};

	ioapic_record_from_kvm(&record, ioapic);
	ioapic_record_to_kvm(&back, &record, ioapic->irr);
	compare(&t, IN_IOAPIC);
	return t.losses;
}

int loss_pit(const struct kvm_pit_state2 *pit, loss_report *report, void *context)
{
	static const struct kvm_pit_state2 none;
	struct hvm_hw_pit record = {0};
	struct kvm_pit_state2 back;
	struct trip t = {pit, &back, &none, report, context, 0};

	pit_record_from_kvm(&record, pit);
	pit_record_to_kvm(&back, &record);
	compare(&t, IN_PIT);
	return t.losses;
}

static atomic_bool told[LOSS_FIELDS_MAX];

void loss_tell(void *context, const struct loss *loss)
{
	char index[16] = "";

	if (!message_verbose() || atomic_exchange(&told[loss->number], true))
		return;
	if (loss->is_array)
		snprintf(index, sizeof index, "[%u]", loss->index);
	message_refused("lost on the way to Xen: %s.%s%s %#llx becomes %#llx: %s", loss->structure,
			loss->field, index, (unsigned long long)loss->value,
			(unsigned long long)loss->becomes, loss->note);
}
