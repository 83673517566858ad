// A slot is moved to another guest address, once by changing it in place and once by deleting it
// and adding its memory elsewhere under another number.  The content goes with it.

#include "vm.h"

#include <stdio.h>

// Reads at the three places and adds to each.
GUEST(guest, 64,
      "1: mov $0x200000, %ebx; call 2f\n"
      "mov $0x300000, %ebx; call 2f\n"
      "mov $0x480000, %ebx; call 2f\n"
      "hlt; jmp 1b\n"
      "2: mov (%rbx), %eax; tell; incl 0x1ffc(%rbx); ret");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *more;

	vm_boot(&vm, &vcpu, 64, guest);
	more = vm_slot_new(&vm, 1, 0, 0x200000, 0x2000);
	*(uint32_t *)more = 0x11223344;
	vcpu_play(&vcpu);
	vm_slot(&vm, 1, 0, 0x300000, 0x2000, more);
	printf("moved to 300000\n");
	vcpu_play(&vcpu);
	vm_slot(&vm, 1, 0, 0x300000, 0, more);
	vm_slot(&vm, 7, 0, 0x480000, 0x2000, more);
	printf("added at 480000\n");
	vcpu_play(&vcpu);
	printf("memory:");
	print_bytes(more, 4);
	print_bytes(more + 0x1ffc, 4);
	printf("\n");
	return 0;
}
