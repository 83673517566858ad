/* The vcpu state: KVM's values at reset, what its SET ioctls change and what they refuse. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libkvmxen/machine/check.h"
#include "libkvmxen/machine/state.h"

void register_state_suite(void);

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define PE            (1ull << 0)
#define PG            (1ull << 31)
#define PAE           0x20ull
#define LONG_MODE_CR0 (PG | 0x11)
#define LME           0x100ull
#define LMA           0x400ull

static struct vcpu_state state;

static uint32_t lapic(unsigned offset)
{
	return vcpu_state_lapic_get(&state, offset);
}

static void registers_at_reset(void)
{
	struct kvm_regs regs = {.rip = 0xfff0, .rflags = 2, .rdx = 0x600};
	const struct kvm_sregs *s = &state.sregs;

	memset(&state, 0xff, sizeof state);
	vcpu_state_reset(&state, 0, true, false);
	CU_ASSERT_EQUAL(state.known, STATE_ALL);
	CU_ASSERT_EQUAL(state.dirty, STATE_ALL);
	CU_ASSERT_EQUAL(memcmp(&state.regs, &regs, sizeof regs), 0);
	CU_ASSERT_EQUAL(s->cr0, 0x60000010);
	CU_ASSERT_EQUAL(s->cr2 | s->cr3 | s->cr4 | s->cr8 | s->efer, 0);
	CU_ASSERT_EQUAL(s->cs.base, 0xffff0000);
	CU_ASSERT_EQUAL(s->cs.selector, 0xf000);
	CU_ASSERT(s->cs.limit == 0xffff && s->cs.type == 0xb && s->cs.s && s->cs.present);
	CU_ASSERT(s->ds.base == 0 && s->ds.selector == 0 && s->ds.limit == 0xffff);
	CU_ASSERT(s->ds.type == 3 && s->es.type == 3 && s->fs.type == 3 && s->gs.type == 3);
	CU_ASSERT(s->ss.type == 3 && s->ss.s && s->ss.present);
	CU_ASSERT(s->tr.type == 0xb && s->tr.limit == 0xffff && s->tr.present && !s->tr.s);
	CU_ASSERT(s->ldt.type == 2 && s->ldt.limit == 0xffff && s->ldt.present);
	CU_ASSERT(s->es.present == 1 && s->fs.s == 1 && s->gs.limit == 0xffff && !s->es.unusable);
	CU_ASSERT(s->gdt.base == 0 && s->gdt.limit == 0xffff && s->idt.limit == 0xffff);
	CU_ASSERT_EQUAL(state.xcr0, 1);
	CU_ASSERT_EQUAL(state.xsave.region[0], 0x37f);
	CU_ASSERT_EQUAL(state.xsave.region[6], 0x1f80);
	CU_ASSERT_EQUAL(state.debugregs.dr6, 0xffff0ff0);
	CU_ASSERT_EQUAL(state.debugregs.dr7, 0x400);
	CU_ASSERT_EQUAL(state.debugregs.flags, 0);
	CU_ASSERT_EQUAL(state.events.flags, 0xd);
	CU_ASSERT_EQUAL(state.msrs[MSR_ROW_PAT], 0x0007040600070406);
}

/* Without an irqchip every vcpu runs at once, but only one of them is the boot processor. */
static void boot_processor_at_reset(void)
{
	static const struct {
		bool boot, irqchip;
		uint64_t apic_base;
		uint32_t mp_state, lvt0;
	} cases[] = {
		{true, false, 0xfee00900, KVM_MP_STATE_RUNNABLE, 0},
		{false, false, 0xfee00800, KVM_MP_STATE_RUNNABLE, 0},
		{true, true, 0xfee00900, KVM_MP_STATE_RUNNABLE, 0x700},
		{false, true, 0xfee00800, KVM_MP_STATE_UNINITIALIZED, 0x10000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		vcpu_state_reset(&state, 1, cases[i].boot, cases[i].irqchip);
		CU_ASSERT_EQUAL(state.sregs.apic_base, cases[i].apic_base);
		CU_ASSERT_EQUAL(state.mp_state.mp_state, cases[i].mp_state);
		CU_ASSERT_EQUAL(vcpu_state_has_lapic(&state), cases[i].irqchip);
		CU_ASSERT_EQUAL(lapic(STATE_LAPIC_LVT0), cases[i].lvt0);
	}
}

static void lapic_at_reset(void)
{
	vcpu_state_reset(&state, 7, false, true);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_ID), 7 << 24);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_VERSION), 0x50014);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_DFR), 0xffffffff);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_SPIV), 0xff);
	for (unsigned lvt = 0x320; lvt <= 0x370; lvt += 0x10)
		CU_ASSERT_EQUAL(lapic(lvt), 0x10000);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_TPR) | lapic(STATE_LAPIC_LDR), 0);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_TMICT) | lapic(STATE_LAPIC_TDCR), 0);
}

