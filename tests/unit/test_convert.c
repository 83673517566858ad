/*
 * Conversion: what Xen's records can carry comes back unchanged, in both directions, for random
 * states and records; and no record is made that Xen would refuse.
 */
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/machine/check.h"

void register_convert_suite(void);

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define ROUNDS            2000

static uint64_t seed;

/* xorshift64: the same numbers in every run. */
static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void fill(void *object, size_t length)
{
	uint64_t word;

	for (size_t i = 0; i < length; i += sizeof word) {
		word = rnd();
		memcpy((char *)object + i, &word,
		       length - i < sizeof word ? length - i : sizeof word);
	}
}

/* Whether two objects are equal; says where they are not. */
static bool equal(const void *a, const void *b, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (((const uint8_t *)a)[i] != ((const uint8_t *)b)[i]) {
			fprintf(stderr, "differ at %#zx of %#zx\n", i, length);
			return false;
		}
	return true;
}

/* Any bytes; a bool must be one. */
static void fill_state(struct vcpu_state *state)
{
	fill(state, sizeof *state);
	state->fpu_set = false;
}

static int start(void)
{
	seed = 0x9e3779b97f4a7c15;
	return 0;
}

/* --- states that a record can carry whole --- */

static struct kvm_segment random_segment(void)
{
	bool present = rnd() & 1;

	return (struct kvm_segment){
		.base = rnd(),
		.limit = rnd(),
		.selector = rnd(),
		.type = rnd() & 15,
		.present = present,
		.dpl = rnd() & 3,
		.db = rnd() & 1,
		.s = rnd() & 1,
		.l = rnd() & 1,
		.g = rnd() & 1,
		.avl = rnd() & 1,
		.unusable = !present,
	};
}

static void random_event(struct vcpu_state *s)
{
	uint8_t vector = rnd();

	memset(&s->events, 0, sizeof s->events);
	memset(s->sregs.interrupt_bitmap, 0, sizeof s->sregs.interrupt_bitmap);
	switch (rnd() % 5) {
	case 0:
		break;
	case 1:
		s->events.interrupt.injected = 1;
		s->events.interrupt.nr = vector;
		s->sregs.interrupt_bitmap[vector / 64] = 1ull << (vector % 64);
		break;
	case 2:
		s->events.interrupt.injected = s->events.interrupt.soft = 1;
		s->events.interrupt.nr = vector;
		break;
	case 3:
		s->events.nmi.injected = 1;
		break;
	case 4:
		s->events.exception.injected = 1;
		s->events.exception.nr = vector & 31;
		s->events.exception.has_error_code = rnd() & 1;
		if (s->events.exception.has_error_code)
			s->events.exception.error_code = rnd();
		break;
	}
}

static void random_state(struct vcpu_state *s)
{
	struct kvm_segment *segments[] = {&s->sregs.cs, &s->sregs.ds, &s->sregs.es, &s->sregs.fs,
					  &s->sregs.gs, &s->sregs.ss, &s->sregs.tr, &s->sregs.ldt};
	bool is_long = rnd() & 1;

	fill_state(s);
	for (size_t i = 0; i < ARRAY_SIZE(segments); i++)
		*segments[i] = random_segment();
	memset(s->sregs.gdt.padding, 0, sizeof s->sregs.gdt.padding);
	memset(s->sregs.idt.padding, 0, sizeof s->sregs.idt.padding);
	s->regs.rflags = (s->regs.rflags & 0x3f7fd5) | 2;
	s->sregs.cr0 = (s->sregs.cr0 & 0x6005002f) | 0x10;
	s->sregs.efer &= 0x4901;
	s->sregs.cr3 &= 0xfffffffff000;
	if (is_long) {
		s->sregs.cr0 |= 0x80000001;
		s->sregs.efer |= 0x500;
	} else {
		s->sregs.cr3 = (uint32_t)s->sregs.cr3;
	}
	s->debugregs.dr6 = (uint32_t)s->debugregs.dr6;
	s->debugregs.dr7 = (uint32_t)s->debugregs.dr7;
	s->msrs[MSR_ROW_TSC_AUX] = (uint32_t)s->msrs[MSR_ROW_TSC_AUX];
	s->xsave.region[6] &= 0xffff;
	vcpu_state_set_xstate_bv(s, 7);
	random_event(s);
	vcpu_state_lapic_set(s, STATE_LAPIC_VERSION, STATE_LAPIC_VERSION_KVM);
	for (unsigned offset = STATE_LAPIC_TMICT; offset <= STATE_LAPIC_TMCCT; offset += 0x10)
		vcpu_state_lapic_set(s, offset, rnd() % (UINT32_MAX / 10) * 10);
	vcpu_state_lapic_derive(s);
	s->sregs.cr8 = (vcpu_state_lapic_get(s, STATE_LAPIC_TPR) >> 4) & 0xf;
}

/* --- CPU --- */

/* Everything of a state that the CPU record does not carry, taken from another. */
static void keep_beside_cpu(struct vcpu_state *s, const struct vcpu_state *from)
{
	s->known = from->known;
	s->dirty = from->dirty;
	s->sregs.apic_base = from->sregs.apic_base;
	s->sregs.cr8 = from->sregs.cr8;
	memcpy((char *)s->xsave.region + 512, (const char *)from->xsave.region + 512,
	       sizeof s->xsave.region - 512);
	s->xcr0 = from->xcr0;
	s->debugregs.flags = from->debugregs.flags;
	memcpy(s->debugregs.reserved, from->debugregs.reserved, sizeof s->debugregs.reserved);
	s->events.interrupt.shadow = 0;
	s->mp_state = from->mp_state;
	s->lapic = from->lapic;
	for (int row = 0; row < MSR_TABLE_SIZE; row++)
		if (msr_table[row].home != MSR_HOME_CPU)
			s->msrs[row] = from->msrs[row];
}

