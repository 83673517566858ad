/* The fake Xen's own strictness: each rule is shown to bite. */
#include "tests/unit/test_fake.h"

#include <poll.h>
#include <stddef.h>
#include <stdio.h>

static void setup_each(void)
{
	fake_install();
}

uint16_t domain_new(unsigned vcpus, enum emulation emulation)
{
	const struct domain_config config = {vcpus, emulation, {1, 2, 3, (uint8_t)vcpus}, false};
	uint16_t domid = 0;

	CU_ASSERT_EQUAL(CTL(domain_create, &config, &domid), 0);
	CU_ASSERT_EQUAL(CTL(domain_set_maxmem, domid, 4096), 0);
	return domid;
}

static uint32_t put(uint8_t *image, uint32_t at, uint16_t code, uint16_t instance, const void *body,
		    uint32_t len)
{
	const struct hvm_save_descriptor desc = {code, instance, len};

	memcpy(image + at, &desc, sizeof desc);
	if (len)
		memcpy(image + at + sizeof desc, body, len);
	return at + sizeof desc + len;
}

uint32_t image_make_with(uint8_t *image, unsigned n, const struct hvm_hw_cpu *cpu, uint16_t code,
			 uint16_t instance, const void *body, uint32_t len)
{
	const struct hvm_save_header header = {.magic = HVM_FILE_MAGIC,
					       .version = HVM_FILE_VERSION};
	uint32_t at = put(image, 0, HVM_SAVE_CODE(HEADER), 0, &header, sizeof header);

	for (unsigned i = 0; i < n; i++)
		at = put(image, at, HVM_SAVE_CODE(CPU), i, cpu, sizeof *cpu);
	if (code)
		at = put(image, at, code, instance, body, len);
	return put(image, at, HVM_SAVE_CODE(END), 0, NULL, 0);
}

uint32_t image_make(uint8_t *image, unsigned n, const struct hvm_hw_cpu *cpu)
{
	return image_make_with(image, n, cpu, 0, 0, NULL, 0);
}

struct hvm_hw_cpu cpu_reset(void)
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

void domain_load(uint16_t domid, unsigned vcpus)
{
	struct hvm_hw_cpu cpu = cpu_reset();
	uint8_t image[8192];
	uint32_t len = image_make(image, vcpus, &cpu);

	CU_ASSERT_EQUAL(CTL(context_set, domid, image, len), 0);
}

struct machine machine_new_paused(unsigned vcpus, enum emulation emulation)
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
	CU_ASSERT_EQUAL(DEV(evtchn_open, m.domid, &m.evtchn), 0);
	for (unsigned i = 0; i < vcpus; i++) {
		m.ports[i] = EVT(bind, m.evtchn, m.domid, m.page->vcpu_ioreq[i].vp_eport);
		CU_ASSERT(m.ports[i] > 0);
	}
	domain_load(m.domid, vcpus);
	return m;
}

struct machine machine_new(unsigned vcpus, enum emulation emulation)
{
	struct machine m = machine_new_paused(vcpus, emulation);

	CU_ASSERT_EQUAL(CTL(domain_unpause, m.domid), 0);
	return m;
}

void machine_free(struct machine *m)
{
	EVT(close, m->evtchn);
	CU_ASSERT_EQUAL(DEV(ioreq_server_unmap, m->page), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, m->domid), 0);
}

/* The state shares its byte with other bits. */
static uint8_t *state_byte(struct ioreq *req)
{
	return (uint8_t *)req + offsetof(struct ioreq, type) - 1;
}

uint8_t state_get(struct ioreq *req)
{
	return __atomic_load_n(state_byte(req), __ATOMIC_ACQUIRE) & 15;
}

void state_set(struct ioreq *req, uint8_t state)
{
	uint8_t *byte = state_byte(req);

	__atomic_store_n(byte, (__atomic_load_n(byte, __ATOMIC_ACQUIRE) & 0xf0) | state,
			 __ATOMIC_RELEASE);
}

static struct ioreq *take_within(struct machine *m, unsigned vcpu, int timeout)
{
	struct ioreq *req = &m->page->vcpu_ioreq[vcpu];

	for (int waited = 0; waited < timeout;) {
		struct pollfd fd = {EVT(fd, m->evtchn), POLLIN, 0};
		int port;

		if (state_get(req) == STATE_IOREQ_READY)
			return req;
		if (poll(&fd, 1, 5) < 1) {
			waited += 5;
			continue;
		}
		port = EVT(take, m->evtchn);
		EVT(unmask, m->evtchn, port);
	}
	return NULL;
}

struct ioreq *take(struct machine *m, unsigned vcpu)
{
	struct ioreq *req = take_within(m, vcpu, SOON);

	CU_ASSERT_PTR_NOT_NULL_FATAL(req);
	return req;
}

bool quiet(struct machine *m, unsigned vcpu)
{
	return !take_within(m, vcpu, NEVER);
}

void notify(struct machine *m, unsigned vcpu)
{
	CU_ASSERT_EQUAL(EVT(notify, m->evtchn, m->ports[vcpu]), 0);
}

void answer(struct machine *m, unsigned vcpu, uint64_t data)
{
	m->page->vcpu_ioreq[vcpu].data = data;
	state_set(&m->page->vcpu_ioreq[vcpu], STATE_IORESP_READY);
	notify(m, vcpu);
}

void assert_clean(void)
{
	const char *found = fake_check();

	CU_ASSERT_PTR_NULL(found);
	if (found)
		fputs(found, stderr);
}

void assert_violated(const char *text)
{
	CU_ASSERT(fake_violated(text));
	if (!fake_violated(text))
		fprintf(stderr, "expected \"%s\", found:\n%s\n", text, fake_check());
	fake_forgive();
}

void register_fake_suite(void);

void register_fake_suite(void)
{
	static CU_SuiteInfo suites[] = {
		{"fake: memory", NULL, NULL, setup_each, NULL, fake_memory_tests},
		{"fake: foreign mappings", NULL, NULL, setup_each, NULL, fake_map_tests},
		{"fake: ioreq servers", NULL, NULL, setup_each, NULL, fake_ioreq_tests},
		{"fake: guest accesses", NULL, NULL, setup_each, NULL, fake_io_tests},
		{"fake: vcpus", NULL, NULL, setup_each, NULL, fake_vcpu_tests},
		{"fake: contexts", NULL, NULL, setup_each, NULL, fake_context_tests},
		{"fake: event channels", NULL, NULL, setup_each, NULL, fake_evtchn_tests},
		{"fake: policy, parameters, monitor, failures", NULL, NULL, setup_each, NULL,
		 fake_misc_tests},
		CU_SUITE_INFO_NULL,
	};

	CU_register_suites(suites);
}