static void cr8_and_tpr_are_one(void)
{
	struct kvm_lapic_state page;
	struct kvm_sregs sregs;

	vcpu_state_reset(&state, 0, true, true);
	state.dirty = 0;
	sregs = state.sregs;
	vcpu_state_set_sregs(&state, &sregs);
	CU_ASSERT_EQUAL(state.dirty, STATE_SREGS);
	sregs.cr8 = 5;
	vcpu_state_set_sregs(&state, &sregs);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_TPR), 0x50);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_PPR), 0x50);
	CU_ASSERT_EQUAL(state.dirty, STATE_SREGS | STATE_LAPIC);
	/* What no guest could write is passed over. */
	sregs.cr8 = 16;
	vcpu_state_set_sregs(&state, &sregs);
	CU_ASSERT_EQUAL(state.sregs.cr8, 5);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_TPR), 0x50);

	page = state.lapic;
	page.regs[STATE_LAPIC_TPR] = 0x73;
	page.regs[STATE_LAPIC_VERSION] = 0;
	vcpu_state_set_lapic(&state, &page);
	CU_ASSERT_EQUAL(state.sregs.cr8, 7);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_VERSION), 0x50014);

	vcpu_state_reset(&state, 0, true, false);
	sregs = state.sregs;
	sregs.cr8 = 15;
	vcpu_state_set_sregs(&state, &sregs);
	CU_ASSERT_EQUAL(state.sregs.cr8, 15);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_TPR), 0);
	/* The guest's own write of TPR has bits below those of CR8, which a VMM must not clear. */
	vcpu_state_reset(&state, 0, true, true);
	vcpu_state_lapic_set(&state, STATE_LAPIC_TPR, 0x35);
	state.sregs.cr8 = 3;
	sregs = state.sregs;
	vcpu_state_set_sregs(&state, &sregs);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_TPR), 0x35);
	vcpu_state_reset(&state, 0, true, false);
	CU_ASSERT_FALSE(vcpu_state_has_lapic(&state));
}

static void priority_follows_tpr_and_service(void)
{
	vcpu_state_reset(&state, 0, true, true);
	vcpu_state_lapic_set(&state, STATE_LAPIC_TPR, 0x35);
	vcpu_state_lapic_derive(&state);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_PPR), 0x35);
	vcpu_state_lapic_set(&state, STATE_LAPIC_ISR + 0x10 * (0x61 / 32), 1u << (0x61 % 32));
	vcpu_state_lapic_derive(&state);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_PPR), 0x60);
	vcpu_state_lapic_set(&state, STATE_LAPIC_TPR, 0x6f);
	vcpu_state_lapic_derive(&state);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_PPR), 0x6f);
	vcpu_state_lapic_set(&state, STATE_LAPIC_ISR + 0x70, 1u << 31);
	vcpu_state_lapic_derive(&state);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_PPR), 0xf0);
	/* A timer that is not armed counts nothing. */
	vcpu_state_lapic_set(&state, STATE_LAPIC_TMCCT, 5);
	vcpu_state_lapic_derive(&state);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_TMCCT), 0);
}