static void cpu_state_survives(void)
{
	static struct vcpu_state in, out, other;
	struct hvm_hw_cpu record;

	for (int i = 0; i < ROUNDS; i++) {
		random_state(&in);
		random_state(&other);
		fill(&record, sizeof record);
		memset(&other.events, 0, sizeof other.events);
		out = other;
		cpu_record_from_state(&record, &in);
		cpu_record_to_state(&out, &record);
		other.msrs[MSR_ROW_TSC] = record.tsc;
		keep_beside_cpu(&in, &other);
		CU_ASSERT_TRUE_FATAL(equal(&in, &out, offsetof(struct vcpu_state, lapic)));
		CU_ASSERT_TRUE_FATAL(equal(&in.lapic, &out.lapic, sizeof in.lapic));
		CU_ASSERT_TRUE_FATAL(equal(in.msrs, out.msrs, sizeof in.msrs));
	}
}

static void random_cpu_record(struct hvm_hw_cpu *record)
{
	static struct vcpu_state s;

	random_state(&s);
	memset(record, 0, sizeof *record);
	cpu_record_from_state(record, &s);
	record->tsc = rnd();
}

static void cpu_record_survives(void)
{
	static struct vcpu_state s;
	struct hvm_hw_cpu in, out;

	for (int i = 0; i < ROUNDS; i++) {
		random_cpu_record(&in);
		fill_state(&s);
		cpu_record_to_state(&s, &in);
		fill(&out, sizeof out);
		cpu_record_from_state(&out, &s);
		CU_ASSERT_EQUAL(s.msrs[MSR_ROW_TSC], in.tsc);
		out.tsc = in.tsc;
		out.msr_flags = in.msr_flags; /* obsolete: whatever the base has */
		CU_ASSERT_TRUE_FATAL(equal(&in, &out, sizeof in));
	}
}

/* hvm_load_cpu_ctxt and svm_load_vmcb_ctxt of Xen 4.17, for a policy with everything. */
static bool xen_takes_cpu(const struct hvm_hw_cpu *r)
{
	uint32_t type = r->pending_type;

	if (r->pad0 || (r->cr0 & ~0xe005003full) || !(r->cr0 & 0x10) ||
	    (r->cr0 & 0x80000001) == 0x80000000)
		return false;
	if ((r->msr_efer & ~0x4d01ull) ||
	    ((r->msr_efer & 0x400) && (!(r->msr_efer & 0x100) || !(r->cr0 & 0x80000000))))
		return false;
	if (r->cr3 >> 48 || (r->flags & ~XEN_X86_FPU_INITIALISED) || r->msr_tsc_aux >> 32)
		return false;
	if (r->dr6 >> 32 || r->dr7 >> 32)
		return false;
	if (r->pending_valid &&
	    (r->pending_reserved || (type != 0 && type != 2 && type != 3 && type != 4)))
		return false;
	for (const uint32_t *ar = &r->cs_arbytes; ar <= &r->ldtr_arbytes; ar++)
		if (*ar & ~0xfffu)
			return false;
	return true;
}

/* Whatever passes KVM's checks can be loaded: nothing that a VMM sets may end the domain. */
static void no_state_that_kvm_takes_makes_a_bad_record(void)
{
	static const struct kvm_cpuid_entry2 wide[] = {
		{.function = 0x80000000, .eax = 0x80000008},
		{.function = 0x80000008, .eax = 0x3030},
	};
	static struct vcpu_state s;
	struct hvm_hw_cpu record;
	int taken = 0;

	for (int i = 0; i < 50 * ROUNDS; i++) {
		fill_state(&s);
		s.sregs.cr0 &= 0xffffffff;
		s.sregs.cr4 &= 0x7ff;
		s.sregs.apic_base = 0xfee00900;
		s.sregs.cr3 >>= rnd() & 31;
		s.sregs.cs.l &= rnd() & 1;
		if (rnd() & 1)
			s.sregs.efer &= ~0x500ull;
		s.events.flags = 0;
		if (rnd() & 1)
			s.debugregs.dr6 = s.debugregs.dr7 = s.debugregs.flags = 0;
		if (sregs_check(&s.sregs, wide, 2, ~0ull) || debugregs_check(&s.debugregs) ||
		    vcpu_events_check(&s.events, 0))
			continue;
		taken++;
		fill(&record, sizeof record);
		cpu_record_from_state(&record, &s);
		CU_ASSERT_TRUE(xen_takes_cpu(&record));
	}
	CU_ASSERT(taken > 1000);
}

