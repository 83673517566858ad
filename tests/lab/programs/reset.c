// A running guest is reset as monitors do it: memory, registers and the interrupt controllers of a
// VM are set to their first state, and it starts from the beginning.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 16,
      "pic_init\n"
      "irq 3; sti; hlt; cli\n"
      "incl DATA\n"
      "mov DATA, %eax; tell\n"
      "getb 0x82\n"
      "putb 1, 0x90\n" // never reached
      "finish");
GUEST(handler, 16, "putb 3, 0x81; pic_eoi; iret");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_sregs sregs;
	struct kvm_irqchip chips[3];
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};

	vm_boot_irqchip(&vm, &vcpu, 16, guest);
	vm_interrupt(&vm, 16, 0x23, 0, handler);
	vcpu_get_sregs(&vcpu, &sregs);
	IOCTL(vcpu.fd, KVM_GET_LAPIC, &lapic);
	IOCTL(vcpu.fd, KVM_GET_VCPU_EVENTS, &events);
	for (unsigned int i = 0; i < 3; i++) {
		chips[i].chip_id = i;
		IOCTL(vm.fd, KVM_GET_IRQCHIP, &chips[i]);
	}
	for (unsigned int round = 0; round < 3; round++) {
		struct kvm_regs regs = {.rip = CODE, .rsp = STACK, .rflags = 2};

		printf("round %u\n", round);
		do {
			vcpu_run(&vcpu);
			vcpu_serve_irqs(&vcpu);
			vcpu_answer(&vcpu);
			vcpu_print_exit(&vcpu);
		} while (vcpu.run->io.port != 0x82);
		// The last access is completed first, and goes with the old registers.
		vcpu.run->immediate_exit = 1;
		vcpu_try_run(&vcpu);
		vcpu.run->immediate_exit = 0;
		vm_irq(&vm, 3, 0);
		vcpu_set_sregs(&vcpu, &sregs);
		vcpu_set_regs(&vcpu, &regs);
		IOCTL(vcpu.fd, KVM_SET_LAPIC, &lapic);
		IOCTL(vcpu.fd, KVM_SET_VCPU_EVENTS, &events);
		IOCTL(vcpu.fd, KVM_SET_MP_STATE, &runnable);
		for (unsigned int i = 0; i < 3; i++)
			IOCTL(vm.fd, KVM_SET_IRQCHIP, &chips[i]);
	}
	return 0;
}
