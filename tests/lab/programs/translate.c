// KVM_TRANSLATE: a guest's virtual addresses as its tables have them, and those they do not.

#include "vm.h"

#include <stdio.h>

static void translate(struct vcpu *vcpu, uint64_t address)
{
	struct kvm_translation t = {.linear_address = address};

	IOCTL(vcpu->fd, KVM_TRANSLATE, &t);
	printf("%llx: valid %u", (unsigned long long)address, t.valid);
	if (t.valid)
		printf(" physical %llx", (unsigned long long)t.physical_address);
	printf("\n");
}

GUEST(guest, 64, "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	// Virtual 256 GiB: 1 GiB in 2 MiB pages at 64 GiB; the second one is a table with one page.
	((uint64_t *)(vm.ram + TABLES + 0x1000))[256] = (TABLES + 0x6000) | 3;
	((uint64_t *)(vm.ram + TABLES + 0x6000))[0] = 0x1000000000 | 0x83;
	((uint64_t *)(vm.ram + TABLES + 0x6000))[1] = (TABLES + 0x7000) | 3;
	((uint64_t *)(vm.ram + TABLES + 0x7000))[3] = 0x12345000 | 3;
	translate(&vcpu, 0);
	translate(&vcpu, 0x1234);
	translate(&vcpu, 0xfffffff0);
	translate(&vcpu, 0x100000000);
	translate(&vcpu, 0x4000001234);
	translate(&vcpu, 0x4000203ff8);
	translate(&vcpu, 0x4000204000);
	translate(&vcpu, 0x4000400000);
	vcpu_play(&vcpu);
	translate(&vcpu, 0x4000203ff8);
	return 0;
}
