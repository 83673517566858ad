// A line raised and lowered again while the guest has interrupts off: KVM's 8259 has latched the
// edge and still delivers it.

#include "vm.h"

GUEST(guest, 16,
      "pic_init\n"
      "irq 5; irq 5, 0\n"
      "putb 1, 0x90\n"
      "sti; nop; nop; nop; cli\n"
      "putb 2, 0x90\n"
      "finish");
GUEST(handler, 16, "putb 5, 0x81; pic_eoi; iret");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 16, guest);
	vm_interrupt(&vm, 16, 0x25, 0, handler);
	vm_interrupt(&vm, 16, 0x27, 0, handler);
	vcpu.on_exit = vcpu_serve_irqs;
	vcpu_play(&vcpu);
	return 0;
}
