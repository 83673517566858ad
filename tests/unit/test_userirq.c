/* VMs whose PIC is the VMM's: interrupt windows, KVM_INTERRUPT, a split irqchip; and guest
 * debugging: through the library's entry points, over the fake Xen. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit_machine.h"

#define IF       0x200ull
#define TF       0x100ull
#define MSI_BASE 0xfee00000u
#define LEVEL    0x8000u

void register_userirq_suite(void);

static struct machine m;

static uint16_t domid(void)
{
	return fake_last_domain();
}

/* Sets RFLAGS of the guest inside Xen, as its own instruction would. */
static void guest_flags(uint64_t set, uint64_t clear)
{
	struct hvm_hw_cpu cpu;

	CU_ASSERT_FATAL(fake_guest_regs(domid(), 0, &cpu));
	cpu.rflags = (cpu.rflags & ~clear) | set;
	CU_ASSERT_FATAL(fake_guest_set_regs(domid(), 0, &cpu));
}

static bool took(unsigned n, uint32_t event)
{
	uint32_t events[8] = {0};
	unsigned got = fake_guest_events(domid(), 0, events, 8);

	if (got == n && (n == 0 || events[n - 1] == event))
		return true;
	fprintf(stderr, "%u events, the last %#x\n", got, got ? events[got - 1] : 0);
	return false;
}

static long inject(unsigned vector)
{
	struct kvm_interrupt irq = {.irq = vector};

	return machine_ioctl(m.vcpu[0], KVM_INTERRUPT, &irq);
}

static void two_outs(uint16_t id)
{
	fake_guest_out(id, 0, 0x90, 1, 1);
	fake_guest_out(id, 0, 0x90, 1, 2);
}

/* --- without an irqchip --- */

static void an_exit_tells_whether_interrupts_are_on(void)
{
	kvm_machine_new(&m, 1, false, two_outs);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT(!m.run[0]->if_flag && !m.run[0]->ready_for_interrupt_injection);
	guest_flags(IF, 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT(m.run[0]->if_flag && m.run[0]->ready_for_interrupt_injection);
	kvm_machine_free(&m);
}

static void an_interrupt_comes_behind_the_instruction_of_the_exit(void)
{
	kvm_machine_new(&m, 1, false, two_outs);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	guest_flags(IF, 0);
	CU_ASSERT_EQUAL(inject(0x33), 0);
	CU_ASSERT(took(0, 0));
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(*((uint8_t *)m.run[0] + m.run[0]->io.data_offset), 2);
	CU_ASSERT(took(1, 0x80000033));
	CU_ASSERT_EQUAL(inject(256), -EINVAL);
	kvm_machine_free(&m);
}

static void an_out_and_a_spin(uint16_t id)
{
	fake_guest_out(id, 0, 0x90, 1, 1);
	fake_guest_spin(id, 0);
}

static void a_window_opens_when_interrupts_go_on(void)
{
	struct runner r;

	kvm_machine_new(&m, 1, false, an_out_and_a_spin);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	m.run[0]->request_interrupt_window = 1;
	runner_start(&r, &m, 0);
	usleep(50000);
	CU_ASSERT(!atomic_load(&r.done));
	guest_flags(IF, 0);
	CU_ASSERT_FATAL(runner_end(&r));
	CU_ASSERT_EQUAL(r.rc, 0);
	CU_ASSERT_EQUAL(m.run[0]->exit_reason, KVM_EXIT_IRQ_WINDOW_OPEN);
	CU_ASSERT(m.run[0]->ready_for_interrupt_injection);
	/* Open already: at once. */
	CU_ASSERT_EQUAL(machine_run(&m, 0), 0);
	CU_ASSERT_EQUAL(m.run[0]->exit_reason, KVM_EXIT_IRQ_WINDOW_OPEN);
	kvm_machine_free(&m);
}

/* RIP of the spin is 2 behind the reset vector's OUT: what is there decides. */
static void behind_sti_the_window_is_shut(void)
{
	struct runner r;
	struct hvm_hw_cpu cpu;

	kvm_machine_new(&m, 1, false, an_out_and_a_spin);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_FATAL(fake_guest_regs(domid(), 0, &cpu));
	memcpy(m.ram + 0x1000, "\xfb\xf4", 2); /* sti; hlt */
	cpu.cs_base = 0;
	cpu.rip = 0x1001;
	cpu.rflags |= IF;
	CU_ASSERT_FATAL(fake_guest_set_regs(domid(), 0, &cpu));
	m.run[0]->request_interrupt_window = 1;
	runner_start(&r, &m, 0);
	usleep(100000);
	CU_ASSERT(!atomic_load(&r.done));
	m.ram[0x1001] = 0x90; /* sti; nop: seen there twice, it has been executed */
	CU_ASSERT_FATAL(runner_end(&r));
	CU_ASSERT_EQUAL(m.run[0]->exit_reason, KVM_EXIT_IRQ_WINDOW_OPEN);
	kvm_machine_free(&m);
}

static void a_halt(uint16_t id)
{
	fake_guest_hlt(id, 0, true);
	fake_guest_out(id, 0, 0x90, 1, 1);
}

static void an_interrupt_ends_a_halt(void)
{
	kvm_machine_new(&m, 1, false, a_halt);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_HLT));
	CU_ASSERT(m.run[0]->if_flag && m.run[0]->ready_for_interrupt_injection);
	CU_ASSERT_EQUAL(inject(0x44), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT(took(1, 0x80000044));
	kvm_machine_free(&m);
}

