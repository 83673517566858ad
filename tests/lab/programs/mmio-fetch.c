// The guest jumps to an address without memory: KVM cannot emulate what it cannot read.

#include "vm.h"

GUEST(guest, 64, "putb 1, 0x90; mov $MMIO, %eax; jmp *%rax");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_play(&vcpu);
	return 0;
}
