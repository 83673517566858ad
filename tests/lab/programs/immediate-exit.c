// run->immediate_exit: KVM_RUN returns EINTR and the guest does not move, before its first
// instruction and later.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $1, %ebx\n"
      "mov $2, %eax; tell\n"
      "mov $3, %ebx\n"
      "hlt\n"
      "mov $4, %ebx\n"
      "hlt");

static void try_run(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	vcpu->run->immediate_exit = 1;
	printf("immediate exit: %s\n", errno_name(vcpu_try_run(vcpu)));
	vcpu->run->immediate_exit = 0;
	vcpu_get_regs(vcpu, &regs);
	printf("  rip %llx rbx %llx\n", (unsigned long long)regs.rip, (unsigned long long)regs.rbx);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	try_run(&vcpu);
	try_run(&vcpu);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	try_run(&vcpu);
	try_run(&vcpu);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	try_run(&vcpu);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	try_run(&vcpu);
	return 0;
}