static void cpu_fields_are_where_they_belong(void)
{
	static struct vcpu_state s;
	struct hvm_hw_cpu r;

	vcpu_state_reset(&s, 0, true, true);
	memset(&r, 0, sizeof r);
	s.regs.r15 = 15;
	s.sregs.fs.base = 0x3000;
	s.sregs.idt.base = 0x4000;
	s.sregs.idt.limit = 0x7ff;
	s.debugregs.db[3] = 3;
	s.msrs[MSR_ROW_KERNEL_GS_BASE] = 5;
	s.msrs[MSR_ROW_SYSENTER_EIP] = 6;
	s.msrs[MSR_ROW_SYSCALL_MASK] = 7;
	s.msrs[MSR_ROW_TSC] = 99;
	cpu_record_from_state(&r, &s);
	CU_ASSERT_EQUAL(r.rip, 0xfff0);
	CU_ASSERT_EQUAL(r.r15, 15);
	CU_ASSERT_EQUAL(r.cs_base, 0xffff0000);
	CU_ASSERT_EQUAL(r.cs_sel, 0xf000);
	CU_ASSERT_EQUAL(r.cs_arbytes, 0x9b);
	CU_ASSERT_EQUAL(r.ss_arbytes, 0x93);
	CU_ASSERT_EQUAL(r.tr_arbytes, 0x8b);
	CU_ASSERT_EQUAL(r.ldtr_arbytes, 0x82);
	CU_ASSERT_EQUAL(r.fs_base, 0x3000);
	CU_ASSERT(r.idtr_base == 0x4000 && r.idtr_limit == 0x7ff && r.gdtr_limit == 0xffff);
	CU_ASSERT_EQUAL(r.dr3, 3);
	CU_ASSERT_EQUAL(r.shadow_gs, 5);
	CU_ASSERT_EQUAL(r.sysenter_eip, 6);
	CU_ASSERT_EQUAL(r.msr_syscall_mask, 7);
	CU_ASSERT_EQUAL(r.tsc, 0); /* the loader's to patch */
	CU_ASSERT_EQUAL(r.cr0, 0x60000010);
	s.sregs.cr0 = 1; /* toys omit ET */
	cpu_record_from_state(&r, &s);
	CU_ASSERT_EQUAL(r.cr0, 0x11);
	s.sregs.ds.unusable = 1;
	cpu_record_from_state(&r, &s);
	CU_ASSERT_EQUAL(r.ds_arbytes, 0x13);
}

static void one_event_is_pending_in_kvms_order(void)
{
	static struct vcpu_state s;
	struct hvm_hw_cpu r;

	vcpu_state_reset(&s, 0, true, true);
	s.events.interrupt.injected = 1;
	s.events.interrupt.nr = 0x40;
	cpu_record_from_state(&r, &s);
	CU_ASSERT_EQUAL(r.pending_event, 0x80000040);
	s.events.nmi.injected = 1;
	cpu_record_from_state(&r, &s);
	CU_ASSERT_EQUAL(r.pending_event, 0x80000202);
	s.events.exception.injected = 1;
	s.events.exception.nr = 14;
	s.events.exception.has_error_code = 1;
	s.events.exception.error_code = 2;
	cpu_record_from_state(&r, &s);
	CU_ASSERT_EQUAL(r.pending_event, 0x80000b0e);
	CU_ASSERT_EQUAL(r.error_code, 2);

	memset(&s.events, 0, sizeof s.events);
	cpu_record_from_state(&r, &s);
	CU_ASSERT_EQUAL(r.pending_event, 0);
	CU_ASSERT_EQUAL(r.error_code, 0);
	/* VMX: a privileged software exception is KVM's exception as well. */
	r.pending_event = 0x80000501;
	cpu_record_to_state(&s, &r);
	CU_ASSERT(s.events.exception.injected && s.events.exception.nr == 1);
}

/* XSTATE_BV says which registers count: the others are as after a reset. */
static void unused_components_are_initial(void)
{
	static struct vcpu_state s;
	struct hvm_hw_cpu r;
	uint32_t mxcsr;

	vcpu_state_reset(&s, 0, true, true);
	fill(s.xsave.region, 512);
	vcpu_state_set_xstate_bv(&s, 0);
	cpu_record_from_state(&r, &s);
	memcpy(&mxcsr, r.fpu_regs + 24, sizeof mxcsr);
	CU_ASSERT_EQUAL(mxcsr, 0x1f80);
	CU_ASSERT(r.fpu_regs[0] == 0x7f && r.fpu_regs[1] == 3 && r.fpu_regs[2] == 0);
	for (int i = 32; i < 416; i++)
		CU_ASSERT_EQUAL(r.fpu_regs[i], 0);
	vcpu_state_set_xstate_bv(&s, STATE_XSTATE_SSE);
	cpu_record_from_state(&r, &s);
	CU_ASSERT_EQUAL(memcmp(r.fpu_regs + 160, (char *)s.xsave.region + 160, 256), 0);
	CU_ASSERT_EQUAL(r.fpu_regs[0], 0x7f);
	vcpu_state_set_xstate_bv(&s, STATE_XSTATE_FP);
	cpu_record_from_state(&r, &s);
	CU_ASSERT_EQUAL(memcmp(r.fpu_regs + 32, (char *)s.xsave.region + 32, 128), 0);
	/* What KVM_SET_FPU wrote counts in any case, here and in CPU_XSAVE. */
	vcpu_state_set_xstate_bv(&s, 0);
	s.fpu_set = true;
	cpu_record_from_state(&r, &s);
	CU_ASSERT_EQUAL(memcmp(r.fpu_regs + 32, (char *)s.xsave.region + 32, 384), 0);
	cpu_record_to_state(&s, &r);
	CU_ASSERT_FALSE(s.fpu_set);
	CU_ASSERT_EQUAL(vcpu_state_xstate_bv(&s), 3);
	/* A vcpu of Xen's that never touched its FPU. */
	r.flags = 0;
	cpu_record_to_state(&s, &r);
	CU_ASSERT_EQUAL(s.xsave.region[0], 0x40);
	CU_ASSERT_EQUAL(s.xsave.region[6], 0x1f80);
}

static void every_register_of_the_cpu_record_gets_there(void)
{
	static struct vcpu_state s;

	for (int row = 0; row < MSR_TABLE_SIZE; row++) {
		struct hvm_hw_cpu before, after;

		if (msr_table[row].home != MSR_HOME_CPU)
			continue;
		vcpu_state_reset(&s, 0, true, true);
		memset(&before, 0, sizeof before);
		memset(&after, 0, sizeof after);
		cpu_record_from_state(&before, &s);
		s.msrs[row] = 0x1234;
		cpu_record_from_state(&after, &s);
		CU_ASSERT_NOT_EQUAL(memcmp(&before, &after, sizeof before), 0);
	}
}

