// Protected mode with flat segments and no paging: port I/O, memory, MMIO, a call on the stack.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 32,
      "mov $0x11223344, %eax\n"
      "mov %eax, DATA\n"
      "call 1f\n"
      "mov DATA + 4, %eax; tell\n"
      "movl $0x55667788, MMIO\n"
      "mov MMIO + 4, %eax; tell\n"
      "mov %cs, %eax; tell\n"
      "mov %ss, %eax; tell\n"
      "hlt\n"
      "1: mov DATA, %eax\n"
      "not %eax\n"
      "mov %eax, DATA + 4\n"
      "ret");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 32, guest);
	vcpu_play(&vcpu);
	vcpu_print_regs(&vcpu);
	printf("data:");
	print_bytes(vm.ram + DATA, 8);
	printf("\n");
	return 0;
}
