// Real mode port I/O of each width, with the port in the instruction and in dx.

#include "vm.h"

GUEST(guest, 16,
      "mov $0x41, %al; out %al, $0x90\n"
      "mov $0x4342, %ax; out %ax, $0x84\n"
      "mov $0x47464544, %eax; out %eax, $0x88\n"
      "putb 0x48, 0x3f8\n"
      "putw 0x4a49, 0x1f0\n"
      "putl 0x4e4d4c4b, 0xc000\n"
      "putb 0x4f, 0xffff\n"
      // What was read is written, and the rest of eax must be as before.
      "mov $0xa5a5a5a5, %eax; in $0x90, %al; tell\n"
      "mov $0xa5a5a5a5, %eax; in $0x84, %ax; tell\n"
      "mov $0xa5a5a5a5, %eax; in $0x88, %eax; tell\n"
      "mov $0xa5a5a5a5, %eax; getb 0x3f8; tell\n"
      "mov $0xa5a5a5a5, %eax; getw 0x1f0; tell\n"
      "mov $0xa5a5a5a5, %eax; getl 0xc000; tell\n"
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
