// KVM_IRQ_LINE through the 8259 to a guest in protected mode.

#include "vm.h"

GUEST(guest, 32,
      "pic_init\n"
      "irq 3; sti; hlt; cli; irq 3, 0\n"
      "irq 9; sti; hlt; cli; irq 9, 0\n"
      "finish");
// What the interrupt pushed: flags, code segment; the stack pointer before it.
GUEST(handler3, 32,
      "mov 8(%esp), %eax; tell; mov 4(%esp), %eax; tell\n"
      "lea 12(%esp), %eax; tell; putb 3, 0x81; pic_eoi; iret");
GUEST(handler9, 32, "putb 9, 0x81; pic_eoi2; iret");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 32, guest);
	vm_interrupt(&vm, 32, 0x23, 0, handler3);
	vm_interrupt(&vm, 32, 0x29, 1, handler9);
	vcpu.on_exit = vcpu_serve_irqs;
	vcpu_play(&vcpu);
	return 0;
}
