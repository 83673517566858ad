/* The fake's ioreq servers and the state machine of a request. */
#include "tests/unit/test_fake.h"

#include <xen/sched.h>

static void there_are_eight_servers(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC), server;

	for (unsigned i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(DEV(ioreq_server_create, domid, &server), 0);
		CU_ASSERT_EQUAL(server, i);
	}
	CU_ASSERT_EQUAL(DEV(ioreq_server_create, domid, &server), -ENOSPC);
	CU_ASSERT_EQUAL(DEV(ioreq_server_destroy, domid, 3), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_destroy, domid, 3), -ENOENT);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void ranges_do_not_overlap_and_number_256(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC), server;

	CU_ASSERT_EQUAL(DEV(ioreq_server_create, domid, &server), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, domid, 5, IO_SPACE_PORT, 0, 1), -ENOENT);
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, domid, server, IO_SPACE_PORT, 9, 8), -EINVAL);
	for (uint64_t at = 0; at < 256 * 8; at += 8)
		CU_ASSERT_EQUAL(DEV(ioreq_server_claim, domid, server, IO_SPACE_PORT, at, at + 3),
				0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, domid, server, IO_SPACE_PORT, 3, 4), -EEXIST);
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, domid, server, IO_SPACE_PORT, 0x8000, 0x8001),
			-ENOMEM);
	/* neighbours merge, which makes room */
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, domid, server, IO_SPACE_PORT, 4, 7), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, domid, server, IO_SPACE_PORT, 0x8000, 0x8001), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, domid, server, IO_SPACE_MEMORY, 0, ~0ull), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, domid, server, IO_SPACE_MEMORY, 5, 5), -EEXIST);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void ports_are_known_once_the_server_is_enabled(void)
{
	uint16_t domid = domain_new(2, EMULATION_LAPIC), server;
	struct shared_iopage *page;

	CU_ASSERT_EQUAL(DEV(ioreq_server_create, domid, &server), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_enable, domid, server, true), -EINVAL);
	assert_violated("enabled before its page was mapped");
	CU_ASSERT_EQUAL_FATAL(DEV(ioreq_server_map, domid, server, &page), 0);
	CU_ASSERT_EQUAL(page->vcpu_ioreq[0].vp_eport, 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_enable, domid, server, true), 0);
	CU_ASSERT_NOT_EQUAL(page->vcpu_ioreq[0].vp_eport, 0);
	CU_ASSERT_NOT_EQUAL(page->vcpu_ioreq[1].vp_eport, page->vcpu_ioreq[0].vp_eport);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_check(), "mapped page of ioreq server"));
	CU_ASSERT_EQUAL(DEV(ioreq_server_unmap, page), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_unmap, page), -EINVAL);
	assert_violated("a page that is not mapped");
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void an_in_reaches_the_server_and_its_answer_the_guest(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_in(m.domid, 0, 0x3f8, 1);
	struct ioreq *req = take(&m, 0);
	struct hvm_hw_cpu regs;
	struct vcpu_info_bits info;

	CU_ASSERT_EQUAL(req->type, IOREQ_TYPE_PIO);
	CU_ASSERT_EQUAL(req->addr, 0x3f8);
	CU_ASSERT_EQUAL(req->size, 1);
	CU_ASSERT_EQUAL(req->count, 1);
	CU_ASSERT_EQUAL(req->dir, IOREQ_READ);
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rip, 0xfff2);
	CU_ASSERT_EQUAL(regs.rax, 0);
	CU_ASSERT_EQUAL(CTL(vcpu_info, m.domid, 0, &info), 0);
	CU_ASSERT(info.online && !info.blocked && !info.running);
	answer(&m, 0, 0x1234);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(fake_guest_value(m.domid, 0, id), 0x34);
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rax, 0x34);
	CU_ASSERT_EQUAL(state_get(req), STATE_IOREQ_NONE);
	machine_free(&m);
	assert_clean();
}