static void a_bit_of_the_bitmap_is_an_interrupt(void)
{
	struct kvm_vcpu_events events = {0};
	struct kvm_sregs sregs;

	vcpu_state_reset(&state, 0, true, false);
	state.dirty = 0;
	sregs = state.sregs;
	sregs.interrupt_bitmap[0] = 0x300000000;
	vcpu_state_set_sregs(&state, &sregs);
	CU_ASSERT(state.events.interrupt.injected && state.events.interrupt.nr == 0x20);
	CU_ASSERT_EQUAL(state.sregs.interrupt_bitmap[0], 0x100000000);
	CU_ASSERT(state.dirty & STATE_EVENTS);
	/* An empty bitmap takes nothing back. */
	memset(sregs.interrupt_bitmap, 0, sizeof sregs.interrupt_bitmap);
	vcpu_state_set_sregs(&state, &sregs);
	CU_ASSERT_EQUAL(state.sregs.interrupt_bitmap[0], 0x100000000);
	sregs.interrupt_bitmap[3] = 1ull << 63;
	vcpu_state_set_sregs(&state, &sregs);
	CU_ASSERT_EQUAL(state.sregs.interrupt_bitmap[0], 0);
	CU_ASSERT_EQUAL(state.sregs.interrupt_bitmap[3], 1ull << 63);
	vcpu_state_set_events(&state, &events);
	CU_ASSERT_EQUAL(state.sregs.interrupt_bitmap[3], 0);
}

static void events_keep_what_the_flags_do_not_name(void)
{
	struct kvm_vcpu_events set = {.flags = 5}, got;

	vcpu_state_reset(&state, 0, true, true);
	set.interrupt.shadow = 2;
	set.nmi.pending = 2;
	set.nmi.masked = 1;
	state.dirty = 0;
	vcpu_state_set_events(&state, &set);
	CU_ASSERT_EQUAL(state.dirty, STATE_EVENTS);
	memset(&set, 0, sizeof set);
	set.flags = KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	set.sipi_vector = 9;
	vcpu_state_set_events(&state, &set);
	vcpu_state_get_events(&state, &got);
	CU_ASSERT_EQUAL(got.interrupt.shadow, 2);
	CU_ASSERT_EQUAL(got.nmi.pending, 1);
	CU_ASSERT_EQUAL(got.nmi.masked, 0);
	CU_ASSERT_EQUAL(got.sipi_vector, 0);
	CU_ASSERT_EQUAL(got.flags, 0xd);
}

/* A software interrupt or exception is not shown: its instruction runs again. */
static void software_events_are_remembered_but_not_shown(void)
{
	struct kvm_vcpu_events set = {0}, got;

	vcpu_state_reset(&state, 0, true, true);
	set.interrupt.injected = set.interrupt.soft = 1;
	set.interrupt.nr = 0x33;
	set.exception.injected = 1;
	set.exception.nr = 3;
	vcpu_state_set_events(&state, &set);
	CU_ASSERT(state.events.interrupt.injected && state.events.exception.injected);
	vcpu_state_get_events(&state, &got);
	CU_ASSERT(!got.interrupt.injected && !got.interrupt.soft && got.interrupt.nr == 0x33);
	CU_ASSERT_FALSE(got.exception.injected);
	CU_ASSERT_EQUAL(state.sregs.interrupt_bitmap[0], 0);
}

static void fpu_is_the_start_of_xsave(void)
{
	struct kvm_fpu fpu, back;

	vcpu_state_reset(&state, 0, true, false);
	memset(&fpu, 0, sizeof fpu);
	for (unsigned i = 0; i < sizeof fpu.xmm; i++)
		((uint8_t *)fpu.xmm)[i] = i;
	for (unsigned i = 0; i < sizeof fpu.fpr; i++)
		((uint8_t *)fpu.fpr)[i] = ~i;
	fpu.fcw = 0x27f;
	fpu.fsw = 0x1234;
	fpu.ftwx = 0xa5;
	fpu.last_opcode = 0x11;
	fpu.last_ip = 0x123456;
	fpu.last_dp = 0x654321;
	fpu.mxcsr = 0x1f82;
	vcpu_state_set_fpu(&state, &fpu);
	vcpu_state_get_fpu(&state, &back);
	CU_ASSERT_EQUAL(back.mxcsr, 0);
	CU_ASSERT_EQUAL(state.xsave.region[6], 0x1f80);
	back.mxcsr = fpu.mxcsr;
	CU_ASSERT_EQUAL(memcmp(&fpu, &back, sizeof fpu), 0);
	CU_ASSERT_TRUE(state.fpu_set);
	CU_ASSERT_EQUAL(vcpu_state_xstate_bv(&state), 0);
	CU_ASSERT_EQUAL(memcmp((char *)state.xsave.region + 160, fpu.xmm, sizeof fpu.xmm), 0);
}

