// Other instructions with an MMIO operand: arithmetic into a register, comparisons, push and pop,
// a conditional move.

#include "vm.h"

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "mov $0x01010101, %r8d; add 0x00(%rbx), %r8d\n"
      "mov $0x7f7f7f7f, %r9d; and 0x04(%rbx), %r9d\n"
      "mov $0, %r10d; xor 0x08(%rbx), %r10b\n"
      "cmpl $0x1c1b1a19, 0x0c(%rbx); sete %r11b\n"
      "cmpb $0, 0x10(%rbx); seta %r12b\n"
      "testl $0x02000000, 0x14(%rbx); setnz %r13b\n"
      "btl $1, 0x18(%rbx); setc %r14b\n"
      "imul $3, 0x1c(%rbx), %r15d\n"
      "pushq 0x20(%rbx); pop %rcx\n"
      "mov $0x8877665544332211, %rax; push %rax; popq 0x28(%rbx)\n"
      "pushq $0x33; popw 0x30(%rbx); add $6, %rsp\n"
      "xor %eax, %eax; cmovz 0x38(%rbx), %esi\n"
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
