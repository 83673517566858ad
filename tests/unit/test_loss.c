/*
 * The table of fields and the loss report: no byte of a structure without a row; where nothing is
 * reported, there and back is the identity; what the table calls exact is never reported for a
 * state that KVM takes; what is reported carries its value.
 */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/convert/fields.h"
#include "libkvmxen/convert/loss.h"
#include "libkvmxen/convert/refusal.h"
#include "tests/unit/unit_machine.h"

void register_loss_suite(void);

#define ROUNDS 3000

static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void fill(void *object, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)object)[i] = rnd() >> 24;
}

static int start(void)
{
	seed = 0x243f6a8885a308d3;
	return 0;
}

/* --- the table --- */

static void no_byte_is_missing(void)
{
	size_t count;
	const struct structure *s = structures(&count);

	CU_ASSERT(count >= 15);
	for (size_t i = 0; i < count; i++) {
		uint32_t at = 0;

		for (size_t k = 0; k < s[i].count; k++) {
			const struct field *f = &s[i].fields[k];

			if (f->offset != at || !f->size || f->size % f->element)
				fprintf(stderr, "%s.%s: at %u, not %u\n", s[i].name, f->name,
					f->offset, at);
			CU_ASSERT_FATAL(f->offset == at && f->size && f->size % f->element == 0);
			CU_ASSERT(f->fidelity == EXACT || *f->note); /* a reason */
			at += f->size;
		}
		if (at != s[i].size)
			fprintf(stderr, "%s: %u of %u bytes\n", s[i].name, at, s[i].size);
		CU_ASSERT_EQUAL(at, s[i].size);
	}
}

static void every_msr_has_a_place(void)
{
	struct field f;

	for (int row = 0; row < MSR_TABLE_SIZE; row++) {
		msr_field(row, &f);
		CU_ASSERT_PTR_NOT_NULL_FATAL(f.name);
		CU_ASSERT(f.fidelity == LOST ? !*f.xen : *f.xen);
	}
}

/* --- what is reported --- */

struct seen {
	unsigned count;
	struct loss last;
	bool fields[LOSS_FIELDS_MAX];
};

static void note(void *context, const struct loss *loss)
{
	struct seen *seen = context;

	CU_ASSERT_FATAL(loss->number < LOSS_FIELDS_MAX);
	seen->fields[loss->number] = true;
	seen->last = *loss;
	seen->count++;
}

static unsigned losses(const struct vcpu_state *state, struct seen *seen)
{
	int n;

	memset(seen, 0, sizeof *seen);
	n = loss_vcpu(state, true, note, seen);
	CU_ASSERT_EQUAL(n, (int)seen->count);
	return seen->count;
}

static bool names(const struct seen *seen, const char *structure, const char *field)
{
	bool same = seen->last.structure && !strcmp(seen->last.structure, structure) &&
		    !strcmp(seen->last.field, field);

	if (!same)
		fprintf(stderr, "not %s.%s but %s.%s\n", structure, field, seen->last.structure,
			seen->last.field);
	return same;
}

static void a_reset_loses_nothing(void)
{
	static struct vcpu_state state;
	static struct seen seen;

	for (int lapic = 0; lapic < 2; lapic++) {
		vcpu_state_reset(&state, 3, true, lapic);
		CU_ASSERT_EQUAL(losses(&state, &seen), 0);
		if (seen.count)
			fprintf(stderr, "%s.%s\n", seen.last.structure, seen.last.field);
	}
}

