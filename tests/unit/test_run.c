/* KVM_RUN as a VMM sees it, through the library's entry points, over the fake Xen. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "libkvmxen/machine/quiet.h"
#include "libkvmxen/machine/spare.h"
#include "libkvmxen/machine/wait.h"
#include "tests/unit/unit_machine.h"

#define MMIO 0xe0000000ull

void register_run_suite(void);

static struct machine m;

static void *pio(unsigned vcpu)
{
	return (char *)m.run[vcpu] + m.run[vcpu]->io.data_offset;
}

static bool is_io(unsigned vcpu, unsigned direction, uint16_t port, unsigned size, unsigned count)
{
	const struct kvm_run *run = m.run[vcpu];
	bool same = run->io.direction == direction && run->io.port == port &&
		    run->io.size == size && run->io.count == count;

	if (!same)
		fprintf(stderr, "I/O: direction %u, port %#x, size %u, count %u\n",
			run->io.direction, run->io.port, run->io.size, run->io.count);
	return same;
}

/* The next exit is an OUT of this value. */
static bool out_comes(unsigned vcpu, uint16_t port, unsigned size, uint32_t value)
{
	return machine_exits(&m, vcpu, KVM_EXIT_IO) &&
	       is_io(vcpu, KVM_EXIT_IO_OUT, port, size, 1) && !memcmp(pio(vcpu), &value, size);
}

static bool in_comes(unsigned vcpu, uint16_t port, unsigned size, uint32_t value)
{
	if (!machine_exits(&m, vcpu, KVM_EXIT_IO) || !is_io(vcpu, KVM_EXIT_IO_IN, port, size, 1))
		return false;
	memcpy(pio(vcpu), &value, size);
	return true;
}

static bool mmio_comes(unsigned vcpu, uint64_t address, unsigned length, bool is_write)
{
	const struct kvm_run *run = m.run[vcpu];

	if (!machine_exits(&m, vcpu, KVM_EXIT_MMIO))
		return false;
	if (run->mmio.phys_addr == address && run->mmio.len == length &&
	    run->mmio.is_write == is_write)
		return true;
	fprintf(stderr, "MMIO: %#llx, %u bytes, %s\n", run->mmio.phys_addr, run->mmio.len,
		run->mmio.is_write ? "write" : "read");
	return false;
}

static uint16_t domid(void)
{
	return fake_last_domain();
}

/* --- the first run --- */

static void one_out(uint16_t id)
{
	fake_guest_out(id, 0, 0x3f8, 1, 0x41);
}

static void the_first_run_makes_the_domain(void)
{
	kvm_machine_new(&m, 1, false, one_out);
	memset(m.ram, 0x5a, 8192);
	CU_ASSERT_EQUAL(fake_domains(), 0);
	CU_ASSERT(out_comes(0, 0x3f8, 1, 0x41));
	CU_ASSERT_EQUAL(fake_domains(), 1);
	CU_ASSERT_PTR_NOT_NULL(fake_domain_name(domid()));
	CU_ASSERT(guest_sees(&(struct space){.vm.domid = domid()}, 0, m.ram, MACHINE_RAM));
	CU_ASSERT_EQUAL(m.ram[8191], 0x5a);
	kvm_machine_free(&m);
	CU_ASSERT_EQUAL(m.ram[0], 0x5a);
}

static void immediate_exit_comes_before_the_domain(void)
{
	kvm_machine_new(&m, 1, false, one_out);
	m.run[0]->immediate_exit = 1;
	m.run[0]->exit_reason = 77;
	CU_ASSERT_EQUAL(machine_run(&m, 0), -EINTR);
	CU_ASSERT_EQUAL(m.run[0]->exit_reason, 77);
	CU_ASSERT_EQUAL(fake_domains(), 0);
	m.run[0]->immediate_exit = 0;
	CU_ASSERT(out_comes(0, 0x3f8, 1, 0x41));
	kvm_machine_free(&m);
}

/* --- exits --- */

static int ids[16];

static void two_outs(uint16_t id)
{
	fake_guest_out(id, 0, 0x10, 1, 1);
	fake_guest_out(id, 0, 0x10, 1, 2);
}

static void all_ports(uint16_t id)
{
	static const unsigned sizes[] = {1, 2, 4};

	for (unsigned i = 0; i < 3; i++) {
		fake_guest_out(id, 0, 0x500 + i, sizes[i], 0x87654321);
		ids[i] = fake_guest_in(id, 0, 0x600 + i, sizes[i]);
	}
	ids[3] = fake_guest_out(id, 0, 0xffff, 1, 9);
}

static void ports_of_every_width(void)
{
	static const uint32_t masks[] = {0xff, 0xffff, 0xffffffff};

	kvm_machine_new(&m, 1, false, all_ports);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT(out_comes(0, 0x500 + i, 1u << i, 0x87654321));
		CU_ASSERT(in_comes(0, 0x600 + i, 1u << i, 0xfedcba98));
	}
	CU_ASSERT(out_comes(0, 0xffff, 1, 9));
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(fake_guest_value(domid(), 0, ids[i]), 0xfedcba98 & masks[i]);
	kvm_machine_free(&m);
}

