#include "libkvmxen/ioctl/table.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include <linux/kvm.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/ioctl/create.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/ioctl/newer.h"
#include "libkvmxen/machine/wait.h"

/* Handlers have the types of their objects and arguments; the table has one type for all. */
#define WITH_STRUCT(object_type, handler, struct_type)                                             \
	static long call_##handler(void *object, void *argument)                                   \
	{                                                                                          \
		return handler((struct object_type *)object, (struct_type *)argument);             \
	}
#define WITH_VALUE(object_type, handler)                                                           \
	static long call_##handler(void *object, void *argument)                                   \
	{                                                                                          \
		return handler((struct object_type *)object, (unsigned long)argument);             \
	}
#define WITH_NOTHING(object_type, handler)                                                         \
	static long call_##handler(void *object, void *argument)                                   \
	{                                                                                          \
		(void)argument;                                                                    \
		return handler((struct object_type *)object);                                      \
	}
#define OF_SYSTEM(handler)                                                                         \
	static long call_##handler(void *object, void *argument)                                   \
	{                                                                                          \
		(void)object;                                                                      \
		return handler(argument);                                                          \
	}

static long call_api_version(void *object, void *argument)
{
	return KVM_API_VERSION;
}

static long call_mmap_size(void *object, void *argument)
{
	return VCPU_MMAP_SIZE;
}

static long call_check_extension(void *object, void *argument)
{
	if ((unsigned long)argument == KVM_CAP_IMMEDIATE_EXIT)
		wait_expect_immediate_exit();
	return capability_value((unsigned long)argument);
}

/* Its request carries no size. */
static long call_reinject_control(void *object, void *user)
{
	struct kvm_reinject_control control;

	if (copy_in(&control, user, sizeof control))
		return -EFAULT;
	return interrupts_reinject_control(object, &control);
}

/* The routing table's tail follows the header: copied here, checked there. */
static long call_set_gsi_routing(void *object, void *user)
{
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry *entries = NULL;
	long rc;

	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	if (head.nr > 4096 || head.flags)
		return -EINVAL;
	if (head.nr) {
		entries = calloc(head.nr, sizeof *entries);
		if (!entries)
			return -ENOMEM;
		if (copy_in(entries, (char *)user + sizeof head, head.nr * sizeof *entries)) {
			free(entries);
			return -EFAULT;
		}
	}
	rc = interrupts_set_gsi_routing(object, head.nr, head.flags, entries);
	free(entries);
	return rc;
}

/* As KVM_SET_USER_MEMORY_REGION, unless it asks for memory that the VMM cannot map. */
static long call_set_user_region2(void *object, void *argument)
{
	const struct kvm_userspace_memory_region2_ *region2 = argument;
	struct kvm_userspace_memory_region region = {
		.slot = region2->slot,
		.flags = region2->flags,
		.guest_phys_addr = region2->guest_phys_addr,
		.memory_size = region2->memory_size,
		.userspace_addr = region2->userspace_addr,
	};

	return memory_set_user_region(object, &region);
}

WITH_VALUE(vm, create_vcpu_fd)
WITH_STRUCT(vm, create_device_fd, struct kvm_create_device)
WITH_STRUCT(vfio, vfio_set_attr, struct kvm_device_attr)
WITH_NOTHING(vfio, vfio_get_attr)
WITH_STRUCT(vfio, vfio_has_attr, struct kvm_device_attr)
OF_SYSTEM(system_has_attr)
OF_SYSTEM(system_get_attr)
OF_SYSTEM(create_vm_fd)
OF_SYSTEM(system_get_msr_index_list)
OF_SYSTEM(system_get_msr_feature_index_list)
OF_SYSTEM(system_get_supported_cpuid)
OF_SYSTEM(system_get_emulated_cpuid)
OF_SYSTEM(system_get_msrs)
OF_SYSTEM(system_get_mce_cap)

