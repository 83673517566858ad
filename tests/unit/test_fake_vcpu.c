/* When the fake runs a vcpu, and what stops it. */
#include "tests/unit/test_fake.h"

#include <xen/hvm/params.h>
#include <xen/sched.h>

#define SCRATCH_A 0x100
#define SCRATCH_B 0x101

/* Arms an INVALIDATE on every vcpu, as a kick does: a frame moves to and fro. */
static void arm(struct machine *m)
{
	bool at_a = fake_mem_type(m->domid, SCRATCH_A) >= 0;

	CU_ASSERT_EQUAL(DEV(mem_relocate, m->domid, at_a ? SCRATCH_A : SCRATCH_B,
			    at_a ? SCRATCH_B : SCRATCH_A, 1),
			0);
}

static void reschedule(struct machine *m)
{
	CU_ASSERT_EQUAL(DEV(ioreq_server_enable, m->domid, m->server, true), 0);
}

static struct machine kickable(unsigned vcpus, enum emulation emulation)
{
	struct machine m = machine_new(vcpus, emulation);
	uint64_t gfn = SCRATCH_A;

	CU_ASSERT_EQUAL(DEV(mem_populate, m.domid, 0, 1, &gfn), 1);
	return m;
}

static void a_vcpu_runs_only_when_the_domain_does(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	int id = fake_guest_nop(domid, 0);
	struct domain_info info;

	CU_ASSERT_EQUAL(fake_vcpu_state(domid, 0), FAKE_DOWN);
	domain_load(domid, 1);
	CU_ASSERT_EQUAL(fake_vcpu_state(domid, 0), FAKE_PAUSED);
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	CU_ASSERT(info.paused);
	CU_ASSERT_EQUAL(CTL(domain_pause, domid), 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	CU_ASSERT(!fake_guest_wait(domid, 0, id, NEVER));
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	CU_ASSERT(fake_guest_wait(domid, 0, id, SOON));
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), -EINVAL);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void pauses_are_counted_to_255(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);

	for (unsigned i = 1; i < 255; i++)
		CU_ASSERT_EQUAL(CTL(domain_pause, domid), 0);
	CU_ASSERT(CTL(domain_pause, domid) < 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void nothing_is_armed_before_the_first_unpause(void)
{
	struct machine m = machine_new_paused(1, EMULATION_LAPIC);
	uint64_t gfn = SCRATCH_A;
	int id = fake_guest_nop(m.domid, 0);

	CU_ASSERT_EQUAL(DEV(mem_populate, m.domid, 0, 1, &gfn), 1);
	arm(&m);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	arm(&m);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	CU_ASSERT_EQUAL(take(&m, 0)->type, IOREQ_TYPE_INVALIDATE);
	answer(&m, 0, 0);
	machine_free(&m);
	assert_clean();
}

static void an_armed_vcpu_stops_before_its_next_instruction(void)
{
	struct machine m = kickable(1, EMULATION_LAPIC);
	struct ioreq *req;
	int id;

	arm(&m);
	id = fake_guest_out(m.domid, 0, 0x10, 1, 1);
	req = take(&m, 0);
	CU_ASSERT_EQUAL(req->type, IOREQ_TYPE_INVALIDATE);
	CU_ASSERT_EQUAL(req->size, 4);
	CU_ASSERT_EQUAL(req->data, ~0ull);
	CU_ASSERT(!fake_guest_done(m.domid, 0, id));
	answer(&m, 0, 0);
	CU_ASSERT_EQUAL(take(&m, 0)->type, IOREQ_TYPE_PIO);
	answer(&m, 0, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void a_spinning_vcpu_stops_when_it_is_rescheduled(void)
{
	struct machine m = kickable(2, EMULATION_LAPIC);
	int id = fake_guest_spin(m.domid, 0);
	struct hvm_hw_cpu cpu;

	CU_ASSERT(fake_vcpu_wait(m.domid, 0, FAKE_RUNNING, SOON));
	CU_ASSERT(quiet(&m, 0)); /* until the spin has begun */
	arm(&m);
	CU_ASSERT(quiet(&m, 0));
	reschedule(&m);
	CU_ASSERT_EQUAL(take(&m, 0)->type, IOREQ_TYPE_INVALIDATE);
	CU_ASSERT_EQUAL(take(&m, 1)->type, IOREQ_TYPE_INVALIDATE);
	answer(&m, 0, 0);
	answer(&m, 1, 0);
	CU_ASSERT(fake_vcpu_wait(m.domid, 0, FAKE_RUNNING, SOON));
	CU_ASSERT(fake_vcpu_wait(m.domid, 1, FAKE_RUNNING, SOON));
	/* reading one vcpu's record reschedules that one */
	arm(&m);
	CU_ASSERT_EQUAL(CTL(context_get_one, m.domid, HVM_SAVE_CODE(CPU), 0, &cpu, sizeof cpu), 0);
	CU_ASSERT_EQUAL(take(&m, 0)->type, IOREQ_TYPE_INVALIDATE);
	CU_ASSERT(quiet(&m, 1));
	answer(&m, 0, 0);
	fake_guest_unspin(m.domid, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void a_kick_during_io_stops_after_its_completion(void)
{
	struct machine m = kickable(1, EMULATION_LAPIC);
	int id = fake_guest_read(m.domid, 0, 0xd0000000, 4), next;
	struct hvm_hw_cpu regs;

	CU_ASSERT_EQUAL(take(&m, 0)->type, IOREQ_TYPE_COPY);
	arm(&m);
	next = fake_guest_nop(m.domid, 0);
	answer(&m, 0, 0x1234);
	CU_ASSERT_EQUAL(take(&m, 0)->type, IOREQ_TYPE_INVALIDATE);
	CU_ASSERT(fake_guest_done(m.domid, 0, id));
	CU_ASSERT(!fake_guest_done(m.domid, 0, next));
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rip, 0xfff3);
	answer(&m, 0, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, next, SOON));
	machine_free(&m);
	assert_clean();
}

static void a_further_request_of_the_same_instruction_loses_the_kick(void)
{
	struct machine m = kickable(1, EMULATION_LAPIC);
	int id = fake_guest_read(m.domid, 0, 0xd0000000, 16);

	take(&m, 0);
	arm(&m);
	answer(&m, 0, 1);
	CU_ASSERT_EQUAL(take(&m, 0)->type, IOREQ_TYPE_COPY);
	answer(&m, 0, 2);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT(quiet(&m, 0));
	machine_free(&m);
	assert_clean();
}

static void a_halted_vcpu_is_silent_until_something_wakes_it(void)
{
	struct machine m = kickable(1, EMULATION_HVM);
	int id = fake_guest_hlt(m.domid, 0, true);
	struct vcpu_info_bits info;
	struct hvm_hw_cpu cpu;
	uint32_t events[1] = {0};

	CU_ASSERT(fake_vcpu_wait(m.domid, 0, FAKE_BLOCKED, SOON));
	CU_ASSERT_EQUAL(CTL(vcpu_info, m.domid, 0, &info), 0);
	CU_ASSERT(info.online && info.blocked && !info.running);
	arm(&m);
	reschedule(&m);
	CU_ASSERT(quiet(&m, 0));
	CU_ASSERT_EQUAL(DEV(msi_inject, m.domid, 0xfee00000, 0x4061), 0);
	CU_ASSERT_EQUAL(take(&m, 0)->type, IOREQ_TYPE_INVALIDATE);
	/* the interrupt is acknowledged, and shows in the record */
	CU_ASSERT_EQUAL(CTL(context_get_one, m.domid, HVM_SAVE_CODE(CPU), 0, &cpu, sizeof cpu), 0);
	CU_ASSERT_EQUAL(cpu.pending_event, 0x80000061);
	CU_ASSERT_EQUAL(fake_guest_events(m.domid, 0, NULL, 0), 0);
	answer(&m, 0, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(fake_guest_events(m.domid, 0, events, 1), 1);
	CU_ASSERT_EQUAL(events[0], 0x80000061);
	machine_free(&m);
	assert_clean();
}

/* LVT0 of the boot vcpu: masked after Xen's reset, ExtINT after KVM's. */
static void connect_pic(struct machine *m)
{
	struct hvm_hw_lapic_regs regs;
	struct hvm_hw_cpu cpu = cpu_reset();
	uint32_t lvt0 = 0x700;
	uint8_t image[8192];

	CU_ASSERT_EQUAL(
		CTL(context_get_one, m->domid, HVM_SAVE_CODE(LAPIC_REGS), 0, &regs, sizeof regs),
		0);
	memcpy(regs.data + 0x350, &lvt0, sizeof lvt0);
	CU_ASSERT_EQUAL(CTL(domain_pause, m->domid), 0);
	CU_ASSERT_EQUAL(CTL(context_set, m->domid, image,
			    image_make_with(image, m->vcpus, &cpu, HVM_SAVE_CODE(LAPIC_REGS), 0,
					    &regs, sizeof regs)),
			0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m->domid), 0);
}

static void the_pic_needs_a_wire_through_the_lapic(void)
{
	struct machine m = machine_new(1, EMULATION_HVM);
	int id = fake_guest_hlt(m.domid, 0, true);

	CU_ASSERT(fake_vcpu_wait(m.domid, 0, FAKE_BLOCKED, SOON));
	CU_ASSERT_EQUAL(DEV(isa_irq_set, m.domid, 4, true), 0);
	CU_ASSERT(!fake_guest_wait(m.domid, 0, id, NEVER));
	connect_pic(&m);
	CU_ASSERT_EQUAL(DEV(isa_irq_set, m.domid, 4, false), 0);
	CU_ASSERT_EQUAL(DEV(isa_irq_set, m.domid, 4, true), 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void lines_and_nmis_wake_too(void)
{
	struct machine m = machine_new(2, EMULATION_HVM);
	uint32_t events[2] = {0};
	int id;

	connect_pic(&m);
	id = fake_guest_hlt(m.domid, 0, true);
	CU_ASSERT(fake_vcpu_wait(m.domid, 0, FAKE_BLOCKED, SOON));
	CU_ASSERT_EQUAL(DEV(isa_irq_set, m.domid, 4, true), 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT(fake_isa_level(m.domid, 4));
	id = fake_guest_hlt(m.domid, 0, true);
	CU_ASSERT(fake_vcpu_wait(m.domid, 0, FAKE_BLOCKED, SOON));
	/* the level is high already: no edge */
	CU_ASSERT_EQUAL(DEV(isa_irq_set, m.domid, 4, true), 0);
	CU_ASSERT(!fake_guest_wait(m.domid, 0, id, NEVER));
	CU_ASSERT_EQUAL(fake_gsi_edges(m.domid, 4), 1);
	CU_ASSERT_EQUAL(CTL(vcpu_nmi, m.domid, 0), 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(fake_nmis(m.domid, 0), 1);
	CU_ASSERT(fake_guest_events(m.domid, 0, events, 2) >= 2);
	CU_ASSERT_EQUAL(events[1], 0x80000202);
	/* an MSI goes to the vcpu whose LAPIC has that id: twice its number */
	id = fake_guest_hlt(m.domid, 1, true);
	CU_ASSERT(fake_vcpu_wait(m.domid, 1, FAKE_BLOCKED, SOON));
	CU_ASSERT_EQUAL(DEV(msi_inject, m.domid, 0xfee01000, 0x31), 0);
	CU_ASSERT(!fake_guest_wait(m.domid, 1, id, NEVER));
	CU_ASSERT_EQUAL(DEV(msi_inject, m.domid, 0xfee02000, 0x31), 0);
	CU_ASSERT(fake_guest_wait(m.domid, 1, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void interrupt_calls_have_their_limits(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);

	CU_ASSERT_EQUAL(DEV(isa_irq_set, m.domid, 4, true), -EINVAL);
	assert_violated("has no PIC");
	CU_ASSERT_EQUAL(DEV(pci_intx_set, m.domid, 1, 0, true), -EINVAL);
	assert_violated("has no IOAPIC");
	CU_ASSERT_EQUAL(DEV(msi_inject, m.domid, 0xfee00000, 0x4400), 0);
	assert_violated("vector 0");
	CU_ASSERT_EQUAL(DEV(msi_inject, m.domid, 0xfee00000, 0x0431), -EINVAL); /* NMI */
	CU_ASSERT_EQUAL(DEV(pci_link_route, m.domid, 4, 0), -EINVAL);
	CU_ASSERT_EQUAL(DEV(pci_link_route, m.domid, 0, 16), -EINVAL);
	machine_free(&m);
	m = machine_new(1, EMULATION_HVM);
	CU_ASSERT_EQUAL(DEV(isa_irq_set, m.domid, 16, true), -EINVAL);
	CU_ASSERT_EQUAL(DEV(pci_intx_set, m.domid, 32, 0, true), -EINVAL);
	CU_ASSERT_EQUAL(DEV(pci_intx_set, m.domid, 1, 2, true), 0);
	CU_ASSERT(fake_intx_level(m.domid, 1, 2));
	CU_ASSERT_EQUAL(fake_gsi_edges(m.domid, 22), 1);
	machine_free(&m);
	assert_clean();
}

static void the_last_vcpu_that_halts_for_good_powers_off(void)
{
	struct machine m = machine_new(2, EMULATION_LAPIC);
	struct vcpu_guest_context context;
	struct domain_info info;
	int id = fake_guest_hlt(m.domid, 0, false);

	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(fake_vcpu_state(m.domid, 0), FAKE_DOWN);
	CU_ASSERT_EQUAL(CTL(domain_info, m.domid, &info), 0);
	CU_ASSERT(!info.shutdown);
	/* down, but its registers can be read: it was started once */
	CU_ASSERT_EQUAL(CTL(vcpu_context_get, m.domid, 0, &context), 0);
	CU_ASSERT_EQUAL(context.user_regs.rip, 0xfff1);
	CU_ASSERT(!(context.flags & VGCF_online));
	id = fake_guest_hlt(m.domid, 1, false);
	CU_ASSERT(fake_guest_wait(m.domid, 1, id, SOON));
	CU_ASSERT_EQUAL(CTL(domain_info, m.domid, &info), 0);
	CU_ASSERT(info.shutdown);
	CU_ASSERT_EQUAL(info.shutdown_reason, SHUTDOWN_poweroff);
	machine_free(&m);
	assert_clean();
}

static void a_triple_fault_as_suspend_is_told_on_the_port(void)
{
	struct machine m = machine_new(2, EMULATION_LAPIC);
	struct domain_info info;
	uint32_t remote;
	int local, id;

	CU_ASSERT_EQUAL(
		DEV(hvm_param_set, m.domid, HVM_PARAM_TRIPLE_FAULT_REASON, SHUTDOWN_suspend), 0);
	CU_ASSERT_EQUAL(CTL(domain_subscribe, m.domid, &remote), 0);
	local = EVT(bind, m.evtchn, m.domid, remote);
	while (EVT(take, m.evtchn) > 0)
		; /* each bind signals once */
	CU_ASSERT_EQUAL(EVT(unmask, m.evtchn, local), 0);
	/* another vcpu's request is out: the shutdown waits for its answer */
	fake_guest_out(m.domid, 1, 0x10, 1, 1);
	for (int i = 0; i < 1000 && fake_vcpu_state(m.domid, 1) != FAKE_WAITING; i++)
		fake_vcpu_wait(m.domid, 1, FAKE_WAITING, 5);
	id = fake_guest_triple_fault(m.domid, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(CTL(domain_info, m.domid, &info), 0);
	CU_ASSERT(!info.shutdown);
	CU_ASSERT_EQUAL(EVT(take, m.evtchn), -EAGAIN);
	CU_ASSERT(!fake_guest_wait(m.domid, 0, fake_guest_nop(m.domid, 0), NEVER));
	answer(&m, 1, 0);
	for (int i = 0; i < 1000 && !info.shutdown; i++) {
		fake_vcpu_wait(m.domid, 1, FAKE_DOWN, 1);
		CU_ASSERT_EQUAL(CTL(domain_info, m.domid, &info), 0);
	}
	CU_ASSERT_EQUAL(info.shutdown_reason, SHUTDOWN_suspend);
	CU_ASSERT_EQUAL(EVT(take, m.evtchn), local);
	/* and the domain can go on */
	id = fake_guest_nop(m.domid, 0);
	CU_ASSERT(!fake_guest_wait(m.domid, 0, id, NEVER));
	CU_ASSERT_EQUAL(CTL(domain_resume, m.domid), 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void other_shutdowns_are_not_told(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	struct domain_info info;
	uint32_t remote;
	int id, local;

	CU_ASSERT_EQUAL(CTL(domain_subscribe, m.domid, &remote), 0);
	local = EVT(bind, m.evtchn, m.domid, remote);
	while (EVT(take, m.evtchn) > 0)
		;
	CU_ASSERT_EQUAL(EVT(unmask, m.evtchn, local), 0);
	id = fake_guest_triple_fault(m.domid, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(CTL(domain_info, m.domid, &info), 0);
	CU_ASSERT_EQUAL(info.shutdown_reason, SHUTDOWN_reboot);
	CU_ASSERT_EQUAL(EVT(take, m.evtchn), -EAGAIN);
	machine_free(&m);
	assert_clean();
}

static void sipi_starts_a_vcpu_that_never_ran(void)
{
	struct machine m = machine_new(2, EMULATION_LAPIC);
	struct vcpu_guest_context context;
	struct hvm_hw_cpu regs;
	int id;

	CU_ASSERT_EQUAL(CTL(domain_pause, m.domid), 0);
	CU_ASSERT_EQUAL(CTL(vcpu_context_set, m.domid, 1, NULL), 0);
	CU_ASSERT_EQUAL(CTL(vcpu_context_get, m.domid, 1, &context), -ENODATA);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	id = fake_guest_nop(m.domid, 1);
	CU_ASSERT(!fake_guest_wait(m.domid, 1, id, NEVER));
	CU_ASSERT_EQUAL(fake_guest_sipi(m.domid, 1, 0x9a), 0);
	CU_ASSERT(fake_guest_wait(m.domid, 1, id, SOON));
	CU_ASSERT(fake_guest_regs(m.domid, 1, &regs));
	CU_ASSERT_EQUAL(regs.cs_base, 0x9a000);
	CU_ASSERT_EQUAL(fake_guest_sipi(m.domid, 1, 0x9a), -EBUSY);
	machine_free(&m);
	assert_clean();
}

static void steps_are_made_by_hand_in_manual_mode(void)
{
	struct machine m;
	int first, second;

	fake_manual(true);
	m = machine_new(1, EMULATION_LAPIC);
	first = fake_guest_nop(m.domid, 0);
	second = fake_guest_out(m.domid, 0, 0x10, 1, 1);
	CU_ASSERT(!fake_guest_wait(m.domid, 0, first, NEVER));
	CU_ASSERT(fake_step(m.domid, 0));
	CU_ASSERT(fake_guest_done(m.domid, 0, first));
	CU_ASSERT(fake_step(m.domid, 0));
	CU_ASSERT_EQUAL(state_get(&m.page->vcpu_ioreq[0]), STATE_IOREQ_READY);
	CU_ASSERT(!fake_step(m.domid, 0));
	answer(&m, 0, 0);
	CU_ASSERT(fake_step(m.domid, 0));
	CU_ASSERT(fake_guest_done(m.domid, 0, second));
	CU_ASSERT(!fake_step(m.domid, 0));
	machine_free(&m);
	assert_clean();
}

static void s3_and_back_starts_the_guest_anew(void)
{
	struct machine m = machine_new(2, EMULATION_HVM);
	struct hvm_hw_cpu regs;

	CU_ASSERT_EQUAL(DEV(hvm_param_set, m.domid, HVM_PARAM_ACPI_S_STATE, 1), -EINVAL);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, m.domid, HVM_PARAM_ACPI_S_STATE, 3), 0);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, m.domid, HVM_PARAM_ACPI_S_STATE, 0), 0);
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.cs_sel, 0xf000);
	CU_ASSERT_EQUAL(regs.rip, 0xfff0);
	CU_ASSERT_EQUAL(fake_vcpu_state(m.domid, 1), FAKE_DOWN);
	machine_free(&m);
	assert_clean();
}

CU_TestInfo fake_vcpu_tests[] = {
	TEST(a_vcpu_runs_only_when_the_domain_does),
	TEST(pauses_are_counted_to_255),
	TEST(nothing_is_armed_before_the_first_unpause),
	TEST(an_armed_vcpu_stops_before_its_next_instruction),
	TEST(a_spinning_vcpu_stops_when_it_is_rescheduled),
	TEST(a_kick_during_io_stops_after_its_completion),
	TEST(a_further_request_of_the_same_instruction_loses_the_kick),
	TEST(a_halted_vcpu_is_silent_until_something_wakes_it),
	TEST(the_pic_needs_a_wire_through_the_lapic),
	TEST(lines_and_nmis_wake_too),
	TEST(interrupt_calls_have_their_limits),
	TEST(the_last_vcpu_that_halts_for_good_powers_off),
	TEST(a_triple_fault_as_suspend_is_told_on_the_port),
	TEST(other_shutdowns_are_not_told),
	TEST(sipi_starts_a_vcpu_that_never_ran),
	TEST(steps_are_made_by_hand_in_manual_mode),
	TEST(s3_and_back_starts_the_guest_anew),
	CU_TEST_INFO_NULL,
};
