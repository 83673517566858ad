// rep stos, rep movs and rep ins into a read-only slot: exits for the bytes written, unchanged
// memory.  Printed as ranges of bytes where the accesses follow on each other.

#include "vm.h"

#include <stdio.h>

#define ROM 0x100000

GUEST(guest, 64,
      "cld\n"
      "mov $0x55667788, %eax\n"
      "mov $0x100100, %edi; mov $4, %ecx; rep stosl\n"
      "mov $BUFFER, %esi; mov $0x100200, %edi; mov $4, %ecx; rep movsl\n"
      "mov $0x100300, %edi; mov $4, %ecx; mov $0x100, %dx; rep insl\n"
      // The last words of the slot, then behind it.
      "mov $0x100ff8, %edi; mov $4, %ecx; rep stosl\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *memory;
	unsigned int changed = 0;

	vm_boot(&vm, &vcpu, 64, guest);
	for (unsigned int i = 0; i < 0x100; i++)
		vm.ram[BUFFER + i] = (uint8_t)(0x80 + i);
	memory = memory_new(0x1000);
	vm_slot(&vm, 1, KVM_MEM_READONLY, ROM, 0x1000, memory);
	vcpu_play_merged(&vcpu);
	vcpu_print_regs(&vcpu);
	for (unsigned int i = 0; i < 0x1000; i++)
		changed += memory[i] != 0;
	printf("%u bytes of the slot changed\n", changed);
	return 0;
}
