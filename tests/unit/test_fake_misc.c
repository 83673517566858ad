/* The fake's policy, parameters, monitor, names, and failures on demand. */
#define __XEN_TOOLS__
#include "tests/unit/test_fake.h"

#include <sys/wait.h>
#include <unistd.h>
#include <xen/hvm/params.h>
#include <xen/sched.h>
#include <xen/vm_event.h>

#define FLAT CONTROL_CPUID_NO_SUBLEAF

static void the_policy_is_fixed_by_the_first_unpause(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	const struct control_cpuid leaf = {1, FLAT, 0, 0, 0, 0};

	CU_ASSERT_EQUAL(CTL(cpuid_set, domid, &leaf, 1), 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	CU_ASSERT_EQUAL(CTL(domain_pause, domid), 0);
	CU_ASSERT_EQUAL(CTL(cpuid_set, domid, &leaf, 1), -EEXIST);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void leaves_without_a_place_are_refused(void)
{
	static const struct control_cpuid bad[] = {
		{0xe, FLAT, 0, 0, 0, 0},
		{0x15, FLAT, 0, 0, 0, 0},
		{0x40000001, FLAT, 0, 0, 0, 0},
		{0x80000022, FLAT, 0, 0, 0, 0},
		{1, 0, 0, 0, 0, 0},
		{7, FLAT, 0, 0, 0, 0},
		{0xd, 63, 0, 0, 0, 0},
	};
	const struct control_cpuid deep = {0, FLAT, 0x20, 0, 0, 0};
	uint16_t domid = domain_new(1, EMULATION_LAPIC);

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		CU_ASSERT_EQUAL(CTL(cpuid_set, domid, &bad[i], 1), -ERANGE);
	CU_ASSERT_EQUAL(CTL(cpuid_set, domid, &deep, 1), -EINVAL);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void features_that_the_host_lacks_vanish(void)
{
	uint16_t domid = domain_new(2, EMULATION_LAPIC);
	const struct control_cpuid all = {7, 0, 0, ~0u, ~0u, ~0u};
	struct control_cpuid host[64];
	uint32_t n = 2, out[4];
	int id;

	CU_ASSERT_EQUAL(CTL(cpuid_host, host, &n), -ENOBUFS);
	CU_ASSERT(n > 2 && n <= 64);
	CU_ASSERT_EQUAL(CTL(cpuid_host, host, &n), 0);
	CU_ASSERT_EQUAL(CTL(cpuid_set, domid, host, n), 0);
	CU_ASSERT_EQUAL(CTL(cpuid_set, domid, &all, 1), 0);
	domain_load(domid, 2);
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	id = fake_guest_cpuid(domid, 1, 7, 0);
	CU_ASSERT(fake_guest_wait(domid, 1, id, SOON));
	CU_ASSERT_EQUAL(fake_guest_data(domid, 1, id, out, sizeof out), sizeof out);
	CU_ASSERT_NOT_EQUAL(out[1], 0);
	CU_ASSERT_NOT_EQUAL(out[1], ~0u);
	/* the APIC id is twice the vcpu, and Xen shows itself */
	id = fake_guest_cpuid(domid, 1, 1, 0);
	CU_ASSERT(fake_guest_wait(domid, 1, id, SOON));
	fake_guest_data(domid, 1, id, out, sizeof out);
	CU_ASSERT_EQUAL(out[1] >> 24, 2);
	id = fake_guest_cpuid(domid, 1, 0x40000000, 0);
	CU_ASSERT(fake_guest_wait(domid, 1, id, SOON));
	fake_guest_data(domid, 1, id, out, sizeof out);
	CU_ASSERT_EQUAL(out[1], 0x566e6558);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void some_parameters_are_set_once(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	uint64_t value = 0;

	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_PARAM_VIRIDIAN, 1), 0);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_PARAM_VIRIDIAN, 1), 0);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_PARAM_VIRIDIAN, 3), -EEXIST);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_PARAM_TIMER_MODE, 1), 0);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_PARAM_TIMER_MODE, 2), 0);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_PARAM_TIMER_MODE, 4), -EINVAL);
	CU_ASSERT_EQUAL(DEV(hvm_param_get, domid, HVM_PARAM_TIMER_MODE, &value), 0);
	CU_ASSERT_EQUAL(value, 2);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_PARAM_TRIPLE_FAULT_REASON, 6), -EINVAL);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_PARAM_ACPI_IOPORTS_LOCATION, 2), -EINVAL);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_PARAM_PAE_ENABLED, 1), -EINVAL);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_NR_PARAMS, 1), -EINVAL);
	CU_ASSERT_EQUAL(DEV(hvm_param_get, domid, HVM_NR_PARAMS, &value), -EINVAL);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

