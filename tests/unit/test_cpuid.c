/* CPUID tables: what is supported, what Xen's policy gets, and what a guest reads. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "libkvmxen/machine/cpuid.h"

void register_cpuid_suite(void);

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define FLAT              CONTROL_CPUID_NO_SUBLEAF
#define INDEXED           KVM_CPUID_FLAG_SIGNIFCANT_INDEX

#define AMD   .ebx = 0x68747541, .edx = 0x69746e65, .ecx = 0x444d4163
#define INTEL .ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e

/* As Xen answers for HVM guests by default; every bit set where kvmxen has to clear one. */
static const struct control_cpuid host[] = {
	{0x0, FLAT, 0xd, 0x68747541, 0x444d4163, 0x69746e65},
	{0x1, FLAT, 0x00800f12, 0x05020800, 0xffffffff, 0x078bfdff},
	{0x2, FLAT, 0, 0, 0, 0},
	{0x3, FLAT, 0, 0, 0, 0},
	{0x4, 0, 0, 0, 0, 0},
	{0x5, FLAT, 0, 0, 0, 0},
	{0x6, FLAT, 0, 0, 0, 0},
	{0x7, 0, 1, 0x009801a9, 0x0000001c, 0},
	{0x7, 1, 0x10, 0, 0, 0},
	{0x8, FLAT, 0, 0, 0, 0},
	{0x9, FLAT, 0, 0, 0, 0},
	{0xa, FLAT, 0, 0, 0, 0},
	{0xb, 0, 0, 0, 0, 0},
	{0xc, FLAT, 0, 0, 0, 0},
	{0xd, 0, 0x207, 0, 0xa88, 0},
	{0xd, 1, 0xf, 0x123, 0x800, 0},
	{0xd, 2, 0x100, 0x240, 0, 0},
	{0xd, 9, 8, 0xa80, 2, 0},
	{0xd, 11, 0x10, 0, 1, 0},
	{0x40000000, FLAT, 5, 0, 0, 0},
	{0x40000100, FLAT, 0, 0, 0, 0},
	{0x80000000, FLAT, 0x8000000a, 0x68747541, 0x444d4163, 0x69746e65},
	{0x80000001, FLAT, 0x00800f12, 0, 0x000000ff, 0x2dd3fbff},
	{0x80000008, FLAT, 0x3028, 0x02000000, 0, 0},
	{0x8000000a, FLAT, 1, 8, 0, 0x21},
};

static struct kvm_cpuid_entry2 table[256];

static uint32_t supported(void)
{
	uint32_t n = ARRAY_SIZE(table);

	memset(table, 0xff, sizeof table);
	CU_ASSERT_EQUAL_FATAL(cpuid_supported(host, ARRAY_SIZE(host), table, &n), 0);
	return n;
}

