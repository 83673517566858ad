/* The MSR table: KVM's answers to GET and SET, its lists, and what VMMs set at start-up. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libkvmxen/machine/msr.h"
#include "libkvmxen/machine/state.h"

void register_msr_suite(void);

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static struct vcpu_state state;

static int get(uint32_t number, uint64_t *value)
{
	return msr_get(&state, NULL, 0, number, value);
}

static int set(uint32_t number, uint64_t value)
{
	return msr_set(&state, NULL, 0, number, value);
}

static uint64_t value_of(uint32_t number)
{
	uint64_t value = ~0ull;

	CU_ASSERT_EQUAL(get(number, &value), 0);
	return value;
}

static void fresh(void)
{
	vcpu_state_reset(&state, 0, true, true);
	state.dirty = 0;
}

static void every_number_has_one_row(void)
{
	for (int row = 0; row < MSR_TABLE_SIZE; row++) {
		CU_ASSERT_NOT_EQUAL(msr_table[row].number, 0);
		CU_ASSERT_EQUAL(msr_row(msr_table[row].number), row);
		CU_ASSERT_PTR_NOT_NULL(msr_table[row].name);
	}
	CU_ASSERT_EQUAL(msr_row(0xdeadbeef), -1);
	CU_ASSERT_EQUAL(msr_table[MSR_ROW_MC31_MISC].number, 0x47f);
	CU_ASSERT_EQUAL(msr_table[MSR_ROW_MTRR_PHYSMASK7].number, 0x20f);
}

static void lists_have_no_duplicates(void)
{
	uint32_t list[MSR_TABLE_SIZE], n = msr_index_list(list, MSR_TABLE_SIZE), few[2] = {0};
	static const uint32_t must[] = {0x10,       0x174,      0x175,      0x176,      0x277,
					0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102,
					0xc0000103, 0x3b,       0x6e0,      0x1a0,      0x10a,
					0x8b,       0x48,       0x17a,      0x17b,      0x345};

	CU_ASSERT(n > 10 && n < MSR_TABLE_SIZE);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < i; j++)
			CU_ASSERT_NOT_EQUAL(list[i], list[j]);
	for (size_t i = 0; i < ARRAY_SIZE(must); i++) {
		bool found = false;

		for (uint32_t j = 0; j < n; j++)
			found |= list[j] == must[i];
		CU_ASSERT(found);
	}
	/* The count is told whatever the room. */
	CU_ASSERT_EQUAL(msr_index_list(few, 1), n);
	CU_ASSERT_EQUAL(few[0], list[0]);
	CU_ASSERT_EQUAL(few[1], 0);
	CU_ASSERT_EQUAL(msr_index_list(NULL, 0), n);
}

/* Snapshots read all that is listed and write it back, on a fresh vcpu or a used one. */
static void what_is_listed_can_be_saved_and_restored(void)
{
	uint32_t list[MSR_TABLE_SIZE], n = msr_index_list(list, MSR_TABLE_SIZE);

	fresh();
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(set(list[i], value_of(list[i])), 0);
}

static void feature_registers_are_those_of_the_system(void)
{
	uint32_t list[16], n = msr_feature_list(list, 16);
	uint64_t value;

	CU_ASSERT_EQUAL(n, 4); /* 0x8b, 0x10a, 0x345, 0xc0011029 */
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(msr_feature_get(list[i], &value), 0);
	CU_ASSERT_EQUAL(msr_feature_get(0x8b, &value), 0);
	CU_ASSERT_NOT_EQUAL(value, 0);
	CU_ASSERT_EQUAL(msr_feature_get(0xdeadbeef, &value), -EINVAL);
	CU_ASSERT_EQUAL(msr_feature_get(0x10, &value), -EINVAL);
}

static void values_at_reset(void)
{
	static const struct {
		uint32_t number;
		uint64_t value;
	} cases[] = {
		{0x277, 0x0007040600070406},
		{0x2ff, 0},
		{0xfe, 0x508},
		{0x1a0, 1},
		{0x1b, 0xfee00900},
		{0x10, 0},
		{0x179, 32},
		{0x17b, 0},
		{0xc0000080, 0},
		{0x6e0, 0},
		{0x2c, 1 << 24},
	};

	fresh();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CU_ASSERT_EQUAL(value_of(cases[i].number), cases[i].value);
}

