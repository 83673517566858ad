// After reset the 8259's output reaches the first vcpu through its local APIC's LINT0, which the
// guest never touched; masking LINT0 in the local APIC cuts it off.

#include "vm.h"

GUEST(guest, 32,
      "pic_init\n"
      "mov $LAPIC, %ebx\n"
      "mov 0xf0(%ebx), %eax; tell\n"
      "mov 0x350(%ebx), %eax; tell\n"
      "irq 3; sti; nop; nop; cli; irq 3, 0\n"
      "putb 0xaa, 0x90\n"
      "movl $0x1ff, 0xf0(%ebx)\n"
      "movl $0x10700, 0x350(%ebx)\n"
      "irq 3; sti; nop; nop; cli\n"
      "putb 0xbb, 0x90\n"
      // Begins anew with an empty 8259: KVM does not look again at an old request.
      "irq 3, 0\n"
      "pic_init\n"
      "movl $0x700, 0x350(%ebx)\n"
      "irq 3\n"
      "sti; nop; nop; cli\n"
      "finish");
GUEST(handler, 32, "push %eax; push %edx; putb 3, 0x81; pic_eoi; pop %edx; pop %eax; iret");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 32, guest);
	vm_interrupt(&vm, 32, 0x23, 0, handler);
	vcpu.on_exit = vcpu_serve_irqs;
	vcpu_play(&vcpu);
	return 0;
}