WITH_STRUCT(vm, memory_set_user_region, struct kvm_userspace_memory_region)
WITH_STRUCT(vm, memory_get_dirty_log, struct kvm_dirty_log)
WITH_STRUCT(vm, memory_clear_dirty_log, struct kvm_clear_dirty_log)
WITH_NOTHING(vm, interrupts_create_irqchip)
WITH_NOTHING(vm, interrupts_create_pit)
WITH_STRUCT(vm, interrupts_create_pit2, struct kvm_pit_config)
WITH_STRUCT(vm, interrupts_get_irqchip, struct kvm_irqchip)
WITH_STRUCT(vm, interrupts_set_irqchip, struct kvm_irqchip)
WITH_STRUCT(vm, interrupts_get_pit2, struct kvm_pit_state2)
WITH_STRUCT(vm, interrupts_set_pit2, struct kvm_pit_state2)
WITH_STRUCT(vm, interrupts_get_pit, struct kvm_pit_state)
WITH_STRUCT(vm, interrupts_set_pit, struct kvm_pit_state)
WITH_STRUCT(vm, interrupts_irq_line, struct kvm_irq_level)
WITH_STRUCT(vm, interrupts_irq_line_status, struct kvm_irq_level)
WITH_STRUCT(vm, interrupts_signal_msi, struct kvm_msi)
WITH_STRUCT(vm, interrupts_irqfd, struct kvm_irqfd)
WITH_STRUCT(vm, interrupts_ioeventfd, struct kvm_ioeventfd)
WITH_STRUCT(vm, interrupts_register_coalesced, struct kvm_coalesced_mmio_zone)
WITH_STRUCT(vm, interrupts_unregister_coalesced, struct kvm_coalesced_mmio_zone)
WITH_VALUE(vm, vm_set_tss_addr)
WITH_STRUCT(vm, vm_set_identity_map_addr, void)
WITH_VALUE(vm, vm_set_boot_cpu_id)
WITH_STRUCT(vm, vm_get_clock, struct kvm_clock_data)
WITH_STRUCT(vm, vm_set_clock, struct kvm_clock_data)
WITH_STRUCT(vm, vm_enable_cap, struct kvm_enable_cap)
WITH_VALUE(vm, vm_set_nr_mmu_pages)
WITH_NOTHING(vm, vm_get_tsc_khz)
WITH_VALUE(vm, vm_set_tsc_khz)
WITH_STRUCT(vm, vm_set_msr_filter, struct kvm_msr_filter)
WITH_STRUCT(vm, vm_set_pmu_event_filter, void)
WITH_NOTHING(vm, vm_get_stats_fd)

WITH_STRUCT(vm, assign_pci_device, void)
WITH_STRUCT(vm, assign_deassign, void)
WITH_STRUCT(vm, assign_dev_irq, void)
WITH_STRUCT(vm, assign_deassign_irq, void)
WITH_STRUCT(vm, assign_set_msix_nr, void)
WITH_STRUCT(vm, assign_set_msix_entry, void)
WITH_STRUCT(vm, assign_set_intx_mask, void)

WITH_NOTHING(vcpu, vcpu_run)
WITH_STRUCT(vcpu, vcpu_get_regs, struct kvm_regs)
WITH_STRUCT(vcpu, vcpu_set_regs, struct kvm_regs)
WITH_STRUCT(vcpu, vcpu_get_sregs, struct kvm_sregs)
WITH_STRUCT(vcpu, vcpu_set_sregs, struct kvm_sregs)
WITH_STRUCT(vcpu, vcpu_get_sregs2, struct kvm_sregs2)
WITH_STRUCT(vcpu, vcpu_set_sregs2, struct kvm_sregs2)
WITH_STRUCT(vcpu, vcpu_get_fpu, struct kvm_fpu)
WITH_STRUCT(vcpu, vcpu_set_fpu, struct kvm_fpu)
WITH_STRUCT(vcpu, vcpu_get_xsave, struct kvm_xsave)
WITH_STRUCT(vcpu, vcpu_set_xsave, struct kvm_xsave)
WITH_STRUCT(vcpu, vcpu_get_xcrs, struct kvm_xcrs)
WITH_STRUCT(vcpu, vcpu_set_xcrs, struct kvm_xcrs)
WITH_STRUCT(vcpu, vcpu_get_debugregs, struct kvm_debugregs)
WITH_STRUCT(vcpu, vcpu_set_debugregs, struct kvm_debugregs)
WITH_STRUCT(vcpu, vcpu_get_events, struct kvm_vcpu_events)
WITH_STRUCT(vcpu, vcpu_set_events, struct kvm_vcpu_events)
WITH_STRUCT(vcpu, vcpu_get_mp_state, struct kvm_mp_state)
WITH_STRUCT(vcpu, vcpu_set_mp_state, struct kvm_mp_state)
WITH_STRUCT(vcpu, vcpu_get_lapic, struct kvm_lapic_state)
WITH_STRUCT(vcpu, vcpu_set_lapic, void)
WITH_STRUCT(vcpu, vcpu_get_msrs, void)
WITH_STRUCT(vcpu, vcpu_set_msrs, void)
WITH_STRUCT(vcpu, vcpu_set_cpuid, void)
WITH_STRUCT(vcpu, vcpu_set_cpuid2, void)
WITH_STRUCT(vcpu, vcpu_get_cpuid2, void)
WITH_STRUCT(vcpu, vcpu_set_signal_mask, void)
WITH_STRUCT(vcpu, vcpu_interrupt, struct kvm_interrupt)
WITH_NOTHING(vcpu, vcpu_nmi)
WITH_STRUCT(vcpu, vcpu_translate, struct kvm_translation)
WITH_STRUCT(vcpu, vcpu_set_guest_debug, struct kvm_guest_debug)
WITH_NOTHING(vcpu, vcpu_get_tsc_khz)
WITH_VALUE(vcpu, vcpu_set_tsc_khz)
WITH_STRUCT(vcpu, vcpu_set_vapic_addr, void)
WITH_STRUCT(vcpu, vcpu_tpr_access_reporting, struct kvm_tpr_access_ctl)
WITH_STRUCT(vcpu, vcpu_has_attr, struct kvm_device_attr)
WITH_STRUCT(vcpu, vcpu_get_attr, struct kvm_device_attr)
WITH_STRUCT(vcpu, vcpu_set_attr, struct kvm_device_attr)
WITH_NOTHING(vcpu, vcpu_get_stats_fd)
WITH_STRUCT(vcpu, vcpu_setup_mce, uint64_t)
WITH_STRUCT(vcpu, vcpu_set_mce, struct kvm_x86_mce)