static void supported_table_is_kvms(void)
{
	uint32_t n = supported();
	const struct kvm_cpuid_entry2 *e;

	e = cpuid_find(table, n, 0x40000000, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->eax, 0x40000001);
	CU_ASSERT_EQUAL(memcmp(&e->ebx, "KVMKVMKVM\0\0\0", 12), 0);
	e = cpuid_find(table, n, 0x40000001, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	/* Bits 0 and 3, the clock, above all must be clear. */
	CU_ASSERT(e->eax == 2 && e->ebx == 0 && e->ecx == 0 && e->edx == 0);
	CU_ASSERT_PTR_NULL(cpuid_find(table, n, 0x40000100, 0));

	for (uint32_t i = 0; i < n; i++) {
		uint32_t leaf = table[i].function;
		bool indexed = leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd;

		CU_ASSERT_EQUAL(table[i].flags, indexed ? INDEXED : 0);
		CU_ASSERT(indexed || table[i].index == 0);
		CU_ASSERT(!table[i].padding[0] && !table[i].padding[1] && !table[i].padding[2]);
		for (uint32_t j = 0; j < i; j++)
			CU_ASSERT_FALSE(table[j].function == leaf &&
					table[j].index == table[i].index);
	}
}

static void supported_bits_are_those_that_work(void)
{
	uint32_t n = supported();
	const struct kvm_cpuid_entry2 *e = cpuid_find(table, n, 1, 0);

	CU_ASSERT_EQUAL(e->ebx, 0x00020800); /* no APIC id */
	/* Not MWAIT, VMX, x2APIC, TSC deadline, OSXSAVE; hypervisor. */
	CU_ASSERT_EQUAL(e->ecx, 0xffffffff & ~(1u << 3 | 1u << 5 | 1u << 21 | 1u << 24 | 1u << 27));
	CU_ASSERT(e->edx & 1u << 9);
	CU_ASSERT_EQUAL(cpuid_find(table, n, 6, 0)->eax, 4);
	CU_ASSERT_EQUAL(cpuid_find(table, n, 7, 0)->ecx, 0xc); /* not OSPKE */
	CU_ASSERT(cpuid_find(table, n, 7, 0)->ebx & 1u << 1);  /* TSC_ADJUST, host or no */
	CU_ASSERT_EQUAL(cpuid_find(table, n, 7, 1)->eax, 0x10);
	CU_ASSERT_EQUAL(cpuid_find(table, n, 0xd, 0)->ebx, 0xa88);
	e = cpuid_find(table, n, 0xd, 1);
	CU_ASSERT(e->eax == 7 && e->ebx == 0 && e->ecx == 0); /* not XSAVES */
	CU_ASSERT_PTR_NOT_NULL(cpuid_find(table, n, 0xd, 9));
	CU_ASSERT_PTR_NULL(cpuid_find(table, n, 0xd, 11)); /* a component of XSAVES */
	CU_ASSERT_FALSE(cpuid_find(table, n, 0x80000001, 0)->ecx & 1u << 2); /* SVM */
	CU_ASSERT_EQUAL(cpuid_find(table, n, 0x8000000a, 0)->edx, 0);
	CU_ASSERT_EQUAL(cpuid_xcr0(table, n), 0x207);
	CU_ASSERT_EQUAL(cpuid_vendor(table, n), CPUID_VENDOR_AMD);
	CU_ASSERT_EQUAL(cpuid_physical_bits(table, n), 40);
	CU_ASSERT_EQUAL(cpuid_signature(table, n), 0x00800f12);
	CU_ASSERT_EQUAL(cpuid_check(table, n), 0);
}

/* The FXSAVE image and the header: that much without any XSAVE. */
static void without_xsave_there_is_a_size(void)
{
	static const struct control_cpuid poor[] = {
		{0x0, FLAT, 0xd, 0x68747541, 0x444d4163, 0x69746e65},
		{0xd, 0, 0, 0, 0, 0},
	};
	uint32_t n = ARRAY_SIZE(table);
	const struct kvm_cpuid_entry2 *e;

	CU_ASSERT_EQUAL_FATAL(cpuid_supported(poor, ARRAY_SIZE(poor), table, &n), 0);
	e = cpuid_find(table, n, 0xd, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT(e->eax == 0 && e->ebx == 576 && e->ecx == 576 && e->edx == 0);
}

static void supported_needs_room_for_all(void)
{
	uint32_t full = supported(), n;

	n = full;
	CU_ASSERT_EQUAL(cpuid_supported(host, ARRAY_SIZE(host), table, &n), 0);
	n = full - 1;
	CU_ASSERT_EQUAL(cpuid_supported(host, ARRAY_SIZE(host), table, &n), -E2BIG);
	CU_ASSERT_EQUAL(n, full - 1);
	n = 0;
	CU_ASSERT_EQUAL(cpuid_supported(host, ARRAY_SIZE(host), NULL, &n), -E2BIG);
}

static const struct control_cpuid *in_policy(const struct control_cpuid *leaves, uint32_t n,
					     uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < n; i++)
		if (leaves[i].leaf == leaf && leaves[i].subleaf == subleaf)
			return &leaves[i];
	return NULL;
}

/* Xen keeps what a policy does not name, and refuses leaves that it does not know. */
static void policy_names_every_leaf_of_xens(void)
{
	static const struct kvm_cpuid_entry2 in[] = {
		{.function = 0, .eax = 0x1f, INTEL},
		{.function = 1, .eax = 0x123, .ecx = 0xffffffff, .edx = 0x10},
		{.function = 4, .index = 1, .flags = INDEXED, .eax = 0x99},
		{.function = 4, .index = 7, .flags = INDEXED, .eax = 0x99},
		{.function = 7, .index = 0, .flags = INDEXED, .eax = 5, .ecx = 0x10},
		{.function = 0xb, .index = 0, .flags = INDEXED, .eax = 1},
		{.function = 0xd, .index = 0, .flags = INDEXED, .eax = 7},
		{.function = 0xd, .index = 1, .flags = INDEXED, .eax = 0xf},
		{.function = 0xd, .index = 62, .flags = INDEXED, .eax = 1},
		{.function = 0x1f, .index = 0, .flags = INDEXED, .eax = 1},
		{.function = 0x40000000, .eax = 0x40000001},
		{.function = 0x80000000, .eax = 0x80000028},
		{.function = 0x80000001, .ecx = 0xff},
		{.function = 0x80000022, .eax = 1},
	};
	struct control_cpuid out[CPUID_POLICY_MAX + 1];
	uint32_t n = CPUID_POLICY_MAX;
	const uint32_t count = 10 + 6 + 3 + 2 + 63 + 0x22;

	CU_ASSERT_EQUAL(cpuid_policy(in, ARRAY_SIZE(in), out, &n), 0);
	CU_ASSERT_EQUAL(n, count);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t leaf = out[i].leaf;
		uint32_t last = leaf == 4     ? 5
				: leaf == 7   ? 2
				: leaf == 0xb ? 1
				: leaf == 0xd ? 62
					      : FLAT;

		CU_ASSERT(leaf <= 0xd || (leaf >= 0x80000000 && leaf <= 0x80000021));
		CU_ASSERT(last == FLAT ? out[i].subleaf == FLAT : out[i].subleaf <= last);
	}
	CU_ASSERT_EQUAL(in_policy(out, n, 0, FLAT)->eax, 0xd);
	CU_ASSERT_EQUAL(in_policy(out, n, 1, FLAT)->ecx,
			0xffffffff & ~(1u << 5 | 1u << 21 | 1u << 27));
	CU_ASSERT_EQUAL(in_policy(out, n, 1, FLAT)->edx, 0x210);
	CU_ASSERT_EQUAL(in_policy(out, n, 4, 0)->eax, 0);
	CU_ASSERT_EQUAL(in_policy(out, n, 4, 1)->eax, 0x99);
	CU_ASSERT_EQUAL(in_policy(out, n, 7, 0)->eax, 2);
	CU_ASSERT_EQUAL(in_policy(out, n, 7, 0)->ecx, 0);
	CU_ASSERT_EQUAL(in_policy(out, n, 0xb, 0)->eax, 0);
	CU_ASSERT_EQUAL(in_policy(out, n, 0xd, 1)->eax, 7);
	CU_ASSERT_EQUAL(in_policy(out, n, 0xd, 62)->eax, 1);
	CU_ASSERT_EQUAL(in_policy(out, n, 0x80000000, FLAT)->eax, 0x80000021);
	CU_ASSERT_EQUAL(in_policy(out, n, 0x80000001, FLAT)->ecx, 0xfb);
	CU_ASSERT_EQUAL(in_policy(out, n, 0x80000008, FLAT)->eax, 0);

	cpuid_policy_limit(out, n, host, ARRAY_SIZE(host));
	CU_ASSERT_EQUAL(in_policy(out, n, 0, FLAT)->eax, 0xd);
	CU_ASSERT_EQUAL(in_policy(out, n, 7, 0)->eax, 1);
	CU_ASSERT_EQUAL(in_policy(out, n, 0x80000000, FLAT)->eax, 0x8000000a);
	/* A host that does not say sets no limit. */
	cpuid_policy_limit(out, n, NULL, 0);
	CU_ASSERT_EQUAL(in_policy(out, n, 7, 0)->eax, 1);

	n = count - 1;
	CU_ASSERT_EQUAL(cpuid_policy(in, ARRAY_SIZE(in), out, &n), -E2BIG);
	n = CPUID_POLICY_MAX;
	CU_ASSERT_EQUAL(cpuid_policy(NULL, 0, out, &n), 0);
	CU_ASSERT_EQUAL(n, count);
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(out[i].eax | out[i].ebx | out[i].ecx | out[i].edx, 0);
}

