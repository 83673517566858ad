/* The time stamp counter as a VMM sees and sets it, and registers in kvm_run (KVM_CAP_SYNC_REGS).
 */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include "tests/unit/unit_machine.h"

/* Host cycles that two hypercalls may lie apart, on a loaded machine under sanitizers too. */
#define SLACK 400000000ull

void register_tsc_suite(void);

static struct machine m;

static void many_outs(uint16_t id)
{
	for (unsigned vcpu = 0; vcpu < 2; vcpu++)
		for (unsigned i = 0; i < 8; i++)
			fake_guest_out(id, vcpu, 0x500, 1, i);
}

static uint64_t get(unsigned vcpu)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} list = {.head.nmsrs = 1, .entry.index = 0x10};

	CU_ASSERT_EQUAL_FATAL(machine_ioctl(m.vcpu[vcpu], KVM_GET_MSRS, &list), 1);
	return list.entry.data;
}

static void set(unsigned vcpu, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} list = {.head.nmsrs = 1, .entry = {.index = 0x10, .data = value}};

	CU_ASSERT_EQUAL_FATAL(machine_ioctl(m.vcpu[vcpu], KVM_SET_MSRS, &list), 1);
}

static bool near(uint64_t value, uint64_t wanted)
{
	return value - wanted + SLACK < 2 * SLACK;
}

static void goes_on_while_stopped(void)
{
	uint64_t before, after, host;

	kvm_machine_new(&m, 1, false, many_outs);
	before = get(0);
	CU_ASSERT(before < SLACK); /* from 0 at creation */
	CU_ASSERT(get(0) > before);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	before = get(0);
	host = __rdtsc();
	CU_ASSERT(near(before, fake_guest_tsc(fake_last_domain(), 0)));
	usleep(20000);
	after = get(0);
	CU_ASSERT(after > before);
	CU_ASSERT(near(after - before, __rdtsc() - host));
	kvm_machine_free(&m);
}

/* Whatever else is loaded, and however often: guest time neither stops nor jumps. */
static void loads_do_not_touch_it(void)
{
	struct kvm_regs regs;
	uint64_t guest, host, last = 0;

	kvm_machine_new(&m, 1, false, many_outs);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	guest = fake_guest_tsc(fake_last_domain(), 0);
	host = __rdtsc();
	for (unsigned i = 0; i < 6; i++) {
		uint64_t now;

		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
		regs.rbx++;
		CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_REGS, &regs), 0);
		usleep(1000);
		CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
		now = fake_guest_tsc(fake_last_domain(), 0);
		CU_ASSERT(now > last);
		CU_ASSERT(near(now - guest, __rdtsc() - host));
		last = now;
	}
	kvm_machine_free(&m);
}

static void a_set_value_goes_on_from_there(void)
{
	const uint64_t value = 1ull << 50;

	kvm_machine_new(&m, 1, false, many_outs);
	set(0, value);
	CU_ASSERT(get(0) >= value && near(get(0), value));
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT(near(fake_guest_tsc(fake_last_domain(), 0), value));
	set(0, 2 * value);
	CU_ASSERT(near(get(0), 2 * value));
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT(near(fake_guest_tsc(fake_last_domain(), 0), 2 * value));
	kvm_machine_free(&m);
}

/* As KVM: a VMM that sets one vcpu after the other wants one time in all. */
static void vcpus_set_in_turn_are_in_step(void)
{
	const uint64_t value = 1ull << 50;
	uint64_t first, second;

	kvm_machine_new(&m, 2, false, many_outs);
	for (unsigned vcpu = 0; vcpu < 2; vcpu++) {
		set(vcpu, value);
		usleep(20000);
	}
	for (unsigned vcpu = 0; vcpu < 2; vcpu++)
		CU_ASSERT(machine_exits(&m, vcpu, KVM_EXIT_IO));
	first = fake_guest_tsc(fake_last_domain(), 0);
	second = fake_guest_tsc(fake_last_domain(), 1);
	CU_ASSERT(second > first && second - first < 20000000);
	/* Far from it: a time of its own. */
	set(1, 5 * value);
	CU_ASSERT(machine_exits(&m, 1, KVM_EXIT_IO));
	CU_ASSERT(near(fake_guest_tsc(fake_last_domain(), 1), 5 * value));
	CU_ASSERT(fake_guest_tsc(fake_last_domain(), 0) < 2 * value);
	/* 0 means: as the others. */
	set(0, 0);
	CU_ASSERT(near(get(0), 5 * value));
	kvm_machine_free(&m);
}

static long khz(unsigned vcpu)
{
	return machine_ioctl(m.vcpu[vcpu], KVM_GET_TSC_KHZ, NULL);
}

