#include "libkvmxen/machine/cpuid.h"

#include <errno.h>
#include <string.h>

#include <asm/kvm_para.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define BIT(n) (1u << (n))

#define LEAF_FEATURES    1u
#define LEAF_CACHE       4u
#define LEAF_POWER       6u
#define LEAF_STRUCTURED  7u
#define LEAF_TOPOLOGY    0xbu
#define LEAF_XSTATE      0xdu
#define LEAF_TOPOLOGY_V2 0x1fu
#define LEAF_EXTENDED    0x80000000u
#define LEAF_ADDRESSES   0x80000008u
#define LEAF_CENTAUR     0xc0000000u

/* What Xen's policy holds: CPUID_GUEST_NR_* of its lib/x86/cpu-policy.h. */
#define LAST_BASIC    0xdu
#define LAST_EXTENDED 0x80000021u
static const struct subleaves {
	uint32_t leaf, count;
} policy_subleaves[] = {
	{LEAF_CACHE, 6},
	{LEAF_STRUCTURED, 3},
	{LEAF_TOPOLOGY, 2},
	{LEAF_XSTATE, 63},
};

/* Leaf 1. */
#define ECX_MWAIT        BIT(3)
#define ECX_VMX          BIT(5)
#define ECX_X2APIC       BIT(21)
#define ECX_TSC_DEADLINE BIT(24)
#define ECX_XSAVE        BIT(26)
#define ECX_OSXSAVE      BIT(27)
#define ECX_HYPERVISOR   BIT(31)
#define EDX_APIC         BIT(9)
/* Leaf 6: the LAPIC timer never stops. */
#define EAX_ARAT BIT(2)
/* Leaf 7, subleaf 0. */
#define EBX_TSC_ADJUST BIT(1)
#define ECX_OSPKE      BIT(4)
/* Leaf 0xd, subleaf 1; of the others: this component is for XSAVES; it is aligned to 64 bytes. */
#define EAX_XSAVEC     BIT(1)
#define EAX_XSAVES     BIT(3)
#define ECX_SUPERVISOR BIT(0)
#define ECX_ALIGNED    BIT(1)
/* Leaf 0x80000001. */
#define ECX_SVM BIT(2)

#define CR4_OSXSAVE BIT(18)
#define CR4_PKE     BIT(22)

#define XSAVE_LEGACY_SIZE 576u /* the FXSAVE image and the XSAVE header */
#define XCR0_FP_SSE       3ull

#define DEFAULT_PHYSICAL_BITS 36
#define DEFAULT_SIGNATURE     0x600

static uint32_t policy_subleaf_count(uint32_t leaf)
{
	for (size_t i = 0; i < ARRAY_SIZE(policy_subleaves); i++)
		if (policy_subleaves[i].leaf == leaf)
			return policy_subleaves[i].count;
	return 0;
}

static bool vendor_is(const uint32_t ebx, const uint32_t ecx, const uint32_t edx, const char *name)
{
	return !memcmp(&ebx, name, 4) && !memcmp(&edx, name + 4, 4) && !memcmp(&ecx, name + 8, 4);
}

const struct kvm_cpuid_entry2 *cpuid_find(const struct kvm_cpuid_entry2 *entries, uint32_t n,
					  uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < n; i++)
		if (entries[i].function == leaf &&
		    (!(entries[i].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) ||
		     entries[i].index == subleaf))
			return &entries[i];
	return NULL;
}

enum cpuid_vendor cpuid_vendor(const struct kvm_cpuid_entry2 *entries, uint32_t n)
{
	static const struct {
		char name[13];
		enum cpuid_vendor vendor;
	} vendors[] = {
		{"GenuineIntel", CPUID_VENDOR_INTEL},
		{"AuthenticAMD", CPUID_VENDOR_AMD},
		{"AMDisbetter!", CPUID_VENDOR_AMD},
		{"HygonGenuine", CPUID_VENDOR_AMD},
	};
	const struct kvm_cpuid_entry2 *e = cpuid_find(entries, n, 0, 0);

