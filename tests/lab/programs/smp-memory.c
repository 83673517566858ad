// Two vcpus add to one counter in memory with locked instructions: none is lost, and the monitor
// sees the sum.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $200000, %ecx\n"
      "1: lock incl DATA\n"
      "mov $1, %eax; lock xadd %eax, DATA + 8\n"
      "dec %ecx; jnz 1b\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu first, second;
	struct vcpu_thread thread;

	vm_boot(&vm, &first, 64, guest);
	vcpu_create(&vm, &second, 1);
	vcpu_mode(&second, 64, CODE);
	vcpu_thread_start(&thread, &second);
	vcpu_play(&first);
	vcpu_thread_join(&thread);
	printf("counters: %u %u\n", *(uint32_t *)(vm.ram + DATA), *(uint32_t *)(vm.ram + DATA + 8));
	return 0;
}
