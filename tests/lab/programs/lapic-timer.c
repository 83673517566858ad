// The local APIC's timer: five periodic interrupts, then one of a single shot.

#include "vm.h"

GUEST(guest, 64,
      "pic_off\n"
      "lapic_init\n"
      "movl $0xb, 0x3e0(%rbx)\n"
      "movl $0x20040, 0x320(%rbx)\n"
      "movl $5000000, 0x380(%rbx)\n"
      "xor %r8, %r8\n"
      "1: sti; hlt; cli\n"
      "cmp $5, %r8\n"
      "jb 1b\n"
      "mov $LAPIC, %ebx\n"
      "movl $0, 0x380(%rbx)\n"
      "putb 5, 0x90\n"
      // A tick may have come in between.
      "sti; nop; nop; cli\n"
      "movl $0x41, 0x320(%rbx)\n"
      "movl $5000000, 0x380(%rbx)\n"
      "sti; hlt; cli\n"
      "mov 0x390(%rbx), %eax; tell\n"
      "finish");
GUEST(handler, 64, "inc %r8; lapic_eoi; iretq");
GUEST(handler_once, 64, "putb 0x41, 0x81; lapic_eoi; iretq");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_interrupt(&vm, 64, 0x40, 0, handler);
	vm_interrupt(&vm, 64, 0x41, 1, handler_once);
	vcpu_play(&vcpu);
	return 0;
}