#define ROW(request, fd, argument, handler)                                                        \
	{                                                                                          \
		request, #request, fd, argument, handler, NULL, 0                                  \
	}
/* Done, with a difference. */
#define ROW_BUT(request, fd, argument, handler, difference)                                        \
	{                                                                                          \
		request, #request, fd, argument, handler, difference, 0                            \
	}
#define ABSENT(request, fd, reason)                                                                \
	{                                                                                          \
		request, #request, fd, ARGUMENT_USER, NULL, reason, 0                              \
	}
/* Refused with an errno of its own. */
#define REFUSED(request, fd, refusal, reason)                                                      \
	{                                                                                          \
		request, #request, fd, ARGUMENT_USER, NULL, reason, refusal                        \
	}
/* Refused when the argument has been read. */
#define REFUSED_READ(request, fd, reason)                                                          \
	{                                                                                          \
		request, #request, fd, ARGUMENT_STRUCT, NULL, reason, 0                            \
	}
#define NO_MSR_EXITS  "Xen tells no device model of MSR accesses"
#define NO_NESTED     "Xen has no state API for nested guests"
#define NO_XEN_IN_XEN "a guest's Xen hypercalls go to the real Xen"
#define NO_HYPERV     "Xen's own Hyper-V interface takes no orders from a device model"
#define NO_ENCRYPTION "Xen encrypts no guest's memory"
#define REMOVED       "KVM itself has it no more"
#define WITH_IOMMU    "as root where Xen has an IOMMU; elsewhere ENOTTY, as KVM since Linux 4.12"
#define OTHER_ARCH    "another architecture's"

