/* The CPU policy: what the host can give, what a domain was given, what its guest sees. */
#include "tests/fake/internal.h"

#define FLAT CONTROL_CPUID_NO_SUBLEAF

#define LEAF1_OSXSAVE  (1u << 27)
#define CR4_OSXSAVE    (1ull << 18)
#define EXISTING_BASIC 0xdu
#define EXISTING_EXT   0x80000021u

/* hvm_default of a small AMD machine. */
static const struct control_cpuid host_leaves[] = {
	{0x0, FLAT, 0xd, 0x68747541, 0x444d4163, 0x69746e65},
	{0x1, FLAT, 0x00800f12, 0x00010800, 0xfed83203, 0x178bfbff},
	{0x5, FLAT, 0, 0, 0, 0},
	{0x6, FLAT, 0, 0, 0, 0},
	{0x7, 0, 0, 0x219c01a9, 0x0000000c, 0},
	{0xd, 0, 0x7, 0x340, 0x340, 0},
	{0xd, 1, 0x1, 0, 0, 0},
	{0xd, 2, 0x100, 0x240, 0, 0},
	{0x80000000, FLAT, 0x80000021, 0x68747541, 0x444d4163, 0x69746e65},
	{0x80000001, FLAT, 0x00800f12, 0, 0x000001f3, 0x2fd3fbff},
	{0x80000002, FLAT, 0x656b6146, 0x6e655820, 0x73657420, 0x50432074},
	{0x80000003, FLAT, 0x55, 0, 0, 0},
	{0x80000004, FLAT, 0, 0, 0, 0},
	{0x80000005, FLAT, 0xff40ff40, 0xff40ff40, 0x20080140, 0x40040140},
	{0x80000006, FLAT, 0, 0x42004200, 0x02008140, 0},
	{0x80000007, FLAT, 0, 0, 0, 0x100},
	{0x80000008, FLAT, 0x3028, 0x1000, 0, 0},
	{0x8000000a, FLAT, 0, 0, 0, 0},
	{0x80000021, FLAT, 0x4, 0, 0, 0},
};
#define NR_HOST (sizeof host_leaves / sizeof *host_leaves)

int xen_cpuid_host(struct control_cpuid *leaves, uint32_t *n)
{
	uint32_t room = *n;

	*n = NR_HOST;
	if (room < NR_HOST)
		return -ENOBUFS;
	memcpy(leaves, host_leaves, sizeof host_leaves);
	return 0;
}

static struct control_cpuid *find(struct control_cpuid *leaves, unsigned n, uint32_t leaf,
				  uint32_t subleaf)
{
	for (unsigned i = 0; i < n; i++)
		if (leaves[i].leaf == leaf && leaves[i].subleaf == subleaf)
			return &leaves[i];
	return NULL;
}

static const struct control_cpuid *find_host(uint32_t leaf, uint32_t subleaf)
{
	return find((struct control_cpuid *)host_leaves, NR_HOST, leaf, subleaf);
}

void xen_cpuid_init(struct domain *d)
{
	memcpy(d->policy, host_leaves, sizeof host_leaves);
	d->nr_policy = NR_HOST;
}

/* x86_cpuid_copy_from_buffer: which leaves have a place in Xen's policy. */
static bool representable(const struct control_cpuid *c)
{
	switch (c->leaf) {
	case 0x4:
		return c->subleaf < 6;
	case 0x7:
		return c->subleaf < 2;
	case 0xb:
		return c->subleaf < 2;
	case 0xd:
		return c->subleaf < 63;
	case 0x40000000:
	case 0x40000100:
		return c->subleaf == FLAT;
	}
	if (c->leaf <= EXISTING_BASIC || (c->leaf >= 0x80000000 && c->leaf <= EXISTING_EXT))
		return c->subleaf == FLAT;
	return false;
}

/* recalculate_cpuid_policy: no leaf that the host lacks, no feature that it lacks. */
static void clamp(struct control_cpuid *c)
{
	const struct control_cpuid *h = find_host(c->leaf, c->subleaf);
	bool features = c->leaf == 1 || c->leaf == 7 || c->leaf == 0x80000001;

	if (!h && c->leaf >= 0x40000000 && c->leaf < 0x80000000)
		return;
	if (!h || c->leaf == 5 || c->leaf == 6) {
		c->eax = c->ebx = c->ecx = c->edx = 0;
		return;
	}
	if (!features)
		return;
	c->ecx &= h->ecx;
	c->edx &= h->edx;
	if (c->leaf == 7)
		c->ebx &= h->ebx;
}

/* x86_cpu_policies_are_compatible */
static bool compatible(const struct control_cpuid *c)
{
	return !(c->leaf == 0 && c->eax > EXISTING_BASIC) &&
	       !(c->leaf == 0x80000000 && c->eax > EXISTING_EXT) &&
	       !(c->leaf == 7 && c->subleaf == 0 && c->eax > 1);
}

int xen_cpuid_set(struct domain *d, const struct control_cpuid *leaves, uint32_t n)
{
	if (d->creation_finished)
		return -EEXIST;
	for (uint32_t i = 0; i < n; i++)
		if (!representable(&leaves[i]))
			return -ERANGE;
	for (uint32_t i = 0; i < n; i++)
		if (!compatible(&leaves[i]))
			return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		struct control_cpuid *to =
			find(d->policy, d->nr_policy, leaves[i].leaf, leaves[i].subleaf);

		if (!to && d->nr_policy == sizeof d->policy / sizeof *d->policy)
			return -ENOMEM;
		if (!to)
			to = &d->policy[d->nr_policy++];
		*to = leaves[i];
		clamp(to);
	}
	return 0;
}

/* Xen's own leaves cannot be hidden. */
static void hypervisor_leaf(uint32_t leaf, uint32_t out[4])
{
	static const uint32_t signature[4] = {0x40000005, 0x566e6558, 0x65584d4d, 0x4d4d566e};

	if (leaf == 0x40000000)
		memcpy(out, signature, sizeof signature);
	else if (leaf == 0x40000001)
		out[0] = 4 << 16 | (xen_is_420() ? 20 : 17);
}

void xen_cpuid_guest(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	struct domain *d = v->d;
	const struct control_cpuid *c = find(d->policy, d->nr_policy, leaf, FLAT);

	memset(out, 0, 4 * sizeof *out);
	if (leaf >= 0x40000000 && leaf < 0x40000100) {
		hypervisor_leaf(leaf, out);
		return;
	}
	if (!c)
		c = find(d->policy, d->nr_policy, leaf, subleaf);
	if (!c)
		return;
	out[0] = c->eax;
	out[1] = c->ebx;
	out[2] = c->ecx;
	out[3] = c->edx;
	if (leaf == 1) {
		out[1] = (out[1] & 0x00ffffff) | v->id * 2 << 24;
		out[2] &= ~LEAF1_OSXSAVE;
		if (v->cpu.cr4 & CR4_OSXSAVE)
			out[2] |= LEAF1_OSXSAVE;
	}
}
