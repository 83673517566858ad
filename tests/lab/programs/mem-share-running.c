// The monitor's thread and the running guest pass a number to and fro in memory, without an exit.

#include "vm.h"

#include <pthread.h>
#include <stdio.h>

#define TURNS 1000

// The guest answers each odd number with the next even one.
GUEST(guest, 64,
      "1: mov DATA, %eax; test $1, %al; jnz 2f; pause; jmp 1b\n"
      "2: inc %eax; mov %eax, DATA; cmp $2000, %eax; jb 1b\n"
      "hlt");

static void *play(void *argument)
{
	struct vm *vm = argument;
	volatile uint32_t *data = (volatile uint32_t *)(vm->ram + DATA);

	for (uint32_t i = 0; i < TURNS; i++) {
		*data = 2 * i + 1;
		if (!wait_for(data, 2 * i + 2))
			fail("no answer to %u", 2 * i + 1);
	}
	return NULL;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	pthread_t thread;

	vm_boot(&vm, &vcpu, 64, guest);
	if (pthread_create(&thread, NULL, play, &vm))
		fail("pthread_create");
	vcpu_play(&vcpu);
	pthread_join(thread, NULL);
	printf("last number %u\n", *(uint32_t *)(vm.ram + DATA));
	return 0;
}
