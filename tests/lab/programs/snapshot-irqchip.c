// A VM with the in-kernel interrupt controllers is taken to a new one with an interrupt pending,
// another one in service and a third line high: they come there, in their order.

#include "vm.h"

#include <stdio.h>
#include <string.h>

GUEST(guest, 64,
      "pic_off\n"
      "lapic_init\n"
      "ioapic_pin 5, 0x35\n"
      "ioapic_pin 9, 0x8049\n"
      "ioapic_pin 11, 0x6b\n"
      "irq 5; sti; nop; nop\n"
      // The handler of pin 5 ends with interrupts on and stops here: pin 9 is level.
      "1: cli; cmp $3, %r8; jae 2f; sti; hlt; jmp 1b; 2:\n"
      "finish");
GUEST(handler5, 64,
      "inc %r8; irq 9; irq 11\n"
      // Here it is taken and put.
      "getb 0x90\n"
      "putb 5, 0x81; lapic_eoi; iretq");
GUEST(handler9, 64, "inc %r8; putb 9, 0x81; irq 9, 0; lapic_eoi; iretq");
GUEST(handler11, 64, "inc %r8; putb 11, 0x81; lapic_eoi; iretq");

struct state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_lapic_state lapic;
	struct kvm_irqchip chips[3];
	struct kvm_pit_state2 pit;
};

static void take(struct vcpu *vcpu, struct state *s)
{
	vcpu_get_regs(vcpu, &s->regs);
	vcpu_get_sregs(vcpu, &s->sregs);
	IOCTL(vcpu->fd, KVM_GET_VCPU_EVENTS, &s->events);
	IOCTL(vcpu->fd, KVM_GET_MP_STATE, &s->mp_state);
	IOCTL(vcpu->fd, KVM_GET_LAPIC, &s->lapic);
	for (unsigned int i = 0; i < 3; i++) {
		s->chips[i].chip_id = i;
		IOCTL(vcpu->vm->fd, KVM_GET_IRQCHIP, &s->chips[i]);
	}
	IOCTL(vcpu->vm->fd, KVM_GET_PIT2, &s->pit);
}

static void put(struct vcpu *vcpu, struct state *s)
{
	IOCTL(vcpu->vm->fd, KVM_SET_PIT2, &s->pit);
	for (unsigned int i = 0; i < 3; i++)
		IOCTL(vcpu->vm->fd, KVM_SET_IRQCHIP, &s->chips[i]);
	vcpu_set_sregs(vcpu, &s->sregs);
	vcpu_set_regs(vcpu, &s->regs);
	IOCTL(vcpu->fd, KVM_SET_LAPIC, &s->lapic);
	IOCTL(vcpu->fd, KVM_SET_MP_STATE, &s->mp_state);
	IOCTL(vcpu->fd, KVM_SET_VCPU_EVENTS, &s->events);
}

int main(void)
{
	static struct state state;
	struct vm vm, other;
	struct vcpu vcpu, other_vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_interrupt(&vm, 64, 0x35, 0, handler5);
	vm_interrupt(&vm, 64, 0x49, 1, handler9);
	vm_interrupt(&vm, 64, 0x6b, 2, handler11);
	do {
		vcpu_run(&vcpu);
		vcpu_serve_irqs(&vcpu);
		vcpu_answer(&vcpu);
		vcpu_print_exit(&vcpu);
	} while (vcpu.run->io.port != 0x90);
	vcpu.run->immediate_exit = 1;
	printf("stop: %s\n", errno_name(vcpu_try_run(&vcpu)));
	take(&vcpu, &state);
	vm_start_irqchip(&other);
	memcpy(other.ram, vm.ram, RAM_SIZE);
	vcpu_create(&other, &other_vcpu, 0);
	vcpu_set_cpuid(&other_vcpu);
	vcpu_destroy(&vcpu);
	vm_destroy(&vm);
	put(&other_vcpu, &state);
	printf("the other VM\n");
	other_vcpu.on_exit = vcpu_serve_irqs;
	vcpu_play(&other_vcpu);
	return 0;
}