static void a_loss_is_named_with_its_value(void)
{
	static struct vcpu_state state;
	static struct seen seen;

#define ONE(statement, structure, field, value_, becomes_)                                         \
	do {                                                                                       \
		vcpu_state_reset(&state, 0, true, true);                                           \
		statement;                                                                         \
		CU_ASSERT_EQUAL_FATAL(losses(&state, &seen), 1);                                   \
		CU_ASSERT(names(&seen, structure, field));                                         \
		CU_ASSERT_EQUAL(seen.last.value, (uint64_t)(value_));                              \
		CU_ASSERT_EQUAL(seen.last.becomes, (uint64_t)(becomes_));                          \
		CU_ASSERT(*seen.last.note);                                                        \
	} while (0)
	ONE(state.sregs.cr0 = 0x60000000, "kvm_sregs", "cr0", 0x60000000, 0x60000010);
	ONE(state.regs.rflags |= 1ull << 40, "kvm_regs", "rflags", 1ull << 40 | 2, 2);
	ONE(state.sregs.cr3 = 1ull << 40, "kvm_sregs", "cr3", 1ull << 40, 0);
	ONE(state.events.interrupt.shadow = 1, "kvm_vcpu_events", "interrupt.shadow", 1, 0);
	ONE(state.events.nmi.masked = 1, "kvm_vcpu_events", "nmi.masked", 1, 0);
	ONE(state.mp_state.mp_state = KVM_MP_STATE_HALTED, "kvm_mp_state", "mp_state",
	    KVM_MP_STATE_HALTED, KVM_MP_STATE_RUNNABLE);
	ONE(vcpu_state_lapic_set(&state, STATE_LAPIC_TMICT, 1234), "kvm_lapic_state", "TMICT", 1234,
	    1240);
	ONE(state.msrs[MSR_ROW_MISC_ENABLE] = 5, "msr", "MISC_ENABLE", 5, 1);
	ONE(state.sregs.fs.type = 0x13, "kvm_sregs", "fs.type", 0x13, 3);
#undef ONE
}

/* Any bytes at all: whatever differs after the round trip has been reported. Bytes that no record
 * carries are not compared twice: the report says what they are. */
static void unreported_fields_are_identical(void)
{
	static struct vcpu_state in;
	static struct seen seen;
	struct kvm_pic_state pic, pic_back;
	struct kvm_ioapic_state ioapic, ioapic_back;
	struct kvm_pit_state2 pit, pit_back;
	unsigned none[3] = {0};

	for (int i = 0; i < ROUNDS; i++) {
		struct hvm_hw_vpic vpic = {0};
		struct hvm_hw_vioapic vioapic = {0};
		struct hvm_hw_pit vpit = {0};

		fill(&in, sizeof in);
		in.fpu_set = false;
		in.mp_state.mp_state = 0;
		CU_ASSERT(losses(&in, &seen) > 0);

		/* Often enough a chip without a loss. */
		memset(&pic, 0, sizeof pic);
		pic.irr = rnd(), pic.imr = rnd(), pic.isr = rnd(), pic.irq_base = rnd();
		pic.elcr = rnd(), pic.priority_add = rnd() % 9, pic.poll = rnd() % 3 % 2;
		pic.init_state = rnd() % 5, pic.init4 = rnd() & 1, pic.last_irr = rnd();
		pic.elcr_mask = rnd() & 1 ? 0xf8 : 0xde, pic.auto_eoi = rnd() % 3;
		pic_record_from_kvm(&vpic, &pic, i & 1);
		pic_record_to_kvm(&pic_back, &vpic, i & 1, (uint16_t)pic.last_irr << 8 * (i & 1));
		if (loss_pic(&pic, i & 1, NULL, NULL) == 0) {
			none[0]++;
			CU_ASSERT_EQUAL(memcmp(&pic, &pic_back, sizeof pic), 0);
		}

		fill(&ioapic, sizeof ioapic);
		ioapic.pad = rnd() & 1;
		ioapic.id &= rnd() & 1 ? 0xff : 0xfff;
		ioapic.ioregsel &= 0xff;
		ioapic.irr &= 0xffffff;
		ioapic_record_from_kvm(&vioapic, &ioapic);
		ioapic_record_to_kvm(&ioapic_back, &vioapic, ioapic.irr);
		if (loss_ioapic(&ioapic, NULL, NULL) == 0) {
			none[1]++;
			CU_ASSERT_EQUAL(memcmp(&ioapic, &ioapic_back, sizeof ioapic), 0);
		}

		fill(&pit, sizeof pit);
		for (int k = 0; k < 3; k++)
			pit.channels[k].count_load_time = 0;
		memset(pit.reserved, 0, sizeof pit.reserved);
		pit.flags = rnd() & 3;
		pit_record_from_kvm(&vpit, &pit);
		pit_record_to_kvm(&pit_back, &vpit);
		if (loss_pit(&pit, NULL, NULL) == 0) {
			none[2]++;
			CU_ASSERT_EQUAL(memcmp(&pit, &pit_back, sizeof pit), 0);
		}
	}
	CU_ASSERT(none[0] > ROUNDS / 20 && none[1] > ROUNDS / 20 && none[2] > ROUNDS / 20);
}