/* KVM's answers, one vcpu without CPUID: whether a read works and whether the value is taken. */
static void reads_and_writes_as_kvm_has_them(void)
{
	static const struct {
		uint32_t number;
		uint64_t value;
		bool get, set;
	} cases[] = {
		{0x10, 0, true, true},
		{0x1b, 0xfee00900, true, true},
		{0x1b, 0xfee00901, true, false},
		{0x1b, 0xfee00d00, true, false},
		{0x174, 0x10, true, true},
		{0x175, 0x1000, true, true},
		{0x176, 0x2000, true, true},
		{0x1a0, 1, true, true},
		{0xfe, 0x508, true, false},
		{0x2ff, 0xc06, true, true},
		{0x2ff, 0x1c06, true, false},
		{0x2ff, 0xc02, true, false},
		{0x200, 6, true, true},
		{0x200, 7, true, false},
		{0x200, 1ull << 36, true, false},
		{0x201, 0xfc0000800, true, true},
		{0x201, 0x1, true, false},
		{0x250, 0x0606060606060606, true, true},
		{0x250, 0x0606060607060606, true, false},
		{0x26f, 0x0001040506060606, true, true},
		{0x277, 0x0007040600070406, true, true},
		{0x277, 0x0202020202020202, true, false},
		{0x277, 0x0807040600070406, true, false},
		{0xc0000080, 0, true, true},
		{0xc0000080, 2, true, false},
		{0xc0000081, 0x0023001000000000, true, true},
		{0xc0000082, 0x1000, true, true},
		{0xc0000082, 0x8000000000000000, true, false},
		{0xc0000082, 0xffff800000000000, true, true},
		{0xc0000083, 0x1000, true, true},
		{0xc0000084, 0x100, true, true},
		{0xc0000100, 0x3000, true, true},
		{0xc0000101, 0x4000, true, true},
		{0xc0000101, 0x0000800000000000, true, false},
		{0xc0000102, 0x5000, true, true},
		{0xc0000103, 1, true, true},
		{0x179, 0, true, false},
		{0x17a, 0, true, true},
		{0x17b, 0, true, true},
		{0x17b, ~0ull, true, false},
		{0x400, ~0ull, true, true},
		{0x400, ~0x400ull, true, true},
		{0x400, ~1ull, true, true},
		{0x400, 5, true, false},
		{0x401, 0, true, true},
		{0x47f, 9, true, true},
		{0x480, 0, false, false},
		{0x6e0, 0, true, true},
		{0x3b, 0, true, true},
		{0x10a, 0, true, true},
		{0x48, 0, true, true},
		{0x8b, 0, true, true},
		{0x17, 0, true, false},
		{0xce, 0, true, true},
		{0x3a, 0, true, true},
		{0x1d9, 0, true, true},
		{0x1d9, 0x100, true, true},
		{0xc0010015, 0, true, true},
		{0xc0010015, 0x148, true, true},
		{0xc0010015, 1, true, false},
		{0xda0, 0, true, true},
		{0x802, 0, false, false},
		{0xdeadbeef, 0, false, false},
		{0x1, 0, true, false},
		{0x2, 0, false, false},
		{0xc0, 0, false, false},
		{0xc2, 7, true, true},
		{0xc3, 0, false, false},
		{0x187, 7, true, true},
		{0x1da, 0, false, false},
		{0x1de, 0, true, false},
		{0x1df, 0, false, false},
		{0x27f, 0, false, false},
		{0x2a0, 0, false, false},
		{0xc0010007, 7, true, true},
		{0xc0010008, 0, false, false},
		{0xc0010113, 0, true, false},
		{0xc0010114, 0, false, false},
		{0xc0010015, 1 << 18, true, true},
		{0xc0010015, 1 << 24, true, true},
		{0xc0010015, 1 << 12, true, false},
		{0xdeadbeef, 5, false, false},
		{0x0, 0, true, false},
		{0x280, 0, true, true},
		{0x29f, 1, true, false},
		{0x79, 5, false, true},
		{0xc0010117, 0, true, true},
		{0xc0010058, 0, true, true},
		{0xc0010058, 1, true, false},
		{0x11, 0, true, true}, /* kvmclock is not offered, only cleared */
		{0x12, 0x1001, true, false},
		{0x4b564d01, 0, false, false},
	};

	fresh();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 0;
		bool can_get = get(cases[i].number, &value) == 0;
		bool can_set = set(cases[i].number, cases[i].value) == 0;

		if (can_get != cases[i].get || can_set != cases[i].set)
			fprintf(stderr, "MSR %#x = %#llx: get %d set %d\n", cases[i].number,
				(unsigned long long)cases[i].value, can_get, can_set);
		CU_ASSERT_EQUAL(can_get, cases[i].get);
		CU_ASSERT_EQUAL(can_set, cases[i].set);
	}
}

