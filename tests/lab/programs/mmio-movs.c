// movs and rep movs from memory to MMIO, from MMIO to memory, from MMIO to MMIO.  How many elements
// a hypervisor takes at once is not specified: accesses that follow on each other are printed as
// ranges of bytes.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "cld\n"
      "mov $BUFFER, %esi; mov $MMIO, %edi\n"
      "movsb; movsw; movsl; movsq\n"
      "mov $MMIO + 0x100, %edi\n"
      "mov $11, %ecx; rep movsb\n"
      "mov $5, %ecx; rep movsw\n"
      "mov $5, %ecx; rep movsl\n"
      "mov $5, %ecx; rep movsq\n"
      // From MMIO.
      "mov $MMIO + 0x1000, %esi; mov $BUFFER + 0x1000, %edi\n"
      "movsb; movsw; movsl; movsq\n"
      "mov $MMIO + 0x1100, %esi\n"
      "mov $11, %ecx; rep movsb\n"
      "mov $5, %ecx; rep movsw\n"
      "mov $5, %ecx; rep movsl\n"
      "mov $5, %ecx; rep movsq\n"
      // From MMIO to MMIO.
      "mov $MMIO + 0x2000, %esi; mov $MMIO + 0x3000, %edi\n"
      "movsl\n"
      "mov $3, %ecx; rep movsl\n"
      "mov $0, %ecx; rep movsl\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	for (unsigned int i = 0; i < 0x1000; i++)
		vm.ram[BUFFER + i] = (uint8_t)(i * 7 + (i >> 8));
	vcpu_play_merged(&vcpu);
	vcpu_print_regs(&vcpu);
	printf("memory:\n");
	print_dump(vm.ram + BUFFER + 0x1000, 0x70);
	return 0;
}
