/* State of vcpus and of the machine: records, contexts, CPUID, the monitor, triple faults. */
/* What Xen's ring macros and vm_event.h ask of their users. */
#define __XEN_TOOLS__ 1
#define xen_mb()      __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb()     __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb()     __atomic_thread_fence(__ATOMIC_RELEASE)

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenctrl.h>

#include "tests/lab/xen/check.h"
#include "tests/lab/xen/machine.h"
#include "tests/lab/xen/ops.h"

#include <xen/hvm/params.h>
#include <xen/sched.h>

#include <xen/io/ring.h>
#include <xen/vm_event.h>

REAL_MODE(reports_bx, "mov $1, %al; out %al, $0x10; mov %bl, %al; out %al, $0x11; cli; hlt");
REAL_MODE(identifies, "mov $0x40000000, %eax; xor %ecx, %ecx; cpuid; mov $0x10, %dx;"
		      "mov %ebx, %eax; out %eax, %dx; cli; hlt");
/* A protected mode without an IDT. */
REAL_MODE(faults,
	  "mov $1, %al; out %al, $0x10; lidt 1f - faults + 0x1000; int3; 1: .word 0; .long 0");

void test_context(void)
{
	static uint8_t whole[64 << 10];
	struct hvm_save_descriptor d;
	struct hvm_hw_cpu cpu;
	struct machine m;
	uint8_t image[4096];
	uint32_t len = 0, at = 0, image_len;
	bool pic = false, end = false, cpus = false;

	machine_make(&m, EMULATION_HVM, 2);
	check_is(machine_record(&m, HVM_SAVE_CODE(CPU), &cpu, sizeof(cpu)), -ENODATA,
		 "a vcpu that is down has no CPU record");
	MACHINE_LOAD(&m, reports_bx);
	check_is(m.c->context_get(m.ctl, m.domid, NULL, &len), 0, "the length of the context");
	check(len > 4096 && len <= sizeof(whole), "is %u bytes", len);
	check_is(m.c->context_get(m.ctl, m.domid, whole, &len), 0, "the context");
	while (at + sizeof(d) <= len && !end) {
		memcpy(&d, whole + at, sizeof(d));
		pic |= d.typecode == HVM_SAVE_CODE(PIC);
		cpus |= d.typecode == HVM_SAVE_CODE(CPU) && d.instance == 0;
		end |= d.typecode == 0;
		at += sizeof(d) + d.length;
	}
	check(pic && cpus && end && at == len, "is a row of records to the end");
	len = 100;
	check_is(m.c->context_get(m.ctl, m.domid, whole, &len), -ENOSPC, "too small a buffer");
	check_is(machine_record(&m, HVM_SAVE_CODE(CPU), &cpu, sizeof(cpu)), 0, "one record");
	check_is(cpu.rip, CODE_AT, "is as it was loaded");
	check_is(m.c->context_get_one(m.ctl, m.domid, HVM_SAVE_CODE(CPU), 1, &cpu, sizeof(cpu)),
		 -ENODATA, "the other vcpu is down");
	check_is(m.c->context_get_one(m.ctl, m.domid, HVM_SAVE_CODE(CPU), 2, &cpu, sizeof(cpu)),
		 -ENOENT, "there is no third");

	image_len = machine_image(image, CODE_AT);
	check_is(m.c->context_set(m.ctl, m.domid, image, image_len - 1), -ENODATA,
		 "a short image is refused");
	image_len = machine_image(image, CODE_AT);
	image[sizeof(d)] ^= 1; /* the magic number */
	check_is(m.c->context_set(m.ctl, m.domid, image, image_len), -EINVAL,
		 "an image that is none is refused");
	machine_end(&m);
}

void test_vcpu_context(void)
{
	struct vcpu_guest_context context = {0};
	struct vcpu_info_bits info;
	struct hvm_hw_cpu cpu;
	struct machine m;

	machine_make(&m, EMULATION_LAPIC, 2);
	MACHINE_LOAD(&m, reports_bx);
	machine_unpause(&m);
	check(machine_wait_out(&m, 0x10, 1, false), "the guest runs");
	check_is(m.c->vcpu_context_get(m.ctl, m.domid, 1, &context), -ENODATA,
		 "a vcpu that never ran has no context");
	check_is(m.c->vcpu_context_get(m.ctl, m.domid, 0, &context), 0, "its registers");
	check(context.user_regs.rip > CODE_AT && context.user_regs.rip < CODE_AT + 16 &&
		      (context.user_regs.rax & 0xff) == 1,
	      "are where it is");
	context.user_regs.rbx = 0x5a;
	check_is(m.c->vcpu_context_set(m.ctl, m.domid, 0, &context), 0, "are changed");
	machine_answer(&m, 0);
	check(machine_wait_out(&m, 0x11, 0x5a, false), "and the guest sees it");
	check_is(m.c->vcpu_context_set(m.ctl, m.domid, 0, NULL), 0, "a vcpu is reset");
	check_is(m.c->vcpu_info(m.ctl, m.domid, 0, &info), 0, "it tells");
	check(!info.online, "that it is down");
	check_is(machine_record(&m, HVM_SAVE_CODE(CPU), &cpu, sizeof(cpu)), -ENODATA,
		 "and has no CPU record");
	check_is(m.c->vcpu_context_get(m.ctl, m.domid, 7, &context), -EINVAL, "no such vcpu");
	check_is(m.c->vcpu_info(m.ctl, m.domid, 7, &info), -EINVAL, "to ask");
	machine_end(&m);
}

