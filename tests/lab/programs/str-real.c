// Real mode ins and outs: segments and an override, 16-bit and 32-bit address and count, an offset
// that wraps around at 64 KiB.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 16,
      "cld\n"
      "mov $0x2000, %ax; mov %ax, %ds\n"
      "mov $0x3000, %ax; mov %ax, %es\n"
      "mov $0x4000, %ax; mov %ax, %fs\n"
      "mov $4, %si; mov $6, %cx; mov $0x100, %dx; rep outsb\n"
      "mov $8, %si; mov $6, %cx; mov $0x110, %dx; rep outsw %fs:(%si), %dx\n"
      "mov $0x80, %esi; mov $5, %ecx; mov $0x120, %dx; addr32 rep outsl\n"
      "mov $0xfffc, %si; mov $8, %cx; mov $0x130, %dx; rep outsb\n"
      "mov $0x10, %di; mov $5, %cx; mov $0x140, %dx; rep insb\n"
      "mov $0x20, %di; mov $5, %cx; mov $0x150, %dx; rep insl\n"
      "mov $0xfffc, %di; mov $8, %cx; mov $0x160, %dx; rep insb\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 16, guest);
	for (unsigned int i = 0; i < 0x10000; i++) {
		vm.ram[0x20000 + i] = (uint8_t)(i * 3 + (i >> 8));
		vm.ram[0x40000 + i] = (uint8_t)(i * 5 + (i >> 8));
	}
	vcpu_play_merged(&vcpu);
	vcpu_print_regs(&vcpu);
	printf("memory:\n");
	print_dump(vm.ram + 0x30000, 0x40);
	print_dump(vm.ram + 0x3fff0, 0x20);
	return 0;
}