static void values_stick(void)
{
	static const struct {
		uint32_t number;
		uint64_t value, read;
	} cases[] = {
		{0x174, 0x10, 0x10},
		{0x175, 0x8000000000001234, 0x1234}, /* made canonical */
		{0x277, 0x0007040600070401, 0x0007040600070401},
		{0x2ff, 0xc06, 0xc06},
		{0x10, 0x1234567890000, 0x1234567890000},
		{0xc0000081, 0x23001000000000, 0x23001000000000},
		{0xc0000100, 0x3000, 0x3000},
		{0xc0000102, 0x5000, 0x5000},
		{0xc0000103, 0xfffffffff, 0xffffffff},
		{0xc0010015, 0x40148, 0x40000},
		{0x1d9, 0x100, 0},
		{0x6e0, 5, 0},   /* not in deadline mode */
		{0x3b, 0x55, 0}, /* not in CPUID */
		{0x8b, 0x77, 0x77},
	};

	fresh();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CU_ASSERT_EQUAL(set(cases[i].number, cases[i].value), 0);
		CU_ASSERT_EQUAL(value_of(cases[i].number), cases[i].read);
	}
	CU_ASSERT_EQUAL(state.sregs.fs.base, 0x3000);
}

static void deadline_needs_its_mode(void)
{
	fresh();
	vcpu_state_lapic_set(&state, STATE_LAPIC_LVTT, 0x40031);
	CU_ASSERT_EQUAL(set(0x6e0, 0x123456), 0);
	CU_ASSERT_EQUAL(value_of(0x6e0), 0x123456);
	CU_ASSERT_EQUAL(state.dirty, STATE_LAPIC);
	vcpu_state_lapic_set(&state, STATE_LAPIC_LVTT, 0x20031);
	CU_ASSERT_EQUAL(value_of(0x6e0), 0);
}

static void efer_leaves_lma_to_paging(void)
{
	fresh();
	CU_ASSERT_EQUAL(set(0xc0000080, 0xd01), 0);
	CU_ASSERT_EQUAL(state.sregs.efer, 0x901);
	state.sregs.efer = 0x500;
	CU_ASSERT_EQUAL(set(0xc0000080, 0x901), 0);
	CU_ASSERT_EQUAL(state.sregs.efer, 0xd01);
}

static void banks_end_with_mcg_cap(void)
{
	uint64_t value;

	fresh();
	state.msrs[MSR_ROW_MCG_CAP] = 10 | 1 << 8;
	CU_ASSERT_EQUAL(get(0x400 + 4 * 9 + 3, &value), 0);
	for (uint32_t number = 0x400 + 4 * 10; number <= 0x47f; number++)
		CU_ASSERT_EQUAL(get(number, &value), -EINVAL);
	CU_ASSERT_EQUAL(set(0x400 + 4 * 10, 0), -EINVAL);
	CU_ASSERT_EQUAL(set(0x17b, ~0ull), 0);
	CU_ASSERT_EQUAL(set(0x17b, 1), -EINVAL);
}

/* Xen refuses a whole record for a register that the guest's CPUID does not have. */
static void speculation_control_needs_cpuid(void)
{
	struct kvm_cpuid_entry2 table[] = {
		{.function = 7, .edx = 1u << 26},
		{.function = 0x80000008, .ebx = 1u << 25},
	};

	fresh();
	CU_ASSERT_EQUAL(msr_set(&state, NULL, 0, 0x48, 1), -EINVAL);
	CU_ASSERT_EQUAL(msr_set(&state, table, 2, 0x48, 1), 0);
	CU_ASSERT_EQUAL(msr_set(&state, table, 2, 0x48, 8), -EINVAL);
	CU_ASSERT_EQUAL(msr_set(&state, NULL, 0, 0xc001011f, 4), -EINVAL);
	CU_ASSERT_EQUAL(msr_set(&state, table, 2, 0xc001011f, 4), 0);
	CU_ASSERT_EQUAL(state.dirty, STATE_MSRS);
	/* Any of its bits means that there is the register. */
	for (uint32_t bit = 0; bit < 32; bit++) {
		bool intel = bit == 26 || bit == 27 || bit == 31;
		bool amd = bit == 14 || bit == 15 || bit == 24;

		table[0].edx = 1u << bit;
		table[1].ebx = 0;
		CU_ASSERT_EQUAL(msr_set(&state, table, 2, 0x48, 1), intel ? 0 : -EINVAL);
		table[0].edx = 0;
		table[1].ebx = 1u << bit;
		CU_ASSERT_EQUAL(msr_set(&state, table, 2, 0x48, 1), amd ? 0 : -EINVAL);
	}
}

