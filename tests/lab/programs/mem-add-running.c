// Slots are added, deleted and added elsewhere by another thread while the guest runs on: it
// notices, and nothing else of it is disturbed.

#include "vm.h"

#include <pthread.h>
#include <stdio.h>

#define ROUNDS 10

// In the slot's place a hole reads as 0xffffffff, which is how this guest tells.
// DATA is the round.
GUEST(guest, 64,
      "mov $0x200000, %ebx\n"
      "1: mov (%rbx), %eax\n"
      "incq DATA + 8\n"
      "cmp $0xffffffff, %eax; je 1b\n"
      "cmp DATA, %eax; je 1b\n"
      "mov %eax, DATA; cmp $10, %eax; jb 1b\n"
      "hlt");

static void *change(void *argument)
{
	struct vm *vm = argument;
	volatile uint32_t *round = (volatile uint32_t *)(vm->ram + DATA);

	for (uint32_t i = 1; i <= ROUNDS; i++) {
		uint8_t *memory = memory_new(0x1000);

		*(uint32_t *)memory = i;
		vm_slot(vm, 1, 0, 0x200000, 0x1000, memory);
		if (!wait_for(round, i))
			fail("the guest does not see slot %u", i);
		vm_slot(vm, 1, 0, 0x200000, 0, memory);
		if (*(uint32_t *)memory != i)
			fail("the content changed");
	}
	return NULL;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	pthread_t thread;
	unsigned int wrong = 0;

	vm_boot(&vm, &vcpu, 64, guest);
	if (pthread_create(&thread, NULL, change, &vm))
		fail("pthread_create");
	while (vcpu_run(&vcpu) == KVM_EXIT_MMIO) {
		if (vcpu.run->mmio.is_write || vcpu.run->mmio.phys_addr != 0x200000)
			wrong++;
		*(uint32_t *)vcpu.run->mmio.data = 0xffffffff;
	}
	vcpu_print_exit(&vcpu);
	pthread_join(thread, NULL);
	printf("round %u, %u wrong exits\n", *(uint32_t *)(vm.ram + DATA), wrong);
	return 0;
}
