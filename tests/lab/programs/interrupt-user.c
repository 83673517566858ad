// Without in-kernel interrupt controllers: KVM_INTERRUPT injects a vector when the guest is ready
// for one, which run->ready_for_interrupt_injection and the interrupt window tell.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 16,
      "putb 1, 0x90\n" // interrupts are off
      "sti; nop\n"
      "putb 2, 0x90\n"
      "nop\n"
      "putb 3, 0x90\n"
      "hlt\n"
      "putb 4, 0x90\n"
      "cli; hlt");
GUEST(handler, 16, "putb 0x33, 0x81; iret");

static void inject(struct vcpu *vcpu)
{
	struct kvm_interrupt interrupt = {.irq = 0x33};

	IOCTL(vcpu->fd, KVM_INTERRUPT, &interrupt);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 16, guest);
	vm_handler(&vm, 16, 0x33, 0, handler);
	do {
		vcpu_run(&vcpu);
		vcpu_print_exit(&vcpu);
		printf("  if %u ready %u\n", vcpu.run->if_flag,
		       vcpu.run->ready_for_interrupt_injection);
		if (vcpu.run->exit_reason == KVM_EXIT_HLT && vcpu.run->if_flag)
			inject(&vcpu);
		else if (vcpu.run->exit_reason == KVM_EXIT_IO && *io_data(vcpu.run) == 2)
			inject(&vcpu);
	} while (vcpu.run->exit_reason != KVM_EXIT_HLT || vcpu.run->if_flag);
	return 0;
}
