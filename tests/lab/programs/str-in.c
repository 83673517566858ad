// Long mode rep ins of each width, counts 0 and 1 among them, as streams of bytes; then the memory
// that they wrote.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "cld\n"
      "mov $BUFFER, %edi\n"
      "mov $10, %ecx; mov $0x100, %dx; rep insb\n"
      "mov $7, %ecx; mov $0x110, %dx; rep insw\n"
      "mov $9, %ecx; mov $0x120, %dx; rep insl\n"
      "mov $1, %ecx; mov $0x130, %dx; rep insb\n"
      "xor %ecx, %ecx; mov $0x140, %dx; rep insb\n"
      "mov $30, %ecx; mov $0x150, %dx; rep insl\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_play_merged(&vcpu);
	vcpu_print_regs(&vcpu);
	printf("memory:\n");
	print_dump(vm.ram + BUFFER, 0x100);
	return 0;
}
