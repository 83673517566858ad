/*
 * check: what KVM's SET ioctls of a vcpu refuse, before anything is changed.
 *
 * Each returns 0 or -EINVAL. cpuid (n entries) is the table of KVM_SET_CPUID2, NULL before that.
 * A value that passes goes into the state with the vcpu_state_set_* functions of state.h.
 * KVM_SET_REGS, KVM_SET_FPU and KVM_SET_LAPIC refuse nothing.
 */
#ifndef KVMXEN_MACHINE_CHECK_H
#define KVMXEN_MACHINE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

/* The bits of CR4 whose features a table has; without a table all that a guest of Xen may have. */
uint64_t cr4_of_cpuid(const struct kvm_cpuid_entry2 *cpuid, uint32_t n);
/* host_cr4: what the host can give (cr4_of_cpuid of the supported table), whatever the guest's
 * table says. */
int sregs_check(const struct kvm_sregs *sregs, const struct kvm_cpuid_entry2 *cpuid, uint32_t n,
		uint64_t host_cr4);
int sregs2_check(const struct kvm_sregs2 *sregs, const struct kvm_cpuid_entry2 *cpuid, uint32_t n,
		 uint64_t host_cr4);
int debugregs_check(const struct kvm_debugregs *debugregs);
int xcrs_check(const struct kvm_xcrs *xcrs, const struct kvm_cpuid_entry2 *cpuid, uint32_t n);
/* host_xcr0: the components that the host has (cpuid_xcr0 of the supported table). */
int xsave_check(const struct kvm_xsave *xsave, uint64_t host_xcr0);
/* mp_state: the vcpu's own at present. */
int vcpu_events_check(const struct kvm_vcpu_events *events, uint32_t mp_state);
int mp_state_check(const struct kvm_mp_state *mp_state, bool irqchip);

#endif