static void vcpu_context_has_what_setvcpucontext_takes(void)
{
	static struct vcpu_guest_context c;
	static struct vcpu_state s;

	random_state(&s);
	memset(&c, 0, sizeof c);
	c.flags = VGCF_online;
	c.vm_assist = 0x55;
	vcpu_context_from_state(&c, &s);
	CU_ASSERT_EQUAL(c.user_regs.rax, s.regs.rax);
	CU_ASSERT_EQUAL(c.user_regs.rbp, s.regs.rbp);
	CU_ASSERT_EQUAL(c.user_regs.r15, s.regs.r15);
	CU_ASSERT_EQUAL(c.user_regs.rip, s.regs.rip);
	CU_ASSERT_EQUAL(c.user_regs.rsp, s.regs.rsp);
	CU_ASSERT_EQUAL(c.user_regs.rflags, s.regs.rflags);
	CU_ASSERT_EQUAL(c.debugreg[0], s.debugregs.db[0]);
	CU_ASSERT_EQUAL(c.debugreg[3], s.debugregs.db[3]);
	CU_ASSERT_EQUAL(c.debugreg[7], s.debugregs.dr7);
	CU_ASSERT_EQUAL(memcmp(&c.fpu_ctxt, s.xsave.region, 512), 0);
	CU_ASSERT_EQUAL(c.flags, VGCF_online | VGCF_i387_valid);
	CU_ASSERT_EQUAL(c.vm_assist, 0x55);
}

/* --- CPU_XSAVE --- */

#define XSAVE_ROOM (24 + 4096)

static const struct control_cpuid layout[] = {
	{0xd, 0, 0x207, 0, 0xa88, 0}, {0xd, 2, 0x100, 0x240, 0, 0},   {0xd, 5, 0x40, 0x440, 0, 0},
	{0xd, 6, 0x200, 0x480, 0, 0}, {0xd, 7, 0x400, 0x680, 0, 0},   {0xd, 9, 8, 0xa80, 0, 0},
	{0xd, 11, 0x10, 0, 1, 0},     {0xd, 18, 0x2000, 0xac0, 0, 0}, /* larger than KVM_GET_XSAVE's
									 page */
};

static void random_xsave(struct vcpu_state *s, uint64_t xcr0)
{
	uint64_t *header = (uint64_t *)&s->xsave.region[128];

	fill(s->xsave.region, sizeof s->xsave.region);
	s->xsave.region[6] &= 0xffff;
	memset(header, 0, 64);
	header[0] = xcr0;
	s->xcr0 = xcr0;
}

/* Runs first: nothing has been learnt yet. */
static void xsave_without_layout_is_a_page(void)
{
	static struct vcpu_state in, out;
	static uint8_t body[XSAVE_ROOM];
	struct hvm_hw_cpu_xsave head;

	for (int i = 0; i < 50; i++) {
		random_xsave(&in, 7);
		fill_state(&out);
		CU_ASSERT_EQUAL(xsave_record_from_state(body, sizeof body, &in), XSAVE_ROOM);
		xsave_record_to_state(&out, body, sizeof body);
		CU_ASSERT_TRUE_FATAL(equal(&in.xsave, &out.xsave, sizeof in.xsave.region));
		CU_ASSERT_EQUAL(out.xcr0, 7);
	}
	memcpy(&head, body, sizeof head);
	CU_ASSERT_EQUAL(head.xcr0_accum, 7);
	CU_ASSERT_EQUAL(xsave_record_from_state(body, sizeof body - 1, &in), 0);
	/* The legacy part has its place in the architecture. */
	random_xsave(&in, 3);
	CU_ASSERT_EQUAL(xsave_record_from_state(body, sizeof body, &in), 24 + 576);
}

static void xsave_record_is_as_long_as_its_components(void)
{
	static const struct {
		uint64_t xcr0, bv, accum;
		size_t length;
	} cases[] = {
		{1, 0, 1, 576},          {3, 3, 3, 576},           {7, 7, 7, 832},
		{1, 4, 7, 832},          {0xe7, 0x20, 0xe7, 2688}, {7, 0x40, 0xe7, 2688},
		{0x207, 2, 0x207, 2696}, {1, 8, 0x19, 4096},       {1, 1ull << 12, 0x1001, 4096},
	};
	static uint8_t body[XSAVE_ROOM];
	static struct vcpu_state s;
	struct hvm_hw_cpu_xsave head;

	xsave_layout_learn(layout, ARRAY_SIZE(layout));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		random_xsave(&s, cases[i].xcr0);
		vcpu_state_set_xstate_bv(&s, cases[i].bv);
		CU_ASSERT_EQUAL(xsave_record_from_state(body, sizeof body, &s),
				24 + cases[i].length);
		memcpy(&head, body, sizeof head);
		CU_ASSERT_EQUAL(head.xcr0, cases[i].xcr0);
		CU_ASSERT_EQUAL(head.xcr0_accum, cases[i].accum);
		CU_ASSERT_EQUAL(head.save_area.xsave_hdr.xstate_bv, cases[i].bv);
		CU_ASSERT_EQUAL(head.save_area.xsave_hdr.xcomp_bv, 0);
	}
	random_xsave(&s, 1);
	vcpu_state_set_xstate_bv(&s, 0);
	s.fpu_set = true;
	CU_ASSERT_EQUAL(xsave_record_from_state(body, sizeof body, &s), 24 + 576);
	memcpy(&head, body, sizeof head);
	CU_ASSERT_EQUAL(head.save_area.xsave_hdr.xstate_bv, 3);
	CU_ASSERT_EQUAL(head.xcr0_accum, 3);
	xsave_record_to_state(&s, body, 24 + 576);
	CU_ASSERT_FALSE(s.fpu_set);
	fill_state(&s);
	xsave_record_to_state(&s, body, 24 + 575); /* cut short: nothing to believe */
	s.xsave.region[6] = 0xffffffff;
	vcpu_state_set_xstate_bv(&s, 3);
	s.xcr0 = 3;
	CU_ASSERT_EQUAL(xsave_record_from_state(body, sizeof body, &s), 24 + 576);
	memcpy(&head, body, sizeof head);
	CU_ASSERT_EQUAL(head.save_area.xsave_hdr.xcomp_bv, 0);
	for (int i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(head.save_area.xsave_hdr.reserved[i], 0);
	memcpy(&s.xsave.region[6], body + 24 + 24, 4);
	CU_ASSERT_EQUAL(s.xsave.region[6], 0xffff);
}