/* As KVM: what XSTATE_BV calls unused shows as after a reset, and KVM_SET_FPU leaves it alone. */
static void xsave_shows_what_is_in_use(void)
{
	static struct kvm_xsave xsave;
	struct kvm_fpu fpu = {.fcw = 0x27f};

	vcpu_state_reset(&state, 0, true, false);
	memset(fpu.xmm, 0x55, sizeof fpu.xmm);
	memset(fpu.fpr, 0x66, sizeof fpu.fpr);
	vcpu_state_set_fpu(&state, &fpu);
	vcpu_state_get_xsave(&state, &xsave);
	CU_ASSERT_EQUAL(xsave.region[0], 0x37f);
	CU_ASSERT_EQUAL(xsave.region[6], 0x1f80);
	CU_ASSERT_EQUAL(xsave.region[8], 0);
	CU_ASSERT_EQUAL(xsave.region[40], 0);
	CU_ASSERT_EQUAL(xsave.region[103], 0);

	vcpu_state_set_xstate_bv(&state, STATE_XSTATE_FP);
	vcpu_state_get_xsave(&state, &xsave);
	CU_ASSERT_EQUAL(xsave.region[0], 0x27f);
	CU_ASSERT_EQUAL(xsave.region[8], 0x66666666);
	CU_ASSERT_EQUAL(xsave.region[40], 0);
	vcpu_state_set_xstate_bv(&state, STATE_XSTATE_SSE);
	state.xsave.region[6] = 0x1f82;
	vcpu_state_get_xsave(&state, &xsave);
	CU_ASSERT_EQUAL(xsave.region[0], 0x37f);
	CU_ASSERT_EQUAL(xsave.region[6], 0x1f82);
	CU_ASSERT_EQUAL(xsave.region[8], 0);
	CU_ASSERT_EQUAL(xsave.region[40], 0x55555555);

	xsave.region[1000] = 7;
	state.dirty = 0;
	vcpu_state_set_xsave(&state, &xsave);
	CU_ASSERT_EQUAL(state.xsave.region[1000], 7);
	CU_ASSERT_FALSE(state.fpu_set);
	CU_ASSERT_EQUAL(state.dirty, STATE_XSAVE);
}

static void sregs2_is_sregs_without_the_bitmap(void)
{
	struct kvm_sregs2 sregs2;

	vcpu_state_reset(&state, 0, true, true);
	vcpu_state_get_sregs2(&state, &sregs2);
	CU_ASSERT_EQUAL(sregs2.cs.base, 0xffff0000);
	CU_ASSERT_EQUAL(sregs2.apic_base, 0xfee00900);
	CU_ASSERT_EQUAL(sregs2.flags, 0);
	CU_ASSERT_EQUAL(sregs2_check(&sregs2, NULL, 0, ~0ull), 0);
	sregs2.cr8 = 3;
	sregs2.cr2 = 0x1234;
	vcpu_state_set_sregs2(&state, &sregs2);
	CU_ASSERT_EQUAL(state.sregs.cr2, 0x1234);
	CU_ASSERT_EQUAL(lapic(STATE_LAPIC_TPR), 0x30);
	sregs2.flags = 0x80;
	CU_ASSERT_EQUAL(sregs2_check(&sregs2, NULL, 0, ~0ull), -EINVAL);
	sregs2.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	CU_ASSERT_EQUAL(sregs2_check(&sregs2, NULL, 0, ~0ull), -EINVAL);
	sregs2.cr0 = PE | PG;
	sregs2.cr4 = PAE;
	CU_ASSERT_EQUAL(sregs2_check(&sregs2, NULL, 0, ~0ull), 0);
}

