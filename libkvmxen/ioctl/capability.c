/* capability: what KVM_CHECK_EXTENSION answers, and why not where it answers 0. */
#include <unistd.h>

#include <linux/kvm.h>

#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/ioctl/newer.h"
#include "libkvmxen/ioctl/table.h"
#include "libkvmxen/machine/monitor.h"
#include "libkvmxen/machine/vcpu.h"

static long online_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > VM_MAX_VCPUS ? VM_MAX_VCPUS : n;
}

static long xsave_works(void)
{
	return system_has_xsave();
}

/* The events are the monitor's. */
static long debug_works(void)
{
	return monitor_wanted();
}

#define CAP(name, value)                                                                           \
	{                                                                                          \
		KVM_CAP_##name, #name, value, NULL, NULL                                           \
	}
#define CAP_CALL(name, function, reason)                                                           \
	{                                                                                          \
		KVM_CAP_##name, #name, 0, function, reason                                         \
	}
#define CAP_ABSENT(name, reason)                                                                   \
	{                                                                                          \
		KVM_CAP_##name, #name, 0, NULL, reason                                             \
	}
#define NO_NESTED    "Xen has no state API for nested guests"
#define NO_KVM_MSRS  "Xen cannot intercept KVM's own MSRs"
#define NO_HYPERV    "Xen's own Hyper-V interface takes no orders from a device model"
#define NO_IOMMU     "Xen has no IOMMU for guests here"
#define NO_KVM_CPUID "no feature of KVM's own is offered to guests"