/* What the table calls exact comes back whatever it is: only others are ever reported. */
static void exact_means_exact(void)
{
	static struct vcpu_state in;
	static struct seen all, seen;
	size_t count;
	const struct structure *s = structures(&count);
	unsigned number = MSR_TABLE_SIZE, reported = 0;
	struct field f;

	memset(&all, 0, sizeof all);
	for (int i = 0; i < ROUNDS; i++) {
		fill(&in, sizeof in);
		in.fpu_set = false;
		in.mp_state.mp_state = 0;
		vcpu_state_lapic_set(&in, STATE_LAPIC_VERSION, STATE_LAPIC_VERSION_KVM);
		/* What KVM itself refuses. */
		in.debugregs.dr6 = (uint32_t)in.debugregs.dr6;
		in.debugregs.dr7 = (uint32_t)in.debugregs.dr7;
		in.debugregs.flags = 0;
		in.msrs[MSR_ROW_TSC_AUX] = (uint32_t)in.msrs[MSR_ROW_TSC_AUX];
		in.msrs[MSR_ROW_MISC_FEATURES_ENABLES] &= 1;
		losses(&in, &seen);
		for (unsigned k = 0; k < LOSS_FIELDS_MAX; k++)
			all.fields[k] |= seen.fields[k];
	}
	for (int row = 0; row < MSR_TABLE_SIZE; row++) {
		msr_field(row, &f);
		CU_ASSERT(!all.fields[row] || f.fidelity != EXACT);
	}
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < s[i].count; k++, number++) {
			reported += all.fields[number];
			if (all.fields[number] && s[i].fields[k].fidelity == EXACT)
				fprintf(stderr, "%s.%s\n", s[i].name, s[i].fields[k].name);
			CU_ASSERT(!all.fields[number] || s[i].fields[k].fidelity != EXACT);
		}
	CU_ASSERT(reported > 50);
}

/* A report names all: what is not named came back as it was, through the records. */
static void the_report_is_complete(void)
{
	static struct vcpu_state in, back;
	static struct seen seen;
	size_t count;
	const struct structure *s = structures(&count);

	for (int i = 0; i < ROUNDS; i++) {
		struct hvm_hw_cpu cpu = {0};
		unsigned number = MSR_TABLE_SIZE;

		fill(&in, sizeof in);
		in.fpu_set = false;
		losses(&in, &seen);
		cpu_record_from_state(&cpu, &in);
		vcpu_state_reset(&back, 0, true, true);
		cpu_record_to_state(&back, &cpu);
		for (size_t n = 0; n < count; n++)
			for (size_t k = 0; k < s[n].count; k++, number++) {
				const struct field *f = &s[n].fields[k];
				uint32_t at = s[n].base + f->offset;

				if (strncmp(f->xen, "CPU.", 4) || s[n].object != IN_VCPU ||
				    seen.fields[number])
					continue;
				CU_ASSERT_EQUAL(
					memcmp((char *)&in + at, (char *)&back + at, f->size), 0);
			}
	}
}

