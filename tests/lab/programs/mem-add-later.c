// A slot added when the guest has already run and touched the place: the exits end with it.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $0x200000, %ebx\n"
      "mov $4, %ecx\n"
      "1: mov (%rbx), %eax; tell\n"
      "movl %ecx, 4(%rbx)\n"
      "putb 1, 0x82\n"
      "add $0x1000, %rbx; loop 1b\n"
      "hlt");

static uint8_t *pages[4];

// After the first of four pages the guest is given the next two.
static bool serve(struct vcpu *vcpu)
{
	static unsigned int count;

	if (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x82) {
		if (count == 0)
			for (unsigned int i = 1; i < 3; i++) {
				pages[i] =
					vm_slot_new(vcpu->vm, i, 0, 0x200000 + 0x1000 * i, 0x1000);
				*(uint32_t *)pages[i] = 0x11111111 * i;
			}
		count++;
	}
	return true;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu.on_exit = serve;
	vcpu_play(&vcpu);
	for (unsigned int i = 1; i < 3; i++) {
		printf("page %u:", i);
		print_bytes(pages[i], 8);
		printf("\n");
	}
	return 0;
}
