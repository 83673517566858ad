/* The CPUID monitor: what a guest's CPUID reads, through the fake Xen's vm_event ring. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libkvmxen/machine/monitor.h"
#include "tests/unit/unit_rig.h"

void register_monitor_suite(void);

static struct rig rig;

static void give_table(unsigned vcpu, uint32_t marker)
{
	static const struct kvm_cpuid_entry2 table[] = {
		{.function = 0,
		 .eax = 0xd,
		 .ebx = 0x756e6547,
		 .ecx = 0x6c65746e,
		 .edx = 0x49656e69},
		{.function = 1, .eax = 0x600f12, .ecx = 1u << 26},
		{.function = 0x40000000, .ebx = 0x4b4d564b, .ecx = 0x564b4d56, .edx = 0x4d},
	};
	struct vcpu *to = &rig.vcpus[vcpu];

	to->cpuid = malloc(sizeof table);
	memcpy(to->cpuid, table, sizeof table);
	to->cpuid[1].ebx = marker;
	to->cpuid_count = sizeof table / sizeof *table;
}

static void start(void)
{
	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	rig_domain(&rig);
	CU_ASSERT_EQUAL(monitor_start(&rig.vm), 0);
	rig_load(&rig);
	CU_ASSERT_EQUAL(interrupts_materialise(&rig.vm), 0);
}

static void unpause(void)
{
	struct control *ctl = rig.vm.xen.ctl;

	CU_ASSERT_EQUAL(ctl->ops->domain_unpause(ctl, rig.vm.domid), 0);
}

static void finish(void)
{
	monitor_stop(&rig.vm);
	rig_free(&rig);
}

static void ask(unsigned vcpu, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	int id = fake_guest_cpuid(rig.vm.domid, vcpu, leaf, subleaf);

	CU_ASSERT(fake_guest_wait(rig.vm.domid, vcpu, id, RIG_SOON));
	CU_ASSERT_EQUAL(fake_guest_data(rig.vm.domid, vcpu, id, regs, 16), 16);
}

static void a_guest_reads_its_vcpus_table(void)
{
	uint32_t regs[4];

	start();
	give_table(0, 0x11000000);
	give_table(1, 0x22000000);
	unpause();
	ask(0, 0x40000000, 0, regs);
	CU_ASSERT_EQUAL(regs[1], 0x4b4d564b);
	ask(0, 1, 0, regs);
	CU_ASSERT_EQUAL(regs[0], 0x600f12);
	CU_ASSERT_EQUAL(regs[1], 0x11000000);
	ask(1, 1, 0, regs);
	CU_ASSERT_EQUAL(regs[1], 0x22000000);
	CU_ASSERT(atomic_load(&rig.vm.stats->cpuids) == 3);
	finish();
}

static void a_vcpu_without_a_table_reads_zeros(void)
{
	uint32_t regs[4] = {1, 1, 1, 1};

	start();
	unpause();
	ask(0, 0, 0, regs);
	CU_ASSERT(!regs[0] && !regs[1] && !regs[2] && !regs[3]);
	finish();
}

static void the_instruction_is_stepped_over(void)
{
	struct hvm_hw_cpu before, after;
	uint32_t regs[4];

	start();
	give_table(0, 0);
	CU_ASSERT(fake_guest_regs(rig.vm.domid, 0, &before));
	before.rax = before.rbx = before.rcx = before.rdx = ~0ull;
	before.rflags |= 1 << 16;
	CU_ASSERT(fake_guest_set_regs(rig.vm.domid, 0, &before));
	unpause();
	ask(0, 0, 0, regs);
	CU_ASSERT(fake_guest_regs(rig.vm.domid, 0, &after));
	CU_ASSERT_EQUAL(after.rip, before.rip + 2);
	CU_ASSERT_EQUAL(after.rax, 0xd);
	CU_ASSERT_EQUAL(after.rbx, 0x756e6547);
	CU_ASSERT_EQUAL(after.rflags & (1 << 16), 0);
	CU_ASSERT_EQUAL(after.rsi, before.rsi);
	CU_ASSERT_EQUAL(after.rsp, before.rsp);
	finish();
}

static void many_are_answered(void)
{
	unsigned i, vcpu;
	int last[RIG_VCPUS] = {0};

	start();
	give_table(0, 0);
	give_table(1, 0);
	for (i = 0; i < 200; i++)
		for (vcpu = 0; vcpu < RIG_VCPUS; vcpu++)
			last[vcpu] = fake_guest_cpuid(rig.vm.domid, vcpu, i % 3, 0);
	unpause();
	for (vcpu = 0; vcpu < RIG_VCPUS; vcpu++)
		CU_ASSERT(fake_guest_wait(rig.vm.domid, vcpu, last[vcpu], RIG_SOON));
	CU_ASSERT(atomic_load(&rig.vm.stats->cpuids) == 200 * RIG_VCPUS);
	finish();
}

static atomic_bool release, stuck;

static void hold_the_worker(void *data)
{
	atomic_store(&stuck, true);
	while (!atomic_load(&release))
		usleep(1000);
}

/* A vcpu that waits for its answer cannot be brought to rest: whatever the VM's worker does, be it
 * to stop the world, the answer comes. */
