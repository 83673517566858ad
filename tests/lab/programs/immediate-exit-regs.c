// The state of a guest that was stopped exactly behind an access can be changed, and the change
// holds: what the access read is not written over it later.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "in $0x90, %al; tell\n"
      "in $0x90, %eax; tell\n"
      "mov (%rbx), %eax; tell\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	for (;;) {
		struct kvm_regs regs;
		bool read;

		vcpu_run(&vcpu);
		vcpu_answer(&vcpu);
		vcpu_print_exit(&vcpu);
		if (vcpu_at_end(&vcpu))
			break;
		read = vcpu.run->exit_reason == KVM_EXIT_MMIO ||
		       vcpu.run->io.direction == KVM_EXIT_IO_IN;
		if (!read)
			continue;
		vcpu.run->immediate_exit = 1;
		printf("  %s", errno_name(vcpu_try_run(&vcpu)));
		vcpu.run->immediate_exit = 0;
		vcpu_get_regs(&vcpu, &regs);
		printf(" rax %llx\n", (unsigned long long)regs.rax);
		regs.rax += 0x01010101;
		vcpu_set_regs(&vcpu, &regs);
	}
	return 0;
}