static const uint8_t long_data[11] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static void all_mmio(uint16_t id)
{
	for (unsigned i = 0; i < 4; i++) {
		fake_guest_write_value(id, 0, MMIO + i * 16, 1u << i, 0x8877665544332211);
		ids[i] = fake_guest_read(id, 0, MMIO + i * 16 + 8, 1u << i);
	}
	fake_guest_write(id, 0, MMIO + 0xffc, long_data, sizeof long_data);
	ids[4] = fake_guest_out(id, 0, 0x3f8, 1, 1);
}

static void mmio_of_every_width(void)
{
	static const uint64_t value = 0x8877665544332211, answer = 0x1122334455667788;
	uint8_t got[16] = {0};
	unsigned done = 0;

	kvm_machine_new(&m, 1, false, all_mmio);
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT(mmio_comes(0, MMIO + i * 16, 1u << i, true));
		CU_ASSERT(!memcmp(m.run[0]->mmio.data, &value, 1u << i));
		CU_ASSERT(mmio_comes(0, MMIO + i * 16 + 8, 1u << i, false));
		memcpy(m.run[0]->mmio.data, &answer, 8);
	}
	/* Over a page's end, in pieces as the processor has them. */
	while (done < sizeof long_data && machine_exits(&m, 0, KVM_EXIT_MMIO)) {
		CU_ASSERT_EQUAL_FATAL(m.run[0]->mmio.phys_addr, MMIO + 0xffc + done);
		memcpy(got + done, m.run[0]->mmio.data, m.run[0]->mmio.len);
		done += m.run[0]->mmio.len;
	}
	CU_ASSERT(!memcmp(got, long_data, sizeof long_data));
	CU_ASSERT(out_comes(0, 0x3f8, 1, 1));
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(fake_guest_value(domid(), 0, ids[i]),
				i == 3 ? answer : answer & ((1ull << (8u << i)) - 1));
	kvm_machine_free(&m);
}

static void string_ports(uint16_t id)
{
	fake_guest_outs(id, 0, 0x1f0, 2, 6, 0x2000, false);
	fake_guest_ins(id, 0, 0x1f1, 4, 3, 0x3000, false);
	fake_guest_outs(id, 0, 0x1f2, 1, 3, 0x4002, true);
	fake_guest_ins(id, 0, 0x1f3, 2, 2, 0x5002, true);
	fake_guest_out(id, 0, 0x3f8, 1, 1);
}

/* Elements until count of them were shown: KVM may show them one by one or many at once. */
static unsigned gather(uint16_t port, unsigned size, unsigned count, uint8_t *data, bool in)
{
	unsigned done = 0;

	while (done < count && machine_exits(&m, 0, KVM_EXIT_IO)) {
		unsigned n = m.run[0]->io.count;

		if (m.run[0]->io.port != port || m.run[0]->io.size != size || !n ||
		    n > count - done || (m.run[0]->io.direction == KVM_EXIT_IO_IN) != in)
			break;
		if (in)
			memcpy(pio(0), data + done * size, n * size);
		else
			memcpy(data + done * size, pio(0), n * size);
		done += n;
	}
	return done;
}

static void string_instructions(void)
{
	uint8_t data[12], words[12] = "abcdefghijkl";

	kvm_machine_new(&m, 1, false, string_ports);
	memcpy(m.ram + 0x2000, words, 12);
	memcpy(m.ram + 0x4000, "xyz", 3);
	CU_ASSERT_EQUAL(gather(0x1f0, 2, 6, data, false), 6);
	CU_ASSERT(!memcmp(data, words, 12));
	CU_ASSERT_EQUAL(gather(0x1f1, 4, 3, words, true), 3);
	CU_ASSERT_EQUAL(gather(0x1f2, 1, 3, data, false), 3);
	CU_ASSERT(!memcmp(m.ram + 0x3000, words, 12));
	CU_ASSERT(!memcmp(data, "zyx", 3));
	CU_ASSERT_EQUAL(gather(0x1f3, 2, 2, words, true), 2);
	CU_ASSERT(out_comes(0, 0x3f8, 1, 1));
	CU_ASSERT(!memcmp(m.ram + 0x5000, "cdab", 4));
	kvm_machine_free(&m);
}

static void string_mmio(uint16_t id)
{
	fake_guest_stos(id, 0, MMIO, 4, 3, 0xabcd1234, false);
	fake_guest_movs_to(id, 0, MMIO + 0x100, 0x2000, 8, 2, false);
	fake_guest_movs_from(id, 0, MMIO + 0x208, 0x3008, 8, 2, true);
	fake_guest_out(id, 0, 0x3f8, 1, 1);
}

static void string_instructions_to_mmio(void)
{
	uint64_t value;

	kvm_machine_new(&m, 1, false, string_mmio);
	memcpy(m.ram + 0x2000, "0123456789abcdef", 16);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT(mmio_comes(0, MMIO + 4 * i, 4, true));
		memcpy(&value, m.run[0]->mmio.data, 8);
		CU_ASSERT_EQUAL(value, 0xabcd1234);
	}
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT(mmio_comes(0, MMIO + 0x100 + 8 * i, 8, true));
		CU_ASSERT(!memcmp(m.run[0]->mmio.data, "0123456789abcdef" + 8 * i, 8));
	}
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT(mmio_comes(0, MMIO + 0x208 - 8 * i, 8, false));
		memset(m.run[0]->mmio.data, 'A' + i, 8);
	}
	CU_ASSERT(out_comes(0, 0x3f8, 1, 1));
	CU_ASSERT(!memcmp(m.ram + 0x3000, "BBBBBBBBAAAAAAAA", 16));
	kvm_machine_free(&m);
}

