// A slot is moved by another thread while the guest reads from it: once the call has returned the
// guest no longer sees the page that it saw before.

#include "vm.h"

#include <pthread.h>
#include <stdio.h>

#define ROUNDS 10
#define AT     0x200000

// What it reads is kept at DATA while it is not new; a 2 is counted at DATA + 8, a 3 ends it.
GUEST(guest, 64,
      "mov $0x200000, %ebx\n"
      "1: mov (%rbx), %eax; mov %eax, DATA\n"
      "cmp $3, %eax; je 3f\n"
      "cmp $2, %eax; jne 1b\n"
      "incl DATA + 8; jmp 1b\n"
      "3: hlt");

static void *change(void *argument)
{
	struct vm *vm = argument;
	volatile uint32_t *seen = (volatile uint32_t *)(vm->ram + DATA);
	uint8_t *memory = vm_slot_new(vm, 1, 0, AT, 0x2000);
	volatile uint32_t *first = (volatile uint32_t *)memory;
	volatile uint32_t *second = (volatile uint32_t *)(memory + 0x1000);

	for (unsigned int i = 0; i < ROUNDS; i++) {
		*first = 16 + i;
		*second = 64 + i;
		if (!wait_for(seen, 16 + i))
			fail("the guest does not see the first page");
		vm_slot(vm, 1, 0, AT - 0x1000, 0x2000, memory);
		*first = 2;
		if (!wait_for(seen, 64 + i))
			fail("the guest does not see the second page");
		*first = 128;
		vm_slot(vm, 1, 0, AT, 0x2000, memory);
	}
	*first = 3;
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
		wrong += vcpu.run->mmio.is_write || vcpu.run->mmio.phys_addr != AT;
		*(uint32_t *)vcpu.run->mmio.data = 0;
	}
	vcpu_print_exit(&vcpu);
	pthread_join(thread, NULL);
	printf("%u times the page that was gone, %u wrong exits\n",
	       *(uint32_t *)(vm.ram + DATA + 8), wrong);
	return 0;
}