static void nobody_who_asks_for_nothing_pays(void)
{
	unsigned calls;

	kvm_machine_new(&m, 1, false, two_outs);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	for (unsigned i = 0; i < 300; i++)
		fake_guest_out(domid(), 0, 0x90, 1, i);
	for (unsigned i = 0; i < 290; i++)
		CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	calls = fake_calls("context_get_one");
	for (unsigned i = 0; i < 5; i++)
		CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(fake_calls("context_get_one"), calls);
	CU_ASSERT(!m.run[0]->ready_for_interrupt_injection);
	kvm_machine_free(&m);
}

/* --- split irqchip --- */

static long split(unsigned pins)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {pins}};

	return machine_ioctl(m.vm, KVM_ENABLE_CAP, &cap);
}

static long route(uint32_t gsi, uint32_t data)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = {.head.nr = 1};

	table.entry.gsi = gsi;
	table.entry.type = KVM_IRQ_ROUTING_MSI;
	table.entry.u.msi.address_lo = MSI_BASE;
	table.entry.u.msi.data = data;
	return machine_ioctl(m.vm, KVM_SET_GSI_ROUTING, &table);
}

static long line(uint32_t gsi, unsigned level)
{
	struct kvm_irq_level irq = {.irq = gsi, .level = level};

	return machine_ioctl(m.vm, KVM_IRQ_LINE, &irq);
}

static void pins_are_messages(void)
{
	struct kvm_irqchip chip = {0};
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} pin = {.head.nr = 1, .entry.type = KVM_IRQ_ROUTING_IRQCHIP};
	uint64_t address;
	uint32_t data;

	kvm_machine_split(&m, 1, two_outs);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_IRQCHIP, NULL), -EEXIST);
	CU_ASSERT_EQUAL(split(24), -EEXIST);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_GET_IRQCHIP, &chip), -ENXIO);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_GSI_ROUTING, &pin), -EINVAL);
	CU_ASSERT_EQUAL(route(5, LEVEL | 0x31), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(line(5, 1), 0);
	/* Xen has no IOAPIC to tell of the end: it must not think that it is a level. */
	CU_ASSERT_EQUAL(fake_msis(domid()), 1);
	CU_ASSERT(fake_msi(domid(), 0, &address, &data));
	CU_ASSERT_EQUAL(address, MSI_BASE);
	CU_ASSERT_EQUAL(data, 0x31);
	kvm_machine_free(&m);
}