static void the_worker_cannot_hold_up_an_answer(void)
{
	uint32_t regs[4];

	atomic_store(&release, false);
	atomic_store(&stuck, false);
	start();
	give_table(0, 0x77);
	CU_ASSERT_EQUAL(worker_defer(rig.vm.worker, 0, hold_the_worker, NULL), 0);
	CU_ASSERT(RIG_WAIT(atomic_load(&stuck)));
	unpause();
	ask(0, 1, 0, regs);
	CU_ASSERT_EQUAL(regs[1], 0x77);
	atomic_store(&release, true);
	finish();
}

/* The domain ends while an answer is due. */
static void stopping_answers_what_is_there(void)
{
	int id;

	start();
	give_table(0, 0);
	id = fake_guest_cpuid(rig.vm.domid, 0, 1, 0);
	unpause();
	monitor_stop(&rig.vm);
	CU_ASSERT(id >= 0);
	monitor_stop(&rig.vm);
	rig_free(&rig);
}

static void the_environment_can_switch_it_off(void)
{
	unsetenv("KVMXEN_CPUID");
	CU_ASSERT(monitor_wanted());
	setenv("KVMXEN_CPUID", "xen", 1);
	CU_ASSERT_FALSE(monitor_wanted());
	setenv("KVMXEN_CPUID", "kvm", 1);
	CU_ASSERT(monitor_wanted());
	unsetenv("KVMXEN_CPUID");
}

static void a_failed_start_leaves_nothing(void)
{
	static const char *const ops[] = {"monitor_open", "evtchn_open", "evtchn_bind"};
	unsigned i;

	for (i = 0; i < sizeof ops / sizeof *ops; i++) {
		rig_new_irqchip(&rig);
		rig_add_vcpus(&rig);
		rig_domain(&rig);
		fake_fail(ops[i], EIO);
		CU_ASSERT_EQUAL(monitor_start(&rig.vm), -EIO);
		CU_ASSERT(fake_failed());
		fake_fail_clear();
		monitor_stop(&rig.vm);
		rig_free(&rig);
	}
}

static void stop_without_start_is_fine(void)
{
	rig_new(&rig);
	monitor_stop(&rig.vm);
	rig_free(&rig);
}

void register_monitor_suite(void)
{
	CU_pSuite suite = CU_add_suite("monitor", NULL, NULL);

	CU_ADD_TEST(suite, a_guest_reads_its_vcpus_table);
	CU_ADD_TEST(suite, a_vcpu_without_a_table_reads_zeros);
	CU_ADD_TEST(suite, the_instruction_is_stepped_over);
	CU_ADD_TEST(suite, many_are_answered);
	CU_ADD_TEST(suite, the_worker_cannot_hold_up_an_answer);
	CU_ADD_TEST(suite, stopping_answers_what_is_there);
	CU_ADD_TEST(suite, the_environment_can_switch_it_off);
	CU_ADD_TEST(suite, a_failed_start_leaves_nothing);
	CU_ADD_TEST(suite, stop_without_start_is_fine);
}
