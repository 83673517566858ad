// The same memory of the monitor in two slots: a write to one is seen in the other.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $0x200000, %ebx; mov $0x300000, %ecx\n"
      "movl $0x55667788, (%rbx)\n"
      "mov (%rcx), %eax; tell\n"
      "movl $0x99aabbcc, 4(%rcx)\n"
      "mov 4(%rbx), %eax; tell\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *memory;

	vm_boot(&vm, &vcpu, 64, guest);
	memory = memory_new(0x1000);
	vm_slot(&vm, 3, 0, 0x200000, 0x1000, memory);
	vm_slot(&vm, 4, 0, 0x300000, 0x1000, memory);
	vcpu_play(&vcpu);
	printf("memory:");
	print_bytes(memory, 8);
	printf("\n");
	return 0;
}