	for (size_t i = 0; e && i < ARRAY_SIZE(vendors); i++)
		if (vendor_is(e->ebx, e->ecx, e->edx, vendors[i].name))
			return vendors[i].vendor;
	return CPUID_VENDOR_OTHER;
}

unsigned cpuid_physical_bits(const struct kvm_cpuid_entry2 *entries, uint32_t n)
{
	const struct kvm_cpuid_entry2 *limit = cpuid_find(entries, n, LEAF_EXTENDED, 0);
	const struct kvm_cpuid_entry2 *addresses = cpuid_find(entries, n, LEAF_ADDRESSES, 0);
	unsigned bits;

	if (!limit || limit->eax < LEAF_ADDRESSES || !addresses)
		return DEFAULT_PHYSICAL_BITS;
	bits = addresses->eax & 0xff;
	return bits < 52 ? bits : 52;
}

uint64_t cpuid_xcr0(const struct kvm_cpuid_entry2 *entries, uint32_t n)
{
	const struct kvm_cpuid_entry2 *features = cpuid_find(entries, n, LEAF_FEATURES, 0);
	const struct kvm_cpuid_entry2 *xstate = cpuid_find(entries, n, LEAF_XSTATE, 0);

	if (!features || !(features->ecx & ECX_XSAVE) || !xstate)
		return 0;
	return xstate->eax | (uint64_t)xstate->edx << 32;
}

uint32_t cpuid_signature(const struct kvm_cpuid_entry2 *entries, uint32_t n)
{
	const struct kvm_cpuid_entry2 *features = cpuid_find(entries, n, LEAF_FEATURES, 0);

	return features ? features->eax : DEFAULT_SIGNATURE;
}

/* Leaves whose index means something. */
static bool indexed(uint32_t leaf)
{
	return policy_subleaf_count(leaf) || leaf == LEAF_TOPOLOGY_V2 || leaf == 0x8000001d;
}

/* What of the host's leaf a guest gets. False: leave the entry out. */
static bool edit_supported(struct kvm_cpuid_entry2 *e)
{
	if (e->function >= KVM_CPUID_SIGNATURE && e->function < LEAF_EXTENDED)
		return false; /* Xen's own */
	switch (e->function) {
	case LEAF_FEATURES:
		e->ebx &= 0x00ffffff; /* the APIC id is each vcpu's own */
		/* X2APIC: the guest stays in xAPIC mode, where its APIC ids can be the VMM's.
		 * TSC_DEADLINE: KVM says so with KVM_CAP_TSC_DEADLINE_TIMER alone. */
		e->ecx &= ~(ECX_MWAIT | ECX_VMX | ECX_X2APIC | ECX_TSC_DEADLINE | ECX_OSXSAVE);
		e->ecx |= ECX_HYPERVISOR;
		e->edx |= EDX_APIC;
		break;
	case LEAF_POWER:
		e->eax = EAX_ARAT;
		e->ebx = e->ecx = e->edx = 0;
		break;
	case LEAF_STRUCTURED:
		/* TSC_ADJUST: Xen's guests have the register whatever the host has, as KVM's. */
		if (e->index == 0) {
			e->ebx |= EBX_TSC_ADJUST;
			e->ecx &= ~ECX_OSPKE;
		}
		break;
	case LEAF_XSTATE:
		/* Without XSAVE there still is a size. */
		if (e->index == 0)
			e->ebx = e->ecx = e->ecx ? e->ecx : XSAVE_LEGACY_SIZE;
		else if (e->index == 1) {
			e->eax &= ~EAX_XSAVES;
			e->ebx = e->ecx = e->edx = 0;
		} else if (e->ecx & ECX_SUPERVISOR || !e->eax) {
			return false;
		}
		break;
	case 0x80000001:
		e->ecx &= ~ECX_SVM;
		break;
	case 0x8000000a:
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	}
	return true;
}