/* To the cycle, though they are loaded one after the other, and whatever else is. */
static void vcpus_in_step_have_one_tsc(void)
{
	const struct control_ops *ops;
	struct hvm_hw_cpu cpu[2];
	struct kvm_regs regs;
	struct vm *vm;

	kvm_machine_new(&m, 2, false, many_outs);
	set(0, 1000000000000);
	set(1, 1000001000000);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 2; i++) {
			CU_ASSERT(machine_exits(&m, i, KVM_EXIT_IO));
			CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[i], KVM_GET_REGS, &regs), 0);
			CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[i], KVM_SET_REGS, &regs), 0);
			get(i);
		}
		vm = machine_vm(&m);
		ops = vm->xen.ctl->ops;
		for (unsigned i = 0; i < 2; i++)
			CU_ASSERT_EQUAL(ops->context_get_one(vm->xen.ctl, vm->domid,
							     HVM_SAVE_CODE(CPU), i, &cpu[i],
							     sizeof cpu[i]),
					0);
		CU_ASSERT_EQUAL(cpu[0].tsc, cpu[1].tsc);
	}
	CU_ASSERT(near(get(0), get(1)));
	kvm_machine_free(&m);
}

static void frequency_is_fixed_with_the_domain(void)
{
	long host;

	kvm_machine_new(&m, 1, false, many_outs);
	host = khz(0);
	CU_ASSERT(host > 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_TSC_KHZ, (void *)(host / 2)), 0);
	CU_ASSERT_EQUAL(khz(0), host / 2);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_TSC_KHZ, NULL), 0);
	CU_ASSERT_EQUAL(khz(0), host);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_TSC_KHZ, (void *)(host * 2)), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(khz(0), host * 2);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_TSC_KHZ, (void *)(host * 2)), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_TSC_KHZ, (void *)host), -EINVAL);
	kvm_machine_free(&m);
}

/* --- registers in kvm_run --- */

static void registers_are_in_the_page(void)
{
	struct kvm_regs regs;

	kvm_machine_new(&m, 1, false, many_outs);
	m.run[0]->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
	m.run[0]->s.regs.events.flags = 0x80000000;
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
	CU_ASSERT_EQUAL(memcmp(&regs, &m.run[0]->s.regs.regs, sizeof regs), 0);
	CU_ASSERT_EQUAL(m.run[0]->s.regs.sregs.cr0, 0x60000010);
	CU_ASSERT(m.run[0]->s.regs.events.flags != 0x80000000);
	m.run[0]->s.regs.regs.rbx = 0x1234;
	m.run[0]->s.regs.sregs.cr2 = 0x5678;
	m.run[0]->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	m.run[0]->kvm_valid_regs = KVM_SYNC_X86_REGS;
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(m.run[0]->kvm_dirty_regs, 0);
	CU_ASSERT_EQUAL(m.run[0]->s.regs.regs.rbx, 0x1234);
	CU_ASSERT_EQUAL(machine_vcpu(&m, 0)->state.sregs.cr2, 0x5678);
	kvm_machine_free(&m);
}

static void bad_registers_in_the_page_are_refused(void)
{
	kvm_machine_new(&m, 1, false, many_outs);
	m.run[0]->kvm_valid_regs = 1 << 20;
	CU_ASSERT_EQUAL(machine_run(&m, 0), -EINVAL);
	m.run[0]->kvm_valid_regs = 0;
	m.run[0]->kvm_dirty_regs = 8;
	CU_ASSERT_EQUAL(machine_run(&m, 0), -EINVAL);
	m.run[0]->kvm_valid_regs = KVM_SYNC_X86_SREGS;
	m.run[0]->kvm_dirty_regs = 0;
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	m.run[0]->s.regs.sregs.cr0 = 1ull << 31;
	m.run[0]->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	m.run[0]->kvm_valid_regs = 0;
	CU_ASSERT_EQUAL(machine_run(&m, 0), -EINVAL);
	CU_ASSERT_EQUAL(m.run[0]->kvm_dirty_regs, KVM_SYNC_X86_SREGS);
	CU_ASSERT_EQUAL(machine_vcpu(&m, 0)->state.sregs.cr0, 0x60000010);
	m.run[0]->kvm_dirty_regs = 0;
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	kvm_machine_free(&m);
}

void register_tsc_suite(void)
{
	static CU_TestInfo tsc[] = {
		{"goes on while stopped", goes_on_while_stopped},
		{"loads do not touch it", loads_do_not_touch_it},
		{"a set value goes on from there", a_set_value_goes_on_from_there},
		{"vcpus set in turn are in step", vcpus_set_in_turn_are_in_step},
		{"vcpus in step have one TSC", vcpus_in_step_have_one_tsc},
		{"the frequency is fixed with the domain", frequency_is_fixed_with_the_domain},
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo sync[] = {
		{"registers are in the page", registers_are_in_the_page},
		{"bad ones are refused", bad_registers_in_the_page_are_refused},
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{"tsc", NULL, NULL, NULL, NULL, tsc},
		{"sync_regs", NULL, NULL, NULL, NULL, sync},
		CU_SUITE_INFO_NULL,
	};

	CU_register_suites(suites);
}
