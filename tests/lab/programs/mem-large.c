// A slot of 64 MiB, of which the guest and the monitor touch little: a word in each MiB.

#include "vm.h"

#include <stdio.h>

#define SIZE (64u << 20)

GUEST(guest, 64,
      "mov $0x1000000, %ebx\n"
      "mov $64, %ecx\n"
      "1: mov (%rbx), %eax; add %eax, %esi\n"
      "mov %ecx, 8(%rbx)\n"
      "add $0x100000, %ebx; loop 1b\n"
      "mov %esi, %eax; tell\n"
      "mov -0x10(%rbx), %eax; tell\n" // the last page
      "mov (%rbx), %eax; tell\n"      // behind it
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *more;
	unsigned int wrong = 0;

	vm_boot(&vm, &vcpu, 64, guest);
	more = vm_slot_new(&vm, 1, 0, 0x1000000, SIZE);
	for (uint32_t i = 0; i < 64; i++)
		*(uint32_t *)(more + ((size_t)i << 20)) = i * i;
	*(uint32_t *)(more + SIZE - 0x10) = 0x11223344;
	vcpu_play(&vcpu);
	for (uint32_t i = 0; i < 64; i++)
		wrong += *(uint32_t *)(more + ((size_t)i << 20) + 8) != 64 - i;
	printf("%u wrong words of the guest\n", wrong);
	return 0;
}