/* Answers the event in the ring; what to do with the registers is the test's. */
static void respond(struct machine *m, vm_event_sring_t *ring, int port, uint32_t flags,
		    uint64_t rip)
{
	vm_event_back_ring_t back;
	vm_event_response_t *rsp;

	BACK_RING_ATTACH(&back, ring, ring->rsp_prod, PAGE);
	CU_ASSERT(RING_HAS_UNCONSUMED_REQUESTS(&back));
	rsp = RING_GET_RESPONSE(&back, back.rsp_prod_pvt); /* the request is in its place */
	rsp->flags = flags;
	rsp->data.regs.x86.rax = 0x1111;
	rsp->data.regs.x86.rip = rip;
	back.rsp_prod_pvt++;
	__atomic_store_n(&ring->rsp_prod, back.rsp_prod_pvt, __ATOMIC_RELEASE);
	CU_ASSERT_EQUAL(EVT(notify, m->evtchn, port), 0);
}

/* Taking the ring's frame from the guest has armed one. */
static void pass_invalidate(struct machine *m)
{
	CU_ASSERT_EQUAL(DEV(ioreq_server_enable, m->domid, m->server, true), 0);
	CU_ASSERT_EQUAL(take(m, 0)->type, IOREQ_TYPE_INVALIDATE);
	answer(m, 0, 0);
	CU_ASSERT(fake_vcpu_wait(m->domid, 0, FAKE_RUNNING, SOON));
}

static void cpuid_becomes_an_event(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	uint32_t remote, out[4] = {0};
	vm_event_request_t *req;
	vm_event_sring_t *ring;
	void *page;
	int port, id;

	CU_ASSERT_EQUAL_FATAL(CTL(monitor_open, m.domid, 0x200, &page, &remote), 0);
	CU_ASSERT_EQUAL(CTL(monitor_open, m.domid, 0x201, &page, &remote), -EBUSY);
	CU_ASSERT_EQUAL(fake_mem_type(m.domid, 0x200), -1);
	ring = page;
	port = EVT(bind, m.evtchn, m.domid, remote);
	CU_ASSERT(port > 0);
	pass_invalidate(&m);
	id = fake_guest_cpuid(m.domid, 0, 0x40000000, 5);
	CU_ASSERT(fake_vcpu_wait(m.domid, 0, FAKE_WAITING, SOON));
	req = &ring->ring[0].req;
	CU_ASSERT_EQUAL(ring->req_prod, 1);
	CU_ASSERT_EQUAL(req->reason, VM_EVENT_REASON_CPUID);
	CU_ASSERT_EQUAL(req->flags, VM_EVENT_FLAG_VCPU_PAUSED);
	CU_ASSERT_EQUAL(req->u.cpuid.leaf, 0x40000000);
	CU_ASSERT_EQUAL(req->u.cpuid.subleaf, 5);
	CU_ASSERT_EQUAL(req->u.cpuid.insn_length, 2);
	CU_ASSERT_EQUAL(req->data.regs.x86.rbx, 0x566e6558); /* Xen's own answer */
	/* an answer that does not step over the instruction has it executed again */
	respond(&m, ring, port, VM_EVENT_FLAG_VCPU_PAUSED, 0);
	CU_ASSERT(!fake_guest_wait(m.domid, 0, id, NEVER));
	CU_ASSERT_EQUAL(ring->req_prod, 2);
	respond(&m, ring, port, VM_EVENT_FLAG_VCPU_PAUSED | VM_EVENT_FLAG_SET_REGISTERS, 0xfff2);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	fake_guest_data(m.domid, 0, id, out, sizeof out);
	CU_ASSERT_EQUAL(out[0], 0x1111);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_check(), "monitor ring"));
	CU_ASSERT_EQUAL(CTL(monitor_close, m.domid, page), 0);
	CU_ASSERT_EQUAL(CTL(monitor_close, m.domid, page), -EINVAL);
	assert_violated("monitor closed");
	machine_free(&m);
	assert_clean();
}