static void xsave_of_a_short_record_is_zero_behind(void)
{
	static struct vcpu_state in, out;
	static uint8_t body[XSAVE_ROOM];
	size_t length;

	xsave_layout_learn(layout, ARRAY_SIZE(layout));
	random_xsave(&in, 7);
	length = xsave_record_from_state(body, sizeof body, &in);
	fill_state(&out);
	xsave_record_to_state(&out, body, length);
	CU_ASSERT_EQUAL(memcmp(in.xsave.region, out.xsave.region, 832), 0);
	for (size_t i = 832 / 4; i < 1024; i++)
		CU_ASSERT_EQUAL(out.xsave.region[i], 0);
}

/* --- CPU_MSR, MTRR, TSC_ADJUST --- */

#define MSR_ROOM (8 + 16 * 16)

static void cpu_msrs_survive(void)
{
	static struct vcpu_state in, out;
	uint8_t body[MSR_ROOM];

	for (int i = 0; i < ROUNDS; i++) {
		size_t length;

		fill_state(&in);
		fill_state(&out);
		for (int row = 0; row < MSR_TABLE_SIZE; row++)
			if (msr_table[row].home == MSR_HOME_CPU_MSR && rnd() & 1)
				in.msrs[row] = 0;
		memset(body, 0, sizeof body);
		length = cpu_msr_record_from_state(body, sizeof body, &in);
		cpu_msr_record_to_state(&out, length ? body : NULL, length);
		for (int row = 0; row < MSR_TABLE_SIZE; row++)
			if (msr_table[row].home == MSR_HOME_CPU_MSR)
				CU_ASSERT_EQUAL(in.msrs[row], out.msrs[row]);
	}
}

static void cpu_msr_zeroes_are_said_only_where_needed(void)
{
	static struct vcpu_state s;
	struct hvm_msr *record;
	uint8_t body[MSR_ROOM] = {0};

	vcpu_state_reset(&s, 0, true, true);
	CU_ASSERT_EQUAL(cpu_msr_record_from_state(body, sizeof body, &s), 0);
	s.msrs[MSR_ROW_SPEC_CTRL] = 1;
	CU_ASSERT_EQUAL(cpu_msr_record_from_state(body, 23, &s), 0);
	CU_ASSERT_EQUAL(cpu_msr_record_from_state(body, 24, &s), 24);
	record = malloc(MSR_ROOM);
	memcpy(record, body, MSR_ROOM);
	CU_ASSERT(record->count == 1 && record->msr[0].index == 0x48 && record->msr[0].val == 1);
	CU_ASSERT_EQUAL(record->msr[0]._rsvd, 0);
	free(record);
	/* The guest's old value must go. */
	s.msrs[MSR_ROW_SPEC_CTRL] = 0;
	CU_ASSERT_EQUAL(cpu_msr_record_from_state(body, sizeof body, &s), 24);
	s.msrs[MSR_ROW_SPEC_CTRL] = 1;
	cpu_msr_record_to_state(&s, body, 24);
	CU_ASSERT_EQUAL(s.msrs[MSR_ROW_SPEC_CTRL], 0);
	/* A count beyond the record is not believed. */
	memset(body, 0xff, 4);
	cpu_msr_record_to_state(&s, body, 24);
	cpu_msr_record_to_state(&s, body, 3);
	CU_ASSERT_EQUAL(s.msrs[MSR_ROW_SPEC_CTRL], 0);
}

static void mtrr_survives(void)
{
	static struct vcpu_state in, out;
	struct hvm_hw_mtrr record, back;

	for (int i = 0; i < ROUNDS; i++) {
		fill_state(&in);
		fill_state(&out);
		fill(&record, sizeof record);
		mtrr_record_from_state(&record, &in);
		mtrr_record_to_state(&out, &record, false);
		for (int row = 0; row < MSR_TABLE_SIZE; row++)
			if (msr_table[row].home == MSR_HOME_MTRR)
				CU_ASSERT_EQUAL(in.msrs[row], out.msrs[row]);
		mtrr_record_from_state(&back, &out);
		CU_ASSERT_TRUE_FATAL(equal(&record, &back, sizeof record));
		CU_ASSERT_EQUAL(record.msr_mtrr_cap, 0x508);
	}
}

