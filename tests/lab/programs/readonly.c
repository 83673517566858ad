// A slot with KVM_MEM_READONLY: the guest reads and executes its memory without exits, each write
// is an MMIO exit that leaves the memory alone.

#include "vm.h"

#include <stdio.h>
#include <string.h>

#define ROM 0x100000

GUEST(guest, 64,
      "mov $0x100000, %ebx\n"
      "mov 0x10(%rbx), %eax; tell\n"
      "call *%rbx; tell\n"
      "mov $0x8877665544332211, %rax\n"
      "mov %al, 0x10(%rbx)\n"
      "mov %ax, 0x12(%rbx)\n"
      "mov %eax, 0x14(%rbx)\n"
      "mov %rax, 0x18(%rbx)\n"
      "orl $1, 0x20(%rbx)\n"
      "lock orl $2, 0x24(%rbx)\n"
      "xchg %eax, 0x28(%rbx); mov %rax, %r8\n"
      "mov 0x10(%rbx), %r9\n"
      "mov 0x18(%rbx), %r10\n"
      "mov 0x20(%rbx), %r11\n"
      // Reading by string is no exit either.
      "cld; mov $0x100010, %esi; mov $BUFFER, %edi; mov $8, %ecx; rep movsl\n"
      "mov $0x100ffc, %ebx; movl $5, (%rbx)\n"
      "hlt");

GUEST(rom, 64, "mov $0xc0de, %eax; ret");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *memory;

	vm_boot(&vm, &vcpu, 64, guest);
	memory = memory_new(0x1000);
	for (unsigned int i = 0; i < 0x1000; i++)
		memory[i] = (uint8_t)(i * 7 + (i >> 8));
	memcpy(memory, rom, (size_t)(rom_end - rom));
	vm_slot(&vm, 1, KVM_MEM_READONLY, ROM, 0x1000, memory);
	vcpu_play(&vcpu);
	vcpu_print_regs(&vcpu);
	printf("rom:\n");
	print_dump(memory + 0x10, 0x20);
	print_dump(memory + 0xff0, 0x10);
	printf("copy:\n");
	print_dump(vm.ram + BUFFER, 0x20);
	return 0;
}
