// rep outs and rep ins with DF set: the memory is walked downwards, each element's own bytes stay
// in their order.  Printed as streams of bytes, however they were cut.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "std\n"
      "mov $BUFFER + 0x100, %esi\n"
      "mov $BUFFER + 0x1100, %edi\n"
      "mov $9, %ecx; mov $0x100, %dx; rep outsb\n"
      "mov $8, %ecx; mov $0x110, %dx; rep outsw\n"
      "mov $7, %ecx; mov $0x120, %dx; rep outsl\n"
      "mov $9, %ecx; mov $0x130, %dx; rep insb\n"
      "mov $8, %ecx; mov $0x140, %dx; rep insw\n"
      "mov $7, %ecx; mov $0x150, %dx; rep insl\n"
      // Over the boundary of a page.
      "mov $BUFFER + 0x2008, %esi\n"
      "mov $8, %ecx; mov $0x160, %dx; rep outsl\n"
      "mov $BUFFER + 0x2008, %edi\n"
      "mov $8, %ecx; mov $0x170, %dx; rep insl\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	for (unsigned int i = 0; i < 0x3000; i++)
		vm.ram[BUFFER + i] = (uint8_t)(i * 7 + (i >> 8));
	vcpu_play_merged(&vcpu);
	vcpu_print_regs(&vcpu);
	printf("memory:\n");
	print_dump(vm.ram + BUFFER + 0x10c0, 0x50);
	printf("memory:\n");
	print_dump(vm.ram + BUFFER + 0x1fe0, 0x40);
	return 0;
}
