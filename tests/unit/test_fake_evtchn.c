/* The fake's event channels. */
#include "tests/unit/test_fake.h"

#include <poll.h>

static bool readable(struct event_channels *evtchn)
{
	struct pollfd fd = {EVT(fd, evtchn), POLLIN, 0};

	return poll(&fd, 1, 0) == 1;
}

/* A port of a paused domain that nobody has bound. */
static uint16_t domain_with_port(uint32_t *remote)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);

	CU_ASSERT_EQUAL(CTL(domain_subscribe, domid, remote), 0);
	return domid;
}

static void a_port_is_bound_once(void)
{
	struct event_channels *a, *b;
	uint32_t remote;
	uint16_t domid = domain_with_port(&remote);
	int local;

	CU_ASSERT_EQUAL_FATAL(DEV(evtchn_open, domid, &a), 0);
	CU_ASSERT_EQUAL_FATAL(DEV(evtchn_open, domid, &b), 0);
	CU_ASSERT_EQUAL(EVT(bind, a, domid, remote + 1), -EINVAL);
	CU_ASSERT_EQUAL(EVT(bind, a, domid, 5000), -EINVAL);
	CU_ASSERT_EQUAL(EVT(bind, a, 99, remote), -ESRCH);
	local = EVT(bind, a, domid, remote);
	CU_ASSERT(local > 0);
	CU_ASSERT_EQUAL(EVT(bind, a, domid, remote), -EINVAL);
	CU_ASSERT_EQUAL(EVT(bind, b, domid, remote), -EINVAL);
	/* a port given back can be bound by a successor */
	CU_ASSERT_EQUAL(EVT(unbind, a, local), 0);
	local = EVT(bind, b, domid, remote);
	CU_ASSERT(local > 0);
	EVT(close, b);
	CU_ASSERT(EVT(bind, a, domid, remote) > 0);
	EVT(close, a);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void a_bind_signals_once(void)
{
	struct event_channels *evtchn;
	uint32_t remote;
	uint16_t domid = domain_with_port(&remote);
	int local;

	CU_ASSERT_EQUAL_FATAL(DEV(evtchn_open, domid, &evtchn), 0);
	CU_ASSERT(!readable(evtchn));
	CU_ASSERT_EQUAL(EVT(take, evtchn), -EAGAIN);
	local = EVT(bind, evtchn, domid, remote);
	CU_ASSERT(readable(evtchn));
	CU_ASSERT_EQUAL(EVT(take, evtchn), local);
	CU_ASSERT(!readable(evtchn));
	CU_ASSERT_EQUAL(EVT(take, evtchn), -EAGAIN);
	EVT(close, evtchn);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void what_comes_while_masked_waits_for_the_unmask(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);

	/* the bind's own signal is taken, and not unmasked yet */
	CU_ASSERT_EQUAL(EVT(take, m.evtchn), m.ports[0]);
	fake_guest_out(m.domid, 0, 0x10, 1, 1);
	CU_ASSERT(fake_vcpu_wait(m.domid, 0, FAKE_WAITING, SOON));
	CU_ASSERT(!readable(m.evtchn));
	CU_ASSERT_EQUAL(EVT(unmask, m.evtchn, m.ports[0]), 0);
	CU_ASSERT(readable(m.evtchn));
	CU_ASSERT_EQUAL(EVT(unmask, m.evtchn, m.ports[0]), 0);
	assert_violated("before it was taken");
	CU_ASSERT_EQUAL(EVT(take, m.evtchn), m.ports[0]);
	CU_ASSERT_EQUAL(EVT(unmask, m.evtchn, m.ports[0]), 0);
	CU_ASSERT(!readable(m.evtchn));
	answer(&m, 0, 0);
	machine_free(&m);
	assert_clean();
}

static void ports_of_others_are_out_of_reach(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	struct event_channels *other;

	CU_ASSERT_EQUAL_FATAL(DEV(evtchn_open, m.domid + 1, &other), 0);
	CU_ASSERT_EQUAL(EVT(bind, other, m.domid, m.page->vcpu_ioreq[0].vp_eport), -EACCES);
	assert_violated("a set for domain");
	CU_ASSERT_EQUAL(EVT(notify, other, m.ports[0]), -ENOTCONN);
	assert_violated("notify of port");
	CU_ASSERT_EQUAL(EVT(unbind, other, m.ports[0]), -ENOTCONN);
	assert_violated("unbind of port");
	CU_ASSERT_EQUAL(EVT(unmask, other, m.ports[0]), -EINVAL);
	assert_violated("unmask of port");
	EVT(close, other);
	machine_free(&m);
	assert_clean();
}

static void a_successor_answers_what_it_did_not_see(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_out(m.domid, 0, 0x10, 1, 1);
	uint32_t remote = m.page->vcpu_ioreq[0].vp_eport;

	take(&m, 0);
	EVT(close, m.evtchn);
	CU_ASSERT_EQUAL_FATAL(DEV(evtchn_open, m.domid, &m.evtchn), 0);
	m.ports[0] = EVT(bind, m.evtchn, m.domid, remote);
	CU_ASSERT(m.ports[0] > 0);
	answer(&m, 0, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void handles_and_ports_left_are_found(void)
{
	uint32_t remote;
	uint16_t domid = domain_with_port(&remote);
	struct event_channels *evtchn;
	int local;

	CU_ASSERT_EQUAL_FATAL(DEV(evtchn_open, domid, &evtchn), 0);
	local = EVT(bind, evtchn, domid, remote);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_check(), "event channel handle"));
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_check(), "bound port"));
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	/* the other side is gone: the port is still ours, and mute */
	CU_ASSERT_EQUAL(EVT(notify, evtchn, local), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_check(), "bound port"));
	EVT(close, evtchn);
	assert_clean();
}

CU_TestInfo fake_evtchn_tests[] = {
	TEST(a_port_is_bound_once),
	TEST(a_bind_signals_once),
	TEST(what_comes_while_masked_waits_for_the_unmask),
	TEST(ports_of_others_are_out_of_reach),
	TEST(a_successor_answers_what_it_did_not_see),
	TEST(handles_and_ports_left_are_found),
	CU_TEST_INFO_NULL,
};
