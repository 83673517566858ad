/* machine: capabilities, creation, order, ids, clocks, attributes. */
#include "answers.h"

#include <fcntl.h>

/* What a VMM of today cannot do without: there or not is a promise, the number not always. */
#define CAP(name)                                                                                  \
	{                                                                                          \
		KVM_CAP_##name, #name                                                              \
	}
static const struct {
	int number;
	const char *name;
} wanted[] = {
	CAP(IRQCHIP),
	CAP(HLT),
	CAP(USER_MEMORY),
	CAP(SET_TSS_ADDR),
	CAP(EXT_CPUID),
	CAP(NR_VCPUS),
	CAP(PIT),
	CAP(NOP_IO_DELAY),
	CAP(MP_STATE),
	CAP(COALESCED_MMIO),
	CAP(SYNC_MMU),
	CAP(DESTROY_MEMORY_REGION_WORKS),
	CAP(USER_NMI),
	CAP(SET_GUEST_DEBUG),
	CAP(REINJECT_CONTROL),
	CAP(IRQ_ROUTING),
	CAP(IRQ_INJECT_STATUS),
	CAP(JOIN_MEMORY_REGIONS_WORKS),
	CAP(MCE),
	CAP(IRQFD),
	CAP(PIT2),
	CAP(SET_BOOT_CPU_ID),
	CAP(PIT_STATE2),
	CAP(IOEVENTFD),
	CAP(SET_IDENTITY_MAP_ADDR),
	CAP(ADJUST_CLOCK),
	CAP(INTERNAL_ERROR_DATA),
	CAP(VCPU_EVENTS),
	CAP(DEBUGREGS),
	CAP(X86_ROBUST_SINGLESTEP),
	CAP(ENABLE_CAP),
	CAP(XSAVE),
	CAP(XCRS),
	CAP(GET_TSC_KHZ),
	CAP(MAX_VCPUS),
	CAP(MAX_VCPU_ID),
	CAP(SIGNAL_MSI),
	CAP(TSC_DEADLINE_TIMER),
	CAP(READONLY_MEM),
	CAP(IRQFD_RESAMPLE),
	CAP(DEVICE_CTRL),
	CAP(EXT_EMUL_CPUID),
	CAP(ENABLE_CAP_VM),
	CAP(IOEVENTFD_NO_LENGTH),
	CAP(CHECK_EXTENSION_VM),
	CAP(SPLIT_IRQCHIP),
	CAP(IOEVENTFD_ANY_LENGTH),
	CAP(VCPU_ATTRIBUTES),
	CAP(IMMEDIATE_EXIT),
	CAP(GET_MSR_FEATURES),
	CAP(COALESCED_PIO),
	CAP(MANUAL_DIRTY_LOG_PROTECT2),
	CAP(PMU_EVENT_FILTER),
	CAP(SREGS2),
	CAP(BINARY_STATS_FD),
	CAP(XSAVE2),
	CAP(SYS_ATTRIBUTES),
	CAP(SYNC_REGS),
	CAP(INTR_SHADOW),
	CAP(S390_PSW),
	CAP(PPC_OSI),
	CAP(ONE_REG),
	CAP(ARM_PSCI),
	{9999, "9999"},
	{-1, "-1"},
};

static void capabilities(void)
{
	struct subject s;

	subject_open(&s, 0);
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		value(ioctl(s.kvm, KVM_CHECK_EXTENSION, (long)wanted[i].number) > 0,
		      "capability/%s", wanted[i].name);
		value(ioctl(s.vm, KVM_CHECK_EXTENSION, (long)wanted[i].number) > 0,
		      "capability of a vm/%s", wanted[i].name);
	}
	subject_close(&s);
}

static void ids(void)
{
	struct subject s;
	int r;

	subject_open(&s, WITH_VCPU);
	r = ioctl(s.kvm, KVM_CHECK_EXTENSION, (long)KVM_CAP_MAX_VCPU_ID);
	answer(ioctl(s.vm, KVM_CREATE_VCPU, 0ul), "vcpu/id 0 again");
	answer(ioctl(s.vm, KVM_CREATE_VCPU, 5ul), "vcpu/id 5");
	answer(ioctl(s.vm, KVM_CREATE_VCPU, (long)r - 1), "vcpu/highest id");
	answer(ioctl(s.vm, KVM_CREATE_VCPU, (long)r), "vcpu/beyond it");
	answer(ioctl(s.vm, KVM_CREATE_VCPU, -1l), "vcpu/id -1");
	answer(ioctl(s.vm, KVM_CREATE_VCPU, 1l << 32), "vcpu/id of 33 bits");
	answer(ioctl(s.vm, KVM_SET_BOOT_CPU_ID, 1ul), "boot cpu/after a vcpu");
	answer(ioctl(s.vm, KVM_CREATE_IRQCHIP, 0ul), "irqchip/after a vcpu");
	subject_close(&s);
	subject_open(&s, 0);
	answer(ioctl(s.vm, KVM_SET_BOOT_CPU_ID, 1ul), "boot cpu/1");
	answer(ioctl(s.vm, KVM_SET_TSS_ADDR, 0xffffd000ul), "tss/highest");
	answer(ioctl(s.vm, KVM_SET_TSS_ADDR, 0xffffe000ul), "tss/beyond it");
	answer(ioctl(s.vm, KVM_SET_NR_MMU_PAGES, 64ul), "mmu pages/64");
	subject_close(&s);
	subject_open(&s, 0);
	answer(ioctl(s.kvm, KVM_CREATE_VM, 99ul), "vm/type 99");
	answer(ioctl(s.kvm, KVM_CREATE_VM, -1l), "vm/type -1");
	answer(ioctl(s.kvm, KVM_GET_API_VERSION, 1ul), "api version/argument");
	answer(ioctl(s.kvm, KVM_GET_VCPU_MMAP_SIZE, 1ul), "mmap size/argument");
	subject_close(&s);
}

