// KVM_GET_PIT2 shows what the guest programmed into the timer.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 16,
      "mov $0x34, %al; out %al, $0x43; mov $0x34, %al; out %al, $0x40; mov $0x12, %al; out %al, "
      "$0x40\n"
      "mov $0x54, %al; out %al, $0x43; mov $0x12, %al; out %al, $0x41\n"
      "mov $0xb6, %al; out %al, $0x43; mov $0x78, %al; out %al, $0x42; mov $0x56, %al; out %al, "
      "$0x42\n"
      "finish");

static void print_pit(struct vm *vm)
{
	struct kvm_pit_state2 state;

	IOCTL(vm->fd, KVM_GET_PIT2, &state);
	for (unsigned int i = 0; i < 3; i++)
		printf("channel %u: count %x mode %u rw mode %u bcd %u gate %u\n", i,
		       state.channels[i].count, state.channels[i].mode, state.channels[i].rw_mode,
		       state.channels[i].bcd, state.channels[i].gate);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 16, guest);
	printf("at first\n");
	print_pit(&vm);
	vcpu_play(&vcpu);
	print_pit(&vm);
	return 0;
}
