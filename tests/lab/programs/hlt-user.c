// HLT without an in-kernel interrupt controller is an exit; the next KVM_RUN goes on behind it,
// with interrupts off and on.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 16,
      "mov $1, %cx; hlt\n"
      "mov $2, %cx; hlt\n"
      "putb 0x33, 0x90\n"
      "sti\n"
      "mov $3, %cx; hlt\n"
      "cli\n"
      "mov $4, %cx; hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 16, guest);
	for (unsigned int i = 1; i <= 4; i++) {
		struct kvm_regs regs;

		vcpu_play(&vcpu);
		vcpu_get_regs(&vcpu, &regs);
		printf("hlt %u: rcx %llu rip %llx rflags %llx\n", i, (unsigned long long)regs.rcx,
		       (unsigned long long)regs.rip, (unsigned long long)regs.rflags);
	}
	return 0;
}
