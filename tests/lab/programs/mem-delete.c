// A slot is deleted between two runs: the guest's accesses become exits, the monitor's memory keeps
// its content.  Added again with what the monitor made of it meanwhile, it is memory again.

#include "vm.h"

#include <stdio.h>

#define MORE 0x200000

GUEST(guest, 64,
      "mov $0x200000, %ebx\n"
      "1: mov (%rbx), %eax; tell\n"
      "movl $0x55667788, 8(%rbx)\n"
      "incl 0x1000(%rbx)\n"
      "hlt; jmp 1b");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *more;

	vm_boot(&vm, &vcpu, 64, guest);
	more = vm_slot_new(&vm, 1, 0, MORE, 0x2000);
	*(uint32_t *)more = 0x11223344;
	printf("with the slot\n");
	vcpu_play(&vcpu);
	vm_slot(&vm, 1, 0, MORE, 0, more);
	printf("deleted; memory:");
	print_bytes(more, 12);
	print_bytes(more + 0x1000, 4);
	printf("\n");
	vcpu_play(&vcpu);
	printf("memory:");
	print_bytes(more, 12);
	print_bytes(more + 0x1000, 4);
	printf("\n");
	*(uint32_t *)more = 0x99aabbcc;
	*(uint32_t *)(more + 8) = 0;
	vm_slot(&vm, 1, 0, MORE, 0x2000, more);
	printf("added again\n");
	vcpu_play(&vcpu);
	printf("memory:");
	print_bytes(more, 12);
	print_bytes(more + 0x1000, 4);
	printf("\n");
	return 0;
}