void test_triple_fault(void)
{
	struct event_channels *evtchn;
	struct domain_info info = {0};
	struct machine m;
	struct pollfd fd;
	uint8_t image[4096];
	uint32_t port = 0;
	int local;

	machine_make(&m, EMULATION_LAPIC, 1);
	check_is(
		m.d->hvm_param_set(m.dev, m.domid, HVM_PARAM_TRIPLE_FAULT_REASON, SHUTDOWN_suspend),
		0, "a triple fault shall be a suspend");
	check_is(m.c->domain_subscribe(m.ctl, m.domid, &port), 0, "a port for it");
	check_is(m.d->evtchn_open(m.dev, m.domid, &evtchn), 0, "a set");
	local = m.d->evtchn_bind(evtchn, m.domid, port);
	check(local > 0, "binds it");
	fd = (struct pollfd){.fd = m.d->evtchn_fd(evtchn), .events = POLLIN};

	MACHINE_LOAD(&m, faults);
	machine_unpause(&m);
	check(machine_wait_out(&m, 0x10, 1, false), "the guest runs");
	check(machine_take(&m, evtchn, local), "and finds it pending, which says nothing");
	check_is(poll(&fd, 1, 50), 0, "nothing has happened yet");
	machine_answer(&m, 0);
	check_is(poll(&fd, 1, 20000), 1, "the port fires");
	check_is(m.d->evtchn_take(evtchn), local, "and is the port");
	check_is(m.c->domain_info(m.ctl, m.domid, &info), 0, "the domain");
	check(info.shutdown, "is shut down");
	check_is(info.shutdown_reason, SHUTDOWN_suspend, "for the reason that was asked for");

	memcpy(m.ram + CODE_AT, reports_bx, reports_bx_end - reports_bx);
	check_is(m.c->context_set(m.ctl, m.domid, image, machine_image(image, CODE_AT)), 0,
		 "it gets new state");
	check_is(m.c->domain_resume(m.ctl, m.domid), 0, "is resumed");
	check(machine_wait_out(&m, 0x10, 1, true), "and runs");
	m.c->domain_info(m.ctl, m.domid, &info);
	check(!info.shutdown, "not shut down");
	m.d->evtchn_close(evtchn);
	machine_end(&m);
}

void test_monitor(void)
{
	vm_event_back_ring_t ring;
	vm_event_request_t req;
	vm_event_response_t *rsp;
	struct event_channels *evtchn;
	struct machine m;
	struct pollfd fd;
	void *page = NULL, *at;
	uint64_t frame = RING_FRAME;
	uint32_t port = 0;
	int local;

	machine_make(&m, EMULATION_LAPIC, 1);
	MACHINE_LOAD(&m, identifies);
	check_is(m.c->monitor_open(m.ctl, m.domid, RING_FRAME, &page, &port), 0, "a monitor");
	check(m.d->mem_map(m.dev, m.domid, NULL, 1, 1, &frame, &at) < 0,
	      "the ring's frame is not the guest's");
	BACK_RING_INIT(&ring, (vm_event_sring_t *)page, 4096);
	check_is(m.d->evtchn_open(m.dev, m.domid, &evtchn), 0, "a set");
	local = m.d->evtchn_bind(evtchn, m.domid, port);
	check(local > 0, "binds its port");
	fd = (struct pollfd){.fd = m.d->evtchn_fd(evtchn), .events = POLLIN};

	check(machine_take(&m, evtchn, local), "and finds it pending, which says nothing");
	machine_unpause(&m);
	check_is(poll(&fd, 1, 20000), 1, "an event arrives");
	check_is(m.d->evtchn_take(evtchn), local, "at that port");
	m.d->evtchn_unmask(evtchn, local);
	check(RING_HAS_UNCONSUMED_REQUESTS(&ring), "the ring has a request");
	memcpy(&req, RING_GET_REQUEST(&ring, ring.req_cons), sizeof(req));
	ring.req_cons++;
	ring.sring->req_event = ring.req_cons + 1;
	check_is(req.version, VM_EVENT_INTERFACE_VERSION, "of this version");
	check(req.reason == VM_EVENT_REASON_CPUID && req.u.cpuid.leaf == 0x40000000 &&
		      req.u.cpuid.insn_length == 2 && req.vcpu_id == 0 &&
		      req.flags & VM_EVENT_FLAG_VCPU_PAUSED,
	      "for CPUID");
	check_is(req.data.regs.x86.rbx, 0x566e6558, "with Xen's answer");
	rsp = RING_GET_RESPONSE(&ring, ring.rsp_prod_pvt);
	memcpy(rsp, &req, sizeof(req));
	rsp->flags = VM_EVENT_FLAG_VCPU_PAUSED | VM_EVENT_FLAG_SET_REGISTERS;
	rsp->data.regs.x86.rbx = 0x4b4d564b;
	rsp->data.regs.x86.rip += req.u.cpuid.insn_length;
	ring.rsp_prod_pvt++;
	RING_PUSH_RESPONSES(&ring);
	m.d->evtchn_notify(evtchn, local);
	check(machine_wait_out(&m, 0x10, 0x4b4d564b, false), "the guest sees ours");
	check_is(m.c->monitor_close(m.ctl, m.domid, page), 0, "the monitor goes");
	m.d->evtchn_close(evtchn);
	MACHINE_LOAD(&m, identifies);
	machine_answer(&m, 0);
	check(machine_wait_out(&m, 0x10, 0x566e6558, true), "and Xen's answer is there again");

	check_is(m.c->monitor_open(m.ctl, m.domid, RING_FRAME, &page, &port), 0, "it reopens");
	check(m.c->monitor_open(m.ctl, m.domid, SCRATCH_B, &at, &port) < 0, "but not twice");
	check_is(m.c->monitor_close(m.ctl, m.domid, page), 0, "it goes");
	machine_end(&m);
}

