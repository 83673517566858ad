// KVM_IRQ_LINE through the I/O APIC to the local APIC of a guest in long mode: edges on several
// pins, the mask, the priority of vectors, the task priority.

#include "vm.h"

GUEST(guest, 64,
      "pic_off\n"
      "lapic_init\n"
      "ioapic_pin 5, 0x35\n"
      "ioapic_pin 9, 0x49\n"
      "ioapic_pin 20, 0x54\n"
      "irq 5; sti; hlt; cli; irq 5, 0\n"
      "irq 9; sti; hlt; cli; irq 9, 0\n"
      "irq 20; sti; hlt; cli; irq 20, 0\n"
      // Two at once: the higher class of vectors goes first.
      "irq 5; irq 9; sti\n"
      "1: cli; cmp $5, %r8; jae 2f; sti; hlt; jmp 1b; 2:\n"
      "irq 5, 0; irq 9, 0\n"
      // The task priority holds back class 3 until it is lowered. (By the register, not by CR8:
      // a write of that with an interrupt pending is an assertion in QEMU 7.2's emulation of SVM.)
      "mov $0xfee00080, %ebx; movl $0x40, (%rbx)\n"
      "irq 5; sti; nop; nop; cli\n"
      "putb 0xaa, 0x90\n"
      "mov $0xfee00080, %ebx; movl $0, (%rbx); sti; nop; nop; cli; irq 5, 0\n"
      "putb 0xbb, 0x90\n"
      // KVM forgets an edge on a masked pin.
      "ioapic_pin 5, 0x10035\n"
      "irq 5; irq 5, 0\n"
      "ioapic_pin 5, 0x35\n"
      "sti; nop; nop; cli\n"
      "putb 0xcc, 0x90\n"
      "irq 5; sti; nop; nop; cli\n"
      "finish");

#define HANDLER(number)                                                                            \
	"inc %r8; push %rax; push %rdx; push %rbx; putb " #number ", 0x81\n"                       \
	"lapic_eoi; pop %rbx; pop %rdx; pop %rax; iretq"

GUEST(handler5, 64, HANDLER(5));
GUEST(handler9, 64, HANDLER(9));
GUEST(handler20, 64, HANDLER(20));

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_interrupt(&vm, 64, 0x35, 0, handler5);
	vm_interrupt(&vm, 64, 0x49, 1, handler9);
	vm_interrupt(&vm, 64, 0x54, 2, handler20);
	vcpu.on_exit = vcpu_serve_irqs;
	vcpu_play(&vcpu);
	return 0;
}
