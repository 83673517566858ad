// MMIO at addresses that are no multiple of the width, within a page: still one exit each.

#include "vm.h"

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "mov $0x8877665544332211, %rax\n"
      "mov %ax, 0x1(%rbx)\n"
      "mov %eax, 0x3(%rbx)\n"
      "mov %rax, 0x5(%rbx)\n"
      "mov %eax, 0xffb(%rbx)\n"
      "mov 0x11(%rbx), %cx\n"
      "mov 0x15(%rbx), %r8d\n"
      "mov 0x1c(%rbx), %r9\n"
      "mov 0xff7(%rbx), %r10\n"
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