static const struct kvm_cpuid_entry2 kvm_leaves[] = {
	{.function = KVM_CPUID_SIGNATURE,
	 .eax = KVM_CPUID_FEATURES,
	 /* "KVMKVMKVM\0\0\0" */
	 .ebx = 0x4b4d564b,
	 .ecx = 0x564b4d56,
	 .edx = 0x0000004d},
	/* The one promise of KVM's that holds on Xen: port 0x80 need not be written for delay. */
	{.function = KVM_CPUID_FEATURES, .eax = BIT(KVM_FEATURE_NOP_IO_DELAY)},
};

int cpuid_supported(const struct control_cpuid *host, uint32_t n, struct kvm_cpuid_entry2 *out,
		    uint32_t *nent)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n + ARRAY_SIZE(kvm_leaves); i++) {
		struct kvm_cpuid_entry2 e;

		if (i < n) {
			bool has_index = indexed(host[i].leaf);

			e = (struct kvm_cpuid_entry2){
				.function = host[i].leaf,
				.index = has_index ? host[i].subleaf : 0,
				.flags = has_index ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
				.eax = host[i].eax,
				.ebx = host[i].ebx,
				.ecx = host[i].ecx,
				.edx = host[i].edx,
			};
			if (e.index == CONTROL_CPUID_NO_SUBLEAF)
				e.index = 0;
			if (!edit_supported(&e))
				continue;
		} else {
			e = kvm_leaves[i - n];
		}
		if (count == *nent)
			return -E2BIG;
		out[count++] = e;
	}
	*nent = count;
	return 0;
}

static int add_policy_leaf(const struct kvm_cpuid_entry2 *in, uint32_t n, uint32_t leaf,
			   uint32_t subleaf, struct control_cpuid *out, uint32_t *count,
			   uint32_t capacity)
{
	const struct kvm_cpuid_entry2 *e =
		cpuid_find(in, n, leaf, subleaf == CONTROL_CPUID_NO_SUBLEAF ? 0 : subleaf);
	struct control_cpuid *to = &out[*count];

	if (*count == capacity)
		return -E2BIG;
	*to = (struct control_cpuid){.leaf = leaf, .subleaf = subleaf};
	(*count)++;
	/* Subleaf 0 of an entry without an index must not show up again as subleaf 1. */
	if (!e || (subleaf != CONTROL_CPUID_NO_SUBLEAF && subleaf != e->index))
		return 0;
	to->eax = e->eax;
	to->ebx = e->ebx;
	to->ecx = e->ecx;
	to->edx = e->edx;
	switch (leaf) {
	case 0:
		if (to->eax > LAST_BASIC)
			to->eax = LAST_BASIC;
		break;
	case LEAF_FEATURES:
		to->ecx &= ~(ECX_X2APIC | ECX_VMX | ECX_OSXSAVE);
		/* Whether there is a LAPIC is not the policy's to say; the bit is dynamic. */
		to->edx |= EDX_APIC;
		break;
	case LEAF_STRUCTURED:
		if (subleaf == 0 && to->eax > 2)
			to->eax = 2;
		if (subleaf == 0)
			to->ecx &= ~ECX_OSPKE;
		break;
	case LEAF_TOPOLOGY:
		/* Goes with x2APIC. */
		to->eax = to->ebx = to->ecx = to->edx = 0;
		break;
	case LEAF_XSTATE:
		if (subleaf == 1)
			to->eax &= ~EAX_XSAVES;
		break;
	case LEAF_EXTENDED:
		if (to->eax > LAST_EXTENDED)
			to->eax = LAST_EXTENDED;
		break;
	case 0x80000001:
		to->ecx &= ~ECX_SVM;
		break;
	}
	return 0;
}

