/* capability: what KVM_CHECK_EXTENSION answers, and why not where it answers 0. */
#include <unistd.h>

#include <linux/kvm.h>

#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/ioctl/table.h"
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

#define CAP(name, value)                                                                           \
	{                                                                                          \
		KVM_CAP_##name, #name, value, NULL, NULL                                           \
	}
#define CAP_CALL(name, function)                                                                   \
	{                                                                                          \
		KVM_CAP_##name, #name, 0, function, NULL                                           \
	}
#define CAP_ABSENT(name, reason)                                                                   \
	{                                                                                          \
		KVM_CAP_##name, #name, 0, NULL, reason                                             \
	}
#define NO_NESTED   "Xen has no state API for nested guests"
#define NO_KVM_MSRS "Xen cannot intercept KVM's own MSRs"
#define NOT_YET     "not done yet"

static const struct capability table[] = {
	CAP(IRQCHIP, 1),
	CAP(HLT, 1),
	CAP(MMU_SHADOW_CACHE_CONTROL, 1),
	CAP(USER_MEMORY, 1),
	CAP(SET_TSS_ADDR, 1),
	CAP_ABSENT(VAPIC, "Xen's LAPIC does not report TPR accesses"),
	CAP(EXT_CPUID, 1),
	CAP_ABSENT(CLOCKSOURCE, NO_KVM_MSRS),
	CAP_CALL(NR_VCPUS, online_cpus),
	CAP(NR_MEMSLOTS, MEMORY_SLOTS),
	CAP(PIT, 1),
	CAP(NOP_IO_DELAY, 1),
	CAP(MP_STATE, 1),
	CAP(COALESCED_MMIO, VCPU_COALESCED_PAGE),
	CAP(SYNC_MMU, 1),
	CAP(DESTROY_MEMORY_REGION_WORKS, 1),
	CAP(USER_NMI, 1),
	CAP_ABSENT(SET_GUEST_DEBUG, NOT_YET),
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
	CAP_ABSENT(HYPERV, NOT_YET),
	CAP(DEBUGREGS, 1),
	CAP(X86_ROBUST_SINGLESTEP, 1),
	CAP(ENABLE_CAP, 1),
	CAP(XSAVE, 1),
	CAP_CALL(XCRS, xsave_works),
	CAP_ABSENT(ASYNC_PF, NO_KVM_MSRS),
	CAP_ABSENT(TSC_CONTROL, "Xen scales the TSC by emulating it unless the processor can"),
	CAP(GET_TSC_KHZ, 1),
	CAP(MAX_VCPUS, VM_MAX_VCPUS),
	CAP(MAX_VCPU_ID, VM_MAX_VCPUS),
	CAP_ABSENT(SYNC_REGS, NOT_YET),
	CAP_ABSENT(KVMCLOCK_CTRL, NO_KVM_MSRS),
	CAP(SIGNAL_MSI, 1),
	CAP(TSC_DEADLINE_TIMER, 1),
	CAP(READONLY_MEM, 1),
	CAP_ABSENT(IRQFD_RESAMPLE, "Xen does not tell a device model of EOIs"),
	CAP(ENABLE_CAP_VM, 1),
	CAP(IOEVENTFD_NO_LENGTH, 1),
	CAP(CHECK_EXTENSION_VM, 1),
	CAP(IOEVENTFD_ANY_LENGTH, 1),
	CAP_ABSENT(X86_SMM, "Xen's HVM guests have no SMM"),
	CAP_ABSENT(SPLIT_IRQCHIP, NOT_YET),
	CAP_ABSENT(X2APIC_API,
		   "the guest's LAPIC stays in xAPIC mode: Xen numbers x2APIC ids itself"),
	CAP(IMMEDIATE_EXIT, 1),
	CAP(GET_MSR_FEATURES, 1),
	CAP_ABSENT(NESTED_STATE, NO_NESTED),
	CAP(COALESCED_PIO, 1),
	CAP_ABSENT(MANUAL_DIRTY_LOG_PROTECT2, NOT_YET),
	CAP_ABSENT(EXCEPTION_PAYLOAD, "Xen's CPU record has no pending exception with a payload"),
	CAP_ABSENT(X86_USER_SPACE_MSR, "Xen tells no device model of MSR accesses"),
	CAP_ABSENT(X86_MSR_FILTER, "Xen tells no device model of MSR accesses"),
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