/* --- what a program is told --- */

static struct machine m;

static void two_outs(uint16_t id)
{
	fake_guest_out(id, 0, 0x500, 1, 1);
	fake_guest_out(id, 0, 0x500, 1, 2);
}

static void tell(void *context, const struct kvmxen_loss *loss)
{
	struct kvmxen_loss *last = context;

	*last = *loss;
}

static void programs_are_told(void)
{
	struct kvm_vcpu_events events;
	struct kvmxen_loss last = {0};
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_PIC_SLAVE};

	kvm_machine_new(&m, 1, true, two_outs);
	CU_ASSERT_EQUAL(kvmxen_losses(m.vcpu[0], NULL, NULL), 0);
	CU_ASSERT_EQUAL(kvmxen_losses(m.vm, tell, &last), 0);
	CU_ASSERT_EQUAL(kvmxen_losses(m.kvm, NULL, NULL), -1);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(kvmxen_losses(m.vcpu[0], NULL, NULL), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_VCPU_EVENTS, &events), 0);
	events.interrupt.shadow = 1;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_VCPU_EVENTS, &events), 0);
	CU_ASSERT_EQUAL(kvmxen_losses(m.vcpu[0], tell, &last), 1);
	CU_ASSERT_STRING_EQUAL(last.structure, "kvm_vcpu_events");
	CU_ASSERT_STRING_EQUAL(last.field, "interrupt.shadow");
	CU_ASSERT(last.value == 1 && last.becomes == 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_GET_IRQCHIP, &chip), 0);
	chip.chip.pic.poll = 3;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_IRQCHIP, &chip), 0);
	CU_ASSERT_EQUAL(kvmxen_losses(m.vm, tell, &last), 1);
	CU_ASSERT_STRING_EQUAL(last.field, "poll");
	CU_ASSERT(last.value == 3 && last.becomes == 1);
	kvm_machine_free(&m);
}

/* No record has a pending NMI: it is sent, once, and what is over is not shown for ever. */
static void a_pending_nmi_is_sent(void)
{
	struct kvm_vcpu_events events;
	unsigned calls;

	kvm_machine_new(&m, 1, true, two_outs);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_VCPU_EVENTS, &events), 0);
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	events.nmi.pending = events.nmi.masked = 1;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_VCPU_EVENTS, &events), 0);
	calls = fake_calls("vcpu_nmi");
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(fake_calls("vcpu_nmi"), calls + 1);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_VCPU_EVENTS, &events), 0);
	CU_ASSERT(!events.nmi.pending && !events.nmi.masked);
	kvm_machine_free(&m);
}

