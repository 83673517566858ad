/* matrix: every ioctl of the API on every kind of descriptor, with no argument, with one that is no
 * address, with zeros, with all bits set. */
#include "answers.h"

#define NAME(request)                                                                              \
	{                                                                                          \
#request, request                                                                  \
	}

static const struct request {
	const char *name;
	unsigned long number;
} requests[] = {
	NAME(KVM_GET_API_VERSION),
	NAME(KVM_CREATE_VM),
	NAME(KVM_GET_MSR_INDEX_LIST),
	NAME(KVM_CHECK_EXTENSION),
	NAME(KVM_GET_VCPU_MMAP_SIZE),
	NAME(KVM_GET_SUPPORTED_CPUID),
	NAME(KVM_GET_EMULATED_CPUID),
	NAME(KVM_GET_MSR_FEATURE_INDEX_LIST),
	{"KVM_SET_MEMORY_REGION", _IOW(KVMIO, 0x40, char[24])},
	NAME(KVM_CREATE_VCPU),
	NAME(KVM_GET_DIRTY_LOG),
	{"KVM_SET_MEMORY_ALIAS", _IOW(KVMIO, 0x43, char[32])},
	NAME(KVM_SET_NR_MMU_PAGES),
	NAME(KVM_SET_USER_MEMORY_REGION),
	NAME(KVM_SET_TSS_ADDR),
	NAME(KVM_SET_IDENTITY_MAP_ADDR),
	NAME(KVM_S390_UCAS_MAP),
	NAME(KVM_S390_UCAS_UNMAP),
	NAME(KVM_S390_VCPU_FAULT),
	NAME(KVM_CREATE_IRQCHIP),
	NAME(KVM_IRQ_LINE),
	NAME(KVM_GET_IRQCHIP),
	NAME(KVM_SET_IRQCHIP),
	NAME(KVM_CREATE_PIT),
	NAME(KVM_GET_PIT),
	NAME(KVM_SET_PIT),
	NAME(KVM_IRQ_LINE_STATUS),
	NAME(KVM_REGISTER_COALESCED_MMIO),
	NAME(KVM_UNREGISTER_COALESCED_MMIO),
	{"KVM_ASSIGN_PCI_DEVICE", _IOR(KVMIO, 0x69, char[64])},
	NAME(KVM_SET_GSI_ROUTING),
	{"KVM_ASSIGN_DEV_IRQ", _IOW(KVMIO, 0x70, char[64])},
	NAME(KVM_REINJECT_CONTROL),
	{"KVM_DEASSIGN_PCI_DEVICE", _IOW(KVMIO, 0x72, char[64])},
	{"KVM_ASSIGN_SET_MSIX_NR", _IOW(KVMIO, 0x73, char[8])},
	{"KVM_ASSIGN_SET_MSIX_ENTRY", _IOW(KVMIO, 0x74, char[16])},
	{"KVM_DEASSIGN_DEV_IRQ", _IOW(KVMIO, 0x75, char[64])},
	NAME(KVM_IRQFD),
	NAME(KVM_CREATE_PIT2),
	NAME(KVM_SET_BOOT_CPU_ID),
	NAME(KVM_IOEVENTFD),
	NAME(KVM_XEN_HVM_CONFIG),
	NAME(KVM_SET_CLOCK),
	NAME(KVM_GET_CLOCK),
	NAME(KVM_RUN),
	NAME(KVM_GET_REGS),
	NAME(KVM_SET_REGS),
	NAME(KVM_GET_SREGS),
	NAME(KVM_SET_SREGS),
	NAME(KVM_TRANSLATE),
	NAME(KVM_INTERRUPT),
	{"KVM_DEBUG_GUEST", _IOW(KVMIO, 0x87, char[80])},
	NAME(KVM_GET_MSRS),
	NAME(KVM_SET_MSRS),
	NAME(KVM_SET_CPUID),
	NAME(KVM_SET_SIGNAL_MASK),
	NAME(KVM_GET_FPU),
	NAME(KVM_SET_FPU),
	NAME(KVM_GET_LAPIC),
	NAME(KVM_SET_LAPIC),
	NAME(KVM_SET_CPUID2),
	NAME(KVM_GET_CPUID2),
	NAME(KVM_TPR_ACCESS_REPORTING),
	NAME(KVM_SET_VAPIC_ADDR),
	NAME(KVM_S390_INTERRUPT),
	NAME(KVM_GET_MP_STATE),
	NAME(KVM_SET_MP_STATE),
	NAME(KVM_NMI),
	NAME(KVM_SET_GUEST_DEBUG),
	NAME(KVM_X86_SETUP_MCE),
	NAME(KVM_X86_GET_MCE_CAP_SUPPORTED),
	NAME(KVM_X86_SET_MCE),
	NAME(KVM_GET_VCPU_EVENTS),
	NAME(KVM_SET_VCPU_EVENTS),
	NAME(KVM_GET_PIT2),
	NAME(KVM_SET_PIT2),
	NAME(KVM_GET_DEBUGREGS),
	NAME(KVM_SET_DEBUGREGS),
	NAME(KVM_PPC_GET_PVINFO),
	NAME(KVM_SET_TSC_KHZ),
	NAME(KVM_GET_TSC_KHZ),
	NAME(KVM_ENABLE_CAP),
	NAME(KVM_GET_XSAVE),
	NAME(KVM_SET_XSAVE),
	NAME(KVM_GET_XCRS),
	NAME(KVM_SET_XCRS),
	{"KVM_ASSIGN_SET_INTX_MASK", _IOW(KVMIO, 0xa4, char[64])},
	NAME(KVM_SIGNAL_MSI),
	NAME(KVM_PPC_GET_SMMU_INFO),
	NAME(KVM_PPC_ALLOCATE_HTAB),
	{"KVM_CREATE_SPAPR_TCE", _IOW(KVMIO, 0xa8, char[16])},
	{"KVM_ALLOCATE_RMA", _IOR(KVMIO, 0xa9, char[8])},
	NAME(KVM_DIRTY_TLB),
	NAME(KVM_GET_ONE_REG),
	NAME(KVM_SET_ONE_REG),
	NAME(KVM_KVMCLOCK_CTRL),
	NAME(KVM_GET_REG_LIST),
	NAME(KVM_SMI),
	NAME(KVM_MEMORY_ENCRYPT_OP),
	NAME(KVM_MEMORY_ENCRYPT_REG_REGION),
	NAME(KVM_MEMORY_ENCRYPT_UNREG_REGION),
	NAME(KVM_HYPERV_EVENTFD),
	NAME(KVM_GET_NESTED_STATE),
	NAME(KVM_SET_NESTED_STATE),
	NAME(KVM_CLEAR_DIRTY_LOG),
	NAME(KVM_GET_SUPPORTED_HV_CPUID),
	NAME(KVM_X86_SET_MSR_FILTER),
	NAME(KVM_SET_PMU_EVENT_FILTER),
	NAME(KVM_RESET_DIRTY_RINGS),
	NAME(KVM_XEN_HVM_GET_ATTR),
	NAME(KVM_XEN_HVM_SET_ATTR),
	NAME(KVM_XEN_VCPU_GET_ATTR),
	NAME(KVM_XEN_VCPU_SET_ATTR),
	NAME(KVM_GET_SREGS2),
	NAME(KVM_SET_SREGS2),
	NAME(KVM_GET_STATS_FD),
	NAME(KVM_GET_XSAVE2),
	NAME(KVM_CREATE_DEVICE),
	NAME(KVM_SET_DEVICE_ATTR),
	NAME(KVM_GET_DEVICE_ATTR),
	NAME(KVM_HAS_DEVICE_ATTR),
	{"unknown number", _IO(KVMIO, 0xff)},
	{"a terminal's", 0x5401},
};