static const struct capability table[] = {
	CAP(IRQCHIP, 1),
	CAP(HLT, 1),
	CAP(MMU_SHADOW_CACHE_CONTROL, 1),
	CAP(USER_MEMORY, 1),
	CAP(SET_TSS_ADDR, 1),
	CAP_ABSENT(VAPIC, "Xen's LAPIC does not report TPR accesses"),
	CAP(EXT_CPUID, 1),
	CAP_ABSENT(CLOCKSOURCE, NO_KVM_MSRS),
	CAP_CALL(NR_VCPUS, online_cpus, NULL),
	CAP(NR_MEMSLOTS, MEMORY_SLOTS),
	CAP(PIT, 1),
	CAP(NOP_IO_DELAY, 1),
	CAP(MP_STATE, 1),
	CAP(COALESCED_MMIO, VCPU_COALESCED_PAGE),
	CAP(SYNC_MMU, 1),
	CAP(DESTROY_MEMORY_REGION_WORKS, 1),
	CAP(USER_NMI, 1),
	CAP_CALL(SET_GUEST_DEBUG, debug_works, "KVMXEN_CPUID=xen: there is no monitor"),
	CAP(REINJECT_CONTROL, 1),
	CAP(IRQ_ROUTING, 4096),
	CAP(IRQ_INJECT_STATUS, 1),
	CAP(JOIN_MEMORY_REGIONS_WORKS, 1),
	CAP(MCE, MSR_MCE_BANKS),
	CAP(IRQFD, 1),
	CAP(PIT2, 1),
	CAP(SET_BOOT_CPU_ID, 1),
	CAP(PIT_STATE2, 1),
	CAP(IOEVENTFD, 1),
	CAP(SET_IDENTITY_MAP_ADDR, 1),
	CAP_ABSENT(XEN_HVM, "a guest's Xen hypercalls go to the real Xen"),
	CAP(ADJUST_CLOCK, 1),
	CAP(INTERNAL_ERROR_DATA, 1),
	CAP(VCPU_EVENTS, 1),
	CAP_ABSENT(HYPERV, NO_HYPERV),
	CAP(DEBUGREGS, 1),
	CAP(X86_ROBUST_SINGLESTEP, 1),
	CAP(ENABLE_CAP, 1),
	CAP(XSAVE, 1),
	CAP_CALL(XCRS, xsave_works, "the host has no XSAVE"),
	CAP_ABSENT(ASYNC_PF, NO_KVM_MSRS),
	CAP(TSC_CONTROL, 1),
	CAP(GET_TSC_KHZ, 1),
	CAP(MAX_VCPUS, VM_MAX_VCPUS),
	CAP(MAX_VCPU_ID, VM_MAX_VCPU_ID),
	CAP(SYNC_REGS, KVM_SYNC_X86_VALID_FIELDS),
	CAP_ABSENT(KVMCLOCK_CTRL, NO_KVM_MSRS),
	CAP(SIGNAL_MSI, 1),
	CAP(TSC_DEADLINE_TIMER, 1),
	CAP(READONLY_MEM, 1),
	CAP(IRQFD_RESAMPLE, 1),
	CAP(ENABLE_CAP_VM, 1),
	CAP(IOEVENTFD_NO_LENGTH, 1),
	CAP(CHECK_EXTENSION_VM, 1),
	CAP(IOEVENTFD_ANY_LENGTH, 1),
	CAP_ABSENT(X86_SMM, "Xen's HVM guests have no SMM"),
	CAP(SPLIT_IRQCHIP, 1),
	CAP_ABSENT(X2APIC_API,
		   "the guest's LAPIC stays in xAPIC mode: Xen numbers x2APIC ids itself"),
	CAP(IMMEDIATE_EXIT, 1),
	CAP(GET_MSR_FEATURES, 1),
	CAP_ABSENT(NESTED_STATE, NO_NESTED),
	CAP(COALESCED_PIO, 1),
	CAP(MANUAL_DIRTY_LOG_PROTECT2, MEMORY_LOG_OPTIONS),
	CAP_ABSENT(EXCEPTION_PAYLOAD, "Xen's CPU record has no pending exception with a payload"),
	CAP_ABSENT(X86_USER_SPACE_MSR, "Xen tells no device model of MSR accesses"),
	CAP_ABSENT(X86_MSR_FILTER, "Xen tells no device model of MSR accesses"),
	CAP(VCPU_ATTRIBUTES, 1),
	CAP(SYS_ATTRIBUTES, 1),
	CAP(PMU_EVENT_FILTER, 1),
	CAP(BINARY_STATS_FD, 1),
	CAP(USER_MEMORY2, 1),
	CAP(VM_TSC_CONTROL, 1),
	CAP(EXT_EMUL_CPUID, 1),
	CAP_CALL(DEVICE_ASSIGNMENT, assign_offered, NO_IOMMU),
	CAP_CALL(IOMMU, assign_offered, NO_IOMMU),
	CAP_CALL(DEVICE_MSI, assign_offered, NO_IOMMU),
	CAP_CALL(DEVICE_DEASSIGNMENT, assign_offered, NO_IOMMU),
	CAP_CALL(DEVICE_MSIX, assign_offered, NO_IOMMU),
	CAP_CALL(ASSIGN_DEV_IRQ, assign_offered, NO_IOMMU),
	CAP_CALL(PCI_2_3, assign_offered, NO_IOMMU),
	CAP_ABSENT(STEAL_TIME, NO_KVM_MSRS),
	CAP_ABSENT(ASYNC_PF_INT, NO_KVM_MSRS),
	CAP_ABSENT(ENFORCE_PV_FEATURE_CPUID, NO_KVM_CPUID),
	CAP_ABSENT(MSR_PLATFORM_INFO, "MSR 0xce is answered by Xen"),
	CAP_ABSENT(HYPERV_SYNIC, NO_HYPERV),
	CAP_ABSENT(HYPERV_SYNIC2, NO_HYPERV),
	CAP_ABSENT(HYPERV_VP_INDEX, NO_HYPERV),
	CAP_ABSENT(HYPERV_EVENTFD, NO_HYPERV),
	CAP_ABSENT(HYPERV_TLBFLUSH, NO_HYPERV),
	CAP_ABSENT(HYPERV_SEND_IPI, NO_HYPERV),
	CAP_ABSENT(HYPERV_CPUID, NO_HYPERV),
	CAP_ABSENT(SYS_HYPERV_CPUID, NO_HYPERV),
	CAP_ABSENT(HYPERV_ENFORCE_CPUID, NO_HYPERV),
	CAP_ABSENT(SGX_ATTRIBUTE, "Xen's guests have no SGX"),
	CAP_ABSENT(VM_COPY_ENC_CONTEXT_FROM, "Xen encrypts no guest's memory"),
	CAP_ABSENT(VM_MOVE_ENC_CONTEXT_FROM, "Xen encrypts no guest's memory"),
	CAP_ABSENT(HALT_POLL, "Xen's scheduler decides what an idle vcpu costs"),
	CAP_ABSENT(SMALLER_MAXPHYADDR, "Xen runs guests with the host's width"),
	CAP_ABSENT(EXIT_ON_EMULATION_FAILURE, "Xen injects #GP where it cannot emulate"),
	CAP_ABSENT(PMU_CAPABILITY, "guests have no PMU"),
	CAP_ABSENT(DISABLE_QUIRKS2, "the quirks are not Xen's"),
	CAP_ABSENT(X86_TRIPLE_FAULT_EVENT, "a triple fault has stopped Xen's domain already"),
	CAP_ABSENT(VM_DISABLE_NX_HUGE_PAGES, "that work-around is Xen's to choose"),
	CAP_ABSENT(DISABLE_QUIRKS, "the quirks are not Xen's"),
	CAP_ABSENT(X86_DISABLE_EXITS, "Xen decides what its guests may do without an exit"),
	CAP_ABSENT(X86_BUS_LOCK_EXIT, "Xen tells no device model of bus locks"),
	CAP_ABSENT(X86_NOTIFY_VMEXIT, "Xen has it for all guests or none"),
	CAP_ABSENT(EXIT_HYPERCALL, "a guest's hypercalls go to Xen"),
	CAP_ABSENT(PTP_KVM, "a guest's hypercalls go to Xen"),
	CAP(SREGS2, 1),
	CAP(XSAVE2, sizeof(struct kvm_xsave)),
	CAP_ABSENT(DIRTY_LOG_RING, "Xen has a dirty bitmap and no ring"),
};

const struct capability *capabilities(size_t *count)
{
	*count = sizeof table / sizeof *table;
	return table;
}

long capability_value(unsigned long number)
{
	size_t i;

	for (i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].number == number)
			return table[i].compute ? table[i].compute() : table[i].value;
	return 0;
}
