// KVM_IRQ_LINE through the two 8259 to a guest in real mode: each line's vector, priority, the
// mask, the slave, a line that stays high.

#include "vm.h"

GUEST(guest, 16,
      "pic_init\n"
      // One at a time.
      "irq 3; sti; hlt; cli; irq 3, 0\n"
      "irq 10; sti; hlt; cli; irq 10, 0\n"
      // Two at once: the lower line goes first, then the other as soon as that one is done.
      "irq 5; irq 1; sti\n"
      "1: cli; cmp $4, %bx; jae 2f; sti; hlt; jmp 1b; 2:\n"
      "irq 5, 0; irq 1, 0\n"
      // A line of the slave against one behind it.
      "irq 7; irq 12; sti\n"
      "1: cli; cmp $6, %bx; jae 2f; sti; hlt; jmp 1b; 2:\n"
      "irq 7, 0; irq 12, 0\n"
      // Masked, it waits; unmasked it comes.
      "mov $0x10, %al; out %al, $0x21\n"
      "irq 4; sti; nop; nop; cli\n"
      "putb 0xaa, 0x90\n"
      "xor %al, %al; out %al, $0x21\n"
      "1: cli; cmp $7, %bx; jae 2f; sti; hlt; jmp 1b; 2:\n"
      // Still high: no edge, no second interrupt.  A new edge is one.
      "irq 4; sti; nop; nop; cli\n"
      "putb 0xbb, 0x90\n"
      "irq 4, 0; irq 4; sti\n"
      "1: cli; cmp $8, %bx; jae 2f; sti; hlt; jmp 1b; 2:\n"
      "finish");

// In bx: how many there were so far.
#define HANDLER(number) "inc %bx; push %ax; push %dx; putb " #number ", 0x81\n"
#define MASTER          "pic_eoi; pop %dx; pop %ax; iret"
#define SLAVE           "pic_eoi2; pop %dx; pop %ax; iret"

GUEST(handler1, 16, HANDLER(1) MASTER);
GUEST(handler3, 16, HANDLER(3) MASTER);
GUEST(handler4, 16, HANDLER(4) MASTER);
GUEST(handler5, 16, HANDLER(5) MASTER);
GUEST(handler7, 16, HANDLER(7) MASTER);
GUEST(handler10, 16, HANDLER(10) SLAVE);
GUEST(handler12, 16, HANDLER(12) SLAVE);

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 16, guest);
	vm_interrupt(&vm, 16, 0x21, 0, handler1);
	vm_interrupt(&vm, 16, 0x23, 1, handler3);
	vm_interrupt(&vm, 16, 0x24, 2, handler4);
	vm_interrupt(&vm, 16, 0x25, 3, handler5);
	vm_interrupt(&vm, 16, 0x27, 4, handler7);
	vm_interrupt(&vm, 16, 0x2a, 5, handler10);
	vm_interrupt(&vm, 16, 0x2c, 6, handler12);
	vcpu.on_exit = vcpu_serve_irqs;
	vcpu_play(&vcpu);
	return 0;
}
