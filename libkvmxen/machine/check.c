#include "libkvmxen/machine/check.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "libkvmxen/machine/cpuid.h"
#include "libkvmxen/machine/state.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define CR0_PE (1ull << 0)
#define CR0_NW (1ull << 29)
#define CR0_CD (1ull << 30)
#define CR0_PG (1ull << 31)

#define CR4_PAE     (1ull << 5)
#define CR4_OSXSAVE (1ull << 18)
/* VME PVI TSD DE, PSE PAE MCE PGE, PCE OSFXSR OSXMMEXCPT: every processor with long mode. */
#define CR4_ALWAYS 0x7ffull
/* The others come with a feature. LA57, VMXE, SMXE and what is newer: no guest of Xen has them. */
enum reg { EBX, ECX };
static const struct cr4_feature {
	uint64_t bit;
	uint32_t leaf;
	enum reg reg;
	uint32_t feature;
} cr4_features[] = {
	{1ull << 11, 7, ECX, 1u << 2},   /* UMIP */
	{1ull << 16, 7, EBX, 1u << 0},   /* FSGSBASE */
	{1ull << 17, 1, ECX, 1u << 17},  /* PCIDE: PCID */
	{CR4_OSXSAVE, 1, ECX, 1u << 26}, /* XSAVE */
	{1ull << 20, 7, EBX, 1u << 7},   /* SMEP */
	{1ull << 21, 7, EBX, 1u << 20},  /* SMAP */
	{1ull << 22, 7, ECX, 1u << 3},   /* PKE: PKU */
};

#define EFER_LME (1ull << 8)

#define XCR0_YMM    (1ull << 2)
#define XCR0_MPX    (3ull << 3)
#define XCR0_AVX512 (7ull << 5)

/* Offsets in an XSAVE area: FXSAVE's MXCSR, the header's fields. */
#define XSAVE_MXCSR    24
#define XSAVE_BV       512
#define XSAVE_COMP     520
#define XSAVE_RESERVED 528
#define XSAVE_HEADER   576
#define MXCSR_KNOWN    0xffffu

#define VECTOR_NMI     2
#define LAST_EXCEPTION 31

static bool cr0_valid(uint64_t cr0)
{
	if (cr0 >> 32)
		return false;
	if ((cr0 & CR0_NW) && !(cr0 & CR0_CD))
		return false;
	return !(cr0 & CR0_PG) || (cr0 & CR0_PE);
}

uint64_t cr4_of_cpuid(const struct kvm_cpuid_entry2 *cpuid, uint32_t n)
{
	uint64_t known = CR4_ALWAYS;

	for (size_t i = 0; i < ARRAY_SIZE(cr4_features); i++) {
		const struct cr4_feature *f = &cr4_features[i];
		const struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, n, f->leaf, 0);

		if (!cpuid || (e && (f->reg == EBX ? e->ebx : e->ecx) & f->feature))
			known |= f->bit;
	}
	return known;
}

int sregs_check(const struct kvm_sregs *sregs, const struct kvm_cpuid_entry2 *cpuid, uint32_t n,
		uint64_t host_cr4)
{
	unsigned bits = cpuid_physical_bits(cpuid, n);

	if ((sregs->efer & EFER_LME) && (sregs->cr0 & CR0_PG)) {
		if (!(sregs->cr4 & CR4_PAE) || !(sregs->efer & STATE_EFER_LMA))
			return -EINVAL;
		if (sregs->cr3 >> bits)
			return -EINVAL;
	} else if ((sregs->efer & STATE_EFER_LMA) || sregs->cs.l) {
		return -EINVAL;
	}
	if ((sregs->cr4 & ~(host_cr4 & cr4_of_cpuid(cpuid, n))) || !cr0_valid(sregs->cr0))
		return -EINVAL;
	return vcpu_state_apic_base_valid(sregs->apic_base, bits) ? 0 : -EINVAL;
}