/* A VMM may forget the flag: then there is a subleaf 0, not many. */
static void policy_takes_an_entry_without_index_once(void)
{
	static const struct kvm_cpuid_entry2 in[] = {{.function = 4, .eax = 0x121}};
	struct control_cpuid out[CPUID_POLICY_MAX];
	uint32_t n = CPUID_POLICY_MAX;

	CU_ASSERT_EQUAL(cpuid_policy(in, 1, out, &n), 0);
	CU_ASSERT_EQUAL(in_policy(out, n, 4, 0)->eax, 0x121);
	CU_ASSERT_EQUAL(in_policy(out, n, 4, 1)->eax, 0);
}

static void expect(const struct kvm_cpuid_entry2 *entries, uint32_t n, uint32_t leaf,
		   uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	uint32_t regs[4] = {~0u, ~0u, ~0u, ~0u};

	cpuid_lookup(entries, n, NULL, leaf, subleaf, regs);
	CU_ASSERT_EQUAL(regs[0], eax);
	CU_ASSERT_EQUAL(regs[1], ebx);
	CU_ASSERT_EQUAL(regs[2], ecx);
	CU_ASSERT_EQUAL(regs[3], edx);
}

static void guest_reads_its_table(void)
{
	static const struct kvm_cpuid_entry2 e[] = {
		{.function = 0, .eax = 5, .ebx = 0x41414141},
		{.function = 0x40000000, .eax = 0x40000001, .ebx = 0x42424242},
		{.function = 4, .index = 1, .flags = INDEXED, .eax = 0x99},
	};

	expect(e, 3, 0, 0, 5, 0x41414141, 0, 0);
	expect(e, 3, 0x40000000, 0, 0x40000001, 0x42424242, 0, 0);
	expect(e, 3, 4, 1, 0x99, 0, 0, 0);
	expect(e, 3, 4, 0, 0, 0, 0, 0);
	expect(NULL, 0, 0, 0, 0, 0, 0, 0);
}

