// 32-bit paging with PAE: the page directory pointers, a page above 4 GiB.

#include "vm.h"

#include <stdio.h>

#define HIGH 0x140000000

GUEST(guest, 32,
      "mov 0x40000000, %eax; tell\n"
      "movl $0x55667788, 0x40001ffc\n"
      "mov %cr3, %eax; mov %eax, %cr3\n"
      "mov DATA, %eax; tell\n"
      "finish");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_sregs sregs;
	uint64_t *pointers, *low, *next;
	uint8_t *high;

	vm_boot(&vm, &vcpu, 32, guest);
	pointers = (uint64_t *)(vm.ram + TABLES);
	low = (uint64_t *)(vm.ram + TABLES + 0x1000);
	next = (uint64_t *)(vm.ram + TABLES + 0x2000);
	pointers[0] = (TABLES + 0x1000) | 1;
	pointers[1] = (TABLES + 0x2000) | 1;
	low[0] = 0x83;
	next[0] = HIGH | 0x83;
	high = vm_slot_new(&vm, 1, 0, HIGH, 0x2000);
	*(uint32_t *)high = 0x11223344;
	*(uint32_t *)(vm.ram + DATA) = 0xabcdef01;
	vcpu_get_sregs(&vcpu, &sregs);
	sregs.cr3 = TABLES;
	sregs.cr4 |= 0x20;
	sregs.cr0 |= 0x80000000;
	vcpu_set_sregs(&vcpu, &sregs);
	vcpu_play(&vcpu);
	printf("memory:");
	print_bytes(high + 0x1ffc, 4);
	printf("\n");
	return 0;
}
