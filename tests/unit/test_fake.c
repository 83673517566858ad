/* The fake Xen's own strictness: each rule is shown to bite. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/hvm/params.h>
#include <xen/sched.h>

#include "tests/fake/fake.h"

#define PAGE 4096u
#define SOON 2000

static struct device *dev;
static struct control *ctl;
#define DEV(op, ...) (dev->ops->op(dev, ##__VA_ARGS__))
#define CTL(op, ...) (ctl->ops->op(ctl, ##__VA_ARGS__))

/* A domain with one enabled server that claims everything, and a bound port for each vcpu. */
struct machine {
	uint16_t domid, server;
	struct shared_iopage *page;
	struct event_channels *evtchn;
	int ports[4];
	unsigned vcpus;
};

static int setup(void)
{
	fake_install();
	dev = fake_xen()->dev;
	ctl = fake_xen()->ctl;
	return 0;
}

static uint16_t domain_new(unsigned vcpus, enum emulation emulation)
{
	const struct domain_config config = {vcpus, emulation, {1, 2, 3, (uint8_t)vcpus}};
	uint16_t domid = 0;

	CU_ASSERT_EQUAL(CTL(domain_create, &config, &domid), 0);
	CU_ASSERT_EQUAL(CTL(domain_set_maxmem, domid, 1024 * 4), 0);
	return domid;
}

/* HEADER, a CPU record at reset state for each of the first n vcpus, END. */
static uint32_t image_make(uint8_t *image, unsigned n, const struct hvm_hw_cpu *cpu)
{
	const struct hvm_save_header header = {.magic = HVM_FILE_MAGIC,
					       .version = HVM_FILE_VERSION};
	struct hvm_save_descriptor desc = {HVM_SAVE_CODE(HEADER), 0, sizeof header};
	uint32_t at = 0;
#define PUT(data, size) (memcpy(image + at, data, size), at += (size))
	PUT(&desc, sizeof desc);
	PUT(&header, sizeof header);
	for (unsigned i = 0; i < n; i++) {
		desc = (struct hvm_save_descriptor){HVM_SAVE_CODE(CPU), i, sizeof *cpu};
		PUT(&desc, sizeof desc);
		PUT(cpu, sizeof *cpu);
	}
	desc = (struct hvm_save_descriptor){HVM_SAVE_CODE(END), 0, 0};
	PUT(&desc, sizeof desc);
#undef PUT
	return at;
}

static struct hvm_hw_cpu cpu_reset(void)
{
	struct hvm_hw_cpu cpu = {
		.rflags = 2,
		.cr0 = 0x10,
		.rip = 0xfff0,
		.cs_sel = 0xf000,
		.cs_base = 0xffff0000,
		.cs_limit = 0xffff,
		.cs_arbytes = 0x9b,
	};

	return cpu;
}

static void domain_load(uint16_t domid, unsigned vcpus)
{
	struct hvm_hw_cpu cpu = cpu_reset();
	uint8_t image[8192];
	uint32_t len = image_make(image, vcpus, &cpu);

	CU_ASSERT_EQUAL(CTL(context_set, domid, image, len), 0);
}

static struct machine machine_new(unsigned vcpus, enum emulation emulation)
{
	struct machine m = {.vcpus = vcpus, .domid = domain_new(vcpus, emulation)};
	uint64_t gfns[16];

