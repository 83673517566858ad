// A level-triggered pin of the I/O APIC: while the line is high the interrupt comes again after
// each end of interrupt, once it is low no more.

#include "vm.h"

GUEST(guest, 64,
      "pic_off\n"
      "lapic_init\n"
      "ioapic_pin 11, 0x803b\n"
      "xor %r8, %r8\n"
      "irq 11; sti\n"
      "1: cli; cmp $3, %r8; jae 2f; sti; hlt; jmp 1b; 2:\n"
      "sti; nop; nop; nop; cli\n"
      "putb 0xaa, 0x90\n"
      "irq 11; sti\n"
      "1: cli; cmp $4, %r8; jae 2f; sti; hlt; jmp 1b; 2:\n"
      "finish");

// The third one and those behind it lower the line before they end.
GUEST(handler, 64,
      "inc %r8; push %rax; push %rdx; push %rbx\n"
      "mov %r8, %rax; out %al, $0x81\n"
      "cmp $3, %r8; jb 1f; irq 11, 0; 1:\n"
      "lapic_eoi; pop %rbx; pop %rdx; pop %rax; iretq");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_interrupt(&vm, 64, 0x3b, 0, handler);
	vcpu.on_exit = vcpu_serve_irqs;
	vcpu_play(&vcpu);
	return 0;
}
