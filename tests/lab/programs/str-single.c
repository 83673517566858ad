// ins and outs without rep: one exit each, the same as in and out with a register.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 32,
      "cld\n"
      "mov $BUFFER, %esi\n"
      "mov $BUFFER + 0x100, %edi\n"
      "mov $0x100, %dx\n"
      "outsb; outsw; outsl\n"
      "insb; insw; insl\n"
      "std\n"
      "outsl; insl\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 32, guest);
	for (unsigned int i = 0; i < 0x100; i++)
		vm.ram[BUFFER + i] = (uint8_t)(0x80 + i);
	vcpu_play(&vcpu);
	vcpu_print_regs(&vcpu);
	printf("memory:\n");
	print_dump(vm.ram + BUFFER + 0x100, 16);
	return 0;
}
