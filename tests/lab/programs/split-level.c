// A split irqchip (KVM_CAP_SPLIT_IRQCHIP): pins of the monitor's IOAPIC are MSI routes; the end of
// a level interrupt is KVM_EXIT_IOAPIC_EOI, that of an edge is nothing.

#include "vm.h"

#include <stdio.h>
#include <string.h>

GUEST(guest, 64,
      "lapic_init\n"
      "sti\n"
      "putb 1, 0x90\n"
      "nop\n"
      "putb 2, 0x90\n"
      "nop\n"
      "putb 3, 0x90\n"
      "finish");
GUEST(handler1, 64,
      "push %rax; push %rdx; push %rbx; putb 0x41, 0x81; lapic_eoi\n"
      "pop %rbx; pop %rdx; pop %rax; iretq");
GUEST(handler2, 64,
      "push %rax; push %rdx; push %rbx; putb 0x51, 0x81; lapic_eoi\n"
      "pop %rbx; pop %rdx; pop %rax; iretq");

#define EDGE_PIN  4
#define LEVEL_PIN 5
#define LEVEL     0x8000

static void route(struct vm *vm)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entries[2];
	} table = {.head.nr = 2};

	table.entries[0].gsi = EDGE_PIN;
	table.entries[0].type = KVM_IRQ_ROUTING_MSI;
	table.entries[0].u.msi.address_lo = LAPIC;
	table.entries[0].u.msi.data = 0x41;
	table.entries[1] = table.entries[0];
	table.entries[1].gsi = LEVEL_PIN;
	table.entries[1].u.msi.data = LEVEL | 0x51;
	IOCTL(vm->fd, KVM_SET_GSI_ROUTING, &table);
}

static void pulse(struct vm *vm, unsigned int pin)
{
	vm_irq(vm, pin, 1);
	vm_irq(vm, pin, 0);
}

int main(void)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {24}};
	struct vm vm;
	struct vcpu vcpu;

	vm_create(&vm);
	vm.ram = vm_slot_new(&vm, 0, 0, 0, RAM_SIZE);
	IOCTL(vm.fd, KVM_ENABLE_CAP, &cap);
	vm_load(&vm, CODE, guest);
	vcpu_create(&vm, &vcpu, 0);
	vcpu_mode(&vcpu, 64, CODE);
	vcpu_set_cpuid(&vcpu);
	vm_interrupt(&vm, 64, 0x41, 0, handler1);
	vm_interrupt(&vm, 64, 0x51, 1, handler2);
	route(&vm);
	do {
		vcpu_run(&vcpu);
		vcpu_print_exit(&vcpu);
		if (vcpu.run->exit_reason == KVM_EXIT_IOAPIC_EOI)
			printf("  vector %x\n", vcpu.run->eoi.vector);
		if (vcpu.run->exit_reason == KVM_EXIT_IO && *io_data(vcpu.run) == 1)
			pulse(&vm, EDGE_PIN);
		if (vcpu.run->exit_reason == KVM_EXIT_IO && *io_data(vcpu.run) == 2)
			pulse(&vm, LEVEL_PIN);
	} while (!vcpu_at_end(&vcpu));
	return 0;
}
