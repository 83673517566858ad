// Without an in-kernel local APIC a guest that lowers CR8 makes KVM_EXIT_SET_TPR, one that raises
// it does not; run->cr8 has the new value in both cases.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $7, %eax; mov %rax, %cr8\n"
      "putb 1, 0x90\n"
      "mov $3, %eax; mov %rax, %cr8\n"
      "putb 2, 0x90\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	do {
		vcpu_run(&vcpu);
		vcpu_print_exit(&vcpu);
		printf("  cr8 %llx\n", (unsigned long long)vcpu.run->cr8);
	} while (vcpu.run->exit_reason != KVM_EXIT_HLT);
	return 0;
}
