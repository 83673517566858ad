// rep outs and rep ins over several pages, with elements that lie across the boundary of two.
// Printed as streams of bytes, however they were cut.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "cld\n"
      "mov $BUFFER + 0xff0, %esi\n"
      "mov $5000, %ecx; mov $0x100, %dx; rep outsb\n"
      "mov $BUFFER + 0xfe1, %esi\n"
      "mov $40, %ecx; mov $0x110, %dx; rep outsw\n"
      "mov $BUFFER + 0xfd2, %esi\n"
      "mov $2500, %ecx; mov $0x120, %dx; rep outsl\n"
      "mov $BUFFER + 0x8ff0, %edi\n"
      "mov $5000, %ecx; mov $0x130, %dx; rep insb\n"
      "mov $BUFFER + 0xcfe3, %edi\n"
      "mov $40, %ecx; mov $0x140, %dx; rep insl\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	for (unsigned int i = 0; i < 0x8000; i++)
		vm.ram[BUFFER + i] = (uint8_t)(i * 7 + (i >> 8));
	vcpu_play_merged(&vcpu);
	vcpu_print_regs(&vcpu);
	printf("memory:\n");
	print_dump(vm.ram + BUFFER + 0x8fe0, 0x40);
	print_dump(vm.ram + BUFFER + 0xa360, 0x40);
	print_dump(vm.ram + BUFFER + 0xcfd0, 0xd0);
	return 0;
}
