// Completing an access with run->immediate_exit where the instruction has another one to make:
// that one is an exit, and KVM_RUN returns 0.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "mov $MMIO + 0x100, %esi; mov $MMIO + 0x200, %edi\n"
      "inc %r15; addl $1, (%rbx); inc %r15\n"
      "lock orl $0x80, 4(%rbx); inc %r15\n"
      "mov $0x55, %eax; xchg %eax, 8(%rbx); inc %r15\n"
      "movsl; inc %r15\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_run(&vcpu);
	while (!vcpu_at_end(&vcpu)) {
		struct kvm_regs regs;
		int error;

		vcpu_answer(&vcpu);
		vcpu_print_exit(&vcpu);
		vcpu.run->immediate_exit = 1;
		error = vcpu_try_run(&vcpu);
		vcpu.run->immediate_exit = 0;
		printf("  immediate exit: %s", errno_name(error));
		if (!error) {
			printf("\n");
			continue;
		}
		vcpu_get_regs(&vcpu, &regs);
		printf(" rip %llx rax %llx rdi %llx r15 %llu\n", (unsigned long long)regs.rip,
		       (unsigned long long)regs.rax, (unsigned long long)regs.rdi,
		       (unsigned long long)regs.r15);
		vcpu_run(&vcpu);
	}
	vcpu_print_exit(&vcpu);
	return 0;
}