	for (unsigned i = 0; i < 16; i++)
		gfns[i] = i;
	CU_ASSERT_EQUAL(DEV(mem_populate, m.domid, 0, 16, gfns), 16);
	CU_ASSERT_EQUAL(DEV(ioreq_server_create, m.domid, &m.server), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_map, m.domid, m.server, &m.page), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, m.domid, m.server, IO_SPACE_PORT, 0, 0xffff), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, m.domid, m.server, IO_SPACE_MEMORY, 0, ~0ull), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_claim, m.domid, m.server, IO_SPACE_PCI, 0, 0xffff), 0);
	CU_ASSERT_EQUAL(DEV(ioreq_server_enable, m.domid, m.server, true), 0);
	CU_ASSERT_EQUAL(DEV(evtchn_open, &m.evtchn), 0);
	for (unsigned i = 0; i < vcpus; i++) {
		m.ports[i] =
			dev->ops->evtchn_bind(m.evtchn, m.domid, m.page->vcpu_ioreq[i].vp_eport);
		CU_ASSERT(m.ports[i] > 0);
	}
	domain_load(m.domid, vcpus);
	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	return m;
}

static void machine_free(struct machine *m)
{
	dev->ops->evtchn_close(m->evtchn);
	CU_ASSERT_EQUAL(DEV(ioreq_server_unmap, m->page), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, m->domid), 0);
}

/* The state shares its byte with other bits. */
static uint8_t *state_byte(struct ioreq *req)
{
	return (uint8_t *)req + offsetof(struct ioreq, type) - 1;
}

static uint8_t state_get(struct ioreq *req)
{
	return __atomic_load_n(state_byte(req), __ATOMIC_ACQUIRE) & 15;
}

static void state_set(struct ioreq *req, uint8_t state)
{
	uint8_t *byte = state_byte(req);

	__atomic_store_n(byte, (__atomic_load_n(byte, __ATOMIC_ACQUIRE) & 0xf0) | state,
			 __ATOMIC_RELEASE);
}

/* Waits for a request of vcpu; NULL: none came. */
static struct ioreq *take(struct machine *m, unsigned vcpu)
{
	struct ioreq *req = &m->page->vcpu_ioreq[vcpu];

	for (int i = 0; i < 100; i++) {
		struct pollfd fd = {dev->ops->evtchn_fd(m->evtchn), POLLIN, 0};
		int port;

		if (fake_vcpu_state(m->domid, vcpu) == FAKE_WAITING &&
		    state_get(req) == STATE_IOREQ_READY)
			return req;
		if (poll(&fd, 1, SOON / 100) < 1)
			continue;
		port = dev->ops->evtchn_take(m->evtchn);
		dev->ops->evtchn_unmask(m->evtchn, port);
	}
	return NULL;
}

static void answer(struct machine *m, unsigned vcpu, uint64_t data)
{
	struct ioreq *req = &m->page->vcpu_ioreq[vcpu];

	req->data = data;
	state_set(req, STATE_IORESP_READY);
	CU_ASSERT_EQUAL(dev->ops->evtchn_notify(m->evtchn, m->ports[vcpu]), 0);
}

static void an_in_reaches_the_server_and_its_answer_the_guest(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_in(m.domid, 0, 0x3f8, 1);
	struct hvm_hw_cpu regs;
	struct ioreq *req = take(&m, 0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(req);
	CU_ASSERT_EQUAL(req->type, IOREQ_TYPE_PIO);
	CU_ASSERT_EQUAL(req->addr, 0x3f8);
	CU_ASSERT_EQUAL(req->dir, IOREQ_READ);
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rip, 0xfff2);
	CU_ASSERT_EQUAL(regs.rax, 0);
	answer(&m, 0, 0x1234);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(fake_guest_value(m.domid, 0, id), 0x34);
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rax, 0x34);
	machine_free(&m);
	CU_ASSERT_PTR_NULL(fake_check());
}

#define TEST(function)                                                                             \
	{                                                                                          \
#function, function                                                                \
	}

void register_fake_suite(void);

void register_fake_suite(void)
{
	static CU_TestInfo io[] = {
		TEST(an_in_reaches_the_server_and_its_answer_the_guest),
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{.pName = "fake: I/O", .pSetUpFunc = NULL, .pTests = io},
		CU_SUITE_INFO_NULL,
	};

	suites[0].pInitFunc = setup;
	CU_register_suites(suites);
}
