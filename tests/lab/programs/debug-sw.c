// KVM_GUESTDBG_USE_SW_BP: an INT3 that the debugger has placed is KVM_EXIT_DEBUG; without it, or
// given back by KVM_GUESTDBG_INJECT_BP, it is the guest's own.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $1, %ecx; int3\n"
      "mov $2, %ecx; int3\n"
      "mov $3, %ecx; int3\n"
      "putb 4, 0x90\n"
      "hlt");
GUEST(handler, 64,
      "push %rax; push %rdx; mov 16(%rsp), %eax; tell 0x503; pop %rdx; pop %rax; iretq");

static void set(struct vcpu *vcpu, unsigned int control)
{
	struct kvm_guest_debug debug = {.control = control};

	IOCTL(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
}

static void run(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	vcpu_run(vcpu);
	vcpu_print_exit(vcpu);
	vcpu_get_regs(vcpu, &regs);
	printf("  rip %llx rcx %llx\n", (unsigned long long)regs.rip, (unsigned long long)regs.rcx);
	if (vcpu->run->exit_reason == KVM_EXIT_DEBUG)
		printf("  exception %u pc %llx\n", vcpu->run->debug.arch.exception,
		       (unsigned long long)vcpu->run->debug.arch.pc);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_regs regs;

	vm_boot(&vm, &vcpu, 64, guest);
	vm_handler(&vm, 64, 3, 0, handler);
	set(&vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP);
	run(&vcpu);
	// The same again: it was not executed.
	run(&vcpu);
	// Behind it.
	vcpu_get_regs(&vcpu, &regs);
	regs.rip++;
	vcpu_set_regs(&vcpu, &regs);
	run(&vcpu);
	// The guest's own.
	set(&vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_INJECT_BP);
	run(&vcpu);
	set(&vcpu, 0);
	vcpu_play(&vcpu);
	return 0;
}