static void pci_cycles(uint16_t id)
{
	ids[0] = fake_guest_pci_read(id, 0, 0x0010, 0x02, 2);
	fake_guest_pci_write(id, 0, 0x0010, 0x07, 1, 0x77);
	fake_guest_out(id, 0, 0x3f8, 1, 1);
}

static void pci_configuration_is_port_io(void)
{
	kvm_machine_new(&m, 1, false, pci_cycles);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO) && is_io(0, KVM_EXIT_IO_OUT, 0xcf8, 4, 1));
	CU_ASSERT(in_comes(0, 0xcfe, 2, 0x1237));
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO) && is_io(0, KVM_EXIT_IO_OUT, 0xcf8, 4, 1));
	CU_ASSERT_EQUAL(fake_guest_value(domid(), 0, ids[0]), 0x1237);
	CU_ASSERT(out_comes(0, 0xcff, 1, 0x77));
	CU_ASSERT(out_comes(0, 0x3f8, 1, 1));
	kvm_machine_free(&m);
}

/* What the shared page may hold and never should. */
static void bad_requests_crash_nobody(void)
{
	static const struct {
		struct ioreq io;
		uint32_t reason;
	} table[] = {
		{{.type = 99, .size = 4, .count = 1}, KVM_EXIT_INTERNAL_ERROR},
		{{.type = IOREQ_TYPE_TIMEOFFSET, .size = 8, .count = 1}, KVM_EXIT_INTERNAL_ERROR},
		{{.type = IOREQ_TYPE_PIO, .size = 0, .count = 1}, KVM_EXIT_INTERNAL_ERROR},
		{{.type = IOREQ_TYPE_PIO, .size = 3, .count = 1}, KVM_EXIT_INTERNAL_ERROR},
		{{.type = IOREQ_TYPE_PIO, .size = 8, .count = 1}, KVM_EXIT_INTERNAL_ERROR},
		{{.type = IOREQ_TYPE_PIO, .addr = 0xffff, .size = 2, .count = 1},
		 KVM_EXIT_INTERNAL_ERROR},
		{{.type = IOREQ_TYPE_PIO, .addr = ~0ull, .size = 1, .count = 1},
		 KVM_EXIT_INTERNAL_ERROR},
		{{.type = IOREQ_TYPE_COPY, .addr = MMIO, .size = 0x80000001, .count = 1},
		 KVM_EXIT_INTERNAL_ERROR},
		{{.type = IOREQ_TYPE_COPY, .addr = MMIO, .size = 0, .count = 1},
		 KVM_EXIT_INTERNAL_ERROR},
		/* Odd, but it can be shown. */
		{{.type = IOREQ_TYPE_PIO, .addr = 0x10, .size = 1, .count = 0}, KVM_EXIT_IO},
		{{.type = IOREQ_TYPE_PIO,
		  .addr = 0x10,
		  .size = 4,
		  .count = ~0u,
		  .data_is_ptr = 1,
		  .data = ~0ull - 100},
		 KVM_EXIT_IO},
		{{.type = IOREQ_TYPE_PIO,
		  .addr = 0x10,
		  .size = 4,
		  .count = ~0u,
		  .data_is_ptr = 1,
		  .dir = IOREQ_READ,
		  .data = MACHINE_RAM - 2},
		 KVM_EXIT_IO},
		{{.type = IOREQ_TYPE_COPY,
		  .addr = ~0ull,
		  .size = 8,
		  .count = ~0u,
		  .data_is_ptr = 1,
		  .df = 1,
		  .data = 4},
		 KVM_EXIT_MMIO},
	};
	struct vcpu *vcpu;
	struct ioreq *slot, mine;

	kvm_machine_new(&m, 1, false, one_out);
	CU_ASSERT(out_comes(0, 0x3f8, 1, 0x41));
	m.run[0]->immediate_exit = 1;
	CU_ASSERT_EQUAL(machine_run(&m, 0), -EINTR);
	m.run[0]->immediate_exit = 0;
	vcpu = machine_vcpu(&m, 0);
	CU_ASSERT_EQUAL(vcpu->phase, VCPU_PARKED);
	slot = vcpu->slot;
	vcpu->slot = &mine;
	quiet_begin();
	for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
		mine = table[i].io;
		mine.state = STATE_IOREQ_READY;
		vcpu->phase = VCPU_IDLE;
		CU_ASSERT(machine_exits(&m, 0, table[i].reason));
		CU_ASSERT_EQUAL(mine.state, STATE_IOREQ_READY);
		/* The next part of one that has many. */
		if (vcpu->phase == VCPU_EXIT && mine.count == ~0u)
			CU_ASSERT(machine_exits(&m, 0, table[i].reason));
	}
	quiet_end();
	vcpu->slot = slot;
	vcpu->phase = VCPU_PARKED;
	fake_guest_out(domid(), 0, 0x3f8, 1, 0x42);
	CU_ASSERT(out_comes(0, 0x3f8, 1, 0x42));
	kvm_machine_free(&m);
}

/* --- leaving KVM_RUN --- */

static void in_then_out(uint16_t id)
{
	ids[0] = fake_guest_in(id, 0, 0x60, 1);
	ids[1] = fake_guest_out(id, 0, 0x61, 1, 2);
}

