// KVM_SET_GSI_ROUTING sends a GSI as an MSI: KVM_IRQ_LINE on it delivers the route's vector, and
// another one after the table was replaced; a GSI without a route delivers nothing.

#include "vm.h"

#include <stdio.h>
#include <stdlib.h>

GUEST(guest, 64,
      "pic_off\n"
      "lapic_init\n"
      "irq 24; irq 24, 0; sti; nop; nop; cli\n"
      "putb 1, 0x82\n"
      "irq 24; irq 24, 0; sti; nop; nop; cli\n"
      "irq 30; irq 30, 0; sti; nop; nop; cli\n"
      "putb 2, 0x82\n"
      "irq 24; irq 24, 0; sti; nop; nop; cli\n"
      "putb 3, 0x82\n"
      "irq 24; irq 24, 0; sti; nop; nop; cli\n"
      "finish");
GUEST(handler51, 64, "putb 0x51, 0x81; lapic_eoi; iretq");
GUEST(handler52, 64, "putb 0x52, 0x81; lapic_eoi; iretq");
GUEST(handler53, 64, "putb 0x53, 0x81; lapic_eoi; iretq");

// Two routes at most; a vector of 0 is none.
static void route(struct vm *vm, uint32_t vector24, uint32_t vector30)
{
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + 2 * sizeof(table->entries[0]));
	const uint32_t gsi[] = {24, 30}, vector[] = {vector24, vector30};

	if (!table)
		fail("out of memory");
	for (unsigned int i = 0; i < 2; i++)
		if (vector[i])
			table->entries[table->nr++] = (struct kvm_irq_routing_entry){
				.gsi = gsi[i],
				.type = KVM_IRQ_ROUTING_MSI,
				.u.msi = {.address_lo = LAPIC, .data = vector[i]},
			};
	IOCTL(vm->fd, KVM_SET_GSI_ROUTING, table);
	printf("%u routes\n", table->nr);
	free(table);
}

static bool serve(struct vcpu *vcpu)
{
	vcpu_serve_irqs(vcpu);
	if (vcpu->run->exit_reason != KVM_EXIT_IO || vcpu->run->io.port != 0x82)
		return true;
	switch (*io_data(vcpu->run)) {
	case 1:
		route(vcpu->vm, 0x52, 0x53);
		break;
	case 2:
		route(vcpu->vm, 0, 0x53);
		break;
	case 3:
		route(vcpu->vm, 0x51, 0);
		break;
	}
	return true;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_interrupt(&vm, 64, 0x51, 0, handler51);
	vm_interrupt(&vm, 64, 0x52, 1, handler52);
	vm_interrupt(&vm, 64, 0x53, 2, handler53);
	vcpu.on_exit = serve;
	route(&vm, 0x51, 0);
	vcpu_play(&vcpu);
	return 0;
}