static void sregs_that_make_no_mode_are_refused(void)
{
	static const struct {
		const char *name;
		uint64_t cr0, cr4, efer, cr3, apic_base;
		bool cs_l;
		int result;
	} cases[] = {
		{"protected", 0x11, 0, 0, 0, 0xfee00900, false, 0},
		{"paging without protection", 0x60000010 | PG, 0, 0, 0, 0xfee00900, false, -EINVAL},
		{"NW without CD", 0x20000010, 0, 0, 0, 0xfee00900, false, -EINVAL},
		{"CR0 of 64 bits", 1ull << 40, 0, 0, 0, 0xfee00900, false, -EINVAL},
		{"CR0 bit 10", 1 << 10, 0, 0, 0, 0xfee00900, false, 0},
		{"CR4 bit 63", 0x11, 1ull << 63, 0, 0, 0xfee00900, false, -EINVAL},
		{"CR4 bit 15", 0x11, 1 << 15, 0, 0, 0xfee00900, false, -EINVAL},
		{"VMXE", 0x11, 1 << 13, 0, 0, 0xfee00900, false, -EINVAL},
		{"SMAP", 0x11, 1 << 21, 0, 0, 0xfee00900, false, 0},
		{"long", LONG_MODE_CR0, PAE, LME | LMA, 0x1000, 0xfee00900, true, 0},
		{"long without PAE", LONG_MODE_CR0, 0, LME | LMA, 0, 0xfee00900, false, -EINVAL},
		{"long without LMA", LONG_MODE_CR0, PAE, LME, 0, 0xfee00900, true, -EINVAL},
		{"LMA without paging", 0x60000010, 0, LMA, 0, 0xfee00900, false, -EINVAL},
		{"CS.L without LME", 0x60000010, 0, 0, 0, 0xfee00900, true, -EINVAL},
		{"LME alone", 0x60000010, 0, LME, 0, 0xfee00900, false, 0},
		{"EFER bit 1", 0x60000010, 0, 2, 0, 0xfee00900, false, 0},
		{"CR3 beyond memory", 0x11, 0, 0, 1ull << 60, 0xfee00900, false, 0},
		{"CR3 beyond memory, long", LONG_MODE_CR0, PAE, LME | LMA, 1ull << 60, 0xfee00900,
		 true, -EINVAL},
		{"APIC elsewhere", 0x11, 0, 0, 0, 0xfee01900, false, 0},
		{"APIC off", 0x11, 0, 0, 0, 0xfee00100, false, 0},
		{"APIC EXTD alone", 0x11, 0, 0, 0, 0xfee00400, false, -EINVAL},
		{"x2APIC", 0x11, 0, 0, 0, 0xfee00d00, false, -EINVAL},
		{"APIC bit 0", 0x11, 0, 0, 0, 0xfee00901, false, -EINVAL},
		{"APIC beyond memory", 0x11, 0, 0, 0, 1ull << 60 | 0xfee00900, false, -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kvm_sregs sregs;
		int result;

		vcpu_state_reset(&state, 0, true, true);
		sregs = state.sregs;
		sregs.cr0 = cases[i].cr0;
		sregs.cr3 = cases[i].cr3;
		sregs.cr4 = cases[i].cr4;
		sregs.efer = cases[i].efer;
		sregs.cs.l = cases[i].cs_l;
		sregs.apic_base = cases[i].apic_base;
		result = sregs_check(&sregs, NULL, 0, ~0ull);
		if (result != cases[i].result)
			fprintf(stderr, "sregs %s: %d\n", cases[i].name, result);
		CU_ASSERT_EQUAL(result, cases[i].result);
	}
}

/* Once there is a table, bits of CR4 need their feature in it. */
static void cr4_follows_cpuid(void)
{
	static const struct {
		uint64_t bit;
		uint32_t leaf, ebx, ecx;
	} cases[] = {
		{1ull << 11, 7, 0, 1u << 2},  {1ull << 16, 7, 1u << 0, 0},
		{1ull << 17, 1, 0, 1u << 17}, {1ull << 18, 1, 0, 1u << 26},
		{1ull << 20, 7, 1u << 7, 0},  {1ull << 21, 7, 1u << 20, 0},
		{1ull << 22, 7, 0, 1u << 3},
	};

	vcpu_state_reset(&state, 0, true, false);
	for (unsigned bit = 0; bit < 64; bit++) {
		struct kvm_cpuid_entry2 nothing = {.function = 1};
		struct kvm_sregs sregs = state.sregs;
		bool feature = false;

		for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
			feature |= cases[i].bit == 1ull << bit;
		sregs.cr4 = 1ull << bit;
		CU_ASSERT_EQUAL(sregs_check(&sregs, NULL, 0, ~0ull),
				bit < 11 || feature ? 0 : -EINVAL);
		CU_ASSERT_EQUAL(sregs_check(&sregs, &nothing, 1, ~0ull), bit < 11 ? 0 : -EINVAL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kvm_cpuid_entry2 entry = {.function = cases[i].leaf};
		struct kvm_sregs sregs = state.sregs;

		sregs.cr4 = cases[i].bit;
		CU_ASSERT_EQUAL(sregs_check(&sregs, NULL, 0, ~0ull), 0);
		CU_ASSERT_EQUAL(sregs_check(&sregs, &entry, 1, ~0ull), -EINVAL);
		entry.ebx = cases[i].ebx;
		entry.ecx = cases[i].ecx;
		CU_ASSERT_EQUAL(sregs_check(&sregs, &entry, 1, ~0ull), 0);
	}
}

static void debug_registers_have_32_bits(void)
{
	struct kvm_debugregs d = {.dr6 = 0xffff0ff0, .dr7 = 0x401, .db = {~0ull}};

	CU_ASSERT_EQUAL(debugregs_check(&d), 0);
	d.dr6 = 1ull << 32;
	CU_ASSERT_EQUAL(debugregs_check(&d), -EINVAL);
	d.dr6 = 0;
	d.dr7 = 1ull << 40;
	CU_ASSERT_EQUAL(debugregs_check(&d), -EINVAL);
	d.dr7 = 0;
	d.flags = 1;
	CU_ASSERT_EQUAL(debugregs_check(&d), -EINVAL);
}

static void xcr0_takes_what_hardware_takes(void)
{
	static const struct {
		uint64_t value;
		int bare, full;
	} cases[] = {
		{0, -EINVAL, -EINVAL},    {1, 0, 0},
		{2, -EINVAL, -EINVAL},    {3, -EINVAL, 0},
		{4, -EINVAL, -EINVAL},    {5, -EINVAL, -EINVAL},
		{7, -EINVAL, 0},          {0xb, -EINVAL, -EINVAL},
		{0x1b, -EINVAL, 0},       {0xe7, -EINVAL, 0},
		{0x67, -EINVAL, -EINVAL}, {0xe3, -EINVAL, -EINVAL},
		{0x2e7, -EINVAL, 0},      {1ull << 63 | 1, -EINVAL, -EINVAL},
	};
	struct kvm_cpuid_entry2 table[] = {
		{.function = 1, .ecx = 1u << 26},
		{.function = 0xd, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 0x2ff},
	};
	struct kvm_xcrs xcrs = {.nr_xcrs = 1};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		xcrs.xcrs[0].value = cases[i].value;
		CU_ASSERT_EQUAL(xcrs_check(&xcrs, NULL, 0), cases[i].bare);
		CU_ASSERT_EQUAL(xcrs_check(&xcrs, table, 2), cases[i].full);
	}
	xcrs.xcrs[0].xcr = 5;
	CU_ASSERT_EQUAL(xcrs_check(&xcrs, NULL, 0), 0);
	xcrs.nr_xcrs = 0;
	CU_ASSERT_EQUAL(xcrs_check(&xcrs, NULL, 0), 0);
	xcrs.nr_xcrs = 17;
	CU_ASSERT_EQUAL(xcrs_check(&xcrs, NULL, 0), -EINVAL);
	xcrs.nr_xcrs = 0;
	xcrs.flags = 1;
	CU_ASSERT_EQUAL(xcrs_check(&xcrs, NULL, 0), -EINVAL);
}

static void xsave_header_is_checked(void)
{
	static struct kvm_xsave xsave;
	uint64_t *header = (uint64_t *)&xsave.region[128];

	memset(&xsave, 0, sizeof xsave);
	xsave.region[6] = 0xffffffff; /* MXCSR: nothing uses it */
	CU_ASSERT_EQUAL(xsave_check(&xsave, 7), 0);
	for (header[0] = 1; header[0] <= 7; header[0]++)
		CU_ASSERT_EQUAL(xsave_check(&xsave, 7), -EINVAL);
	header[0] = 0x200;
	CU_ASSERT_EQUAL(xsave_check(&xsave, 0x207), 0);
	header[0] = 1;
	xsave.region[6] = 0xffff;
	CU_ASSERT_EQUAL(xsave_check(&xsave, 7), 0);
	header[0] = 7;
	CU_ASSERT_EQUAL(xsave_check(&xsave, 7), 0);
	CU_ASSERT_EQUAL(xsave_check(&xsave, 3), -EINVAL);
	header[0] = 1ull << 62;
	CU_ASSERT_EQUAL(xsave_check(&xsave, 7), -EINVAL);
	header[0] = 0;
	header[1] = 1ull << 63;
	CU_ASSERT_EQUAL(xsave_check(&xsave, 7), -EINVAL);
	header[1] = 0;
	header[7] = 1;
	CU_ASSERT_EQUAL(xsave_check(&xsave, 7), -EINVAL);
}

static void events_are_checked(void)
{
	struct kvm_vcpu_events e;

	for (unsigned bit = 0; bit < 32; bit++) {
		memset(&e, 0, sizeof e);
		e.flags = 1u << bit;
		CU_ASSERT_EQUAL(vcpu_events_check(&e, 0), bit < 4 ? 0 : -EINVAL);
	}
	for (unsigned vector = 0; vector < 256; vector++) {
		memset(&e, 0, sizeof e);
		e.exception.nr = vector;
		CU_ASSERT_EQUAL(vcpu_events_check(&e, 0), 0);
		e.exception.injected = 1;
		CU_ASSERT_EQUAL(vcpu_events_check(&e, 0), vector < 32 && vector != 2 ? 0 : -EINVAL);
	}
	memset(&e, 0, sizeof e);
	e.flags = KVM_VCPUEVENT_VALID_SMM;
	e.smi.smm = 1;
	CU_ASSERT_EQUAL(vcpu_events_check(&e, KVM_MP_STATE_RUNNABLE), 0);
	CU_ASSERT_EQUAL(vcpu_events_check(&e, KVM_MP_STATE_INIT_RECEIVED), -EINVAL);
}

static void mp_states_need_an_irqchip(void)
{
	for (uint32_t i = 0; i <= 11; i++) {
		struct kvm_mp_state mp = {i};

		CU_ASSERT_EQUAL(mp_state_check(&mp, true), i <= 4 || i == 9 ? 0 : -EINVAL);
		CU_ASSERT_EQUAL(mp_state_check(&mp, false), i == 0 ? 0 : -EINVAL);
	}
}

void register_state_suite(void)
{
	static CU_TestInfo reset[] = {
		{"registers", registers_at_reset},
		{"the boot processor", boot_processor_at_reset},
		{"the LAPIC", lapic_at_reset},
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo set[] = {
		{"CR8 and TPR are one", cr8_and_tpr_are_one},
		{"PPR follows TPR and ISR", priority_follows_tpr_and_service},
		{"a bit of the bitmap is an interrupt", a_bit_of_the_bitmap_is_an_interrupt},
		{"events keep what flags do not name", events_keep_what_the_flags_do_not_name},
		{"software events are not shown", software_events_are_remembered_but_not_shown},
		{"the FPU is the start of XSAVE", fpu_is_the_start_of_xsave},
		{"XSAVE shows what is in use", xsave_shows_what_is_in_use},
		{"sregs2 is sregs without the bitmap", sregs2_is_sregs_without_the_bitmap},
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo check[] = {
		{"sregs that make no mode", sregs_that_make_no_mode_are_refused},
		{"CR4 follows CPUID", cr4_follows_cpuid},
		{"debug registers have 32 bits", debug_registers_have_32_bits},
		{"XCR0 as hardware takes it", xcr0_takes_what_hardware_takes},
		{"the XSAVE header", xsave_header_is_checked},
		{"events", events_are_checked},
		{"mp_state needs an irqchip", mp_states_need_an_irqchip},
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{"state: reset", NULL, NULL, NULL, NULL, reset},
		{"state: set", NULL, NULL, NULL, NULL, set},
		{"state: check", NULL, NULL, NULL, NULL, check},
		CU_SUITE_INFO_NULL,
	};

	CU_register_suites(suites);
}