static void immediate_exit_completes_an_in(void)
{
	struct kvm_regs regs;

	kvm_machine_new(&m, 1, false, in_then_out);
	CU_ASSERT(in_comes(0, 0x60, 1, 0xa5));
	m.run[0]->immediate_exit = 1;
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(machine_run(&m, 0), -EINTR);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
		CU_ASSERT_EQUAL(regs.rax & 0xff, 0xa5);
		CU_ASSERT_FALSE(fake_guest_done(domid(), 0, ids[1]));
	}
	CU_ASSERT(fake_guest_done(domid(), 0, ids[0]));
	m.run[0]->immediate_exit = 0;
	CU_ASSERT(out_comes(0, 0x61, 1, 2));
	CU_ASSERT_EQUAL(fake_guest_value(domid(), 0, ids[0]), 0xa5);
	kvm_machine_free(&m);
}

static atomic_uint returned;
static atomic_bool finish;
static unsigned handled;

static void on_signal(int number)
{
	handled++;
}

static void catch_signal(int number)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(number, &action, NULL);
	handled = 0;
	atomic_store(&returned, 0);
	atomic_store(&finish, false);
}

static void *run_and_count(void *data)
{
	while (!atomic_load(&finish)) {
		if (machine_run(&m, 0) != -EINTR)
			break;
		atomic_fetch_add(&returned, 1);
	}
	return NULL;
}

static bool returned_is(unsigned n)
{
	for (int left = MACHINE_SOON * 4; left > 0 && atomic_load(&returned) < n; left--)
		usleep(250);
	return atomic_load(&returned) == n;
}

/* A vcpu that spins, kicked: each kick ends one KVM_RUN, wherever in it or before it it comes. */
static void no_kick_is_lost(void)
{
	pthread_t thread;

	kvm_machine_new(&m, 1, true, NULL);
	catch_signal(SIGUSR1);
	pthread_create(&thread, NULL, run_and_count, NULL);
	CU_ASSERT(fake_last_domain() || usleep(20000) == 0);
	for (unsigned i = 0; i < 50; i++) {
		if (i % 3)
			usleep(i * 37);
		/* As VMMs do: the flag for the moments outside, the signal for those inside. */
		m.run[0]->immediate_exit = 1;
		pthread_kill(thread, SIGUSR1);
		CU_ASSERT_FATAL(returned_is(i + 1) || atomic_load(&returned) > i);
		m.run[0]->immediate_exit = 0;
		atomic_store(&returned, i + 1);
	}
	atomic_store(&finish, true);
	m.run[0]->immediate_exit = 1;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	CU_ASSERT(handled > 0 && handled <= 51);
	kvm_machine_free(&m);
}

/* A guest whose requests are all answered here, and found by watching, gives no time to a signal
 * that is blocked in KVM_RUN. (The whole of it in the lab: kick-storm-ioeventfd.) */
static void a_signal_is_seen_while_requests_are_watched(void)
{
	struct ioreq slot = {.state = STATE_IOREQ_READY};
	struct kvm_run run = {0};
	struct vcpu vcpu = {
		.slot = &slot, .run = &run, .has_sigmask = true, .sigfd = -1, .wake_fd = -1};
	struct wait wait = {0};
	unsigned requests = 0;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		fprintf(stderr, "nobody watches on one processor: not tested\n");
		return;
	}
	catch_signal(SIGUSR1);
	vcpu.poll.window = 1ull << 32;
	wait_block(&wait, &vcpu);
	pthread_kill(pthread_self(), SIGUSR1);
	while (!wait.stop && requests++ < 100) {
		vcpu.poll.answered = __rdtsc();
		vcpu.poll.fresh = true;
		CU_ASSERT_FALSE(wait_event(&wait, &vcpu, 1000));
	}
	CU_ASSERT(wait.stop);
	CU_ASSERT_EQUAL(handled, 0);
	wait_end(&wait);
	CU_ASSERT_EQUAL(handled, 1);
	close(vcpu.sigfd);
}

static void faults(uint16_t id)
{
	fake_guest_out(id, 0, 0x10, 1, 1);
	fake_guest_triple_fault(id, 0);
}

/* Kicks that come faster than an idle wait ends hide no shutdown. */
static void a_shutdown_is_seen_between_kicks(void)
{
	const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {0};
	int kicks = 0;

	kvm_machine_new(&m, 1, true, faults);
	machine_executes_at(&m, 0, 0x1000);
	CU_ASSERT(out_comes(0, 0x10, 1, 1));
	catch_signal(SIGALRM);
	setitimer(ITIMER_REAL, &often, NULL);
	while (kicks < 200 && machine_run(&m, 0) == -EINTR)
		kicks++;
	setitimer(ITIMER_REAL, &never, NULL);
	CU_ASSERT(kicks < 200);
	CU_ASSERT_EQUAL(m.run[0]->exit_reason, KVM_EXIT_SHUTDOWN);
	kvm_machine_free(&m);
}

static void set_mask(int allowed)
{
	char buffer[sizeof(struct kvm_signal_mask) + 8];
	struct kvm_signal_mask head = {.len = 8};
	uint64_t bits = ~(1ull << (allowed - 1));

	memcpy(buffer, &head, sizeof head);
	memcpy(buffer + sizeof head, &bits, 8);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_SIGNAL_MASK, buffer), 0);
}

