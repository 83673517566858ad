/*
 * cpuid: CPUID tables, in KVM's form and in Xen's.
 *
 * A VMM asks what it may give its guest (cpuid_supported), sets a table of its own (cpuid_check),
 * and the guest then reads that table with a few bits that follow its registers (cpuid_lookup).
 * Xen has a policy for the whole domain, which decides what works (cpuid_policy).
 *
 * Leaves: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E. Entries of a table are what
 * KVM_SET_CPUID2 took; a table may be NULL with n 0 before that.
 */
#ifndef KVMXEN_MACHINE_CPUID_H
#define KVMXEN_MACHINE_CPUID_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "libkvmxen/xen/control.h"

/* The most leaves that cpuid_policy gives: what a policy of Xen holds. */
#define CPUID_POLICY_MAX 144

enum cpuid_vendor { CPUID_VENDOR_OTHER, CPUID_VENDOR_INTEL, CPUID_VENDOR_AMD };

/* Registers that some bits of CPUID follow while the guest runs. */
struct cpuid_dynamic {
	uint64_t cr4;
	uint64_t xcr0;
	uint64_t xss;
	bool apic_enabled; /* bit 11 of the APIC base register */
};

/* KVM_GET_SUPPORTED_CPUID, from the leaves that Xen gives an HVM guest by default. *nent: in
 * capacity, out count. -E2BIG when they do not fit (*nent is then unchanged). */
int cpuid_supported(const struct control_cpuid *host, uint32_t n, struct kvm_cpuid_entry2 *out,
		    uint32_t *nent);

/* What of a guest's table goes into Xen's policy: every leaf that a policy has, so that one which
 * the VMM left out is zero and not the host's. *nout: in capacity (CPUID_POLICY_MAX always
 * suffices), out count. 0 or -E2BIG. */
int cpuid_policy(const struct kvm_cpuid_entry2 *in, uint32_t n, struct control_cpuid *out,
		 uint32_t *nout);
/* Xen refuses a policy that names more leaves than the host's: lowers the three limits. */
void cpuid_policy_limit(struct control_cpuid *policy, uint32_t n, const struct control_cpuid *host,
			uint32_t nhost);

/* The answer to a guest's CPUID: EAX, EBX, ECX, EDX. dynamic may be NULL: nothing follows. */
void cpuid_lookup(const struct kvm_cpuid_entry2 *entries, uint32_t n,
		  const struct cpuid_dynamic *dynamic, uint32_t leaf, uint32_t subleaf,
		  uint32_t regs[4]);

/* Makes the entries as cpuid_lookup answers them: so KVM_GET_CPUID2 shows them. */
void cpuid_follow(struct kvm_cpuid_entry2 *entries, uint32_t n,
		  const struct cpuid_dynamic *dynamic);

/* 0, or -EINVAL for a table that KVM_SET_CPUID2 refuses. */
int cpuid_check(const struct kvm_cpuid_entry2 *entries, uint32_t n);
/* After the first KVM_RUN only the same table may be set again. */
bool cpuid_same(const struct kvm_cpuid_entry2 *a, uint32_t na, const struct kvm_cpuid_entry2 *b,
		uint32_t nb);

/* The entry of a leaf, NULL without one. */
const struct kvm_cpuid_entry2 *cpuid_find(const struct kvm_cpuid_entry2 *entries, uint32_t n,
					  uint32_t leaf, uint32_t subleaf);
enum cpuid_vendor cpuid_vendor(const struct kvm_cpuid_entry2 *entries, uint32_t n);
/* Width of a physical address: 36 where the table does not say. */
unsigned cpuid_physical_bits(const struct kvm_cpuid_entry2 *entries, uint32_t n);
/* What may be set in XCR0; 0 without XSAVE. */
uint64_t cpuid_xcr0(const struct kvm_cpuid_entry2 *entries, uint32_t n);
/* Family, model and stepping: EAX of leaf 1; 0x600, as KVM has it at reset, where it is missing. */
uint32_t cpuid_signature(const struct kvm_cpuid_entry2 *entries, uint32_t n);

#endif