static void an_answer_without_a_notify_is_not_seen(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_out(m.domid, 0, 0x10, 1, 7);
	struct ioreq *req = take(&m, 0);

	notify(&m, 0); /* no answer yet: harmless */
	CU_ASSERT(!fake_guest_wait(m.domid, 0, id, NEVER));
	state_set(req, STATE_IOREQ_INPROCESS);
	notify(&m, 0);
	CU_ASSERT(!fake_guest_wait(m.domid, 0, id, NEVER));
	state_set(req, STATE_IORESP_READY);
	CU_ASSERT(!fake_guest_wait(m.domid, 0, id, NEVER));
	notify(&m, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

/* Steps are made by hand, so that Xen looks at the slot exactly when the test wants it to. */
static struct machine manual_machine(void)
{
	struct machine m;

	fake_manual(true);
	m = machine_new(1, EMULATION_LAPIC);
	fake_guest_out(m.domid, 0, 0x10, 1, 7);
	return m;
}

static void let_xen_look(struct machine *m, uint8_t state)
{
	state_set(&m->page->vcpu_ioreq[0], state);
	notify(m, 0);
	CU_ASSERT(fake_step(m->domid, 0));
}

static void a_state_that_goes_backwards_crashes_the_domain(void)
{
	struct machine m = manual_machine();
	struct domain_info info;

	CU_ASSERT(fake_step(m.domid, 0));
	CU_ASSERT_EQUAL(state_get(&m.page->vcpu_ioreq[0]), STATE_IOREQ_READY);
	let_xen_look(&m, STATE_IOREQ_INPROCESS);
	CU_ASSERT_EQUAL(fake_violations(), 0);
	let_xen_look(&m, STATE_IOREQ_READY);
	assert_violated("went backwards");
	CU_ASSERT_EQUAL(CTL(domain_info, m.domid, &info), 0);
	CU_ASSERT(info.shutdown);
	CU_ASSERT_EQUAL(info.shutdown_reason, SHUTDOWN_crash);
	machine_free(&m);
	assert_clean();
}

static void a_made_up_state_crashes_the_domain(void)
{
	struct machine m = manual_machine();

	CU_ASSERT(fake_step(m.domid, 0));
	let_xen_look(&m, 9);
	assert_violated("none that exists");
	machine_free(&m);
	assert_clean();
}

static void a_request_may_not_be_withdrawn(void)
{
	struct machine m = manual_machine();

	CU_ASSERT(fake_step(m.domid, 0));
	let_xen_look(&m, STATE_IOREQ_NONE);
	assert_violated("withdrawn");
	machine_free(&m);
	assert_clean();
}

static void a_slot_filled_by_the_emulator_crashes_the_domain(void)
{
	struct machine m = manual_machine();

	state_set(&m.page->vcpu_ioreq[0], STATE_IORESP_READY);
	CU_ASSERT(fake_step(m.domid, 0));
	assert_violated("that Xen has not filled");
	machine_free(&m);
	assert_clean();
}

static void a_port_overwritten_in_the_slot_crashes_the_domain(void)
{
	struct machine m = manual_machine();

	m.page->vcpu_ioreq[0].vp_eport++;
	CU_ASSERT(fake_step(m.domid, 0));
	assert_violated("overwrote a slot's vp_eport");
	machine_free(&m);
	assert_clean();
}

static void a_server_destroyed_too_early_leaves_its_vcpu_stuck(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_out(m.domid, 0, 0x10, 1, 7);

	take(&m, 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_unmap, m.page), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_destroy, m.domid, m.server), 0);
	assert_violated("destroyed while vcpu 0 waits");
	CU_ASSERT_EQUAL(fake_vcpu_state(m.domid, 0), FAKE_STUCK);
	CU_ASSERT(!fake_guest_wait(m.domid, 0, id, NEVER));
	EVT(close, m.evtchn);
	CU_ASSERT_EQUAL(CTL(domain_destroy, m.domid), 0);
	assert_clean();
}

static void the_newest_server_is_asked_first(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	struct shared_iopage *page;
	uint16_t second;
	int port;

	CU_ASSERT_EQUAL(DEV(ioreq_server_create, m.domid, &second), 0);
	CU_ASSERT_EQUAL_FATAL(DEV(ioreq_server_map, m.domid, second, &page), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, m.domid, second, IO_SPACE_PORT, 0x40, 0x4f), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_enable, m.domid, second, true), 0);
	port = EVT(bind, m.evtchn, m.domid, page->vcpu_ioreq[0].vp_eport);
	CU_ASSERT(port > 0);
	/* contained completely, or not at all */
	fake_guest_out(m.domid, 0, 0x4e, 4, 1);
	CU_ASSERT_EQUAL(take(&m, 0)->addr, 0x4e);
	fake_guest_out(m.domid, 0, 0x4e, 2, 1);
	answer(&m, 0, 0);
	CU_ASSERT(quiet(&m, 0));
	CU_ASSERT_EQUAL(state_get(&page->vcpu_ioreq[0]), STATE_IOREQ_READY);
	state_set(&page->vcpu_ioreq[0], STATE_IORESP_READY);
	CU_ASSERT_EQUAL(EVT(notify, m.evtchn, port), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_unmap, page), 0);
	machine_free(&m);
	assert_clean();
}

static void nobody_reads_as_ones(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	int in, mmio;

	domain_load(domid, 1);
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	in = fake_guest_in(domid, 0, 0x3f8, 2);
	mmio = fake_guest_read(domid, 0, 0xd0000000, 8);
	CU_ASSERT(fake_guest_wait(domid, 0, mmio, SOON));
	CU_ASSERT_EQUAL(fake_guest_value(domid, 0, in), 0xffff);
	CU_ASSERT_EQUAL(fake_guest_value(domid, 0, mmio), ~0ull);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

CU_TestInfo fake_ioreq_tests[] = {
	TEST(there_are_eight_servers),
	TEST(ranges_do_not_overlap_and_number_256),
	TEST(ports_are_known_once_the_server_is_enabled),
	TEST(an_in_reaches_the_server_and_its_answer_the_guest),
	TEST(an_answer_without_a_notify_is_not_seen),
	TEST(a_state_that_goes_backwards_crashes_the_domain),
	TEST(a_made_up_state_crashes_the_domain),
	TEST(a_request_may_not_be_withdrawn),
	TEST(a_port_overwritten_in_the_slot_crashes_the_domain),
	TEST(a_slot_filled_by_the_emulator_crashes_the_domain),
	TEST(a_server_destroyed_too_early_leaves_its_vcpu_stuck),
	TEST(the_newest_server_is_asked_first),
	TEST(nobody_reads_as_ones),
	CU_TEST_INFO_NULL,
};