static void *run_masked(void *data)
{
	sigset_t blocked, pending;
	int number;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	while (!atomic_load(&finish)) {
		if (machine_run(&m, 0) != -EINTR)
			break;
		/* It was seen and is still pending: the VMM takes it with sigwait. */
		sigpending(&pending);
		if (sigismember(&pending, SIGUSR1) != 1 || sigwait(&blocked, &number))
			break;
		atomic_fetch_add(&returned, 1);
	}
	return NULL;
}

static void a_signal_mask_is_that_of_the_run(void)
{
	sigset_t blocked, old;
	pthread_t thread;

	kvm_machine_new(&m, 1, true, NULL);
	catch_signal(SIGUSR1);
	set_mask(SIGUSR1);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, &old);
	pthread_create(&thread, NULL, run_masked, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	for (unsigned i = 0; i < 50; i++) {
		if (i % 3 == 1)
			usleep(i * 37);
		if (i == 49)
			atomic_store(&finish, true);
		pthread_kill(thread, SIGUSR1);
		CU_ASSERT_FATAL(returned_is(i + 1));
	}
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(handled, 0);
	kvm_machine_free(&m);
}

/* --- the guest stops by itself --- */

static void halts(uint16_t id)
{
	fake_guest_out(id, 0, 0x10, 1, 1);
	fake_guest_hlt(id, 0, true);
	fake_guest_out(id, 0, 0x10, 1, 2);
	fake_guest_hlt(id, 0, false);
	fake_guest_out(id, 0, 0x10, 1, 3);
}

static void hlt_without_irqchip_is_an_exit(void)
{
	kvm_machine_new(&m, 1, false, halts);
	CU_ASSERT(out_comes(0, 0x10, 1, 1));
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_HLT));
	CU_ASSERT(out_comes(0, 0x10, 1, 2));
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_HLT));
	CU_ASSERT(out_comes(0, 0x10, 1, 3));
	kvm_machine_free(&m);
}

static void a_triple_fault_is_a_shutdown(void)
{
	kvm_machine_new(&m, 1, true, faults);
	machine_executes_at(&m, 0, 0x1000);
	CU_ASSERT(out_comes(0, 0x10, 1, 1));
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_SHUTDOWN));
	kvm_machine_free(&m);
}

/* Xen's #GP for it may end in a triple fault, KVM's guest never sees one. */
static void a_triple_fault_where_no_memory_is_is_an_internal_error(void)
{
	struct kvm_regs regs;

	kvm_machine_new(&m, 1, true, faults);
	machine_executes_at(&m, 0, MACHINE_RAM - 2); /* the OUT is there, and the end behind it */
	CU_ASSERT(out_comes(0, 0x10, 1, 1));
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_INTERNAL_ERROR));
	CU_ASSERT_EQUAL(m.run[0]->internal.suberror, KVM_INTERNAL_ERROR_EMULATION);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
	CU_ASSERT_EQUAL(regs.rip, MACHINE_RAM);
	kvm_machine_free(&m);
}

static void runnable(unsigned vcpu)
{
	struct kvm_mp_state state = {.mp_state = KVM_MP_STATE_RUNNABLE};

	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[vcpu], KVM_SET_MP_STATE, &state), 0);
}

static void one_of_two_faults(uint16_t id)
{
	fake_guest_out(id, 0, 0x10, 1, 1);
	fake_guest_triple_fault(id, 0);
	fake_guest_out(id, 0, 0x10, 1, 4);
	fake_guest_out(id, 1, 0x11, 1, 2);
	fake_guest_poll(id, 1, 0x3000, 0x77);
	fake_guest_out(id, 1, 0x11, 1, 3);
}

static void a_triple_fault_stops_that_vcpu_alone(void)
{
	struct kvm_regs regs = {.rip = 0x1000, .rflags = 2};
	struct runner other;
	uint32_t events[4];

	kvm_machine_new(&m, 2, true, one_of_two_faults);
	runnable(1);
	machine_executes_at(&m, 0, 0x1000);
	CU_ASSERT(out_comes(0, 0x10, 1, 1));
	CU_ASSERT(out_comes(1, 0x11, 1, 2));
	runner_start(&other, &m, 1);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_SHUTDOWN));
	usleep(50000);
	CU_ASSERT_FALSE(atomic_load(&other.done));
	m.ram[0x3000] = 0x77;
	CU_ASSERT(runner_end(&other) && other.rc == 0);
	CU_ASSERT(m.run[1]->exit_reason == KVM_EXIT_IO && !memcmp(pio(1), "\3", 1));
	/* And with new registers it runs, without the fault that was. */
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_REGS, &regs), 0);
	CU_ASSERT(out_comes(0, 0x10, 1, 4));
	CU_ASSERT_EQUAL(fake_guest_events(domid(), 0, events, 4), 0);
	kvm_machine_free(&m);
}

/* --- two vcpus --- */

#define STORM 300

static void storm_script(uint16_t id)
{
	for (unsigned i = 0; i < STORM; i++)
		for (unsigned vcpu = 0; vcpu < 2; vcpu++) {
			ids[vcpu] = fake_guest_in(id, vcpu, 0x510 + vcpu, 4);
			fake_guest_out(id, vcpu, 0x520 + vcpu, 4, i);
		}
}

