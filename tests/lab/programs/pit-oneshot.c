// Channel 0 of the in-kernel PIT in mode 0, routed to pin 2 of the I/O APIC as on a PC: one
// interrupt for each programming.

#include "vm.h"

#include <stdlib.h>

#define ONE_SHOT                                                                                   \
	"mov $0x30, %al; out %al, $0x43\n"                                                         \
	"mov $0x00, %al; out %al, $0x40\n"                                                         \
	"mov $0x20, %al; out %al, $0x40\n"

GUEST(guest, 64,
      "pic_off\n"
      "lapic_init\n"
      "ioapic_pin 2, 0x32\n" ONE_SHOT "sti; hlt; cli\n" ONE_SHOT "sti; hlt; cli\n"
      "finish");
GUEST(handler, 64, "putb 2, 0x81; lapic_eoi; iretq");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + sizeof(table->entries[0]));

	if (!table)
		fail("out of memory");
	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	table->nr = 1;
	table->entries[0].gsi = 0;
	table->entries[0].type = KVM_IRQ_ROUTING_IRQCHIP;
	table->entries[0].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	table->entries[0].u.irqchip.pin = 2;
	IOCTL(vm.fd, KVM_SET_GSI_ROUTING, table);
	free(table);
	vm_interrupt(&vm, 64, 0x32, 0, handler);
	vcpu_play(&vcpu);
	return 0;
}
