// KVM_NMI: taken with interrupts off, once for each call, and not again before iret.

#include "vm.h"

GUEST(guest, 64,
      "xor %r8, %r8\n"
      "putb 1, 0x82\n"
      "nop; nop\n"
      "putb 2, 0x90\n"
      "putb 3, 0x82\n"
      "nop; nop\n"
      "putb 4, 0x90\n"
      "finish");
// The second one asks for another while it runs.
GUEST(handler, 64,
      "push %rax; push %rdx\n"
      "inc %r8; mov %r8, %rax; out %al, $0x81\n"
      "cmp $2, %r8; jne 1f\n"
      "putb 5, 0x82; nop; nop; putb 6, 0x90\n"
      "1: pop %rdx; pop %rax; iretq");

static bool serve(struct vcpu *vcpu)
{
	if (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x82)
		IOCTL(vcpu->fd, KVM_NMI, 0);
	return true;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_handler(&vm, 64, 2, 0, handler);
	vcpu.on_exit = serve;
	vcpu_play(&vcpu);
	return 0;
}