/* Every request comes once, in order, whatever the other vcpu makes of all their states. */
static bool storm(unsigned vcpu)
{
	struct kvm_regs regs;

	for (unsigned i = 0; i < STORM; i++) {
		if (!in_comes(vcpu, 0x510 + vcpu, 4, i))
			return false;
		if (i % 7 == 3 + vcpu && (machine_ioctl(m.vcpu[vcpu], KVM_GET_REGS, &regs) ||
					  machine_ioctl(m.vcpu[vcpu], KVM_SET_REGS, &regs)))
			return false;
		if (!out_comes(vcpu, 0x520 + vcpu, 4, i))
			return false;
		if (machine_ioctl(m.vcpu[vcpu], KVM_GET_REGS, &regs) || (uint32_t)regs.rax != i)
			return false;
	}
	return true;
}

static void *storm_1(void *data)
{
	return storm(1) ? data : NULL;
}

static void two_vcpus_do_not_disturb_each_other(void)
{
	pthread_t thread;
	void *result;

	kvm_machine_new(&m, 2, true, storm_script);
	runnable(1);
	pthread_create(&thread, NULL, storm_1, &m);
	CU_ASSERT(storm(0));
	pthread_join(thread, &result);
	CU_ASSERT_PTR_NOT_NULL(result);
	kvm_machine_free(&m);
}

/* --- vcpus that come late --- */

static long create_vcpu(unsigned id)
{
	return machine_ioctl(m.vm, KVM_CREATE_VCPU, (void *)(uintptr_t)id);
}

static void add_vcpu(void)
{
	unsigned id = m.vcpus++;

	m.vcpu[id] = create_vcpu(id);
	CU_ASSERT_FATAL(m.vcpu[id] >= 0);
	m.run[id] = mmap(NULL, VCPU_MMAP_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m.vcpu[id], 0);
}

static void a_vcpu_created_late_runs(void)
{
	kvm_machine_new(&m, 1, true, one_out);
	CU_ASSERT(out_comes(0, 0x3f8, 1, 0x41));
	add_vcpu();
	runnable(1);
	fake_guest_out(domid(), 1, 0x3f8, 1, 0x42);
	CU_ASSERT(out_comes(1, 0x3f8, 1, 0x42));
	fake_guest_out(domid(), 0, 0x3f8, 1, 0x43);
	CU_ASSERT(out_comes(0, 0x3f8, 1, 0x43));
	/* Until Xen has none left. */
	quiet_begin();
	for (unsigned id = 2; id < 1 + SPARE_VCPUS; id++) {
		long fd = create_vcpu(id);

		CU_ASSERT(fd >= 0);
		kvmxen_close(fd);
	}
	CU_ASSERT_EQUAL(create_vcpu(100), -EINVAL);
	quiet_end();
	kvm_machine_free(&m);
}

/* KVM_CAP_MAX_VCPU_ID says how many there may ever be. */
static void the_domain_has_as_many_vcpus_as_were_announced(void)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_MAX_VCPU_ID, .args = {2}};

	kvm_machine_new(&m, 0, true, one_out);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_ENABLE_CAP, &cap), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_ENABLE_CAP, &cap), 0);
	add_vcpu();
	cap.args[0] = 3;
	quiet_begin();
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_ENABLE_CAP, &cap), -EINVAL);
	CU_ASSERT_EQUAL(create_vcpu(2), -EINVAL);
	quiet_end();
	CU_ASSERT(out_comes(0, 0x3f8, 1, 0x41));
	CU_ASSERT_EQUAL(machine_vm(&m)->domain_vcpus, 2);
	kvm_machine_free(&m);
}

/* INIT and SIPI to all: the processors that the VMM has not made execute nothing, and do not keep
 * the domain from shutting down. */
static void a_spare_vcpu_that_is_started_stands_still(void)
{
	struct hvm_hw_cpu before, after;
	int op;

	kvm_machine_new(&m, 1, true, one_out);
	machine_executes_at(&m, 0, 0x1000);
	CU_ASSERT(out_comes(0, 0x3f8, 1, 0x41));
	op = fake_guest_nop(domid(), 1);
	CU_ASSERT_EQUAL(fake_guest_sipi(domid(), 1, 0x9f), 0);
	CU_ASSERT(fake_vcpu_wait(domid(), 1, FAKE_WAITING, MACHINE_SOON));
	CU_ASSERT(fake_guest_regs(domid(), 1, &before));
	fake_guest_triple_fault(domid(), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_SHUTDOWN));
	CU_ASSERT_FALSE(fake_guest_done(domid(), 1, op));
	CU_ASSERT(fake_guest_regs(domid(), 1, &after) && after.rip == before.rip);
	kvm_machine_free(&m);
}

/* --- the domain goes --- */