static void out_of_range_is_the_vendors_way(void)
{
	struct kvm_cpuid_entry2 e[] = {
		{.function = 0, .eax = 0xb, INTEL},
		{.function = 1, .eax = 1},
		{.function = 0xb, .index = 0, .flags = INDEXED, .eax = 0x10, .edx = 3},
		{.function = 0xb, .index = 1, .flags = INDEXED, .eax = 0x20, .edx = 3},
		{.function = 0x40000000, .eax = 0x40000001},
		{.function = 0x40000001, .eax = 0x55},
		{.function = 0x80000000, .eax = 0x80000008},
	};
	const uint32_t n = ARRAY_SIZE(e);

	/* Beyond the limit: the highest basic leaf, with the subleaf that was asked for. */
	expect(e, n, 0xc, 0, 0x10, 0, 0, 3);
	expect(e, n, 0x1234, 1, 0x20, 0, 0, 3);
	expect(e, n, 0x80000009, 0, 0x10, 0, 0, 3);
	expect(e, n, 0x40000002, 0, 0x10, 0, 0, 3);
	expect(e, n, 0x40000100, 0, 0x10, 0, 0, 3); /* a class that does not exist */
	expect(e, n, 0xc0000000, 1, 0x20, 0, 0, 3);
	/* Within the limit but missing: zero. */
	expect(e, n, 5, 0, 0, 0, 0, 0);
	expect(e, n, 0x80000005, 0, 0, 0, 0, 0);
	expect(e, n, 6, 1, 0, 0, 0, 0);
	/* A level that the topology does not have: its number and the x2APIC id. */
	expect(e, n, 0xb, 7, 0, 0, 7, 3);

	e[0] = (struct kvm_cpuid_entry2){.function = 0, .eax = 0xb, AMD};
	expect(e, n, 0xc, 0, 0, 0, 0, 0);
	expect(e, n, 0x80000009, 0, 0, 0, 0, 0);
	expect(e, n, 0xb, 7, 0, 0, 7, 3);
}

