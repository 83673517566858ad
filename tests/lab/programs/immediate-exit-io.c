// KVM_RUN with run->immediate_exit completes the access of the last exit and nothing else: the
// registers then hold what was read and rip stands behind the instruction.

#include "vm.h"

#include <stdio.h>

// A nop between the accesses, and a register that counts: what ran too far would show.
GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "inc %r15; in $0x90, %al; inc %r15\n"
      "mov $0x100, %edx; in %dx, %ax; inc %r15\n"
      "in %dx, %eax; inc %r15\n"
      "out %eax, %dx; inc %r15\n"
      "out %al, $0x90; inc %r15\n"
      "mov (%rbx), %cl; inc %r15\n"
      "mov (%rbx), %ecx; inc %r15\n"
      "mov (%rbx), %rcx; inc %r15\n"
      "movsbq (%rbx), %rcx; inc %r15\n"
      "mov %rcx, (%rbx); inc %r15\n"
      "movb $1, (%rbx); inc %r15\n"
      "add (%rbx), %rcx; inc %r15\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu.answer = 0x80;
	for (;;) {
		struct kvm_regs regs;

		vcpu_run(&vcpu);
		vcpu_answer(&vcpu);
		vcpu_print_exit(&vcpu);
		if (vcpu_at_end(&vcpu))
			break;
		vcpu.run->immediate_exit = 1;
		printf("  %s", errno_name(vcpu_try_run(&vcpu)));
		vcpu.run->immediate_exit = 0;
		vcpu_get_regs(&vcpu, &regs);
		printf(" rip %llx rax %llx rcx %llx r15 %llu\n", (unsigned long long)regs.rip,
		       (unsigned long long)regs.rax, (unsigned long long)regs.rcx,
		       (unsigned long long)regs.r15);
	}
	return 0;
}
