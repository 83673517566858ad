// Memory is one and the same for the guest and the monitor: what was there before the first run,
// what each writes while the other waits.

#include "vm.h"

#include <stdio.h>

// Shows the sum of a page that the monitor filled, writes a page, then follows what the monitor
// writes to DATA between the exits.
GUEST(guest, 64,
      "xor %eax, %eax; mov $0x400, %ecx; mov $BUFFER, %esi\n"
      "1: add (%rsi), %eax; add $4, %rsi; loop 1b\n"
      "tell\n"
      "mov $0x400, %ecx; mov $BUFFER + 0x1000, %edi\n"
      "1: mov %ecx, (%rdi); add $4, %rdi; loop 1b\n"
      "putb 1, 0x90\n"
      "1: mov DATA, %eax; tell; test %eax, %eax; jz 2f\n"
      "incl DATA + 4; jmp 1b\n"
      "2: hlt");

static unsigned int step;

static bool serve(struct vcpu *vcpu)
{
	static const uint32_t values[] = {0x11111111, 0x22222222, 3, 0};
	volatile uint32_t *data = (volatile uint32_t *)(vcpu->vm->ram + DATA);

	if (vcpu->run->exit_reason == KVM_EXIT_IO && step < 4) {
		data[0] = values[step++];
		printf("DATA + 4 is %u\n", data[1]);
	}
	return true;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint32_t *page, wrong = 0;

	vm_boot(&vm, &vcpu, 64, guest);
	page = (uint32_t *)(vm.ram + BUFFER);
	for (uint32_t i = 0; i < 0x400; i++)
		page[i] = i * i;
	vcpu.on_exit = serve;
	vcpu_play(&vcpu);
	for (uint32_t i = 0; i < 0x400; i++)
		wrong += page[0x400 + i] != 0x400 - i;
	printf("%u wrong words of the guest\n", wrong);
	return 0;
}
