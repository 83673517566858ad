// rep movs between memory and MMIO over the boundaries of pages on either side, and downwards.
// Printed as ranges of bytes where the accesses follow on each other.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "cld\n"
      // The boundary on the memory's side, on the other, on both with elements across it.
      "mov $BUFFER + 0xff8, %esi; mov $MMIO, %edi; mov $4, %ecx; rep movsl\n"
      "mov $BUFFER, %esi; mov $MMIO + 0x1ff8, %edi; mov $4, %ecx; rep movsl\n"
      "mov $BUFFER + 0xff5, %esi; mov $MMIO + 0x3000, %edi; mov $6, %ecx; rep movsl\n"
      "mov $MMIO + 0x4000, %esi; mov $BUFFER + 0x2ff8, %edi; mov $4, %ecx; rep movsl\n"
      "mov $MMIO + 0x5ff8, %esi; mov $BUFFER + 0x4000, %edi; mov $4, %ecx; rep movsl\n"
      "mov $MMIO + 0x7000, %esi; mov $BUFFER + 0x5ff5, %edi; mov $6, %ecx; rep movsl\n"
      // Longer than a page.
      "mov $BUFFER + 0x800, %esi; mov $MMIO + 0x8800, %edi; mov $1200, %ecx; rep movsl\n"
      "std\n"
      "mov $BUFFER + 0x100, %esi; mov $MMIO + 0xb000, %edi; mov $4, %ecx; rep movsl\n"
      "mov $MMIO + 0xc100, %esi; mov $BUFFER + 0x7004, %edi; mov $4, %ecx; rep movsl\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	for (unsigned int i = 0; i < 0x2800; i++)
		vm.ram[BUFFER + i] = (uint8_t)(i * 7 + (i >> 8));
	vcpu_play_merged(&vcpu);
	vcpu_print_regs(&vcpu);
	printf("memory:\n");
	print_dump(vm.ram + BUFFER + 0x2ff0, 0x20);
	print_dump(vm.ram + BUFFER + 0x4000, 0x20);
	print_dump(vm.ram + BUFFER + 0x5ff0, 0x20);
	print_dump(vm.ram + BUFFER + 0x6ff0, 0x20);
	return 0;
}
