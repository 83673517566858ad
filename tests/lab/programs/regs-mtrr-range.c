// A variable memory type range that the guest wrote, as the monitor gets it.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64, "mov $0x202, %ecx; mov $0xe0000000, %eax; xor %edx, %edx; wrmsr; hlt");

int main(void)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} list = {.head.nmsrs = 1, .entry.index = 0x202};
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_set_cpuid(&vcpu);
	vcpu_play(&vcpu);
	printf("get: %d\n", IOCTL(vcpu.fd, KVM_GET_MSRS, &list));
	printf("got: %llx\n", (unsigned long long)list.entry.data);
	return 0;
}
