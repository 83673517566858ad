// KVM_GET_LAPIC shows what the guest programmed into its local APIC, KVM_SET_LAPIC changes it.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "lapic_init\n"
      "movl $0x20, 0x80(%rbx)\n"
      "movl $0x10030, 0x350(%rbx)\n"
      "movl $0x400, 0x360(%rbx)\n"
      "movl $0x10031, 0x320(%rbx)\n"
      "movl $0x3, 0x3e0(%rbx)\n"
      "movl $0x5000000, 0xd0(%rbx)\n"
      "movl $0x1000000, 0x310(%rbx)\n"
      // An interrupt to itself that waits.
      "movl $0x40055, 0x300(%rbx)\n"
      "putb 1, 0x90\n"
      "mov 0x80(%rbx), %eax; tell\n"
      "mov 0x350(%rbx), %eax; tell\n"
      "mov 0x220(%rbx), %eax; tell\n"
      "mov 0xd0(%rbx), %eax; tell\n"
      "finish");

static uint32_t *reg(struct kvm_lapic_state *state, unsigned int offset)
{
	return (uint32_t *)(state->regs + offset);
}

static void print_lapic(struct vcpu *vcpu)
{
	static const struct {
		unsigned int offset;
		const char *name;
	} registers[] = {
		{0x20, "id"},      {0x80, "tpr"},
		{0xd0, "ldr"},     {0xe0, "dfr"},
		{0xf0, "svr"},     {0x100, "isr0"},
		{0x220, "irr2"},   {0x300, "icr"},
		{0x310, "icr2"},   {0x320, "timer"},
		{0x350, "lint0"},  {0x360, "lint1"},
		{0x370, "error"},  {0x380, "initial count"},
		{0x3e0, "divide"},
	};
	struct kvm_lapic_state state;

	IOCTL(vcpu->fd, KVM_GET_LAPIC, &state);
	for (unsigned int i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		printf("%s %x\n", registers[i].name, *reg(&state, registers[i].offset));
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_lapic_state state;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	printf("at first\n");
	print_lapic(&vcpu);
	do
		vcpu_run(&vcpu);
	while (vcpu.run->io.port != 0x90);
	printf("programmed\n");
	print_lapic(&vcpu);
	IOCTL(vcpu.fd, KVM_GET_LAPIC, &state);
	*reg(&state, 0x80) = 0x70;
	*reg(&state, 0x350) = 0x10044;
	*reg(&state, 0x220) |= 1u << 22; // vector 0x56
	*reg(&state, 0xd0) = 0x6000000;
	IOCTL(vcpu.fd, KVM_SET_LAPIC, &state);
	vcpu_play(&vcpu);
	return 0;
}
