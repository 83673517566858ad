/*
 * Random calls of the whole API over the fake: whatever a VMM passes, there is an answer, nothing
 * is read or written that is not the caller's (the sanitizers see to that), and nothing is left
 * behind.
 *
 * KVMXEN_FUZZ_SEED and KVMXEN_FUZZ_ROUNDS choose another course; each round is a VM of its own, and
 * a failure names the seed of its round.
 */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libkvmxen/ioctl/newer.h"
#include "libkvmxen/ioctl/table.h"
#include "tests/unit/unit_machine.h"

void register_fuzz_suite(void);

#define ROUNDS      60
#define CALLS       150
#define BUFFER      16384
#define POOL        (64 * 4096ul)
#define MADE_AT_END 64

static struct machine m;
static uint64_t state;
static char *pool;   /* memory that arguments may point to, and slots may be made of */
static char *buffer; /* the argument */
static int made[MADE_AT_END];
static unsigned made_count;

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static unsigned below(unsigned n)
{
	return any() % n;
}

/* Values on which code turns. */
static uint64_t word(void)
{
	switch (below(10)) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return any();
	case 3:
		return (uintptr_t)pool + below(POOL / 4096) * 4096ul;
	case 4:
		return 4096ul << below(8);
	case 5:
		return 1ull << below(64);
	case 6:
		return (uint64_t)below(16) | (uint64_t)below(16) << 32;
	case 7:
		return below(300);
	case 8:
		return (uint64_t)m.ram;
	default:
		return below(4);
	}
}

static void fill(void)
{
	size_t i, n = 8 << below(9);

	memset(buffer, 0, BUFFER);
	for (i = 0; i < n; i += 8) {
		uint64_t w = word();

		memcpy(buffer + i, &w, sizeof w);
	}
}

static int descriptor(enum fd_kind kind)
{
	if (below(20) == 0)
		kind = 1u << below(3);
	return kind == FD_SYSTEM ? m.kvm : kind == FD_VM ? m.vm : m.vcpu[below(m.vcpus)];
}

static bool makes_descriptor(unsigned long request)
{
	return request == KVM_CREATE_VM || request == KVM_CREATE_VCPU ||
	       request == KVM_GET_STATS_FD;
}

static void keep(int fd)
{
	if (made_count < MADE_AT_END)
		made[made_count++] = fd;
	else
		kvmxen_owns(fd) ? kvmxen_close(fd) : close(fd);
}

/* What is set is best what was got, with a little of it changed. */
static void change_what_is(const struct ioctl_row *row, int fd)
{
	static const unsigned long pairs[][2] = {
		{KVM_SET_REGS, KVM_GET_REGS},
		{KVM_SET_SREGS, KVM_GET_SREGS},
		{KVM_SET_FPU, KVM_GET_FPU},
		{KVM_SET_XSAVE, KVM_GET_XSAVE},
		{KVM_SET_LAPIC, KVM_GET_LAPIC},
		{KVM_SET_VCPU_EVENTS, KVM_GET_VCPU_EVENTS},
		{KVM_SET_DEBUGREGS, KVM_GET_DEBUGREGS},
		{KVM_SET_MP_STATE, KVM_GET_MP_STATE},
		{KVM_SET_IRQCHIP, KVM_GET_IRQCHIP},
		{KVM_SET_PIT2, KVM_GET_PIT2},
	};
	size_t i;
	unsigned n;

	for (i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (row->request == pairs[i][0])
			break;
	if (i == sizeof pairs / sizeof *pairs || below(3) == 0)
		return;
	memset(buffer, 0, BUFFER);
	if (row->request == KVM_SET_IRQCHIP)
		buffer[0] = below(3);
	machine_ioctl(fd, pairs[i][1], buffer);
	for (n = below(4); n > 0; n--)
		buffer[below(_IOC_SIZE(row->request))] ^= 1 << below(8);
}

static void one_call(void)
{
	size_t n;
	const struct ioctl_row *rows = ioctl_rows(&n), *row = &rows[below(n)];
	int fd = descriptor(row->fd);
	void *argument = buffer;
	long rc;

	/* A guest that is let run has nothing to say and would keep us. */
	for (unsigned i = 0; i < m.vcpus; i++)
		m.run[i]->immediate_exit = 1;
	fill();
	change_what_is(row, fd);
	switch (below(8)) {
	case 0:
		argument = (void *)word();
		/* Memory that the call may fill: ours, or none at all. */
		if ((char *)argument < pool || (char *)argument >= pool + POOL - BUFFER)
			argument = (void *)(uintptr_t)below(4096);
		break;
	case 1:
		argument = NULL;
		break;
	}
	if (row->argument == ARGUMENT_VALUE)
		argument = (void *)word();
	/* One descriptor after another, and threads and domains behind them: seldom. */
	if (row->request == KVM_CREATE_VM && below(10))
		return;
	rc = machine_ioctl(fd, row->request, argument);
	CU_ASSERT(rc >= -4095);
	if (makes_descriptor(row->request) && rc >= 0)
		keep((int)rc);
	if (row->request == KVM_CREATE_DEVICE && rc == 0 && argument == buffer &&
	    !(((struct kvm_create_device *)buffer)->flags & KVM_CREATE_DEVICE_TEST))
		keep((int)((struct kvm_create_device *)buffer)->fd);
}

static void one_out(uint16_t id)
{
	fake_guest_out(id, 0, 0x3f8, 1, 0x41);
}

static void round_of(uint64_t seed)
{
	unsigned i;

	state = seed;
	any();
	made_count = 0;
	kvm_machine_new(&m, 1 + below(2), below(2), one_out);
	if (below(2))
		CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	for (i = 0; i < CALLS; i++)
		one_call();
	while (made_count > 0) {
		int fd = made[--made_count];

		kvmxen_owns(fd) ? kvmxen_close(fd) : close(fd);
	}
	kvm_machine_free(&m);
}

static void any_call_has_an_answer(void)
{
	const char *from = getenv("KVMXEN_FUZZ_SEED"), *rounds = getenv("KVMXEN_FUZZ_ROUNDS");
	uint64_t seed = from ? strtoull(from, NULL, 0) : 1;
	unsigned n = rounds ? strtoul(rounds, NULL, 0) : ROUNDS, failures;

	buffer = vmm_memory(BUFFER, 0);
	for (; n > 0; n--, seed++) {
		pool = vmm_memory(POOL, 0);
		failures = CU_get_number_of_failures();
		if (!getenv("KVMXEN_FUZZ_LOUD"))
			quiet_begin();
		round_of(seed * 0x9e3779b97f4a7c15ull);
		if (!getenv("KVMXEN_FUZZ_LOUD"))
			quiet_end();
		if (CU_get_number_of_failures() != failures)
			fprintf(stderr, "fuzz: KVMXEN_FUZZ_SEED=%llu\n", (unsigned long long)seed);
		munmap(pool, POOL);
	}
	munmap(buffer, BUFFER);
}

void register_fuzz_suite(void)
{
	CU_pSuite suite = CU_add_suite("fuzz", NULL, NULL);

	CU_ADD_TEST(suite, any_call_has_an_answer);
}
