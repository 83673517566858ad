// The I/O APIC's version register, which tells the guest how many pins it has.

#include "vm.h"

GUEST(guest, 32, "mov $IOAPIC, %ebx; movl $0x1, (%ebx); mov 0x10(%ebx), %eax; tell; finish");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 32, guest);
	vcpu_play(&vcpu);
	return 0;
}