static uint64_t free_pages(void)
{
	xc_interface *xc = xc_interface_open(NULL, NULL, 0);
	xc_physinfo_t info = {0};

	if (!xc)
		return 0;
	xc_physinfo(xc, &info);
	xc_interface_close(xc);
	return info.free_pages;
}

/* A VMM that is killed closes nothing, and its domain is destroyed with the monitor on. */
void test_monitor_left(void)
{
	const unsigned rounds = 8;
	uint64_t before = 0, after;
	struct machine m;
	uint32_t port;
	void *page;

	for (unsigned i = 0; i <= rounds; i++) {
		machine_make(&m, EMULATION_LAPIC, 1);
		if (m.c->monitor_open(m.ctl, m.domid, RING_FRAME, &page, &port) == 0)
			munmap(page, 4096);
		machine_end(&m);
		usleep(200000); /* Xen ends a domain behind the call */
		if (i == 0)
			before = free_pages(); /* what Xen keeps for good from the first one */
	}
	after = free_pages();
	check(before && after + rounds > before,
	      "domains that end with their monitor give Xen its memory back (%lu, then %lu pages)",
	      (unsigned long)before, (unsigned long)after);
}

static const struct control_cpuid *find_leaf(const struct control_cpuid *leaves, uint32_t n,
					     uint32_t leaf)
{
	for (uint32_t i = 0; i < n; i++)
		if (leaves[i].leaf == leaf)
			return &leaves[i];
	return NULL;
}

void test_cpuid(void)
{
	static struct control_cpuid leaves[512];
	struct control_cpuid foreign = {0x40000001, CONTROL_CPUID_NO_SUBLEAF, 1, 2, 3, 4};
	const struct control_cpuid *one;
	uint32_t n = 1;
	struct machine m;

	machine_make(&m, EMULATION_LAPIC, 1);
	check_is(m.c->cpuid_host(m.ctl, leaves, &n), -ENOBUFS, "one leaf is not enough");
	check(n > 10 && n <= 512, "%u are", n);
	n = 512;
	check_is(m.c->cpuid_host(m.ctl, leaves, &n), 0, "the leaves for guests of this host");
	one = find_leaf(leaves, n, 1);
	check(one && one->subleaf == CONTROL_CPUID_NO_SUBLEAF && one->edx & 1, "have leaf 1: FPU");
	check(find_leaf(leaves, n, 0x80000001) && find_leaf(leaves, n, 0xd), "and the others");
	check_is(m.c->cpuid_set(m.ctl, m.domid, leaves, n), 0, "are a domain's");
	messages_reset();
	check_is(m.c->cpuid_set(m.ctl, m.domid, &foreign, 1), -ERANGE, "another one is refused");
	check(strstr(messages.debug, "0x40000001") != NULL, "and named");
	leaves[0] = (struct control_cpuid){0, CONTROL_CPUID_NO_SUBLEAF, 0xffff, 0, 0, 0};
	messages_reset();
	check_is(m.c->cpuid_set(m.ctl, m.domid, leaves, 1), -EINVAL, "too many leaves are refused");
	check(strstr(messages.debug, "leaf 0,") != NULL, "by name");
	MACHINE_LOAD(&m, reports_bx);
	machine_unpause(&m);
	check(machine_wait_out(&m, 0x10, 1, true), "once the guest has run");
	check_is(m.c->cpuid_set(m.ctl, m.domid, leaves + 1, 1), -EEXIST, "nothing changes");
	machine_end(&m);
}