static void cpuid_widens_ranges_and_adjusts_tsc(void)
{
	struct kvm_cpuid_entry2 table[] = {
		{.function = 7, .ebx = 1u << 1},
		{.function = 0x80000000, .eax = 0x80000008},
		{.function = 0x80000008, .eax = 0x3028},
		{.function = 0, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69},
	};
	uint64_t value;

	fresh();
	CU_ASSERT_EQUAL(msr_set(&state, table, 4, 0x201, 0xffc0000800), 0);
	CU_ASSERT_EQUAL(msr_set(&state, table, 4, 0x201, 1ull << 40), -EINVAL);
	CU_ASSERT_EQUAL(msr_set(&state, table, 4, 0x3b, 0x55), 0);
	CU_ASSERT_EQUAL(msr_get(&state, table, 4, 0x3b, &value), 0);
	CU_ASSERT_EQUAL(value, 0x55);
	CU_ASSERT_EQUAL(msr_set(&state, table, 4, 0xc0000103, 1ull << 32), -EINVAL);
}

static void a_write_marks_what_carries_it(void)
{
	static const struct {
		uint32_t number, part;
	} cases[] = {
		{0x174, STATE_MSRS},       {0x10, STATE_TSC},   {0x1b, STATE_LAPIC},
		{0xc0000080, STATE_SREGS}, {0x277, STATE_MSRS}, {0xc0000100, STATE_SREGS},
		{0xc0000103, STATE_MSRS},  {0x1a0, 0},          {0xc0010117, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fresh();
		CU_ASSERT_EQUAL(set(cases[i].number, value_of(cases[i].number)), 0);
		CU_ASSERT_EQUAL(state.dirty, cases[i].part);
	}
	fresh();
	CU_ASSERT_EQUAL(set(0xc0000082, 1ull << 63), -EINVAL);
	CU_ASSERT_EQUAL(state.dirty, 0);
}

/* What programs write before their first KVM_RUN; one refusal ends them. */
static void start_up_writes_of_vmms_are_taken(void)
{
	static const struct {
		uint32_t number;
		uint64_t value;
	} writes[] = {
		/* Firecracker, libkrun, kvmtool */
		{0x174, 0},
		{0x175, 0},
		{0x176, 0},
		{0xc0000081, 0},
		{0xc0000083, 0},
		{0xc0000102, 0},
		{0xc0000084, 0},
		{0xc0000082, 0},
		{0x10, 0},
		{0x1a0, 1},
		{0x2ff, 0xc06},
		/* QEMU */
		{0x277, 0x0007040600070406},
		{0xc0000103, 0},
		{0x3b, 0},
		{0x1a0, 1},
		{0x48, 0},
		{0xc001011f, 0},
		{0x34, 0},
		{0x2ff, 0},
		{0x250, 0},
		{0x258, 0},
		{0x259, 0},
		{0x268, 0},
		{0x269, 0},
		{0x26a, 0},
		{0x26b, 0},
		{0x26c, 0},
		{0x26d, 0},
		{0x26e, 0},
		{0x26f, 0},
		{0x200, 0},
		{0x201, 0},
		{0x20e, 0},
		{0x20f, 0},
		{0x17a, 0},
		{0x6e0, 0},
		{0x8b, 0x100000000},
		{0x10a, 0},
		{0x345, 0},
		{0x1fc, 0},
		{0xc0010015, 0},
	};

	fresh();
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
		CU_ASSERT_EQUAL(set(writes[i].number, writes[i].value), 0);
	/* QEMU after KVM_X86_SETUP_MCE: ten banks, MCG_CTL. */
	state.msrs[MSR_ROW_MCG_CAP] = 10 | 1 << 8 | 1 << 24;
	CU_ASSERT_EQUAL(set(0x17b, ~0ull), 0);
	for (uint32_t i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(set(0x400 + i, i % 4 ? 0 : ~0ull), 0);
}

void register_msr_suite(void)
{
	static CU_TestInfo tests[] = {
		{"every number has one row", every_number_has_one_row},
		{"lists have no duplicates", lists_have_no_duplicates},
		{"what is listed can be saved and restored",
		 what_is_listed_can_be_saved_and_restored},
		{"feature registers", feature_registers_are_those_of_the_system},
		{"values at reset", values_at_reset},
		{"reads and writes as KVM has them", reads_and_writes_as_kvm_has_them},
		{"values stick", values_stick},
		{"the deadline needs its mode", deadline_needs_its_mode},
		{"EFER leaves LMA to paging", efer_leaves_lma_to_paging},
		{"banks end with MCG_CAP", banks_end_with_mcg_cap},
		{"SPEC_CTRL needs CPUID", speculation_control_needs_cpuid},
		{"CPUID widens ranges", cpuid_widens_ranges_and_adjusts_tsc},
		{"a write marks what carries it", a_write_marks_what_carries_it},
		{"start-up writes of VMMs", start_up_writes_of_vmms_are_taken},
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{"msr", NULL, NULL, NULL, NULL, tests},
		CU_SUITE_INFO_NULL,
	};

	CU_register_suites(suites);
}