static void a_domain_destroyed_behind_our_back_is_a_shutdown(void)
{
	const struct control_ops *ops = fake_xen()->ctl->ops;
	struct runner runner;

	kvm_machine_new(&m, 2, true, two_outs);
	memset(m.ram, 0x5a, 8192);
	CU_ASSERT(out_comes(0, 0x10, 1, 1));
	CU_ASSERT(out_comes(0, 0x10, 1, 2));
	runner_start(&runner, &m, 0);
	usleep(20000);
	quiet_begin();
	CU_ASSERT_EQUAL(ops->domain_destroy(fake_xen()->ctl, domid()), 0);
	CU_ASSERT(runner_end(&runner) && runner.rc == 0);
	CU_ASSERT_EQUAL(m.run[0]->exit_reason, KVM_EXIT_SHUTDOWN);
	CU_ASSERT(machine_run(&m, 0) < 0 || m.run[0]->exit_reason == KVM_EXIT_SHUTDOWN);
	CU_ASSERT_EQUAL(m.ram[8191], 0x5a);
	machine_close(&m);
	quiet_end();
	CU_ASSERT_EQUAL(m.ram[8191], 0x5a);
	CU_ASSERT_EQUAL(fake_mappings(), 0);
}

/* --- registers and slots at an exit --- */

static void registers_at_an_exit(void)
{
	struct kvm_regs regs, again;
	struct kvm_sregs sregs;
	struct hvm_hw_cpu cpu;

	kvm_machine_new(&m, 1, false, two_outs);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
	regs.rip = 0x1000;
	regs.rbx = 0xb0b;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_REGS, &regs), 0);
	CU_ASSERT(out_comes(0, 0x10, 1, 1));
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &again), 0);
	CU_ASSERT_EQUAL(again.rbx, 0xb0b);
	CU_ASSERT(again.rip > 0x1000 && again.rip < 0x1010);
	again.rcx = 0xc0c;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_REGS, &again), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_SREGS, &sregs), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
	CU_ASSERT_EQUAL(regs.rcx, 0xc0c);
	CU_ASSERT(out_comes(0, 0x10, 1, 2));
	CU_ASSERT(fake_guest_regs(domid(), 0, &cpu));
	CU_ASSERT(cpu.rcx == 0xc0c && cpu.rbx == 0xb0b);
	kvm_machine_free(&m);
}

static void both_out(uint16_t id)
{
	for (unsigned vcpu = 0; vcpu < 2; vcpu++)
		for (unsigned i = 1; i < 4; i++)
			fake_guest_out(id, vcpu, 0x10, 1, i);
}

/* As a VMM goes on after a stop that was for nothing: no vcpu needs to be stopped for it. */
static void what_was_read_is_written_back_without_a_load(void)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[3];
	} msrs = {.head.nmsrs = 3,
		  .entries = {{.index = 0x277}, {.index = 0xc0000081}, {.index = 0xc0000102}}};
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave;
	struct kvm_regs regs;
	struct kvm_fpu fpu;
	unsigned loads, round;

	kvm_machine_new(&m, 2, true, both_out);
	CU_ASSERT(out_comes(0, 0x10, 1, 1));
	loads = fake_calls("context_set");
	for (round = 2; round < 4; round++) {
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_SREGS, &sregs), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_FPU, &fpu), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_XSAVE, &xsave), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_DEBUGREGS, &debugregs), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_VCPU_EVENTS, &events), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_MSRS, &msrs), 3);
		/* No GET knows of it. */
		memset((char *)xsave.region + 28, 0, 4);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_REGS, &regs), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_SREGS, &sregs), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_XSAVE, &xsave), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_DEBUGREGS, &debugregs), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_VCPU_EVENTS, &events), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_MSRS, &msrs), 3);
		CU_ASSERT_EQUAL(machine_vcpu(&m, 0)->state.dirty, 0);
		CU_ASSERT(out_comes(0, 0x10, 1, round));
		CU_ASSERT_EQUAL(fake_calls("context_set"), loads);
	}
	/* One bit is a change, and a change of one part is one of that part alone. */
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_MSRS, &msrs), 3);
	msrs.entries[1].data ^= 1ull << 40;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_MSRS, &msrs), 3);
	CU_ASSERT_EQUAL(machine_vcpu(&m, 0)->state.dirty, STATE_MSRS);
	kvm_machine_free(&m);
}

static void a_fault_handler_is_not_stopped_before_it_has_read_cr2(void)
{
	struct hvm_hw_cpu cpu = {.cr0 = 0x80000011, .rflags = 0x202};

	CU_ASSERT_FALSE(quiet_needs_cr2(&cpu));
	cpu.rflags = 2;
	CU_ASSERT(quiet_needs_cr2(&cpu));
	cpu.ss_arbytes = 3 << 5;
	CU_ASSERT_FALSE(quiet_needs_cr2(&cpu));
	cpu.pending_valid = 1;
	cpu.pending_vector = 14;
	CU_ASSERT(quiet_needs_cr2(&cpu));
	cpu.pending_vector = 13;
	CU_ASSERT_FALSE(quiet_needs_cr2(&cpu));
	cpu.ss_arbytes = 0;
	cpu.cr0 = 1;
	CU_ASSERT_FALSE(quiet_needs_cr2(&cpu));
}

#define LAPIC_TPR 0x80

