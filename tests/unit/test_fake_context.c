/* Loading and saving contexts: what Xen checks, what it drops, what it gets wrong. */
#include "tests/unit/test_fake.h"

#include <stddef.h>
#include <stdio.h>

#define DESC sizeof(struct hvm_save_descriptor)

static uint8_t image[65536];

static int load(uint16_t domid, unsigned vcpus, const struct hvm_hw_cpu *cpu)
{
	return CTL(context_set, domid, image, image_make(image, vcpus, cpu));
}

static int load_with(uint16_t domid, uint16_t code, const void *body, uint32_t len)
{
	struct hvm_hw_cpu cpu = cpu_reset();

	return CTL(context_set, domid, image, image_make_with(image, 1, &cpu, code, 0, body, len));
}

static int save(uint16_t domid, uint16_t code, uint16_t vcpu, void *body, uint32_t len)
{
	return CTL(context_get_one, domid, code, vcpu, body, len);
}

static void an_image_is_header_records_end(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	struct hvm_save_descriptor *desc = (void *)image;
	struct hvm_save_header *header = (void *)(image + DESC);
	struct hvm_hw_cpu cpu = cpu_reset();
	uint32_t len = image_make(image, 1, &cpu);

	CU_ASSERT_EQUAL(CTL(context_set, domid, image, len), 0);
	for (uint32_t cut = 0; cut < len; cut += 7)
		CU_ASSERT_EQUAL(CTL(context_set, domid, image, cut), -EINVAL);
	desc->typecode = HVM_SAVE_CODE(CPU);
	CU_ASSERT_EQUAL(CTL(context_set, domid, image, len), -EINVAL);
	image_make(image, 1, &cpu);
	header->magic++;
	CU_ASSERT_EQUAL(CTL(context_set, domid, image, len), -EINVAL);
	image_make(image, 1, &cpu);
	header->version++;
	CU_ASSERT_EQUAL(CTL(context_set, domid, image, len), -EINVAL);
	image_make(image, 1, &cpu);
	desc = (void *)(image + DESC + sizeof *header);
	desc->length--;
	CU_ASSERT_EQUAL(CTL(context_set, domid, image, len), -EINVAL);
	image_make(image, 1, &cpu);
	desc->instance = 1;
	CU_ASSERT_EQUAL(CTL(context_set, domid, image, len), -EINVAL);
	image_make(image, 1, &cpu);
	desc->typecode = 99;
	CU_ASSERT_EQUAL(CTL(context_set, domid, image, len), -EINVAL);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void a_running_domain_takes_no_context(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	struct vcpu_guest_context context;
	struct hvm_hw_cpu cpu = cpu_reset();

	CU_ASSERT(load(m.domid, 1, &cpu) < 0);
	assert_violated("while the domain is not paused");
	CU_ASSERT_EQUAL(CTL(vcpu_context_get, m.domid, 0, &context), 0);
	CU_ASSERT_EQUAL(CTL(vcpu_context_set, m.domid, 0, &context), 0);
	assert_violated("registers written while it runs");
	machine_free(&m);
	assert_clean();
}

static void a_vcpu_without_a_record_goes_down(void)
{
	struct machine m = machine_new(2, EMULATION_LAPIC);
	struct hvm_hw_cpu cpu = cpu_reset();
	struct vcpu_info_bits info;

	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	CU_ASSERT_EQUAL(load(m.domid, 1, &cpu), 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	CU_ASSERT_EQUAL(fake_vcpu_state(m.domid, 1), FAKE_DOWN);
	CU_ASSERT_EQUAL(CTL(vcpu_info, m.domid, 1, &info), 0);
	CU_ASSERT(!info.online);
	CU_ASSERT_EQUAL(save(m.domid, HVM_SAVE_CODE(CPU), 1, &cpu, sizeof cpu), -ENODATA);
	CU_ASSERT_EQUAL(save(m.domid, HVM_SAVE_CODE(CPU), 0, &cpu, sizeof cpu), 0);
	/* others it has all the same */
	CU_ASSERT_EQUAL(save(m.domid, HVM_SAVE_CODE(LAPIC_REGS), 1, image, 1024), 0);
	machine_free(&m);
	assert_clean();
}

static void on_4_17_a_bad_record_leaves_everything_down(void)
{
	uint16_t domid = domain_new(2, EMULATION_LAPIC);
	struct hvm_hw_cpu cpu = cpu_reset();
	struct hvm_save_descriptor *second =
		(void *)(image + 2 * DESC + sizeof(struct hvm_save_header) + sizeof cpu);
	uint32_t len;

	domain_load(domid, 2);
	len = image_make(image, 2, &cpu);
	second->instance = 7;
	fake_version("4.20.3");
	CU_ASSERT_EQUAL(CTL(context_set, domid, image, len), -EINVAL);
	CU_ASSERT_EQUAL(fake_vcpu_state(domid, 0), FAKE_PAUSED);
	CU_ASSERT_EQUAL(fake_vcpu_state(domid, 1), FAKE_PAUSED);
	fake_version("4.17.7");
	CU_ASSERT_EQUAL(CTL(context_set, domid, image, len), -EINVAL);
	CU_ASSERT_EQUAL(fake_vcpu_state(domid, 0), FAKE_PAUSED); /* applied before */
	CU_ASSERT_EQUAL(fake_vcpu_state(domid, 1), FAKE_DOWN);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

/* Loads a reset CPU record with one field changed. */
#define LOAD_CHANGED(domid, field, value)                                                          \
	({                                                                                         \
		struct hvm_hw_cpu changed = cpu_reset();                                           \
		changed.field = (value);                                                           \
		load(domid, 1, &changed);                                                          \
	})

static void cpu_records_are_checked(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	struct hvm_hw_cpu cpu = cpu_reset();

	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, cr0, 0), -EINVAL);           /* no ET */
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, cr0, 0x80000010), -EINVAL);  /* PG without PE */
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, cr0, 0x100000010), -EINVAL); /* reserved */
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, cr0, 0x80000011), 0);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, cr3, 1ull << 60), -EINVAL);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, cr4, 1 << 13), -EINVAL); /* VMXE */
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, cr4, 0x6a0), 0);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, msr_efer, 1 << 10), -EINVAL); /* LMA alone */
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, msr_efer, 1 << 12), -EINVAL); /* SVME */
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, msr_efer, 1 << 2), -EINVAL);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, msr_efer, 0x901), 0);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, flags, 2), -EINVAL);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, pad0, 1), -EINVAL);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, msr_tsc_aux, 1ull << 32), -EINVAL);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, dr7, 1ull << 32), 0);
	fake_version("4.20.3");
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, dr7, 1ull << 32), -EINVAL);
	cpu.cr0 = 0x80000011;
	cpu.msr_efer = 0xd01;
	CU_ASSERT_EQUAL(load(domid, 1, &cpu), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void cr4_and_efer_follow_the_policy(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	const struct control_cpuid none[] = {
		{7, 0, 0, 0, 0, 0},
		{0x80000001, CONTROL_CPUID_NO_SUBLEAF, 0, 0, 0, 0},
	};

	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, cr4, 1 << 20), 0); /* SMEP */
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, msr_efer, 1 << 11), 0);
	CU_ASSERT_EQUAL(CTL(cpuid_set, domid, none, 2), 0);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, cr4, 1 << 20), -EINVAL);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, msr_efer, 1 << 11), -EINVAL);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void a_bad_event_crashes_the_domain(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	struct domain_info info;

	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, pending_event, 0x80000061), 0);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, pending_event, 0x80000000 | 1 << 8), -EINVAL);
	assert_violated("an event type that SVM cannot inject");
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	CU_ASSERT(info.shutdown);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	domid = domain_new(1, EMULATION_LAPIC);
	CU_ASSERT_EQUAL(LOAD_CHANGED(domid, pending_event, 0x80010061), -EINVAL);
	assert_violated("an event type");
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void a_loaded_event_is_delivered_once(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	struct hvm_hw_cpu cpu = cpu_reset();
	uint32_t events[2] = {0};
	int id;

	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	cpu.pending_event = 0x80000040;
	CU_ASSERT_EQUAL(load(m.domid, 1, &cpu), 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	id = fake_guest_nop(m.domid, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(fake_guest_events(m.domid, 0, events, 2), 1);
	CU_ASSERT_EQUAL(events[0], 0x80000040);
	machine_free(&m);
	assert_clean();
}

static void a_load_loses_the_data_of_an_in(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_in(m.domid, 0, 0x60, 1), next = fake_guest_nop(m.domid, 0);
	struct hvm_hw_cpu cpu;

	take(&m, 0);
	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	CU_ASSERT_EQUAL(save(m.domid, HVM_SAVE_CODE(CPU), 0, &cpu, sizeof cpu), 0);
	CU_ASSERT_EQUAL(cpu.rip, 0xfff2);
	cpu.rax = 0x55;
	CU_ASSERT_EQUAL(load(m.domid, 1, &cpu), 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	/* the answer is still awaited, but nobody takes it */
	CU_ASSERT(!fake_guest_wait(m.domid, 0, next, NEVER));
	answer(&m, 0, 0x99);
	CU_ASSERT(fake_guest_wait(m.domid, 0, next, SOON));
	CU_ASSERT(fake_guest_done(m.domid, 0, id));
	CU_ASSERT(fake_guest_regs(m.domid, 0, &cpu));
	CU_ASSERT_EQUAL(cpu.rax, 0x55);
	machine_free(&m);
	assert_clean();
}

static void a_load_makes_mmio_begin_again(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_read(m.domid, 0, 0xd0000000, 4);
	struct hvm_hw_cpu cpu;

	take(&m, 0);
	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	CU_ASSERT_EQUAL(save(m.domid, HVM_SAVE_CODE(CPU), 0, &cpu, sizeof cpu), 0);
	CU_ASSERT_EQUAL(load(m.domid, 1, &cpu), 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	answer(&m, 0, 1);
	CU_ASSERT_EQUAL(take(&m, 0)->addr, 0xd0000000);
	CU_ASSERT(!fake_guest_done(m.domid, 0, id));
	answer(&m, 0, 2);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(fake_guest_value(m.domid, 0, id), 2);
	/* sent elsewhere by the load, the vcpu does not come back to it */
	id = fake_guest_read(m.domid, 0, 0xd0000000, 4);
	take(&m, 0);
	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	cpu.rip = 0x1000;
	CU_ASSERT_EQUAL(load(m.domid, 1, &cpu), 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	answer(&m, 0, 3);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT(fake_guest_regs(m.domid, 0, &cpu));
	CU_ASSERT_EQUAL(cpu.rip, 0x1000);
	machine_free(&m);
	assert_clean();
}

static void a_parked_vcpu_stays_parked_over_a_load(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	struct hvm_hw_cpu cpu = cpu_reset();
	uint64_t gfn = 0x100;
	int id;

	CU_ASSERT_EQUAL(DEV(mem_populate, m.domid, 0, 1, &gfn), 1);
	CU_ASSERT_EQUAL(DEV(mem_relocate, m.domid, gfn, gfn + 1, 1), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_enable, m.domid, m.server, true), 0);
	CU_ASSERT_EQUAL(take(&m, 0)->type, IOREQ_TYPE_INVALIDATE);
	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	cpu.rip = 0x7777;
	CU_ASSERT_EQUAL(load(m.domid, 1, &cpu), 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	id = fake_guest_nop(m.domid, 0);
	CU_ASSERT(!fake_guest_wait(m.domid, 0, id, NEVER));
	answer(&m, 0, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT(fake_guest_regs(m.domid, 0, &cpu));
	CU_ASSERT_EQUAL(cpu.rip, 0x7778);
	machine_free(&m);
	assert_clean();
}

static void a_saved_tsc_is_that_of_the_last_full_save(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	struct hvm_hw_cpu cpu;
	uint32_t len = sizeof image;
	uint64_t before;

	for (volatile int i = 0; i < 1000000; i++)
		;
	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	before = fake_guest_tsc(m.domid, 0);
	CU_ASSERT_EQUAL(save(m.domid, HVM_SAVE_CODE(CPU), 0, &cpu, sizeof cpu), 0);
	CU_ASSERT(cpu.tsc < before);
	/* sent back as it is, it rewinds the clock */
	CU_ASSERT_EQUAL(load(m.domid, 1, &cpu), 0);
	CU_ASSERT(fake_guest_tsc(m.domid, 0) - cpu.tsc < before);
	/* a full save refreshes what the records are counted from */
	before = fake_guest_tsc(m.domid, 0);
	CU_ASSERT_EQUAL(CTL(context_get, m.domid, image, &len), 0);
	CU_ASSERT_EQUAL(save(m.domid, HVM_SAVE_CODE(CPU), 0, &cpu, sizeof cpu), 0);
	CU_ASSERT(cpu.tsc >= before);
	machine_free(&m);
	assert_clean();
}

static void a_cpu_record_resets_the_pat_and_mtrr_restores_it(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	struct hvm_hw_mtrr mtrr = {.msr_pat_cr = 0x0606060606060606};
	struct hvm_hw_cpu cpu = cpu_reset();

	CU_ASSERT_EQUAL(load_with(domid, HVM_SAVE_CODE(MTRR), &mtrr, sizeof mtrr), 0);
	CU_ASSERT_EQUAL(fake_guest_pat(domid, 0), 0x0606060606060606);
	CU_ASSERT_EQUAL(load(domid, 1, &cpu), 0);
	CU_ASSERT_EQUAL(fake_guest_pat(domid, 0), 0x0007040600070406);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void variable_mtrrs_are_saved_wrong(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	struct hvm_hw_mtrr mtrr = {.msr_mtrr_var = {0xa, 0xb, 0xc, 0xd}};

	CU_ASSERT_EQUAL(load_with(domid, HVM_SAVE_CODE(MTRR), &mtrr, sizeof mtrr), 0);
	CU_ASSERT_EQUAL(save(domid, HVM_SAVE_CODE(MTRR), 0, &mtrr, sizeof mtrr), 0);
	CU_ASSERT_EQUAL(mtrr.msr_mtrr_var[2], 0xa);
	CU_ASSERT_EQUAL(mtrr.msr_mtrr_var[15], 0xb);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void xsave_records_are_checked(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	const uint32_t head = offsetof(struct hvm_hw_cpu_xsave, save_area);
	uint8_t body[4096] __attribute__((aligned(8))) = {0};
	struct hvm_hw_cpu_xsave *x = (void *)body;

	x->xcr0 = x->xcr0_accum = 7;
	CU_ASSERT_EQUAL(load_with(domid, CPU_XSAVE_CODE, body, head + 832), 0);
	CU_ASSERT_EQUAL(load_with(domid, CPU_XSAVE_CODE, body, head + 576), -EINVAL);
	x->xcr0 = 3;
	x->xcr0_accum = 1;
	CU_ASSERT_EQUAL(load_with(domid, CPU_XSAVE_CODE, body, head + 576), -EINVAL);
	x->xcr0_accum = 3;
	CU_ASSERT_EQUAL(load_with(domid, CPU_XSAVE_CODE, body, head + 576), 0);
	x->save_area.xsave_hdr.xstate_bv = 4;
	CU_ASSERT_EQUAL(load_with(domid, CPU_XSAVE_CODE, body, head + 576), -EINVAL);
	x->save_area.xsave_hdr.xstate_bv = 3;
	x->save_area.xsave_hdr.xcomp_bv = 1ull << 63;
	CU_ASSERT_EQUAL(load_with(domid, CPU_XSAVE_CODE, body, head + 576), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(load_with(domid, CPU_XSAVE_CODE, body, 100), -EINVAL);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void msr_records_hold_only_known_msrs(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	uint8_t body[64] __attribute__((aligned(8))) = {0};
	struct hvm_one_msr msr = {.index = 0x48, .val = 1};
	uint32_t one = 1;

	CU_ASSERT_EQUAL(save(domid, CPU_MSR_CODE, 0, body, sizeof body), -ENODATA);
	memcpy(body, &one, 4);
	memcpy(body + offsetof(struct hvm_msr, msr), &msr, sizeof msr);
	CU_ASSERT_EQUAL(
		load_with(domid, CPU_MSR_CODE, body, offsetof(struct hvm_msr, msr) + sizeof msr),
		0);
	CU_ASSERT_EQUAL(save(domid, CPU_MSR_CODE, 0, body, sizeof body), 0);
	msr.index = 0x1234;
	memcpy(body + offsetof(struct hvm_msr, msr), &msr, sizeof msr);
	CU_ASSERT_EQUAL(
		load_with(domid, CPU_MSR_CODE, body, offsetof(struct hvm_msr, msr) + sizeof msr),
		-ENXIO);
	CU_ASSERT_EQUAL(load_with(domid, CPU_MSR_CODE, body, 4), -EINVAL);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void a_domain_without_devices_has_no_records_of_them(void)
{
	uint16_t bare = domain_new(1, EMULATION_LAPIC), hvm = domain_new(1, EMULATION_HVM);
	struct hvm_hw_vpic pic = {0};

	CU_ASSERT_EQUAL(save(bare, HVM_SAVE_CODE(PIC), 0, &pic, sizeof pic), -ENODATA);
	CU_ASSERT_EQUAL(load_with(bare, HVM_SAVE_CODE(PIC), &pic, sizeof pic), -ENODEV);
	CU_ASSERT_EQUAL(save(hvm, HVM_SAVE_CODE(PIC), 1, &pic, sizeof pic), 0);
	CU_ASSERT_EQUAL(save(hvm, HVM_SAVE_CODE(PIC), 1, &pic, sizeof pic - 1), -ENOENT);
	CU_ASSERT_EQUAL(save(hvm, HVM_SAVE_CODE(PIC), 2, &pic, sizeof pic), -ENODATA);
	CU_ASSERT_EQUAL(CTL(domain_destroy, bare), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, hvm), 0);
	assert_clean();
}

static void a_full_save_can_be_loaded_again(void)
{
	struct machine m = machine_new(2, EMULATION_HVM);
	uint32_t need = 0, len = sizeof image;

	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	CU_ASSERT_EQUAL(CTL(context_get, m.domid, NULL, &need), 0);
	CU_ASSERT_EQUAL(CTL(context_get, m.domid, image, &len), 0);
	CU_ASSERT_EQUAL(len, need);
	CU_ASSERT_EQUAL(CTL(context_set, m.domid, image, len), 0);
	len = need - 1;
	CU_ASSERT_EQUAL(CTL(context_get, m.domid, image, &len), -ENOSPC);
	machine_free(&m);
	assert_clean();
}

static void one_vcpus_registers_can_be_written_alone(void)
{
	struct machine m = machine_new(2, EMULATION_LAPIC);
	int in = fake_guest_in(m.domid, 0, 0x60, 1), spin = fake_guest_spin(m.domid, 1);
	struct vcpu_guest_context context;
	struct hvm_hw_cpu regs;

	take(&m, 0);
	CU_ASSERT_EQUAL(CTL(vcpu_context_get, m.domid, 0, &context), 0);
	CU_ASSERT(context.flags & VGCF_online);
	CU_ASSERT(context.flags & VGCF_I387_VALID);
	context.user_regs.rip = 0x4000;
	context.user_regs.rax = 0x77;
	context.ctrlreg[3] = 0x1000; /* ignored */
	CU_ASSERT_EQUAL(CTL(vcpu_context_set, m.domid, 0, &context), 0);
	answer(&m, 0, 0x99);
	CU_ASSERT(fake_guest_wait(m.domid, 0, in, SOON));
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rip, 0x4000);
	CU_ASSERT_EQUAL(regs.rax, 0x77);
	CU_ASSERT_EQUAL(regs.cr3, 0);
	CU_ASSERT(!fake_guest_done(m.domid, 1, spin));
	/* without the flags: down, and a fresh FPU */
	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	context.flags = 0;
	CU_ASSERT_EQUAL(CTL(vcpu_context_set, m.domid, 0, &context), 0);
	CU_ASSERT_EQUAL(fake_vcpu_state(m.domid, 0), FAKE_DOWN);
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.fpu_regs[0], 0x7f);
	CU_ASSERT_EQUAL(CTL(vcpu_context_get, m.domid, 0, &context), 0);
	context.flags |= VGCF_online;
	CU_ASSERT_EQUAL(CTL(vcpu_context_set, m.domid, 0, &context), 0);
	CU_ASSERT_EQUAL(fake_vcpu_state(m.domid, 0), FAKE_PAUSED);
	CU_ASSERT_EQUAL(CTL(vcpu_context_set, m.domid, 0, NULL), 0);
	CU_ASSERT_EQUAL(CTL(vcpu_context_get, m.domid, 0, &context), -ENODATA);
	CU_ASSERT_EQUAL(CTL(vcpu_context_get, m.domid, 9, &context), -EINVAL);
	machine_free(&m);
	assert_clean();
}

static void halted_cannot_be_loaded_but_lasts_over_a_load(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	struct hvm_hw_cpu cpu = cpu_reset();
	int id = fake_guest_hlt(m.domid, 0, true);

	CU_ASSERT(fake_vcpu_wait(m.domid, 0, FAKE_BLOCKED, SOON));
	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	CU_ASSERT_EQUAL(load(m.domid, 1, &cpu), 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	CU_ASSERT(!fake_guest_wait(m.domid, 0, id, NEVER));
	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	CU_ASSERT_EQUAL(CTL(vcpu_context_set, m.domid, 0, NULL), 0);
	CU_ASSERT_EQUAL(load(m.domid, 1, &cpu), 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

CU_TestInfo fake_context_tests[] = {
	TEST(an_image_is_header_records_end),
	TEST(a_running_domain_takes_no_context),
	TEST(a_vcpu_without_a_record_goes_down),
	TEST(on_4_17_a_bad_record_leaves_everything_down),
	TEST(cpu_records_are_checked),
	TEST(cr4_and_efer_follow_the_policy),
	TEST(a_bad_event_crashes_the_domain),
	TEST(a_loaded_event_is_delivered_once),
	TEST(a_load_loses_the_data_of_an_in),
	TEST(a_load_makes_mmio_begin_again),
	TEST(a_parked_vcpu_stays_parked_over_a_load),
	TEST(a_saved_tsc_is_that_of_the_last_full_save),
	TEST(a_cpu_record_resets_the_pat_and_mtrr_restores_it),
	TEST(variable_mtrrs_are_saved_wrong),
	TEST(xsave_records_are_checked),
	TEST(msr_records_hold_only_known_msrs),
	TEST(a_domain_without_devices_has_no_records_of_them),
	TEST(a_full_save_can_be_loaded_again),
	TEST(one_vcpus_registers_can_be_written_alone),
	TEST(halted_cannot_be_loaded_but_lasts_over_a_load),
	CU_TEST_INFO_NULL,
};