static void a_careless_agent_is_noticed(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	uint32_t remote;
	vm_event_sring_t *ring;
	void *page;
	int port;

	CU_ASSERT_EQUAL_FATAL(CTL(monitor_open, m.domid, 0x200, &page, &remote), 0);
	ring = page;
	port = EVT(bind, m.evtchn, m.domid, remote);
	pass_invalidate(&m);
	fake_guest_cpuid(m.domid, 0, 0, 0);
	CU_ASSERT(fake_vcpu_wait(m.domid, 0, FAKE_WAITING, SOON));
	__atomic_store_n(&ring->rsp_prod, 7, __ATOMIC_RELEASE);
	CU_ASSERT_EQUAL(EVT(notify, m.evtchn, port), 0);
	assert_violated("more monitor responses than requests");
	__atomic_store_n(&ring->rsp_prod, 0, __ATOMIC_RELEASE);
	respond(&m, ring, port, 0, 0);
	assert_violated("does not let vcpu 0 go on");
	CU_ASSERT_EQUAL(CTL(monitor_close, m.domid, page), 0);
	machine_free(&m);
	assert_clean();
}

static void any_operation_fails_on_demand(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	uint64_t gfns[2] = {0, 1};

	fake_fail("mem_populate", ENOSPC);
	CU_ASSERT(!fake_failed());
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, gfns), -ENOSPC);
	CU_ASSERT(fake_failed());
	CU_ASSERT_EQUAL(fake_mem_type(domid, 0), -1);
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, gfns), 1);
	fake_fail_always("domain_pause", EPERM);
	CU_ASSERT_EQUAL(CTL(domain_pause, domid), -EPERM);
	CU_ASSERT_EQUAL(CTL(domain_pause, domid), -EPERM);
	fake_fail_clear();
	CU_ASSERT_EQUAL(CTL(domain_pause, domid), 0);
	/* the third that can fail; giving back is not counted */
	fake_fail_nth(3, EIO);
	CU_ASSERT_EQUAL(CTL(domain_pause, domid), 0);
	CU_ASSERT_EQUAL(DEV(mem_release, domid, 1, gfns), 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, gfns), -EIO);
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, gfns), 1);
	CU_ASSERT_EQUAL(fake_calls("mem_populate"), 4);
	CU_ASSERT_EQUAL(fake_calls("domain_create"), 1);
	CU_ASSERT(fake_calls(NULL) >= 10);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void names_and_domains_left_are_found(void)
{
	uint16_t domid = domain_new(3, EMULATION_LAPIC), found = 0;
	const uint8_t handle[16] = {1, 2, 3, 3}, other[16] = {9};

	CU_ASSERT_EQUAL(fake_last_domain(), domid);
	CU_ASSERT_EQUAL(fake_domains(), 1);
	CU_ASSERT_EQUAL(CTL(domain_find, handle, &found), 0);
	CU_ASSERT_EQUAL(found, domid);
	CU_ASSERT_EQUAL(CTL(domain_find, other, &found), -ESRCH);
	CU_ASSERT_EQUAL(CTL(domain_set_name, domid, handle, "guest"), 0);
	CU_ASSERT_STRING_EQUAL(fake_domain_name(domid), "guest");
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_check(), "left: domain 1"));
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_check(), "xenstore name guest"));
	CU_ASSERT_EQUAL(CTL(domain_set_name, domid, handle, NULL), 0);
	CU_ASSERT_EQUAL(CTL(domain_find, handle, &found), -ESRCH);
	CU_ASSERT(fake_domain_destroyed(domid));
	assert_clean();
}

static void domains_have_1_to_128_vcpus(void)
{
	struct domain_config config = {0, EMULATION_LAPIC, {0}, false};
	uint16_t domid;

	CU_ASSERT_EQUAL(CTL(domain_create, &config, &domid), -EINVAL);
	config.vcpus = 129;
	CU_ASSERT_EQUAL(CTL(domain_create, &config, &domid), -EINVAL);
	config.vcpus = 128;
	CU_ASSERT_EQUAL(CTL(domain_create, &config, &domid), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), -ESRCH);
	assert_clean();
}

static void a_child_can_destroy_for_its_parent(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(CTL(domain_destroy, m.domid) ? 1 : 0);
	CU_ASSERT(pid > 0);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT(fake_domain_destroyed(m.domid));
	machine_free(&m);
	assert_clean();
}

CU_TestInfo fake_misc_tests[] = {
	TEST(the_policy_is_fixed_by_the_first_unpause),
	TEST(leaves_without_a_place_are_refused),
	TEST(features_that_the_host_lacks_vanish),
	TEST(some_parameters_are_set_once),
	TEST(cpuid_becomes_an_event),
	TEST(a_careless_agent_is_noticed),
	TEST(any_operation_fails_on_demand),
	TEST(names_and_domains_left_are_found),
	TEST(domains_have_1_to_128_vcpus),
	TEST(a_child_can_destroy_for_its_parent),
	CU_TEST_INFO_NULL,
};