/* A VMM that restores a snapshot sets all vcpus, and one comes to KVM_RUN before the others. */
static void the_lapic_of_all_is_there_before_one_runs(void)
{
	struct kvm_mp_state runnable = {KVM_MP_STATE_RUNNABLE};
	struct kvm_lapic_state lapic;
	struct hvm_hw_lapic_regs record;
	struct kvm_regs regs;
	struct xen *xen;

	kvm_machine_new(&m, 2, true, both_out);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[1], KVM_SET_MP_STATE, &runnable), 0);
	CU_ASSERT(out_comes(0, 0x10, 1, 1));
	CU_ASSERT(out_comes(1, 0x10, 1, 1));
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[i], KVM_GET_LAPIC, &lapic), 0);
		lapic.regs[LAPIC_TPR] = 0x40 + i;
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[i], KVM_SET_LAPIC, &lapic), 0);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[i], KVM_GET_REGS, &regs), 0);
		regs.rbx = 0xb0b0 + i;
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[i], KVM_SET_REGS, &regs), 0);
	}
	CU_ASSERT(out_comes(0, 0x10, 1, 2));
	xen = &machine_vm(&m)->xen;
	CU_ASSERT_EQUAL(xen->ctl->ops->context_get_one(xen->ctl, domid(), HVM_SAVE_CODE(LAPIC_REGS),
						       1, &record, sizeof record),
			0);
	CU_ASSERT_EQUAL(record.data[LAPIC_TPR], 0x41);
	/* What the first has sent by now is not overwritten when the other comes. */
	CU_ASSERT_EQUAL(machine_vcpu(&m, 1)->state.dirty & STATE_LAPIC, 0);
	CU_ASSERT(out_comes(1, 0x10, 1, 2));
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[1], KVM_GET_REGS, &regs), 0);
	CU_ASSERT_EQUAL(regs.rbx, 0xb0b1);
	kvm_machine_free(&m);
}

/* The result of an IN and the VMM's own registers: KVM completes the IN in what was set. */
static void an_in_is_completed_in_what_was_set(void)
{
	struct kvm_regs regs;

	kvm_machine_new(&m, 1, false, in_then_out);
	CU_ASSERT(in_comes(0, 0x60, 1, 0xa5));
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
	regs.rax = 0x1111111111111111;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_REGS, &regs), 0);
	CU_ASSERT(out_comes(0, 0x61, 1, 2));
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
	CU_ASSERT_EQUAL(regs.rax, 0x11111111111111a5);
	kvm_machine_free(&m);
}

static void reads_a_new_slot(uint16_t id)
{
	fake_guest_out(id, 0, 0x10, 1, 1);
	ids[0] = fake_guest_read(id, 0, 0x40000000, 8);
	fake_guest_out(id, 0, 0x10, 1, 2);
}

static void a_slot_added_at_an_exit_is_there(void)
{
	struct kvm_userspace_memory_region region = {1, 0, 0x40000000, PAGE, 0};
	char *page = vmm_memory(PAGE, 0);

	kvm_machine_new(&m, 1, false, reads_a_new_slot);
	CU_ASSERT(out_comes(0, 0x10, 1, 1));
	memcpy(page, "new slot", 8);
	region.userspace_addr = (uintptr_t)page;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_USER_MEMORY_REGION, &region), 0);
	CU_ASSERT(out_comes(0, 0x10, 1, 2));
	CU_ASSERT_EQUAL(fake_guest_value(domid(), 0, ids[0]), 0x746f6c732077656e);
	kvm_machine_free(&m);
}

void register_run_suite(void)
{
	CU_pSuite suite = CU_add_suite("run", NULL, NULL);

	CU_ADD_TEST(suite, the_first_run_makes_the_domain);
	CU_ADD_TEST(suite, immediate_exit_comes_before_the_domain);
	CU_ADD_TEST(suite, ports_of_every_width);
	CU_ADD_TEST(suite, mmio_of_every_width);
	CU_ADD_TEST(suite, string_instructions);
	CU_ADD_TEST(suite, string_instructions_to_mmio);
	CU_ADD_TEST(suite, pci_configuration_is_port_io);
	CU_ADD_TEST(suite, bad_requests_crash_nobody);
	CU_ADD_TEST(suite, immediate_exit_completes_an_in);
	CU_ADD_TEST(suite, no_kick_is_lost);
	CU_ADD_TEST(suite, a_signal_is_seen_while_requests_are_watched);
	CU_ADD_TEST(suite, a_signal_mask_is_that_of_the_run);
	CU_ADD_TEST(suite, hlt_without_irqchip_is_an_exit);
	CU_ADD_TEST(suite, a_shutdown_is_seen_between_kicks);
	CU_ADD_TEST(suite, a_triple_fault_is_a_shutdown);
	CU_ADD_TEST(suite, a_triple_fault_where_no_memory_is_is_an_internal_error);
	CU_ADD_TEST(suite, a_triple_fault_stops_that_vcpu_alone);
	CU_ADD_TEST(suite, two_vcpus_do_not_disturb_each_other);
	CU_ADD_TEST(suite, a_vcpu_created_late_runs);
	CU_ADD_TEST(suite, the_domain_has_as_many_vcpus_as_were_announced);
	CU_ADD_TEST(suite, a_spare_vcpu_that_is_started_stands_still);
	CU_ADD_TEST(suite, a_domain_destroyed_behind_our_back_is_a_shutdown);
	CU_ADD_TEST(suite, registers_at_an_exit);
	CU_ADD_TEST(suite, what_was_read_is_written_back_without_a_load);
	CU_ADD_TEST(suite, a_fault_handler_is_not_stopped_before_it_has_read_cr2);
	CU_ADD_TEST(suite, the_lapic_of_all_is_there_before_one_runs);
	CU_ADD_TEST(suite, an_in_is_completed_in_what_was_set);
	CU_ADD_TEST(suite, a_slot_added_at_an_exit_is_there);
}
