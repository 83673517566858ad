// The same memory of the monitor in two slots, as a PC has the end of its firmware below 1 MiB and
// below 4 GiB, both read-only.

#include "vm.h"

GUEST(guest, 64,
      "mov $0xf0000, %ebx; mov $0xffff0000, %ecx\n"
      "mov (%rbx), %eax; tell\n"
      "mov (%rcx), %eax; tell\n"
      "movl $1, (%rbx)\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *rom;

	vm_boot(&vm, &vcpu, 64, guest);
	rom = memory_new(0x10000);
	*(uint32_t *)rom = 0x11223344;
	vm_slot(&vm, 1, KVM_MEM_READONLY, 0xf0000, 0x10000, rom);
	vm_slot(&vm, 2, KVM_MEM_READONLY, 0xffff0000, 0x10000, rom);
	vcpu_play(&vcpu);
	return 0;
}