static void some_bits_follow_the_registers(void)
{
	static const struct kvm_cpuid_entry2 e[] = {
		{.function = 1, .ecx = 1u << 26, .edx = 1u << 9},
		{.function = 7, .index = 0, .flags = INDEXED, .ecx = 1u << 3},
		{.function = 0xd,
		 .index = 0,
		 .flags = INDEXED,
		 .eax = 0x207,
		 .ebx = 1,
		 .ecx = 0xa88},
		{.function = 0xd, .index = 1, .flags = INDEXED, .eax = 2},
		{.function = 0xd, .index = 2, .flags = INDEXED, .eax = 0x100, .ebx = 0x240},
		{.function = 0xd, .index = 9, .flags = INDEXED, .eax = 8, .ebx = 0xa80, .ecx = 2},
	};
	const uint32_t n = ARRAY_SIZE(e);
	struct cpuid_dynamic off = {.xcr0 = 1};
	struct cpuid_dynamic on = {.cr4 = 1u << 18 | 1u << 22, .xcr0 = 0x207, .apic_enabled = true};
	uint32_t regs[4];

	cpuid_lookup(e, n, &off, 1, 0, regs);
	CU_ASSERT(regs[2] == 1u << 26 && regs[3] == 0);
	cpuid_lookup(e, n, &on, 1, 0, regs);
	CU_ASSERT(regs[2] == (1u << 26 | 1u << 27) && regs[3] == 1u << 9);
	cpuid_lookup(e, n, &off, 7, 0, regs);
	CU_ASSERT_EQUAL(regs[2], 1u << 3);
	cpuid_lookup(e, n, &on, 7, 0, regs);
	CU_ASSERT_EQUAL(regs[2], 1u << 3 | 1u << 4);
	cpuid_lookup(e, n, &off, 0xd, 0, regs);
	CU_ASSERT_EQUAL(regs[1], 576);
	cpuid_lookup(e, n, &on, 0xd, 0, regs);
	CU_ASSERT_EQUAL(regs[1], 0xa88);
	CU_ASSERT_EQUAL(regs[2], 0xa88);
	/* Compacted: one behind the other, aligned where the component wants it. */
	cpuid_lookup(e, n, &on, 0xd, 1, regs);
	CU_ASSERT_EQUAL(regs[1], 0x240 + 0x100 + 8);
	on.xcr0 = 0x201;
	cpuid_lookup(e, n, &on, 0xd, 1, regs);
	CU_ASSERT_EQUAL(regs[1], 0x240 + 8);
	cpuid_lookup(e, n, &on, 0xd, 2, regs);
	CU_ASSERT_EQUAL(regs[1], 0x240);

	/* And all of a table at once. */
	memcpy(table, e, sizeof e);
	cpuid_follow(table, n, &off);
	CU_ASSERT(table[0].ecx == 1u << 26 && table[0].edx == 0);
	CU_ASSERT(table[2].ebx == 576 && table[2].ecx == 0xa88 && table[3].ebx == 576);
	CU_ASSERT(table[4].eax == 0x100 && table[4].ebx == 0x240);
}

