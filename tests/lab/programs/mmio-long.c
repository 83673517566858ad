// Long mode MMIO of width 1, 2, 4 and 8: stores from registers and constants, loads plain, with
// zero extension and with sign extension.

#include "vm.h"

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "mov $0x8877665544332211, %rax\n"
      "mov %al, 0x1(%rbx)\n"
      "mov %ax, 0x2(%rbx)\n"
      "mov %eax, 0x4(%rbx)\n"
      "mov %rax, 0x8(%rbx)\n"
      "movb $0x99, 0x10(%rbx)\n"
      "movw $0xaa99, 0x12(%rbx)\n"
      "movl $0xccbbaa99, 0x14(%rbx)\n"
      "movq $-2, 0x18(%rbx)\n"
      "mov $-1, %rax; mov 0x20(%rbx), %al; mov %rax, %r8\n"
      "mov $-1, %rax; mov 0x22(%rbx), %ax; mov %rax, %r9\n"
      "mov $-1, %rax; mov 0x24(%rbx), %eax; mov %rax, %r10\n"
      "mov $-1, %rax; mov 0x28(%rbx), %rax; mov %rax, %r11\n"
      "movzbl 0x30(%rbx), %r12d\n"
      "movzwq 0x32(%rbx), %r13\n"
      "movb $0x80, 0x40(%rbx)\n"
      "movsbq 0x41(%rbx), %r14\n"
      "movslq 0x44(%rbx), %r15\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu.answer = 0x70;
	vcpu_play(&vcpu);
	vcpu_print_regs(&vcpu);
	return 0;
}