/* Xen writes range 0 into all eight when it saves. */
static void mtrr_ranges_that_xen_garbles_are_kept(void)
{
	static struct vcpu_state s;
	struct hvm_hw_mtrr record;

	fill(&record, sizeof record);
	vcpu_state_reset(&s, 0, true, true);
	s.msrs[MSR_ROW_MTRR_PHYSBASE1] = 0x1006;
	s.msrs[MSR_ROW_MTRR_PHYSMASK7] = 0x800;
	mtrr_record_to_state(&s, &record, true);
	CU_ASSERT_EQUAL(s.msrs[MSR_ROW_MTRR_PHYSBASE0], record.msr_mtrr_var[0]);
	CU_ASSERT_EQUAL(s.msrs[MSR_ROW_MTRR_PHYSMASK0], record.msr_mtrr_var[1]);
	CU_ASSERT_EQUAL(s.msrs[MSR_ROW_MTRR_PHYSBASE1], 0x1006);
	CU_ASSERT_EQUAL(s.msrs[MSR_ROW_MTRR_PHYSMASK7], 0x800);
	CU_ASSERT_EQUAL(s.msrs[MSR_ROW_MTRR_FIX4K_F8000], record.msr_mtrr_fixed[10]);
}

static void tsc_adjust_survives(void)
{
	static struct vcpu_state s;
	struct hvm_tsc_adjust record;

	s.msrs[MSR_ROW_TSC_ADJUST] = 0x123456789;
	tsc_adjust_record_from_state(&record, &s);
	s.msrs[MSR_ROW_TSC_ADJUST] = 0;
	tsc_adjust_record_to_state(&s, &record);
	CU_ASSERT_EQUAL(s.msrs[MSR_ROW_TSC_ADJUST], 0x123456789);
}

/* --- LAPIC --- */

static void lapic_state_survives(void)
{
	static struct vcpu_state in, out;
	struct hvm_hw_lapic record;
	struct hvm_hw_lapic_regs regs;

	for (int i = 0; i < ROUNDS; i++) {
		random_state(&in);
		random_state(&out);
		fill(&record, sizeof record);
		fill(&regs, sizeof regs);
		lapic_record_from_state(&record, &regs, &in);
		lapic_record_to_state(&out, &record, &regs);
		CU_ASSERT_TRUE_FATAL(equal(&in.lapic, &out.lapic, sizeof in.lapic));
		CU_ASSERT_EQUAL(in.sregs.apic_base, out.sregs.apic_base);
		CU_ASSERT_EQUAL(in.sregs.cr8, out.sregs.cr8);
		CU_ASSERT_EQUAL(in.msrs[MSR_ROW_TSC_DEADLINE], out.msrs[MSR_ROW_TSC_DEADLINE]);
	}
}

static uint32_t page_get(const struct hvm_hw_lapic_regs *regs, unsigned offset)
{
	uint32_t value;

	memcpy(&value, regs->data + offset, sizeof value);
	return value;
}

static void page_set(struct hvm_hw_lapic_regs *regs, unsigned offset, uint32_t value)
{
	memcpy(regs->data + offset, &value, sizeof value);
}

/* Over the record that the state came from, even counts that KVM's registers cannot hold. */
static void lapic_record_survives(void)
{
	static struct vcpu_state s;
	struct hvm_hw_lapic in, out;
	struct hvm_hw_lapic_regs regs, back;

	for (int i = 0; i < ROUNDS; i++) {
		random_state(&s);
		lapic_record_from_state(&in, &regs, &s);
		page_set(&regs, STATE_LAPIC_TMICT, rnd() >> (rnd() & 63));
		page_set(&regs, STATE_LAPIC_TMCCT, page_get(&regs, STATE_LAPIC_TMICT));
		lapic_record_to_state(&s, &in, &regs);
		page_set(&regs, STATE_LAPIC_PPR, vcpu_state_lapic_get(&s, STATE_LAPIC_PPR));
		back = regs;
		out = in;
		lapic_record_from_state(&out, &back, &s);
		CU_ASSERT_TRUE_FATAL(equal(&in, &out, sizeof in));
		CU_ASSERT_TRUE_FATAL(equal(&regs, &back, sizeof regs));
	}
}

static void lapic_hidden_state_agrees_with_the_page(void)
{
	static const uint32_t divisors[8] = {2, 4, 8, 16, 32, 64, 128, 1};
	static struct vcpu_state s;
	struct hvm_hw_lapic record;
	struct hvm_hw_lapic_regs regs;

	for (unsigned i = 0; i < 8 * 4; i++) {
		bool hardware = i & 8, software = i & 16;

		vcpu_state_reset(&s, 0, true, true);
		vcpu_state_lapic_set(&s, STATE_LAPIC_TDCR, (i & 3) | (i & 4) << 1);
		vcpu_state_lapic_set(&s, STATE_LAPIC_SPIV, software ? 0x1ff : 0xff);
		s.sregs.apic_base = hardware ? 0xfee00900 : 0xfee00100;
		memset(&regs, 0, sizeof regs);
		lapic_record_from_state(&record, &regs, &s);
		CU_ASSERT_EQUAL(record.timer_divisor, divisors[i & 7]);
		CU_ASSERT_EQUAL(record.disabled, (hardware ? 0u : 1u) | (software ? 0u : 2u));
		CU_ASSERT_EQUAL(record.apic_base_msr, s.sregs.apic_base);
	}
}

