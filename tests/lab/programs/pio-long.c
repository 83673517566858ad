// Long mode port I/O of each width; a read of 32 bits clears the upper half of rax, the narrower
// ones leave the rest alone.

#include "vm.h"

GUEST(guest, 64,
      "mov $0x41, %al; out %al, $0x90\n"
      "mov $0x4342, %ax; out %ax, $0x84\n"
      "mov $0x47464544, %eax; out %eax, $0x88\n"
      "putb 0x48, 0x3f8\n"
      "putw 0x4a49, 0x1f0\n"
      "putl 0x4e4d4c4b, 0xc000\n"
      "mov $-1, %rax; in $0x90, %al; mov %rax, %r8\n"
      "mov $-1, %rax; in $0x84, %ax; mov %rax, %r9\n"
      "mov $-1, %rax; in $0x88, %eax; mov %rax, %r10\n"
      "mov $-1, %rax; getb 0x3f8; mov %rax, %r11\n"
      "mov $-1, %rax; getw 0x1f0; mov %rax, %r12\n"
      "mov $-1, %rax; getl 0xc000; mov %rax, %r13\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_play(&vcpu);
	vcpu_print_regs(&vcpu);
	return 0;
}
