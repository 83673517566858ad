// A slot above 4 GiB, reached through the guest's page tables.

#include "vm.h"

#include <stdio.h>

#define HIGH 0x180000000

GUEST(guest, 64,
      "mov $0x4000000000, %rbx\n"
      "mov (%rbx), %eax; tell\n"
      "movl $0x55667788, 0x1ff8(%rbx)\n"
      "mov 0x2000(%rbx), %eax; tell\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *high;

	vm_boot(&vm, &vcpu, 64, guest);
	// 1 GiB at virtual 256 GiB, behind the tables of the 1:1 map.
	((uint64_t *)(vm.ram + TABLES + 0x1000))[256] = (TABLES + 0x6000) | 3;
	for (uint64_t i = 0; i < 512; i++)
		((uint64_t *)(vm.ram + TABLES + 0x6000))[i] = (HIGH + (i << 21)) | 0x83;
	high = vm_slot_new(&vm, 1, 0, HIGH, 0x2000);
	*(uint32_t *)high = 0x11223344;
	vcpu_play(&vcpu);
	printf("memory:");
	print_bytes(high + 0x1ff8, 8);
	printf("\n");
	return 0;
}