static void lapic_timer_counts_are_scaled(void)
{
	static const struct {
		uint32_t kvm, xen;
	} cases[] = {{0, 0},
		     {1, 1},
		     {10, 1},
		     {11, 2},
		     {1000, 100},
		     {1000000, 100000},
		     {0xffffffff, 0x1999999a}};
	static struct vcpu_state s;
	struct hvm_hw_lapic record;
	struct hvm_hw_lapic_regs regs;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		vcpu_state_reset(&s, 0, true, true);
		memset(&regs, 0, sizeof regs);
		vcpu_state_lapic_set(&s, STATE_LAPIC_TMICT, cases[i].kvm);
		lapic_record_from_state(&record, &regs, &s);
		CU_ASSERT_EQUAL(page_get(&regs, STATE_LAPIC_TMICT), cases[i].xen);
	}
	page_set(&regs, STATE_LAPIC_TMICT, 0x19999999);
	lapic_record_to_state(&s, &record, &regs);
	CU_ASSERT_EQUAL(vcpu_state_lapic_get(&s, STATE_LAPIC_TMICT), 0xfffffffa);
	page_set(&regs, STATE_LAPIC_TMICT, 0xffffffff);
	lapic_record_to_state(&s, &record, &regs);
	CU_ASSERT_EQUAL(vcpu_state_lapic_get(&s, STATE_LAPIC_TMICT), 0xffffffff);
	lapic_record_from_state(&record, &regs, &s);
	CU_ASSERT_EQUAL(page_get(&regs, STATE_LAPIC_TMICT), 0xffffffff);
}

/* The VMM's own LAPIC: Xen's is off, out of its way, and cr8 still reaches the guest. */
static void a_lapic_of_the_vmm_switches_xens_off(void)
{
	static struct vcpu_state s;
	struct hvm_hw_lapic record;
	struct hvm_hw_lapic_regs regs;

	vcpu_state_reset(&s, 0, true, false);
	s.sregs.cr8 = 9;
	memset(&regs, 0, sizeof regs);
	lapic_record_from_state(&record, &regs, &s);
	CU_ASSERT_EQUAL(record.apic_base_msr, 0xfee00100);
	CU_ASSERT_EQUAL(record.disabled, 3);
	CU_ASSERT_EQUAL(page_get(&regs, STATE_LAPIC_TPR), 0x90);
	CU_ASSERT_EQUAL(page_get(&regs, STATE_LAPIC_LVTT), 0x10000);
	CU_ASSERT_EQUAL(page_get(&regs, STATE_LAPIC_SPIV), 0xff);
	CU_ASSERT_EQUAL(page_get(&regs, STATE_LAPIC_DFR), 0xffffffff);
	page_set(&regs, STATE_LAPIC_TPR, 0x30);
	lapic_record_to_state(&s, &record, &regs);
	CU_ASSERT_EQUAL(s.sregs.cr8, 3);
	CU_ASSERT_EQUAL(s.sregs.apic_base, 0xfee00900);
	CU_ASSERT_FALSE(vcpu_state_has_lapic(&s));
}

/* --- PIC --- */

static struct kvm_pic_state random_pic(unsigned chip, uint16_t wires)
{
	struct kvm_pic_state pic;

	fill(&pic, sizeof pic);
	pic.last_irr = chip ? wires >> 8 : wires & 0xfb;
	pic.priority_add &= 7;
	pic.read_reg_select &= 1;
	pic.poll &= 1;
	pic.special_mask &= 1;
	pic.init_state &= 3;
	pic.auto_eoi &= 1;
	pic.rotate_on_auto_eoi &= 1;
	pic.special_fully_nested_mode &= 1;
	pic.init4 = pic.init_state ? pic.init4 & 1 : 0;
	pic.elcr_mask = chip ? 0xde : 0xf8;
	return pic;
}

static void pic_state_survives(void)
{
	struct hvm_hw_vpic record;

	for (int i = 0; i < ROUNDS; i++) {
		uint16_t wires = rnd();
		struct kvm_pic_state in = random_pic(i & 1, wires), out;

		fill(&record, sizeof record);
		fill(&out, sizeof out);
		pic_record_from_kvm(&record, &in, i & 1);
		pic_record_to_kvm(&out, &record, i & 1, wires);
		CU_ASSERT_TRUE_FATAL(equal(&in, &out, sizeof in));
		CU_ASSERT_EQUAL(record.is_master, !(i & 1));
	}
}

static void pic_record_survives(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct kvm_pic_state pic = random_pic(i & 1, 0), between;
		struct hvm_hw_vpic in, out;

		pic_record_from_kvm(&in, &pic, i & 1);
		pic_record_to_kvm(&between, &in, i & 1, rnd());
		fill(&out, sizeof out);
		pic_record_from_kvm(&out, &between, i & 1);
		CU_ASSERT_TRUE_FATAL(equal(&in, &out, sizeof in));
	}
}

static void pic_output_follows_from_its_registers(void)
{
	static const struct {
		struct kvm_pic_state pic;
		unsigned chip;
		bool output;
	} cases[] = {
		{{.irr = 0}, 0, false},
		{{.irr = 2}, 0, true},
		{{.irr = 2, .imr = 2}, 0, false},
		{{.irr = 2, .isr = 1}, 0, false},
		{{.irr = 2, .isr = 4}, 0, true},
		{{.irr = 2, .isr = 2}, 0, false},
		{{.irr = 2, .isr = 1, .priority_add = 1}, 0, true},
		{{.irr = 2, .isr = 1, .special_mask = 1, .imr = 1}, 0, true},
		{{.irr = 4, .isr = 4, .special_fully_nested_mode = 1}, 0, true},
		{{.irr = 4, .isr = 4, .special_fully_nested_mode = 1}, 1, false},
		{{.irr = 4, .isr = 4, .special_fully_nested_mode = 1, .priority_add = 1}, 0, true},
		{{.irr = 2, .init_state = 1}, 0, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hvm_hw_vpic record;

		pic_record_from_kvm(&record, &cases[i].pic, cases[i].chip);
		CU_ASSERT_EQUAL(record.int_output, cases[i].output);
	}
}

static void pic_initialisation_goes_on(void)
{
	struct kvm_pic_state pic = {.init_state = 2, .init4 = 1};
	struct hvm_hw_vpic record;

	pic_record_from_kvm(&record, &pic, 0);
	CU_ASSERT_EQUAL(record.init_state, 6);
	pic.init_state = 0; /* done: what ICW1 said is history */
	pic_record_from_kvm(&record, &pic, 0);
	CU_ASSERT_EQUAL(record.init_state, 0);
}

/* --- IOAPIC, PIT --- */

static void ioapic_survives_and_keeps_the_upper_pins(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct kvm_ioapic_state in, out;
		struct hvm_hw_vioapic record, base;

		fill(&in, sizeof in);
		fill(&base, sizeof base);
		in.irr &= 0xffffff;
		in.pad = 0;
		record = base;
		ioapic_record_from_kvm(&record, &in);
		CU_ASSERT_EQUAL(memcmp(&record.redirtbl[24], &base.redirtbl[24], 24 * 8), 0);
		fill(&out, sizeof out);
		ioapic_record_to_kvm(&out, &record, in.irr | 0xff000000);
		CU_ASSERT_TRUE_FATAL(equal(&in, &out, sizeof in));
		base = record;
		ioapic_record_from_kvm(&record, &out);
		CU_ASSERT_TRUE_FATAL(equal(&record, &base, sizeof base));
	}
}

