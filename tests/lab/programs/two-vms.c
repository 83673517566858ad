// Two VMs in one process, run by turns: neither sees the other's memory or registers.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64, "1: incl DATA; mov DATA, %eax; tell; mov $MMIO, %ebx; mov %eax, (%rbx); jmp 1b");
GUEST(other_guest, 16, "1: add $0x100, %ecx; mov %ecx, %eax; tell; jmp 1b");

int main(void)
{
	struct vm vm, other;
	struct vcpu vcpu, other_vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vm_boot_irqchip(&other, &other_vcpu, 16, other_guest);
	for (unsigned int i = 0; i < 4; i++) {
		vcpu_run(&vcpu);
		printf("first: ");
		vcpu_print_exit(&vcpu);
		vcpu_run(&other_vcpu);
		printf("second: ");
		vcpu_print_exit(&other_vcpu);
	}
	vcpu_destroy(&other_vcpu);
	vm_destroy(&other);
	vcpu_run(&vcpu);
	printf("first: ");
	vcpu_print_exit(&vcpu);
	return 0;
}
