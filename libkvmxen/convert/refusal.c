#include "libkvmxen/convert/refusal.h"

#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define CR0_PE     (1ull << 0)
#define CR0_PG     (1ull << 31)
#define EFER_SCE   (1ull << 0)
#define EFER_LME   (1ull << 8)
#define EFER_LMA   (1ull << 10)
#define EFER_NXE   (1ull << 11)
#define EFER_FFXSE (1ull << 14)

#define PHYSICAL_BITS_DEFAULT 36

enum reg { EAX, EBX, ECX, EDX };

static uint32_t leaf(const struct control_cpuid *host, uint32_t n, uint32_t number,
		     uint32_t subleaf, enum reg reg)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct control_cpuid *l = &host[i];

		if (l->leaf != number ||
		    (l->subleaf != CONTROL_CPUID_NO_SUBLEAF && l->subleaf != subleaf))
			continue;
		return reg == EAX ? l->eax : reg == EBX ? l->ebx : reg == ECX ? l->ecx : l->edx;
	}
	return 0;
}

/* Bits of a register that come with a feature. */
struct rule {
	uint64_t bits;
	uint32_t leaf;
	enum reg reg;
	uint8_t bit;
};

static const struct rule cr4_rules[] = {
	{0x3, 1, EDX, 1},       /* VME, PVI */
	{0x4, 1, EDX, 4},       /* TSD */
	{0x8, 1, EDX, 2},       /* DE */
	{0x10, 1, EDX, 3},      /* PSE */
	{0x20, 1, EDX, 6},      /* PAE */
	{0x40, 1, EDX, 7},      /* MCE */
	{0x80, 1, EDX, 13},     /* PGE */
	{0x200, 1, EDX, 24},    /* OSFXSR */
	{0x400, 1, EDX, 25},    /* OSXMMEXCPT */
	{0x800, 7, ECX, 2},     /* UMIP */
	{0x10000, 7, EBX, 0},   /* FSGSBASE */
	{0x20000, 1, ECX, 17},  /* PCIDE */
	{0x40000, 1, ECX, 26},  /* OSXSAVE */
	{0x100000, 7, EBX, 7},  /* SMEP */
	{0x200000, 7, EBX, 20}, /* SMAP */
	{0x400000, 7, ECX, 3},  /* PKE */
};
#define CR4_PCE 0x100ull

static const struct rule efer_rules[] = {
	{EFER_SCE, 0x80000001, EDX, 11},
	{EFER_LME | EFER_LMA, 0x80000001, EDX, 29},
	{EFER_NXE, 0x80000001, EDX, 20},
	{EFER_FFXSE, 0x80000001, EDX, 25},
};

static uint64_t allowed(const struct rule *rules, size_t count, const struct control_cpuid *host,
			uint32_t n)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < count; i++)
		if (leaf(host, n, rules[i].leaf, 0, rules[i].reg) >> rules[i].bit & 1)
			bits |= rules[i].bits;
	return bits;
}

static bool refuse(struct refusal *refusal, const char *field, uint64_t value, uint64_t bits)
{
	*refusal = (struct refusal){field, value, value & bits};
	return refusal->bits != 0;
}

bool cpu_record_refused(const struct hvm_hw_cpu *r, const struct control_cpuid *host, uint32_t n,
			struct refusal *refusal)
{
	uint32_t bits = leaf(host, n, 0x80000008, 0, EAX) & 0xff;
	uint64_t cr4 = CR4_PCE | allowed(cr4_rules, ARRAY_SIZE(cr4_rules), host, n);
	uint64_t efer = allowed(efer_rules, ARRAY_SIZE(efer_rules), host, n);

	if ((r->cr0 & CR0_PG) && !(r->cr0 & CR0_PE))
		return refuse(refusal, "cr0", r->cr0, CR0_PG);
	/* Xen wants LME, and paging, wherever LMA is. */
	if ((r->msr_efer & EFER_LMA) && (!(r->msr_efer & EFER_LME) || !(r->cr0 & CR0_PG)))
		return refuse(refusal, "efer", r->msr_efer, EFER_LMA);
	return refuse(refusal, "cr3", r->cr3, ~0ull << (bits ? bits : PHYSICAL_BITS_DEFAULT)) ||
	       refuse(refusal, "cr4", r->cr4, ~cr4) || refuse(refusal, "efer", r->msr_efer, ~efer);
}

bool xsave_record_refused(const void *body, size_t length, const struct control_cpuid *host,
			  uint32_t n, struct refusal *refusal)
{
	struct hvm_hw_cpu_xsave head;
	uint64_t components =
		(uint64_t)leaf(host, n, 0xd, 0, EDX) << 32 | leaf(host, n, 0xd, 0, EAX);

	if (length < sizeof head)
		return false;
	memcpy(&head, body, sizeof head);
	return refuse(refusal, "xcr0", head.xcr0, ~components) ||
	       refuse(refusal, "xstate_bv", head.xcr0_accum, ~components);
}
