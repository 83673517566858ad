// KVM_GET_IRQCHIP shows what the guest programmed into the 8259 and the I/O APIC and which lines
// are asked for; KVM_SET_IRQCHIP changes it for the guest.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 32,
      "pic_init\n"
      "mov $0xa5, %al; out %al, $0x21; mov $0x5a, %al; out %al, $0xa1\n"
      "ioapic_pin 4, 0x18034, 3\n"
      "ioapic_pin 20, 0x10054, 1\n"
      "irq 1; irq 9\n"
      "putb 1, 0x90\n"
      "in $0x21, %al; out %al, $0x81; in $0xa1, %al; out %al, $0x81\n"
      "mov $IOAPIC, %ebx; movl $0x18, (%ebx); mov 0x10(%ebx), %eax; tell\n"
      "movl $0x1, (%ebx); mov 0x10(%ebx), %eax; and $0xff, %eax; tell\n"
      // What is asked for, and in service.
      "mov $0x0a, %al; out %al, $0x20; in $0x20, %al; out %al, $0x81\n"
      "mov $0x0b, %al; out %al, $0x20; in $0x20, %al; out %al, $0x81\n"
      "finish");

static void print_pic(struct vm *vm, unsigned int id)
{
	struct kvm_irqchip chip = {.chip_id = id};
	const struct kvm_pic_state *p = &chip.chip.pic;

	IOCTL(vm->fd, KVM_GET_IRQCHIP, &chip);
	printf("pic %u: irr %x imr %x isr %x base %x init %u auto eoi %u elcr %x\n", id, p->irr,
	       p->imr, p->isr, p->irq_base, p->init_state, p->auto_eoi, p->elcr);
}

static void print_ioapic(struct vm *vm)
{
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};

	IOCTL(vm->fd, KVM_GET_IRQCHIP, &chip);
	printf("ioapic: base %llx id %u\n", (unsigned long long)chip.chip.ioapic.base_address,
	       chip.chip.ioapic.id);
	for (unsigned int i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		if (chip.chip.ioapic.redirtbl[i].bits != 0x10000)
			printf("pin %u: %llx\n", i,
			       (unsigned long long)chip.chip.ioapic.redirtbl[i].bits);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_PIC_MASTER};

	vm_boot_irqchip(&vm, &vcpu, 32, guest);
	printf("at first\n");
	print_pic(&vm, 0);
	print_pic(&vm, 1);
	print_ioapic(&vm);
	do {
		vcpu_run(&vcpu);
		vcpu_serve_irqs(&vcpu);
	} while (vcpu.run->io.port != 0x90);
	printf("programmed\n");
	print_pic(&vm, 0);
	print_pic(&vm, 1);
	print_ioapic(&vm);
	IOCTL(vm.fd, KVM_GET_IRQCHIP, &chip);
	chip.chip.pic.imr = 0x77;
	IOCTL(vm.fd, KVM_SET_IRQCHIP, &chip);
	chip.chip_id = KVM_IRQCHIP_IOAPIC;
	IOCTL(vm.fd, KVM_GET_IRQCHIP, &chip);
	chip.chip.ioapic.redirtbl[4].bits = 0x0200000000010067;
	IOCTL(vm.fd, KVM_SET_IRQCHIP, &chip);
	printf("changed\n");
	print_pic(&vm, 0);
	print_ioapic(&vm);
	vcpu_play(&vcpu);
	return 0;
}