static void the_end_of_a_level_interrupt_is_an_exit(void)
{
	struct runner r;

	kvm_machine_split(&m, 1, an_out_and_a_spin);
	CU_ASSERT_EQUAL(route(5, LEVEL | 0x31), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	runner_start(&r, &m, 0);
	usleep(20000);
	CU_ASSERT_EQUAL(line(5, 1), 0);
	CU_ASSERT_FATAL(runner_end(&r));
	CU_ASSERT_EQUAL(m.run[0]->exit_reason, KVM_EXIT_IOAPIC_EOI);
	CU_ASSERT_EQUAL(m.run[0]->eoi.vector, 0x31);
	kvm_machine_free(&m);
}

static void an_edge_has_no_end(void)
{
	kvm_machine_split(&m, 1, an_out_and_a_spin);
	CU_ASSERT_EQUAL(route(5, 0x31), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(line(5, 1), 0);
	CU_ASSERT(!interrupts_expect_eoi(machine_vcpu(&m, 0)));
	CU_ASSERT_EQUAL(route(5, LEVEL | 0x31), 0);
	CU_ASSERT_EQUAL(line(5, 1), 0);
	CU_ASSERT(interrupts_expect_eoi(machine_vcpu(&m, 0)));
	kvm_machine_free(&m);
}

/* --- guest debugging --- */

static long debug(uint32_t control)
{
	struct kvm_guest_debug d = {.control = control};

	return machine_ioctl(m.vcpu[0], KVM_SET_GUEST_DEBUG, &d);
}

static void nops(uint16_t id)
{
	for (unsigned i = 0; i < 4; i++)
		fake_guest_nop(id, 0);
	fake_guest_out(id, 0, 0x90, 1, 1);
}

static void each_step_is_an_exit(void)
{
	struct kvm_regs regs;
	uint64_t rip = 0xfff0;

	kvm_machine_new(&m, 1, true, nops);
	CU_ASSERT_EQUAL(debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP), 0);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_DEBUG));
		CU_ASSERT_EQUAL(m.run[0]->debug.arch.exception, 1);
		CU_ASSERT(m.run[0]->debug.arch.dr6 & 0x4000);
		CU_ASSERT_EQUAL(m.run[0]->debug.arch.pc, 0xffff0000 + ++rip);
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
		CU_ASSERT_EQUAL(regs.rip, rip);
		CU_ASSERT(!(regs.rflags & TF));
	}
	CU_ASSERT_EQUAL(debug(0), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
	CU_ASSERT(!(regs.rflags & TF));
	kvm_machine_free(&m);
}

static void an_int3(uint16_t id)
{
	fake_guest_nop(id, 0);
	fake_guest_int3(id, 0);
	fake_guest_out(id, 0, 0x90, 1, 1);
}

static void a_breakpoint_is_the_debuggers(void)
{
	struct kvm_regs regs;

	kvm_machine_new(&m, 1, true, an_int3);
	CU_ASSERT_EQUAL(debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP), 0);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_DEBUG));
		CU_ASSERT_EQUAL(m.run[0]->debug.arch.exception, 3);
		CU_ASSERT_EQUAL(m.run[0]->debug.arch.pc, 0xfffffff1);
	}
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
	regs.rip++;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_REGS, &regs), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT(took(0, 0));
	kvm_machine_free(&m);
}

static void the_guests_own_breakpoint_is_the_guests(void)
{
	kvm_machine_new(&m, 1, true, an_int3);
	CU_ASSERT_EQUAL(debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT(took(1, 0x80000603));
	kvm_machine_free(&m);
}

static void breakpoints_in_registers_are_not_the_guests(void)
{
	struct kvm_guest_debug d = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP};
	struct kvm_debugregs own = {.dr6 = 0xffff0ff0, .dr7 = 0x400}, got;
	struct hvm_hw_cpu cpu;

	kvm_machine_new(&m, 1, true, two_outs);
	own.db[0] = 0x1234;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_DEBUGREGS, &own), 0);
	d.arch.debugreg[0] = 0x5678;
	d.arch.debugreg[7] = 0x402;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_GUEST_DEBUG, &d), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT(fake_guest_regs(domid(), 0, &cpu) && cpu.dr0 == 0x5678 && cpu.dr7 == 0x402);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_DEBUGREGS, &got), 0);
	CU_ASSERT_EQUAL(got.db[0], 0x1234);
	CU_ASSERT_EQUAL(debug(0), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	/* Xen would leave armed what was, for a DR7 that arms nothing: see machine/debug.c. */
	CU_ASSERT(fake_guest_regs(domid(), 0, &cpu) && cpu.dr0 == 0x1234 && cpu.dr7 == 0x480 &&
		  cpu.dr3 == ~0xfull);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_DEBUGREGS, &got), 0);
	CU_ASSERT(got.db[0] == 0x1234 && got.db[3] == 0 && got.dr7 == 0x400);
	kvm_machine_free(&m);
}

void register_userirq_suite(void)
{
	CU_pSuite suite = CU_add_suite("userirq", NULL, NULL);

#define TEST(f) CU_add_test(suite, #f, f)
	TEST(an_exit_tells_whether_interrupts_are_on);
	TEST(an_interrupt_comes_behind_the_instruction_of_the_exit);
	TEST(a_window_opens_when_interrupts_go_on);
	TEST(behind_sti_the_window_is_shut);
	TEST(an_interrupt_ends_a_halt);
	TEST(nobody_who_asks_for_nothing_pays);
	TEST(pins_are_messages);
	TEST(the_end_of_a_level_interrupt_is_an_exit);
	TEST(an_edge_has_no_end);
	TEST(each_step_is_an_exit);
	TEST(a_breakpoint_is_the_debuggers);
	TEST(the_guests_own_breakpoint_is_the_guests);
	TEST(breakpoints_in_registers_are_not_the_guests);
}
