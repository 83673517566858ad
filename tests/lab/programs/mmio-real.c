// Real mode accesses to addresses without memory, of each width, in the places where a PC has its
// display memory and its ROMs.

#include "vm.h"

GUEST(guest, 16,
      "mov $0xb800, %ax; mov %ax, %ds\n"
      "movb $0x41, 0x0\n"
      "movw $0x0742, 0x2\n"
      "movl $0x07440743, 0x4\n"
      "mov $0xa000, %ax; mov %ax, %ds\n"
      "movb $0x55, 0x0\n"
      "movw $0x5566, 0xfffe\n"
      "mov $0xd000, %ax; mov %ax, %ds\n"
      "mov $0xa5a5a5a5, %eax; mov 0x10, %al; tell\n"
      "mov $0xa5a5a5a5, %eax; mov 0x12, %ax; tell\n"
      "mov $0xa5a5a5a5, %eax; mov 0x14, %eax; tell\n"
      "mov $0xf000, %ax; mov %ax, %ds\n"
      "movzbl 0xfff0, %eax; tell\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 16, guest);
	vcpu_play(&vcpu);
	vcpu_print_regs(&vcpu);
	return 0;
}
