// KVM_SET_REGS: the guest finds all general registers and the flags as they were set, and what it
// leaves in them is what KVM_GET_REGS gives.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov %rsp, BUFFER + 0x78\n"
      "pushfq\n"
      "mov %rax, BUFFER; mov %rbx, BUFFER + 0x08; mov %rcx, BUFFER + 0x10\n"
      "mov %rdx, BUFFER + 0x18; mov %rsi, BUFFER + 0x20; mov %rdi, BUFFER + 0x28\n"
      "mov %rbp, BUFFER + 0x30; mov %r8, BUFFER + 0x38; mov %r9, BUFFER + 0x40\n"
      "mov %r10, BUFFER + 0x48; mov %r11, BUFFER + 0x50; mov %r12, BUFFER + 0x58\n"
      "mov %r13, BUFFER + 0x60; mov %r14, BUFFER + 0x68; mov %r15, BUFFER + 0x70\n"
      "pop %rax; mov %rax, BUFFER + 0x80\n"
      "not %rax; not %rbx; not %rcx; not %rdx; not %rsi; not %rdi; not %rbp\n"
      "not %r8; not %r9; not %r10; not %r11; not %r12; not %r13; not %r14; not %r15\n"
      "add $8, %rsp\n"
      "std; stc; hlt\n"
      "1: jmp 1b");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_regs regs = {
		.rax = 0x0101010111111111,
		.rbx = 0x0202020222222222,
		.rcx = 0x0303030333333333,
		.rdx = 0x0404040444444444,
		.rsi = 0x0505050555555555,
		.rdi = 0x0606060666666666,
		.rbp = 0x8707070777777777,
		.r8 = 0x8808080888888888,
		.r9 = 0x8909090999999999,
		.r10 = 0x8a0a0a0aaaaaaaaa,
		.r11 = 0x8b0b0b0bbbbbbbbb,
		.r12 = 0x8c0c0c0ccccccccc,
		.r13 = 0x8d0d0d0ddddddddd,
		.r14 = 0x8e0e0e0eeeeeeeee,
		.r15 = 0x8f0f0f0fffffffff,
		.rsp = STACK - 0x100,
		.rip = CODE,
		.rflags = 0xcd7, // all arithmetic flags, DF
	};

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_set_regs(&vcpu, &regs);
	vcpu_print_regs(&vcpu);
	vcpu_play(&vcpu);
	printf("in the guest:\n");
	print_dump(vm.ram + BUFFER, 0x88);
	vcpu_print_regs(&vcpu);
	return 0;
}
