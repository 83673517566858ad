// Channel 0 of the in-kernel PIT at 100 Hz, through the 8259: the guest counts five ticks.

#include "vm.h"

GUEST(guest, 16,
      "pic_init\n"
      "mov $0x34, %al; out %al, $0x43\n"
      "mov $11932 % 256, %al; out %al, $0x40\n"
      "mov $11932 / 256, %al; out %al, $0x40\n"
      "xor %ecx, %ecx\n"
      "1: sti; hlt; cli\n"
      "cmp $5, %ecx\n"
      "jb 1b\n"
      "mov $0xff, %al; out %al, $0x21\n"
      "putb 5, 0x90\n"
      "finish");
GUEST(handler, 16, "inc %ecx; pic_eoi; iret");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 16, guest);
	vm_interrupt(&vm, 16, 0x20, 0, handler);
	vcpu_play(&vcpu);
	return 0;
}