int sregs2_check(const struct kvm_sregs2 *sregs2, const struct kvm_cpuid_entry2 *cpuid, uint32_t n,
		 uint64_t host_cr4)
{
	bool pae = (sregs2->cr0 & CR0_PG) && (sregs2->cr4 & CR4_PAE) &&
		   !(sregs2->efer & STATE_EFER_LMA);
	struct kvm_sregs sregs;

	if (sregs2->flags & ~(uint64_t)KVM_SREGS2_FLAGS_PDPTRS_VALID)
		return -EINVAL;
	if ((sregs2->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID) && !pae)
		return -EINVAL;
	/* sregs2 has its flags where sregs has the interrupt bitmap. */
	memset(&sregs, 0, sizeof sregs);
	memcpy(&sregs, sregs2, offsetof(struct kvm_sregs, interrupt_bitmap));
	return sregs_check(&sregs, cpuid, n, host_cr4);
}
_Static_assert(offsetof(struct kvm_sregs, interrupt_bitmap) == offsetof(struct kvm_sregs2, flags),
	       "kvm_sregs2 begins as kvm_sregs does");

int debugregs_check(const struct kvm_debugregs *debugregs)
{
	if (debugregs->flags || debugregs->dr6 >> 32 || debugregs->dr7 >> 32)
		return -EINVAL;
	return 0;
}

static bool xcr0_valid(uint64_t xcr0, uint64_t allowed)
{
	if (!(xcr0 & STATE_XSTATE_FP) || (xcr0 & ~(allowed | STATE_XSTATE_FP)))
		return false;
	if ((xcr0 & XCR0_YMM) && !(xcr0 & STATE_XSTATE_SSE))
		return false;
	if ((xcr0 & XCR0_MPX) && (xcr0 & XCR0_MPX) != XCR0_MPX)
		return false;
	if (xcr0 & XCR0_AVX512)
		return (xcr0 & XCR0_YMM) && (xcr0 & XCR0_AVX512) == XCR0_AVX512;
	return true;
}

int xcrs_check(const struct kvm_xcrs *xcrs, const struct kvm_cpuid_entry2 *cpuid, uint32_t n)
{
	if (xcrs->nr_xcrs > KVM_MAX_XCRS || xcrs->flags)
		return -EINVAL;
	/* The first entry for XCR0 counts; others are passed over. */
	for (uint32_t i = 0; i < xcrs->nr_xcrs; i++)
		if (xcrs->xcrs[i].xcr == 0)
			return xcr0_valid(xcrs->xcrs[i].value, cpuid_xcr0(cpuid, n)) ? 0 : -EINVAL;
	return 0;
}

int xsave_check(const struct kvm_xsave *xsave, uint64_t host_xcr0)
{
	const char *area = (const char *)xsave->region;
	uint64_t bv, comp;
	uint32_t mxcsr;

	memcpy(&bv, area + XSAVE_BV, sizeof bv);
	memcpy(&comp, area + XSAVE_COMP, sizeof comp);
	memcpy(&mxcsr, area + XSAVE_MXCSR, sizeof mxcsr);
	if ((bv & ~(host_xcr0 | STATE_XSTATE_FP | STATE_XSTATE_SSE)) || comp)
		return -EINVAL;
	for (const char *p = area + XSAVE_RESERVED; p < area + XSAVE_HEADER; p++)
		if (*p)
			return -EINVAL;
	/* MXCSR counts only where a component that uses it is there. */
	if ((bv & (STATE_XSTATE_FP | STATE_XSTATE_SSE | XCR0_YMM)) && (mxcsr & ~MXCSR_KNOWN))
		return -EINVAL;
	return 0;
}

int vcpu_events_check(const struct kvm_vcpu_events *events, uint32_t mp_state)
{
	/* The payload and the triple fault need capabilities that kvmxen does not have. */
	const uint32_t known = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
			       KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;

	if (events->flags & ~known)
		return -EINVAL;
	if (events->exception.injected &&
	    (events->exception.nr > LAST_EXCEPTION || events->exception.nr == VECTOR_NMI))
		return -EINVAL;
	/* No vcpu of Xen's is ever in SMM; one that waits for SIPI cannot be in KVM either. */
	if ((events->flags & KVM_VCPUEVENT_VALID_SMM) && (events->smi.smm || events->smi.pending) &&
	    mp_state == KVM_MP_STATE_INIT_RECEIVED)
		return -EINVAL;
	return 0;
}

int mp_state_check(const struct kvm_mp_state *mp_state, bool irqchip)
{
	switch (mp_state->mp_state) {
	case KVM_MP_STATE_RUNNABLE:
		return 0;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_HALTED:
	case KVM_MP_STATE_SIPI_RECEIVED:
	case KVM_MP_STATE_AP_RESET_HOLD:
		/* Without a LAPIC in the kernel nothing there would ever end them. */
		return irqchip ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}
