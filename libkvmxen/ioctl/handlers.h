/*
 * handlers: what the ioctl table dispatches to, beside those of memory.h and interrupts.h.
 *
 * Each returns >= 0 or a negative errno. A fixed-size argument has been copied in and is copied
 * out again after success by the dispatcher (as its direction bits say); a `user` pointer is the
 * VMM's own and must go through ioctl/copy.h.
 */
#ifndef KVMXEN_IOCTL_HANDLERS_H
#define KVMXEN_IOCTL_HANDLERS_H

#include "libkvmxen/convert/loss.h"
#include "libkvmxen/machine/assign.h"
#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/vfio.h"
#include "libkvmxen/machine/vm.h"

/* machine/system.c */
long system_get_msr_index_list(void *user);
long system_get_msr_feature_index_list(void *user);
long system_get_supported_cpuid(void *user);
long system_get_emulated_cpuid(void *user);
long system_get_msrs(void *user);

/* Xen's leaves for its guests: asked once, owned by the library. 0 or -errno. */
long system_host_leaves(const struct control_cpuid **leaves, uint32_t *n);
/* The XSAVE components that KVM_GET_SUPPORTED_CPUID offers. */
uint64_t system_xcr0(void);
/* The bits of CR4 that guests on this host may have. */
uint64_t system_cr4(void);
/* Whether Xen's guests have XSAVE on this host: without it there is no CPU_XSAVE record. */
bool system_has_xsave(void);

/* machine/vcpu_registers.c */
long vcpu_get_regs(struct vcpu *vcpu, struct kvm_regs *regs);
long vcpu_set_regs(struct vcpu *vcpu, const struct kvm_regs *regs);
long vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs);
long vcpu_set_sregs(struct vcpu *vcpu, const struct kvm_sregs *sregs);
long vcpu_get_sregs2(struct vcpu *vcpu, struct kvm_sregs2 *sregs2);
long vcpu_set_sregs2(struct vcpu *vcpu, const struct kvm_sregs2 *sregs2);
long vcpu_get_fpu(struct vcpu *vcpu, struct kvm_fpu *fpu);
long vcpu_set_fpu(struct vcpu *vcpu, const struct kvm_fpu *fpu);
long vcpu_get_xsave(struct vcpu *vcpu, struct kvm_xsave *xsave);
long vcpu_set_xsave(struct vcpu *vcpu, const struct kvm_xsave *xsave);
long vcpu_get_xcrs(struct vcpu *vcpu, struct kvm_xcrs *xcrs);
long vcpu_set_xcrs(struct vcpu *vcpu, const struct kvm_xcrs *xcrs);
long vcpu_get_debugregs(struct vcpu *vcpu, struct kvm_debugregs *debugregs);
long vcpu_set_debugregs(struct vcpu *vcpu, const struct kvm_debugregs *debugregs);
long vcpu_get_events(struct vcpu *vcpu, struct kvm_vcpu_events *events);
long vcpu_set_events(struct vcpu *vcpu, const struct kvm_vcpu_events *events);
long vcpu_get_mp_state(struct vcpu *vcpu, struct kvm_mp_state *mp_state);
long vcpu_set_mp_state(struct vcpu *vcpu, const struct kvm_mp_state *mp_state);
long vcpu_get_lapic(struct vcpu *vcpu, struct kvm_lapic_state *lapic);
long vcpu_set_lapic(struct vcpu *vcpu, void *user);
long vcpu_get_msrs(struct vcpu *vcpu, void *user);
long vcpu_set_msrs(struct vcpu *vcpu, void *user);

/* machine/vcpu_cpuid.c */
long vcpu_set_cpuid2(struct vcpu *vcpu, void *user);
long vcpu_get_cpuid2(struct vcpu *vcpu, void *user);
long vcpu_set_cpuid(struct vcpu *vcpu, void *user);

/* machine/vcpu_misc.c */
long vcpu_set_signal_mask(struct vcpu *vcpu, void *user);
long vcpu_interrupt(struct vcpu *vcpu, const struct kvm_interrupt *irq);
long vcpu_nmi(struct vcpu *vcpu);
long vcpu_set_guest_debug(struct vcpu *vcpu, const struct kvm_guest_debug *debug);
long vcpu_translate(struct vcpu *vcpu, struct kvm_translation *translation);
/* The same with these control registers: false when the address is not mapped. */
bool vcpu_translate_with(struct vcpu *vcpu, const struct kvm_sregs *sregs, uint64_t linear,
			 uint64_t *physical);
long vcpu_get_tsc_khz(struct vcpu *vcpu);
long vcpu_set_tsc_khz(struct vcpu *vcpu, unsigned long khz);
long vcpu_set_vapic_addr(struct vcpu *vcpu, void *user);
long vcpu_tpr_access_reporting(struct vcpu *vcpu, struct kvm_tpr_access_ctl *ctl);
long vcpu_setup_mce(struct vcpu *vcpu, const uint64_t *mcg_cap);
long vcpu_set_mce(struct vcpu *vcpu, const struct kvm_x86_mce *mce);

/* machine/vcpu_sync.c: kvm_run's registers, where the VMM asks for them. At the start of KVM_RUN
 * what it changed is set: 0 or -errno; at its end what it wants is filled in. */
long vcpu_sync_in(struct vcpu *vcpu);
void vcpu_sync_out(struct vcpu *vcpu);
long system_get_mce_cap(uint64_t *mcg_cap);

/* machine/attributes.c */
long system_has_attr(const struct kvm_device_attr *attr);
long system_get_attr(const struct kvm_device_attr *attr);
long vcpu_has_attr(struct vcpu *vcpu, const struct kvm_device_attr *attr);
long vcpu_get_attr(struct vcpu *vcpu, const struct kvm_device_attr *attr);
long vcpu_set_attr(struct vcpu *vcpu, const struct kvm_device_attr *attr);

/* machine/filters.c */
long vm_set_msr_filter(struct vm *vm, const struct kvm_msr_filter *filter);
long vm_set_pmu_event_filter(struct vm *vm, void *user);

/* machine/run.c */
long vcpu_run(struct vcpu *vcpu);

/* machine/losses.c: see kvmxen_losses. The number of losses or a negative errno. */
long vcpu_losses(struct vcpu *vcpu, loss_report *report, void *context);
long vm_losses(struct vm *vm, loss_report *report, void *context);

/* machine/vm_misc.c */
long vm_set_tss_addr(struct vm *vm, unsigned long address);
long vm_set_identity_map_addr(struct vm *vm, void *user);
long vm_set_boot_cpu_id(struct vm *vm, unsigned long id);
long vm_get_clock(struct vm *vm, struct kvm_clock_data *clock);
long vm_set_clock(struct vm *vm, const struct kvm_clock_data *clock);
long vm_enable_cap(struct vm *vm, const struct kvm_enable_cap *cap);
long vm_set_nr_mmu_pages(struct vm *vm, unsigned long pages);
long vm_get_tsc_khz(struct vm *vm);
long vm_set_tsc_khz(struct vm *vm, unsigned long khz);

#endif