static void clocks(void)
{
	struct kvm_clock_data clock = {.clock = 5000000000}, now;
	struct subject s;

	subject_open(&s, WITH_VCPU);
	answer(ioctl(s.vm, KVM_SET_CLOCK, &clock), "clock/set");
	answer(ioctl(s.vm, KVM_GET_CLOCK, &now), "clock/get");
	value(now.clock >= clock.clock && now.clock < clock.clock + 30000000000, "clock/near");
	clock.flags = 1u << 31;
	answer(ioctl(s.vm, KVM_SET_CLOCK, &clock), "clock/unknown flag");
	clock.flags = 1;
	answer(ioctl(s.vm, KVM_SET_CLOCK, &clock), "clock/lowest flag");
	value(ioctl(s.vcpu, KVM_GET_TSC_KHZ, 0ul) > 0, "tsc/of a vcpu");
	value(ioctl(s.vm, KVM_GET_TSC_KHZ, 0ul) > 0, "tsc/of a vm");
	answer(ioctl(s.vm, KVM_SET_TSC_KHZ, 0ul), "tsc/default of a vm");
	answer(ioctl(s.vcpu, KVM_SET_TSC_KHZ, (long)ioctl(s.vcpu, KVM_GET_TSC_KHZ, 0ul)),
	       "tsc/the same");
	subject_close(&s);
}

static void attribute(int fd, const char *what, uint32_t group, uint64_t attr, void *at)
{
	struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)at};

	answer(ioctl(fd, KVM_HAS_DEVICE_ATTR, &a), "attribute/%s/has", what);
	answer(ioctl(fd, KVM_GET_DEVICE_ATTR, &a), "attribute/%s/get", what);
	answer(ioctl(fd, KVM_SET_DEVICE_ATTR, &a), "attribute/%s/set", what);
}

static void attributes(void)
{
	struct kvm_create_device create = {.type = KVM_DEV_TYPE_VFIO};
	uint64_t room = 0;
	int32_t fd = open("/dev/null", O_RDWR), none = 1000;
	struct subject s;

	subject_open(&s, WITH_VCPU | WITH_DEVICE);
	attribute(s.kvm, "system 0.0", 0, 0, &room);
	attribute(s.kvm, "system 0.9", 0, 9, &room);
	attribute(s.kvm, "system 5.0", 5, 0, &room);
	attribute(s.vcpu, "vcpu tsc offset", 0, 0, &room);
	attribute(s.vcpu, "vcpu tsc offset, bad pointer", 0, 0, (void *)16);
	attribute(s.vcpu, "vcpu 0.9", 0, 9, &room);
	attribute(s.vcpu, "vcpu 9.0", 9, 0, &room);
	attribute(s.device, "vfio 0.0", 0, 0, &fd);
	attribute(s.device, "vfio group add, no group", 1, 1, &fd);
	attribute(s.device, "vfio group add, no file", 1, 1, &none);
	attribute(s.device, "vfio group add, bad pointer", 1, 1, (void *)16);
	attribute(s.device, "vfio 1.9", 1, 9, &fd);
	answer(ioctl(s.vm, KVM_CREATE_DEVICE, &create), "device/a second vfio");
	create.type = KVM_DEV_TYPE_ARM_VGIC_V3;
	answer(ioctl(s.vm, KVM_CREATE_DEVICE, &create), "device/of ARM");
	create.type = 99;
	answer(ioctl(s.vm, KVM_CREATE_DEVICE, &create), "device/unknown");
	create.type = KVM_DEV_TYPE_VFIO;
	create.flags = KVM_CREATE_DEVICE_TEST;
	answer(ioctl(s.vm, KVM_CREATE_DEVICE, &create), "device/test");
	subject_close(&s);
	close(fd);
}

/* What any program finds in the statistics: the ends of the file, not its counters. */
static void statistics(void)
{
	struct kvm_stats_header header = {0};
	struct subject s;
	int fd;

	subject_open(&s, WITH_VCPU);
	fd = answer(ioctl(s.vcpu, KVM_GET_STATS_FD, 0ul), "statistics/of a vcpu");
	value(read(fd, &header, sizeof header) == sizeof header, "statistics/header");
	value(header.flags, "statistics/flags");
	value(header.name_size, "statistics/name size");
	value(header.num_desc > 0, "statistics/some");
	value(header.id_offset, "statistics/id offset");
	value(header.desc_offset, "statistics/descriptor offset");
	answer(write(fd, &header, sizeof header) < 0 ? -1 : 0, "statistics/write");
	close(fd);
	fd = answer(ioctl(s.vm, KVM_GET_STATS_FD, 0ul), "statistics/of a vm");
	close(fd);
	subject_close(&s);
}

void machine(void)
{
	capabilities();
	ids();
	clocks();
	attributes();
	statistics();
}