int cpuid_policy(const struct kvm_cpuid_entry2 *in, uint32_t n, struct control_cpuid *out,
		 uint32_t *nout)
{
	uint32_t count = 0, capacity = *nout;
	int rc = 0;

	for (uint32_t leaf = 0; leaf <= LAST_BASIC && rc == 0; leaf++) {
		uint32_t subleaves = policy_subleaf_count(leaf);

		if (!subleaves)
			rc = add_policy_leaf(in, n, leaf, CONTROL_CPUID_NO_SUBLEAF, out, &count,
					     capacity);
		for (uint32_t subleaf = 0; subleaf < subleaves && rc == 0; subleaf++)
			rc = add_policy_leaf(in, n, leaf, subleaf, out, &count, capacity);
	}
	for (uint32_t leaf = LEAF_EXTENDED; leaf <= LAST_EXTENDED && rc == 0; leaf++)
		rc = add_policy_leaf(in, n, leaf, CONTROL_CPUID_NO_SUBLEAF, out, &count, capacity);
	if (rc == 0)
		*nout = count;
	return rc;
}

static uint32_t *limit(struct control_cpuid *leaves, uint32_t n, uint32_t leaf)
{
	for (uint32_t i = 0; i < n; i++)
		if (leaves[i].leaf == leaf &&
		    (leaves[i].subleaf == 0 || leaves[i].subleaf == CONTROL_CPUID_NO_SUBLEAF))
			return &leaves[i].eax;
	return NULL;
}

void cpuid_policy_limit(struct control_cpuid *policy, uint32_t n, const struct control_cpuid *host,
			uint32_t nhost)
{
	static const uint32_t limits[] = {0, LEAF_STRUCTURED, LEAF_EXTENDED};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		uint32_t *mine = limit(policy, n, limits[i]);
		const uint32_t *theirs = limit((struct control_cpuid *)host, nhost, limits[i]);

		if (mine && theirs && *mine > *theirs)
			*mine = *theirs;
	}
}

/* The bytes that XSAVE (compacted: XSAVES, XSAVEC) needs for the given components. */
static uint32_t xstate_size(const struct kvm_cpuid_entry2 *entries, uint32_t n, uint64_t components,
			    bool compacted)
{
	uint32_t end = XSAVE_LEGACY_SIZE;

	for (unsigned i = 2; i < 63; i++) {
		const struct kvm_cpuid_entry2 *e;
		uint32_t offset;

		if (!(components & (1ull << i)))
			continue;
		e = cpuid_find(entries, n, LEAF_XSTATE, i);
		if (!e)
			continue;
		offset = !compacted ? e->ebx : e->ecx & ECX_ALIGNED ? (end + 63) & ~63u : end;
		if (offset + e->eax > end)
			end = offset + e->eax;
	}
	return end;
}

static void set_bit(uint32_t *reg, uint32_t bit, bool value)
{
	*reg = value ? *reg | bit : *reg & ~bit;
}

/* KVM rewrites these in the table whenever the registers change. */
static void follow(const struct kvm_cpuid_entry2 *entries, uint32_t n,
		   const struct cpuid_dynamic *dynamic, const struct kvm_cpuid_entry2 *e,
		   uint32_t regs[4])
{
	uint32_t *eax = &regs[0], *ebx = &regs[1], *ecx = &regs[2], *edx = &regs[3];

	if (e->function == LEAF_FEATURES) {
		set_bit(ecx, ECX_OSXSAVE, dynamic->cr4 & CR4_OSXSAVE);
		set_bit(edx, EDX_APIC, dynamic->apic_enabled);
	} else if (e->function == LEAF_STRUCTURED && e->index == 0) {
		set_bit(ecx, ECX_OSPKE, dynamic->cr4 & CR4_PKE);
	} else if (e->function == LEAF_XSTATE && e->index == 0) {
		*ebx = xstate_size(entries, n, dynamic->xcr0, false);
	} else if (e->function == LEAF_XSTATE && e->index == 1 &&
		   *eax & (EAX_XSAVES | EAX_XSAVEC)) {
		*ebx = xstate_size(entries, n, dynamic->xcr0 | dynamic->xss, true);
	}
}