static void address_widths_are_checked(void)
{
	struct kvm_cpuid_entry2 e = {.function = 0x80000008};
	static const struct {
		uint32_t eax;
		int result;
	} cases[] = {{0, 0}, {0x2828, -EINVAL}, {0x3028, 0}, {0x3934, 0}, {0x3a34, -EINVAL}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		e.eax = cases[i].eax;
		CU_ASSERT_EQUAL(cpuid_check(&e, 1), cases[i].result);
	}
	e.function = 0x12345;
	e.flags = 0xff;
	e.padding[0] = 7;
	CU_ASSERT_EQUAL(cpuid_check(&e, 1), 0);
	CU_ASSERT_EQUAL(cpuid_check(NULL, 0), 0);
}

static void tables_are_compared_by_what_the_guest_sees(void)
{
	struct kvm_cpuid_entry2 a[2], b[2];

	memset(a, 0, sizeof a);
	memset(b, 0, sizeof b);
	b[1].padding[1] = 5;
	CU_ASSERT_TRUE(cpuid_same(a, 2, b, 2));
	CU_ASSERT_FALSE(cpuid_same(a, 2, b, 1));
	CU_ASSERT_TRUE(cpuid_same(NULL, 0, b, 0));
	for (int field = 0; field < 7; field++) {
		memcpy(b, a, sizeof a);
		((uint32_t *)&b[1])[field] = 1;
		CU_ASSERT_FALSE(cpuid_same(a, 2, b, 2));
	}
}

static void what_a_table_does_not_say_has_a_default(void)
{
	static const struct kvm_cpuid_entry2 limit = {.function = 0x80000000, .eax = 0x80000008};
	struct kvm_cpuid_entry2 xsave[] = {
		{.function = 1},
		{.function = 0xd, .flags = INDEXED, .eax = 7, .edx = 0x40000000},
	};

	CU_ASSERT_EQUAL(cpuid_xcr0(xsave, 2), 0);
	xsave[0].ecx = 1u << 26;
	CU_ASSERT_EQUAL(cpuid_xcr0(xsave, 2), 0x4000000000000007);
	CU_ASSERT_EQUAL(cpuid_xcr0(xsave, 1), 0);

	CU_ASSERT_EQUAL(cpuid_physical_bits(NULL, 0), 36);
	CU_ASSERT_EQUAL(cpuid_physical_bits(&limit, 1), 36);
	CU_ASSERT_EQUAL(cpuid_xcr0(NULL, 0), 0);
	CU_ASSERT_EQUAL(cpuid_signature(NULL, 0), 0x600);
	CU_ASSERT_EQUAL(cpuid_vendor(NULL, 0), CPUID_VENDOR_OTHER);
}

void register_cpuid_suite(void)
{
	static CU_TestInfo tests[] = {
		{"the supported table is KVM's", supported_table_is_kvms},
		{"supported bits are those that work", supported_bits_are_those_that_work},
		{"without XSAVE there is a size", without_xsave_there_is_a_size},
		{"supported needs room for all", supported_needs_room_for_all},
		{"a policy names every leaf of Xen's", policy_names_every_leaf_of_xens},
		{"an entry without index is one", policy_takes_an_entry_without_index_once},
		{"a guest reads its table", guest_reads_its_table},
		{"out of range is the vendor's way", out_of_range_is_the_vendors_way},
		{"some bits follow the registers", some_bits_follow_the_registers},
		{"address widths are checked", address_widths_are_checked},
		{"tables are compared by what is seen", tables_are_compared_by_what_the_guest_sees},
		{"defaults", what_a_table_does_not_say_has_a_default},
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{"cpuid", NULL, NULL, NULL, NULL, tests},
		CU_SUITE_INFO_NULL,
	};

	CU_register_suites(suites);
}
