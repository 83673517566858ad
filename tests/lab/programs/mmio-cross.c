// MMIO across the boundary of two pages.  How such an access is cut is not specified: printed are
// the ranges of bytes.

#include "vm.h"

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "mov $0x8877665544332211, %rax\n"
      "mov %ax, 0xfff(%rbx)\n"
      "mov %eax, 0x1ffe(%rbx)\n"
      "mov %eax, 0x2ffd(%rbx)\n"
      "mov %rax, 0x3ffc(%rbx)\n"
      "mov %rax, 0x4ffb(%rbx)\n"
      "mov 0xfff(%rbx), %cx\n"
      "mov 0x1ffe(%rbx), %r8d\n"
      "mov 0x2ffd(%rbx), %r9d\n"
      "mov 0x3ffc(%rbx), %r10\n"
      "mov 0x4ffb(%rbx), %r11\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_play_merged(&vcpu);
	vcpu_print_regs(&vcpu);
	return 0;
}