/* A leaf beyond the limit of its class: Intel's processors answer with the highest basic leaf,
 * AMD's with zero. */
static const struct kvm_cpuid_entry2 *out_of_range(const struct kvm_cpuid_entry2 *entries,
						   uint32_t n, uint32_t leaf, uint32_t subleaf)
{
	const struct kvm_cpuid_entry2 *basic = cpuid_find(entries, n, 0, 0), *class;

	if (!basic || cpuid_vendor(entries, n) == CPUID_VENDOR_AMD)
		return NULL;
	if (leaf >= KVM_CPUID_SIGNATURE && leaf <= 0x4fffffff)
		class = cpuid_find(entries, n, leaf & 0xffffff00, 0);
	else if (leaf >= LEAF_CENTAUR)
		class = cpuid_find(entries, n, LEAF_CENTAUR, 0);
	else
		class = cpuid_find(entries, n, leaf & LEAF_EXTENDED, 0);
	if (class && leaf <= class->eax)
		return NULL;
	return cpuid_find(entries, n, basic->eax, subleaf);
}

void cpuid_lookup(const struct kvm_cpuid_entry2 *entries, uint32_t n,
		  const struct cpuid_dynamic *dynamic, uint32_t leaf, uint32_t subleaf,
		  uint32_t regs[4])
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(entries, n, leaf, subleaf);

	memset(regs, 0, 4 * sizeof *regs);
	if (!e)
		e = out_of_range(entries, n, leaf, subleaf);
	if (e) {
		regs[0] = e->eax;
		regs[1] = e->ebx;
		regs[2] = e->ecx;
		regs[3] = e->edx;
		if (dynamic)
			follow(entries, n, dynamic, e, regs);
		return;
	}
	/* An undefined level of the topology still says which level and which x2APIC id. */
	if (leaf == LEAF_TOPOLOGY || leaf == LEAF_TOPOLOGY_V2) {
		e = cpuid_find(entries, n, leaf, 1);
		if (e) {
			regs[2] = subleaf & 0xff;
			regs[3] = e->edx;
		}
	}
}

void cpuid_follow(struct kvm_cpuid_entry2 *entries, uint32_t n, const struct cpuid_dynamic *dynamic)
{
	for (uint32_t i = 0; i < n; i++) {
		struct kvm_cpuid_entry2 *e = &entries[i];
		uint32_t regs[4] = {e->eax, e->ebx, e->ecx, e->edx};

		follow(entries, n, dynamic, e, regs);
		e->eax = regs[0];
		e->ebx = regs[1];
		e->ecx = regs[2];
		e->edx = regs[3];
	}
}

int cpuid_check(const struct kvm_cpuid_entry2 *entries, uint32_t n)
{
	const struct kvm_cpuid_entry2 *addresses = cpuid_find(entries, n, LEAF_ADDRESSES, 0);
	uint32_t linear_bits = addresses ? (addresses->eax >> 8) & 0xff : 0;

	return linear_bits == 0 || linear_bits == 48 || linear_bits == 57 ? 0 : -EINVAL;
}

bool cpuid_same(const struct kvm_cpuid_entry2 *a, uint32_t na, const struct kvm_cpuid_entry2 *b,
		uint32_t nb)
{
	if (na != nb)
		return false;
	for (uint32_t i = 0; i < na; i++)
		if (a[i].function != b[i].function || a[i].index != b[i].index ||
		    a[i].flags != b[i].flags || a[i].eax != b[i].eax || a[i].ebx != b[i].ebx ||
		    a[i].ecx != b[i].ecx || a[i].edx != b[i].edx)
			return false;
	return true;
}
