// A slot of 256 MiB, 65536 pages, is moved, deleted and added again: all of it goes, all of it
// comes.

#include "vm.h"

#include <stdio.h>

#define SIZE  0x10000000ul
#define HERE  0x10000000ul
#define THERE 0x20000000ul

// Reads the first, a middle and the last word at both places, and adds one to each.
GUEST(guest, 64,
      "1: mov $0x10000000, %ebx; call 2f\n"
      "mov $0x20000000, %ebx; call 2f\n"
      "hlt; jmp 1b\n"
      "2: mov (%rbx), %eax; tell; incl (%rbx)\n"
      "mov 0x8000000(%rbx), %eax; tell; incl 0x8000000(%rbx)\n"
      "mov 0xffffffc(%rbx), %eax; tell; incl 0xffffffc(%rbx); ret");

static void show(const uint8_t *memory)
{
	printf("memory:");
	print_bytes(memory, 4);
	print_bytes(memory + SIZE / 2, 4);
	print_bytes(memory + SIZE - 4, 4);
	printf("\n");
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *memory;

	vm_boot(&vm, &vcpu, 64, guest);
	memory = vm_slot_new(&vm, 1, 0, HERE, SIZE);
	*(uint32_t *)memory = 0x11;
	*(uint32_t *)(memory + SIZE / 2) = 0x22;
	*(uint32_t *)(memory + SIZE - 4) = 0x33;
	vcpu_play(&vcpu);
	show(memory);
	vm_slot(&vm, 1, 0, THERE, SIZE, memory);
	printf("moved\n");
	vcpu_play(&vcpu);
	show(memory);
	vm_slot(&vm, 1, 0, THERE, 0, memory);
	printf("deleted\n");
	vcpu_play(&vcpu);
	show(memory);
	vm_slot(&vm, 2, 0, HERE, SIZE, memory);
	printf("added\n");
	vcpu_play(&vcpu);
	show(memory);
	return 0;
}
