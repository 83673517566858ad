// The page attribute table: set by the monitor, read by the guest, which also writes one that
// cannot be (#GP).

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $0x277, %ecx; rdmsr; mov %eax, BUFFER; mov %edx, BUFFER + 4\n"
      "mov $2, %eax; xor %edx, %edx; wrmsr\n"
      "putb 1, 0x90\n"
      "hlt");
// #GP: shows the error code, goes on behind the instruction of two bytes.
GUEST(handler, 64, "pop %rax; tell 0x510; addq $2, (%rsp); iretq");

int main(void)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} list = {.head.nmsrs = 1, .entry = {.index = 0x277, .data = 0x0007010600070106}};
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_set_cpuid(&vcpu);
	vm_handler(&vm, 64, 13, 0, handler);
	printf("set: %d\n", IOCTL(vcpu.fd, KVM_SET_MSRS, &list));
	vcpu_play(&vcpu);
	printf("guest: %llx\n", *(unsigned long long *)(vm.ram + BUFFER));
	printf("get: %d\n", IOCTL(vcpu.fd, KVM_GET_MSRS, &list));
	printf("got: %llx\n", (unsigned long long)list.entry.data);
	return 0;
}