/* A host whose guests have little: 36 address bits, PSE, PAE, PGE, long mode, x87 and SSE. */
static void refusals_name_the_field(void)
{
	static const struct control_cpuid host[] = {
		{.leaf = 1, .subleaf = CONTROL_CPUID_NO_SUBLEAF, .edx = 1 << 3 | 1 << 6 | 1 << 13},
		{.leaf = 0xd, .subleaf = 0, .eax = 3},
		{.leaf = 0x80000001, .subleaf = CONTROL_CPUID_NO_SUBLEAF, .edx = 1 << 29},
	};
	static const struct {
		const char *field; /* NULL: taken */
		uint64_t cr0, cr3, cr4, efer, bits;
	} cases[] = {
		{NULL, 0x10, 0, 0, 0, 0},
		{NULL, 0x80000011, 0xffffff000, 0xb0, 0x500, 0},
		{NULL, 0x11, 0, 0x100, 0x100, 0},
		{"cr0", 0x80000010, 0, 0, 0, 0x80000000},
		{"cr3", 0x80000011, 1ull << 36, 0x20, 0x500, 1ull << 36},
		{"cr4", 0x11, 0, 0x20 | 1 << 20, 0, 1 << 20},
		{"efer", 0x11, 0, 0, 0x500, 0x400},
		{"efer", 0x80000011, 0, 0x20, 0x400, 0x400},
		{"efer", 0x11, 0, 0, 0x800, 0x800},
	};
	struct hvm_hw_cpu_xsave area = {.xcr0 = 3, .xcr0_accum = 3};
	struct refusal refusal;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct hvm_hw_cpu cpu = {.cr0 = cases[i].cr0,
					 .cr3 = cases[i].cr3,
					 .cr4 = cases[i].cr4,
					 .msr_efer = cases[i].efer};
		bool refused = cpu_record_refused(&cpu, host, 3, &refusal);

		CU_ASSERT_EQUAL(refused, cases[i].field != NULL);
		if (!refused || !cases[i].field)
			continue;
		CU_ASSERT_STRING_EQUAL(refusal.field, cases[i].field);
		CU_ASSERT_EQUAL(refusal.bits, cases[i].bits);
	}
	CU_ASSERT_FALSE(xsave_record_refused(&area, sizeof area, host, 3, &refusal));
	area.xcr0_accum = 7;
	CU_ASSERT(xsave_record_refused(&area, sizeof area, host, 3, &refusal));
	CU_ASSERT_STRING_EQUAL(refusal.field, "xstate_bv");
	area.xcr0 = 7;
	CU_ASSERT(xsave_record_refused(&area, sizeof area, host, 3, &refusal));
	CU_ASSERT_STRING_EQUAL(refusal.field, "xcr0");
	CU_ASSERT_EQUAL(refusal.bits, 4);
}

/* A state that KVM takes and Xen would not: refused before anything is changed, and put right by
 * another SET. */
static void what_xen_would_refuse_changes_nothing(void)
{
	/* A guest with more memory than this host can have. */
	static const struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[2];
	} wide = {{.nent = 2},
		  {{.function = 0x80000000, .eax = 0x80000008},
		   {.function = 0x80000008, .eax = 0x3034}}};
	struct kvm_sregs sregs = {0};
	struct kvm_regs regs;
	unsigned sets;

	kvm_machine_new(&m, 1, true, two_outs);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_SREGS, &sregs), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_CPUID2, &wide), 0);
	sregs.cr0 |= 1ull << 31 | 1; /* long mode */
	sregs.cr4 |= 1 << 5;
	sregs.efer |= 0x500;
	sregs.cr3 = 1ull << 45;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_SREGS, &sregs), 0);
	CU_ASSERT_EQUAL(machine_run(&m, 0), -EINVAL);
	CU_ASSERT_EQUAL(fake_domains(), 0);
	sregs.cr3 = 0;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_SREGS, &sregs), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	sregs.cr3 = 1ull << 45;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_SREGS, &sregs), 0);
	sets = fake_calls("context_set");
	CU_ASSERT_EQUAL(machine_run(&m, 0), -EINVAL);
	CU_ASSERT_EQUAL(fake_calls("context_set"), sets);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
	sregs.cr3 = 0;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_SREGS, &sregs), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	kvm_machine_free(&m);
}

void register_loss_suite(void)
{
	static CU_TestInfo tests[] = {
		{"no byte is missing", no_byte_is_missing},
		{"every MSR has a place", every_msr_has_a_place},
		{"a reset loses nothing", a_reset_loses_nothing},
		{"a loss is named with its value", a_loss_is_named_with_its_value},
		{"unreported fields are identical", unreported_fields_are_identical},
		{"exact means exact", exact_means_exact},
		{"the report is complete", the_report_is_complete},
		{"programs are told", programs_are_told},
		{"a pending NMI is sent", a_pending_nmi_is_sent},
		{"refusals name the field", refusals_name_the_field},
		{"what Xen would refuse changes nothing", what_xen_would_refuse_changes_nothing},
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{"loss", start, NULL, NULL, NULL, tests},
		CU_SUITE_INFO_NULL,
	};

	CU_register_suites(suites);
}
