// Long mode rep outs of each width, counts 0 and 1 among them.  How a rep is cut into exits is
// KVM's own affair, so what is printed is each port's stream of bytes; the registers afterwards
// show that rsi and rcx moved over all of it.

#include "vm.h"

GUEST(guest, 64,
      "cld\n"
      "mov $BUFFER, %esi\n"
      "mov $10, %ecx; mov $0x100, %dx; rep outsb\n"
      "mov $7, %ecx; mov $0x110, %dx; rep outsw\n"
      "mov $9, %ecx; mov $0x120, %dx; rep outsl\n"
      "mov $1, %ecx; mov $0x130, %dx; rep outsb\n"
      "xor %ecx, %ecx; mov $0x140, %dx; rep outsb\n"
      "mov $100, %ecx; mov $0x150, %dx; rep outsl\n"
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
	return 0;
}
