// A vcpu whose registers were never set starts at the reset vector, in a slot below 4 GiB: as a
// monitor starts firmware.

#include "vm.h"

#define ROM_SIZE 0x10000

GUEST(vector, 16, "jmp . - 0xfff0");
GUEST(firmware, 16,
      "mov %cs, %ax; movzwl %ax, %eax; tell\n"
      "mov %cs:0x100, %eax; tell\n"
      // Into the first megabyte, where the same code was copied.
      "ljmp $0x800, $1f - firmware\n"
      "1: mov %cs, %ax; movzwl %ax, %eax; tell\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *rom;

	vm_start(&vm);
	rom = vm_slot_new(&vm, 1, 0, 0x100000000 - ROM_SIZE, ROM_SIZE);
	for (unsigned int i = 0; i < (unsigned int)(firmware_end - firmware); i++)
		rom[i] = firmware[i];
	for (unsigned int i = 0; i < (unsigned int)(vector_end - vector); i++)
		rom[ROM_SIZE - 0x10 + i] = vector[i];
	rom[0x100] = 0xde;
	rom[0x101] = 0xc0;
	vm_load(&vm, CODE, firmware);
	vcpu_create(&vm, &vcpu, 0);
	vcpu_play(&vcpu);
	return 0;
}