static void upper_pins_of_a_new_ioapic_are_masked(void)
{
	struct kvm_ioapic_state ioapic = {.base_address = 0xfec00000, .id = 5};
	struct hvm_hw_vioapic record;

	memset(&record, 0, sizeof record);
	ioapic.redirtbl[4].bits = 0x100000000000031;
	ioapic_record_from_kvm(&record, &ioapic);
	CU_ASSERT(record.base_address == 0xfec00000 && record.id == 5);
	CU_ASSERT_EQUAL(record.redirtbl[4].fields.vector, 0x31);
	CU_ASSERT_EQUAL(record.redirtbl[4].fields.dest_id, 1);
	CU_ASSERT_EQUAL(record.redirtbl[0].bits, 0);
	for (int pin = 24; pin < 48; pin++)
		CU_ASSERT_EQUAL(record.redirtbl[pin].bits, 0x10000);
}

static void pit_survives_but_for_its_load_times(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct kvm_pit_state2 in, out;
		struct hvm_hw_pit record, back;

		fill(&in, sizeof in);
		memset(in.reserved, 0, sizeof in.reserved);
		in.flags &= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
		fill(&record, sizeof record);
		pit_record_from_kvm(&record, &in);
		fill(&out, sizeof out);
		pit_record_to_kvm(&out, &record);
		for (int channel = 0; channel < 3; channel++) {
			CU_ASSERT_EQUAL(out.channels[channel].count_load_time, 0);
			in.channels[channel].count_load_time = 0;
		}
		CU_ASSERT_TRUE_FATAL(equal(&in, &out, sizeof in));
		CU_ASSERT_EQUAL(record.pad0, 0);
		fill(&back, sizeof back);
		pit_record_from_kvm(&back, &out);
		CU_ASSERT_TRUE_FATAL(equal(&record, &back, sizeof record));
	}
}

void register_convert_suite(void)
{
	static CU_TestInfo cpu[] = {
		{"a state survives", cpu_state_survives},
		{"a record survives", cpu_record_survives},
		{"no record that Xen refuses", no_state_that_kvm_takes_makes_a_bad_record},
		{"fields are where they belong", cpu_fields_are_where_they_belong},
		{"one event, in KVM's order", one_event_is_pending_in_kvms_order},
		{"unused components are initial", unused_components_are_initial},
		{"every register gets there", every_register_of_the_cpu_record_gets_there},
		{"setvcpucontext", vcpu_context_has_what_setvcpucontext_takes},
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo xsave[] = {
		{"without a layout it is a page", xsave_without_layout_is_a_page},
		{"as long as its components", xsave_record_is_as_long_as_its_components},
		{"zero behind a short record", xsave_of_a_short_record_is_zero_behind},
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo msrs[] = {
		{"CPU_MSR survives", cpu_msrs_survive},
		{"CPU_MSR says zeroes where needed", cpu_msr_zeroes_are_said_only_where_needed},
		{"MTRR survives", mtrr_survives},
		{"MTRR ranges that Xen garbles", mtrr_ranges_that_xen_garbles_are_kept},
		{"TSC_ADJUST survives", tsc_adjust_survives},
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo lapic[] = {
		{"a state survives", lapic_state_survives},
		{"a record survives", lapic_record_survives},
		{"hidden state agrees with the page", lapic_hidden_state_agrees_with_the_page},
		{"timer counts are scaled", lapic_timer_counts_are_scaled},
		{"the VMM's own LAPIC", a_lapic_of_the_vmm_switches_xens_off},
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo irqchip[] = {
		{"a PIC survives", pic_state_survives},
		{"a PIC record survives", pic_record_survives},
		{"a PIC's output follows", pic_output_follows_from_its_registers},
		{"a PIC's initialisation goes on", pic_initialisation_goes_on},
		{"the IOAPIC survives", ioapic_survives_and_keeps_the_upper_pins},
		{"upper pins of a new IOAPIC", upper_pins_of_a_new_ioapic_are_masked},
		{"the PIT survives", pit_survives_but_for_its_load_times},
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{"convert: CPU", start, NULL, NULL, NULL, cpu},
		{"convert: XSAVE", start, NULL, NULL, NULL, xsave},
		{"convert: MSRs", start, NULL, NULL, NULL, msrs},
		{"convert: LAPIC", start, NULL, NULL, NULL, lapic},
		{"convert: PIC, IOAPIC, PIT", start, NULL, NULL, NULL, irqchip},
		CU_SUITE_INFO_NULL,
	};

	CU_register_suites(suites);
}
