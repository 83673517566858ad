// KVM's own routing, before KVM_SET_GSI_ROUTING, has the PIT's channel 0 on pin 0 of the I/O APIC.

#include "vm.h"

#define ONE_SHOT                                                                                   \
	"mov $0x30, %al; out %al, $0x43\n"                                                         \
	"mov $0x00, %al; out %al, $0x40\n"                                                         \
	"mov $0x20, %al; out %al, $0x40\n"

GUEST(guest, 64,
      "pic_off\n"
      "lapic_init\n"
      "ioapic_pin 0, 0x32\n" ONE_SHOT "sti; hlt; cli\n" ONE_SHOT "sti; hlt; cli\n"
      "finish");
GUEST(handler, 64, "putb 2, 0x81; lapic_eoi; iretq");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_interrupt(&vm, 64, 0x32, 0, handler);
	vcpu_play(&vcpu);
	return 0;
}