static const struct ioctl_row rows[] = {
	/* First, since it is looked for most. */
	ROW(KVM_RUN, FD_VCPU, ARGUMENT_ZERO, call_vcpu_run),
	ROW(KVM_GET_API_VERSION, FD_SYSTEM, ARGUMENT_ZERO, call_api_version),
	ROW(KVM_CREATE_VM, FD_SYSTEM, ARGUMENT_VALUE, call_create_vm_fd),
	ROW(KVM_GET_MSR_INDEX_LIST, FD_SYSTEM, ARGUMENT_USER, call_system_get_msr_index_list),
	ROW(KVM_GET_MSR_FEATURE_INDEX_LIST, FD_SYSTEM, ARGUMENT_USER,
	    call_system_get_msr_feature_index_list),
	ROW(KVM_GET_MSRS, FD_SYSTEM, ARGUMENT_USER, call_system_get_msrs),
	ROW(KVM_CHECK_EXTENSION, FD_SYSTEM, ARGUMENT_VALUE, call_check_extension),
	ROW(KVM_GET_VCPU_MMAP_SIZE, FD_SYSTEM, ARGUMENT_ZERO, call_mmap_size),
	ROW(KVM_GET_SUPPORTED_CPUID, FD_SYSTEM, ARGUMENT_USER, call_system_get_supported_cpuid),
	ROW(KVM_GET_EMULATED_CPUID, FD_SYSTEM, ARGUMENT_USER, call_system_get_emulated_cpuid),
	ROW(KVM_GET_DEVICE_ATTR, FD_SYSTEM, ARGUMENT_STRUCT, call_system_get_attr),
	ROW(KVM_HAS_DEVICE_ATTR, FD_SYSTEM, ARGUMENT_STRUCT, call_system_has_attr),
	ROW(KVM_X86_GET_MCE_CAP_SUPPORTED, FD_SYSTEM, ARGUMENT_OUT, call_system_get_mce_cap),

	ROW(KVM_CHECK_EXTENSION, FD_VM, ARGUMENT_VALUE, call_check_extension),
	ROW(KVM_CREATE_VCPU, FD_VM, ARGUMENT_VALUE, call_create_vcpu_fd),
	ROW(KVM_SET_USER_MEMORY_REGION, FD_VM, ARGUMENT_STRUCT, call_memory_set_user_region),
	ROW(KVM_GET_DIRTY_LOG, FD_VM, ARGUMENT_STRUCT, call_memory_get_dirty_log),
	ROW(KVM_CLEAR_DIRTY_LOG, FD_VM, ARGUMENT_STRUCT, call_memory_clear_dirty_log),
	ROW(KVM_SET_TSS_ADDR, FD_VM, ARGUMENT_VALUE, call_vm_set_tss_addr),
	ROW(KVM_SET_IDENTITY_MAP_ADDR, FD_VM, ARGUMENT_USER, call_vm_set_identity_map_addr),
	ROW(KVM_SET_BOOT_CPU_ID, FD_VM, ARGUMENT_VALUE, call_vm_set_boot_cpu_id),
	ROW(KVM_CREATE_IRQCHIP, FD_VM, ARGUMENT_IGNORED, call_interrupts_create_irqchip),
	ROW(KVM_CREATE_PIT, FD_VM, ARGUMENT_IGNORED, call_interrupts_create_pit),
	ROW(KVM_CREATE_PIT2, FD_VM, ARGUMENT_STRUCT, call_interrupts_create_pit2),
	ROW(KVM_GET_IRQCHIP, FD_VM, ARGUMENT_STRUCT, call_interrupts_get_irqchip),
	ROW(KVM_SET_IRQCHIP, FD_VM, ARGUMENT_STRUCT, call_interrupts_set_irqchip),
	ROW(KVM_GET_PIT2, FD_VM, ARGUMENT_OUT, call_interrupts_get_pit2),
	ROW(KVM_SET_PIT2, FD_VM, ARGUMENT_STRUCT, call_interrupts_set_pit2),
	ROW(KVM_GET_PIT, FD_VM, ARGUMENT_STRUCT, call_interrupts_get_pit),
	ROW(KVM_SET_PIT, FD_VM, ARGUMENT_STRUCT, call_interrupts_set_pit),
	ROW(KVM_REINJECT_CONTROL, FD_VM, ARGUMENT_USER, call_reinject_control),
	ROW(KVM_IRQ_LINE, FD_VM, ARGUMENT_STRUCT, call_interrupts_irq_line),
	ROW(KVM_IRQ_LINE_STATUS, FD_VM, ARGUMENT_STRUCT, call_interrupts_irq_line_status),
	ROW(KVM_SET_GSI_ROUTING, FD_VM, ARGUMENT_USER, call_set_gsi_routing),
	ROW(KVM_SIGNAL_MSI, FD_VM, ARGUMENT_STRUCT, call_interrupts_signal_msi),
	ROW(KVM_IRQFD, FD_VM, ARGUMENT_STRUCT, call_interrupts_irqfd),
	ROW(KVM_IOEVENTFD, FD_VM, ARGUMENT_STRUCT, call_interrupts_ioeventfd),
	ROW(KVM_REGISTER_COALESCED_MMIO, FD_VM, ARGUMENT_STRUCT,
	    call_interrupts_register_coalesced),
	ROW(KVM_UNREGISTER_COALESCED_MMIO, FD_VM, ARGUMENT_STRUCT,
	    call_interrupts_unregister_coalesced),
	ROW(KVM_GET_CLOCK, FD_VM, ARGUMENT_OUT, call_vm_get_clock),
	ROW(KVM_SET_CLOCK, FD_VM, ARGUMENT_STRUCT, call_vm_set_clock),
	ROW(KVM_ENABLE_CAP, FD_VM, ARGUMENT_STRUCT, call_vm_enable_cap),
	ROW_BUT(KVM_SET_NR_MMU_PAGES, FD_VM, ARGUMENT_VALUE, call_vm_set_nr_mmu_pages,
		"no effect: Xen sizes its own paging pool"),
	ROW(KVM_SET_USER_MEMORY_REGION2, FD_VM, ARGUMENT_STRUCT, call_set_user_region2),
	ROW(KVM_GET_TSC_KHZ, FD_VM, ARGUMENT_IGNORED, call_vm_get_tsc_khz),
	ROW_BUT(KVM_SET_TSC_KHZ, FD_VM, ARGUMENT_VALUE, call_vm_set_tsc_khz,
		"until the first KVM_RUN: Xen fixes the frequency with the domain"),
	ROW(KVM_CREATE_DEVICE, FD_VM, ARGUMENT_STRUCT, call_create_device_fd),
	ROW_BUT(KVM_X86_SET_MSR_FILTER, FD_VM, ARGUMENT_STRUCT, call_vm_set_msr_filter,
		"only filters that allow all: " NO_MSR_EXITS),
	ROW(KVM_SET_PMU_EVENT_FILTER, FD_VM, ARGUMENT_USER, call_vm_set_pmu_event_filter),
	ROW(KVM_GET_STATS_FD, FD_VM, ARGUMENT_IGNORED, call_vm_get_stats_fd),

	ROW_BUT(KVM_ASSIGN_PCI_DEVICE, FD_VM, ARGUMENT_USER, call_assign_pci_device, WITH_IOMMU),
	ROW_BUT(KVM_DEASSIGN_PCI_DEVICE, FD_VM, ARGUMENT_USER, call_assign_deassign, WITH_IOMMU),
	ROW_BUT(KVM_ASSIGN_DEV_IRQ, FD_VM, ARGUMENT_USER, call_assign_dev_irq, WITH_IOMMU),
	ROW_BUT(KVM_DEASSIGN_DEV_IRQ, FD_VM, ARGUMENT_USER, call_assign_deassign_irq, WITH_IOMMU),
	ROW_BUT(KVM_ASSIGN_SET_MSIX_NR, FD_VM, ARGUMENT_USER, call_assign_set_msix_nr, WITH_IOMMU),
	ROW_BUT(KVM_ASSIGN_SET_MSIX_ENTRY, FD_VM, ARGUMENT_USER, call_assign_set_msix_entry,
		WITH_IOMMU),
	ROW_BUT(KVM_ASSIGN_SET_INTX_MASK, FD_VM, ARGUMENT_USER, call_assign_set_intx_mask,
		WITH_IOMMU),

	ROW(KVM_GET_REGS, FD_VCPU, ARGUMENT_OUT, call_vcpu_get_regs),
	ROW(KVM_SET_REGS, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_regs),
	ROW(KVM_GET_SREGS, FD_VCPU, ARGUMENT_OUT, call_vcpu_get_sregs),
	ROW(KVM_SET_SREGS, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_sregs),
	ROW(KVM_GET_SREGS2, FD_VCPU, ARGUMENT_OUT, call_vcpu_get_sregs2),
	ROW(KVM_SET_SREGS2, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_sregs2),
	ROW(KVM_TRANSLATE, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_translate),
	ROW(KVM_SET_GUEST_DEBUG, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_guest_debug),
	ROW(KVM_INTERRUPT, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_interrupt),
	ROW(KVM_NMI, FD_VCPU, ARGUMENT_IGNORED, call_vcpu_nmi),
	ROW(KVM_GET_MSRS, FD_VCPU, ARGUMENT_USER, call_vcpu_get_msrs),
	ROW(KVM_SET_MSRS, FD_VCPU, ARGUMENT_USER, call_vcpu_set_msrs),
	ROW(KVM_SET_CPUID, FD_VCPU, ARGUMENT_USER, call_vcpu_set_cpuid),
	ROW(KVM_SET_CPUID2, FD_VCPU, ARGUMENT_USER, call_vcpu_set_cpuid2),
	ROW(KVM_GET_CPUID2, FD_VCPU, ARGUMENT_USER, call_vcpu_get_cpuid2),
	ROW(KVM_SET_SIGNAL_MASK, FD_VCPU, ARGUMENT_USER, call_vcpu_set_signal_mask),
	ROW(KVM_GET_FPU, FD_VCPU, ARGUMENT_OUT, call_vcpu_get_fpu),
	ROW(KVM_SET_FPU, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_fpu),
	ROW(KVM_GET_LAPIC, FD_VCPU, ARGUMENT_OUT, call_vcpu_get_lapic),
	ROW(KVM_SET_LAPIC, FD_VCPU, ARGUMENT_USER, call_vcpu_set_lapic),
	ROW(KVM_GET_VCPU_EVENTS, FD_VCPU, ARGUMENT_OUT, call_vcpu_get_events),
	ROW(KVM_SET_VCPU_EVENTS, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_events),
	ROW(KVM_GET_DEBUGREGS, FD_VCPU, ARGUMENT_OUT, call_vcpu_get_debugregs),
	ROW(KVM_SET_DEBUGREGS, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_debugregs),
	ROW(KVM_GET_MP_STATE, FD_VCPU, ARGUMENT_OUT, call_vcpu_get_mp_state),
	ROW(KVM_SET_MP_STATE, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_mp_state),
	ROW(KVM_GET_XSAVE, FD_VCPU, ARGUMENT_OUT, call_vcpu_get_xsave),
	/* No component of Xen's guests lies beyond the 4 KiB of KVM_GET_XSAVE. */
	ROW(KVM_GET_XSAVE2, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_get_xsave),
	ROW(KVM_SET_XSAVE, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_xsave),
	ROW(KVM_GET_XCRS, FD_VCPU, ARGUMENT_OUT, call_vcpu_get_xcrs),
	ROW(KVM_SET_XCRS, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_xcrs),
	ROW(KVM_GET_TSC_KHZ, FD_VCPU, ARGUMENT_IGNORED, call_vcpu_get_tsc_khz),
	ROW(KVM_SET_TSC_KHZ, FD_VCPU, ARGUMENT_VALUE, call_vcpu_set_tsc_khz),
	ROW(KVM_SET_VAPIC_ADDR, FD_VCPU, ARGUMENT_USER, call_vcpu_set_vapic_addr),
	ROW(KVM_TPR_ACCESS_REPORTING, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_tpr_access_reporting),
	ROW(KVM_X86_SETUP_MCE, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_setup_mce),
	ROW_BUT(KVM_X86_SET_MCE, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_mce,
		"the guest gets the exception; its banks are Xen's own"),
	ROW(KVM_HAS_DEVICE_ATTR, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_has_attr),
	ROW(KVM_GET_DEVICE_ATTR, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_get_attr),
	ROW(KVM_SET_DEVICE_ATTR, FD_VCPU, ARGUMENT_STRUCT, call_vcpu_set_attr),
	ROW(KVM_GET_STATS_FD, FD_VCPU, ARGUMENT_IGNORED, call_vcpu_get_stats_fd),

	ROW(KVM_SET_DEVICE_ATTR, FD_DEVICE, ARGUMENT_STRUCT, call_vfio_set_attr),
	ROW(KVM_GET_DEVICE_ATTR, FD_DEVICE, ARGUMENT_IGNORED, call_vfio_get_attr),
	ROW(KVM_HAS_DEVICE_ATTR, FD_DEVICE, ARGUMENT_STRUCT, call_vfio_has_attr),

	REFUSED(KVM_SMI, FD_VCPU, ENOTTY, "Xen's HVM guests have no SMM"),
	REFUSED_READ(KVM_ENABLE_CAP, FD_VCPU, "Xen's vcpus have nothing that waits to be enabled"),
	ABSENT(KVM_KVMCLOCK_CTRL, FD_VCPU, "no kvmclock: Xen cannot intercept its MSRs"),
	ABSENT(KVM_GET_NESTED_STATE, FD_VCPU, NO_NESTED),
	ABSENT(KVM_SET_NESTED_STATE, FD_VCPU, NO_NESTED),
	ABSENT(KVM_GET_SUPPORTED_HV_CPUID, FD_SYSTEM, NO_HYPERV),
	ABSENT(KVM_GET_SUPPORTED_HV_CPUID, FD_VCPU, NO_HYPERV),
	ABSENT(KVM_HYPERV_EVENTFD, FD_VM, NO_HYPERV),
	ABSENT(KVM_XEN_HVM_CONFIG, FD_VM, NO_XEN_IN_XEN),
	ABSENT(KVM_XEN_HVM_GET_ATTR, FD_VM, NO_XEN_IN_XEN),
	ABSENT(KVM_XEN_HVM_SET_ATTR, FD_VM, NO_XEN_IN_XEN),
	ABSENT(KVM_XEN_HVM_EVTCHN_SEND, FD_VM, NO_XEN_IN_XEN),
	ABSENT(KVM_XEN_VCPU_GET_ATTR, FD_VCPU, NO_XEN_IN_XEN),
	ABSENT(KVM_XEN_VCPU_SET_ATTR, FD_VCPU, NO_XEN_IN_XEN),
	/* As KVM refuses it when no ring was enabled. */
	REFUSED(KVM_RESET_DIRTY_RINGS, FD_VM, EINVAL, "Xen has a dirty bitmap and no ring"),
	ABSENT(KVM_MEMORY_ENCRYPT_OP, FD_VM, NO_ENCRYPTION),
	REFUSED_READ(KVM_MEMORY_ENCRYPT_REG_REGION, FD_VM, NO_ENCRYPTION),
	REFUSED_READ(KVM_MEMORY_ENCRYPT_UNREG_REGION, FD_VM, NO_ENCRYPTION),
	ABSENT(KVM_SET_MEMORY_ATTRIBUTES, FD_VM,
	       "Xen has no guest memory that is the guest's alone"),
	ABSENT(KVM_CREATE_GUEST_MEMFD, FD_VM, "Xen has no guest memory that is the guest's alone"),

	ABSENT(KVM_SET_MEMORY_REGION, FD_VM, REMOVED),
	ABSENT(KVM_SET_MEMORY_ALIAS, FD_VM, REMOVED),
	ABSENT(KVM_GET_NR_MMU_PAGES, FD_VM, REMOVED),
	ABSENT(KVM_DEBUG_GUEST, FD_VCPU, REMOVED),

	ABSENT(KVM_DIRTY_TLB, FD_VCPU, OTHER_ARCH),
	ABSENT(KVM_GET_ONE_REG, FD_VCPU, OTHER_ARCH),
	ABSENT(KVM_SET_ONE_REG, FD_VCPU, OTHER_ARCH),
	ABSENT(KVM_GET_REG_LIST, FD_VCPU, OTHER_ARCH),
	ABSENT(KVM_PPC_GET_PVINFO, FD_VM, OTHER_ARCH),
	ABSENT(KVM_PPC_GET_SMMU_INFO, FD_VM, OTHER_ARCH),
	ABSENT(KVM_PPC_ALLOCATE_HTAB, FD_VM, OTHER_ARCH),
	ABSENT(KVM_CREATE_SPAPR_TCE, FD_VM, OTHER_ARCH),
	ABSENT(KVM_ALLOCATE_RMA, FD_VM, OTHER_ARCH),
	ABSENT(KVM_S390_ENABLE_SIE, FD_SYSTEM, OTHER_ARCH),
	ABSENT(KVM_S390_UCAS_MAP, FD_VCPU, OTHER_ARCH),
	ABSENT(KVM_S390_UCAS_UNMAP, FD_VCPU, OTHER_ARCH),
	ABSENT(KVM_S390_VCPU_FAULT, FD_VCPU, OTHER_ARCH),
	ABSENT(KVM_S390_INTERRUPT, FD_VCPU, OTHER_ARCH),
	ABSENT(KVM_S390_STORE_STATUS, FD_VCPU, OTHER_ARCH),
	ABSENT(KVM_S390_SET_INITIAL_PSW, FD_VCPU, OTHER_ARCH),
	ABSENT(KVM_S390_INITIAL_RESET, FD_VCPU, OTHER_ARCH),
};

const struct ioctl_row *ioctl_rows(size_t *count)
{
	*count = sizeof rows / sizeof *rows;
	return rows;
}

const struct ioctl_row *ioctl_row(unsigned long request, enum fd_kind fd)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].request == request && rows[i].fd == fd)
			return &rows[i];
	return NULL;
}