static const struct kind {
	const char *name;
	unsigned with;
	enum { SYSTEM, VM, VCPU, DEVICE } which;
} kinds[] = {
	{"system", 0, SYSTEM},
	{"vm", 0, VM},
	{"vm with pit", WITH_IRQCHIP | WITH_PIT, VM},
	{"vm with vcpu", WITH_IRQCHIP | WITH_VCPU, VM},
	{"vcpu", WITH_VCPU, VCPU},
	{"vcpu with irqchip", WITH_IRQCHIP | WITH_VCPU, VCPU},
	{"device", WITH_DEVICE, DEVICE},
};

static int descriptor(const struct subject *s, const struct kind *kind)
{
	return kind->which == SYSTEM ? s->kvm
	       : kind->which == VM   ? s->vm
	       : kind->which == VCPU ? s->vcpu
				     : s->device;
}

/* A kernel's own sizes are beyond what a structure's says: room enough for all. */
#define ARGUMENT_SIZE 65536

/* What was refused has changed nothing: a VM serves until a call succeeds. Creating them is most
 * of the time that all this takes. */
static void ask(struct subject *s, const struct kind *kind, const struct request *request,
		const char *what, void *argument)
{
	int r;

	if (s->kvm < 0)
		subject_open(s, kind->with);
	r = ioctl(descriptor(s, kind), request->number, argument);
	answer(r, "matrix/%s/%s/%s", kind->name, request->name, what);
	if (r >= FIRST_DESCRIPTOR)
		close(r);
	if (r >= 0 && kind->which != SYSTEM) {
		subject_close(s);
		s->kvm = -1;
	}
}

void matrix(void)
{
	char *memory = zeroed_pages(ARGUMENT_SIZE);
	struct subject s = {.kvm = -1};

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
			ask(&s, &kinds[k], &requests[i], "not an address", (void *)16);
			memset(memory, 0, ARGUMENT_SIZE);
			ask(&s, &kinds[k], &requests[i], "zeros", memory);
			memset(memory, 0xff, ARGUMENT_SIZE);
			ask(&s, &kinds[k], &requests[i], "ones", memory);
			/* Without an argument a vcpu would run. */
			if (requests[i].number != KVM_RUN)
				ask(&s, &kinds[k], &requests[i], "none", NULL);
		}
		if (s.kvm >= 0)
			subject_close(&s);
		s.kvm = -1;
	}
}
