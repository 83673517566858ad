// 32-bit paging: 4 KiB pages that are not 1:1, a 4 MiB page, accessed and dirty bits, and page
// faults that the guest handles itself.

#include "vm.h"

#include <stdio.h>

#define DIRECTORY (TABLES)
#define TABLE     (TABLES + 0x1000)

GUEST(guest, 32,
      // Virtual 4 MiB is BUFFER, the next page is the one before it in memory.
      "mov 0x400000, %eax; tell\n"
      "movl $0x55667788, 0x400ffe\n"
      "mov 0x401000, %eax; tell\n"
      // A page of 4 MiB at 8 MiB that is 1:1 with 0.
      "mov 0x800000 + DATA, %eax; tell\n"
      // MMIO by way of a small page.
      "mov 0x403008, %eax; tell\n"
      "movb $0x11, 0x403010\n"
      // Not present: the handler maps it.  Read-only with CR0.WP: the handler lets it.
      "mov 0x405000, %eax; tell\n"
      "movl $7, 0x406004\n"
      "mov 0x406004, %eax; tell\n"
      "hlt");
// #PF: shows the address and the error code, makes the page at that address present, writable and
// the one behind BUFFER.
GUEST(handler, 32,
      "push %eax; push %edx; push %ebx\n"
      "mov %cr2, %ebx; mov %ebx, %eax; tell 0x510\n"
      "mov 12(%esp), %eax; tell 0x511\n"
      "shr $12, %ebx; and $0x3ff, %ebx\n"
      "movl $BUFFER + 0x3003, TABLES + 0x1000(,%ebx,4)\n"
      "invlpg 0x405000; invlpg 0x406000\n"
      "pop %ebx; pop %edx; pop %eax; add $4, %esp; iret");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_sregs sregs;
	uint32_t *directory, *table;

	vm_boot(&vm, &vcpu, 32, guest);
	vm_handler(&vm, 32, 14, 0, handler);
	directory = (uint32_t *)(vm.ram + DIRECTORY);
	table = (uint32_t *)(vm.ram + TABLE);
	directory[0] = 0x83;
	directory[1] = TABLE | 3;
	directory[2] = 0x83;
	table[0] = (BUFFER + 0x1000) | 3;
	table[1] = BUFFER | 3;
	table[3] = MMIO | 3;
	table[6] = (BUFFER + 0x2000) | 1;
	*(uint32_t *)(vm.ram + BUFFER) = 0x99aabbcc;
	*(uint32_t *)(vm.ram + BUFFER + 0x1000) = 0x11223344;
	*(uint32_t *)(vm.ram + BUFFER + 0x3000) = 0xddeeff00;
	*(uint32_t *)(vm.ram + DATA) = 0xabcdef01;
	vcpu_get_sregs(&vcpu, &sregs);
	sregs.cr3 = DIRECTORY;
	sregs.cr4 |= 0x10; // pages of 4 MiB
	sregs.cr0 |= 0x80010000;
	vcpu_set_sregs(&vcpu, &sregs);
	vcpu_play(&vcpu);
	printf("memory:\n");
	print_dump(vm.ram + BUFFER, 4);
	print_dump(vm.ram + BUFFER + 0x1ffc, 4);
	print_dump(vm.ram + BUFFER + 0x3000, 8);
	printf("entries:");
	for (unsigned int i = 0; i < 8; i++)
		printf(" %x", table[i]);
	printf("\n");
	return 0;
}
