// Calls that few monitors make, each used once: what was set is what is got, and newer forms of a
// call say what the older ones say.

#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

GUEST(guest, 64, "putb 1, 0x90; finish");

// What KVM_GET_STATS_FD gives begins with, from the API's section 4.131.
struct stats_header {
	uint32_t flags, name_size, num_desc, id_offset, desc_offset, data_offset;
};

static void same(const char *what, bool equal)
{
	printf("%s: %s\n", what, equal ? "as set" : "another");
}

static void sregs2(struct vcpu *vcpu)
{
	struct kvm_sregs2 two, again;
	struct kvm_sregs one;

	IOCTL(vcpu->fd, KVM_GET_SREGS, &one);
	IOCTL(vcpu->fd, KVM_GET_SREGS2, &two);
	same("SREGS2", memcmp(&one.cs, &two.cs, sizeof one.cs) == 0 && one.cr3 == two.cr3 &&
			       one.efer == two.efer && one.apic_base == two.apic_base);
	printf("flags %llx\n", (unsigned long long)two.flags);
	two.cr8 = 0;
	two.fs.base = 0x12345000;
	IOCTL(vcpu->fd, KVM_SET_SREGS2, &two);
	IOCTL(vcpu->fd, KVM_GET_SREGS2, &again);
	same("SET_SREGS2", again.fs.base == two.fs.base);
}

static void xsave2(struct vm *vm, struct vcpu *vcpu)
{
	int size = IOCTL(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
	static struct kvm_xsave old;
	void *area;

	printf("XSAVE2 %d bytes\n", size);
	area = calloc(1, size);
	IOCTL(vcpu->fd, KVM_GET_XSAVE, &old);
	IOCTL(vcpu->fd, KVM_GET_XSAVE2, area);
	same("XSAVE2", memcmp(area, &old, sizeof old) == 0);
	free(area);
}

static void pages(struct vm *vm)
{
	IOCTL(vm->fd, KVM_SET_NR_MMU_PAGES, 256ul);
	printf("NR_MMU_PAGES\n");
}

static void tsc(struct vm *vm, struct vcpu *vcpu)
{
	int khz = IOCTL(vcpu->fd, KVM_GET_TSC_KHZ, NULL);

	printf("TSC %s\n", khz > 1000 ? "runs" : "stands");
	IOCTL(vm->fd, KVM_SET_TSC_KHZ, (unsigned long)khz);
	IOCTL(vcpu->fd, KVM_SET_TSC_KHZ, (unsigned long)khz);
	same("TSC_KHZ", IOCTL(vcpu->fd, KVM_GET_TSC_KHZ, NULL) == khz);
}

static void clock_of(struct vm *vm)
{
	struct kvm_clock_data data = {.clock = 1000000000ull * 3600}, now;

	IOCTL(vm->fd, KVM_SET_CLOCK, &data);
	IOCTL(vm->fd, KVM_GET_CLOCK, &now);
	same("CLOCK", now.clock >= data.clock && now.clock < data.clock + 60 * 1000000000ull);
}

static void offset(struct vcpu *vcpu)
{
	uint64_t value = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&value};

	IOCTL(vcpu->fd, KVM_HAS_DEVICE_ATTR, &attr);
	IOCTL(vcpu->fd, KVM_GET_DEVICE_ATTR, &attr);
	IOCTL(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr);
	printf("TSC offset\n");
}

static void filter(struct vm *vm)
{
	struct kvm_pmu_event_filter none = {.action = KVM_PMU_EVENT_DENY};

	IOCTL(vm->fd, KVM_SET_PMU_EVENT_FILTER, &none);
	printf("PMU_EVENT_FILTER\n");
}

static void emulated(struct vm *vm)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + 100 * sizeof cpuid->entries[0]);

	cpuid->nent = 100;
	IOCTL(vm->kvm, KVM_GET_EMULATED_CPUID, cpuid);
	printf("EMULATED_CPUID taken\n");
	free(cpuid);
}

static void features(struct vm *vm)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {.head.nmsrs = 1, .entry.index = 0x8b}; // the microcode's revision

	printf("MSR features read: %d\n", IOCTL(vm->kvm, KVM_GET_MSRS, &msrs));
}

static void statistics(const char *name, int parent)
{
	int fd = IOCTL(parent, KVM_GET_STATS_FD, NULL);
	struct stats_header header;

	if (read(fd, &header, sizeof header) != sizeof header)
		fail("read of statistics");
	printf("statistics of a %s: name of %u bytes, %s\n", name, header.name_size,
	       header.num_desc ? "some" : "none");
	close(fd);
}

static void old_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid *cpuid = calloc(1, sizeof *cpuid + sizeof cpuid->entries[0]);

	cpuid->nent = 1;
	cpuid->entries[0].function = 0;
	cpuid->entries[0].ebx = 0x12345678;
	IOCTL(vcpu->fd, KVM_SET_CPUID, cpuid);
	printf("SET_CPUID\n");
	free(cpuid);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	old_cpuid(&vcpu);
	vcpu_set_cpuid(&vcpu);
	sregs2(&vcpu);
	xsave2(&vm, &vcpu);
	pages(&vm);
	tsc(&vm, &vcpu);
	clock_of(&vm);
	offset(&vcpu);
	filter(&vm);
	emulated(&vm);
	features(&vm);
	statistics("VM", vm.fd);
	statistics("vcpu", vcpu.fd);

	vcpu_play(&vcpu);
	return 0;
}
