// run->request_interrupt_window: KVM_RUN returns as soon as the guest takes interrupts.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 16,
      "putb 1, 0x90\n" // interrupts are off
      "mov $1, %bx\n"
      "sti\n"
      "1: cmp $2, %bx; jne 1b\n"
      "putb 2, 0x90\n"
      "cli; hlt");
GUEST(handler, 16, "putb 0x33, 0x81; mov $2, %bx; iret");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_interrupt interrupt = {.irq = 0x33};

	vm_boot(&vm, &vcpu, 16, guest);
	vm_handler(&vm, 16, 0x33, 0, handler);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	vcpu.run->request_interrupt_window = 1;
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	printf("  if %u ready %u\n", vcpu.run->if_flag, vcpu.run->ready_for_interrupt_injection);
	vcpu.run->request_interrupt_window = 0;
	IOCTL(vcpu.fd, KVM_INTERRUPT, &interrupt);
	vcpu_play(&vcpu);
	return 0;
}
