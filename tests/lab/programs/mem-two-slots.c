// Two slots side by side in the guest, far apart in the monitor: an access across their boundary
// goes to both, no exit.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $0x201000, %ebx\n"
      "mov -4(%rbx), %rax; mov %rax, %r8\n"
      "mov $0x8877665544332211, %rax\n"
      "mov %rax, -5(%rbx)\n"
      "mov %eax, -0x1000(%rbx)\n"
      "mov %eax, 0xffc(%rbx)\n"
      "lock incl 4(%rbx)\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *low, *high;

	vm_boot(&vm, &vcpu, 64, guest);
	high = vm_slot_new(&vm, 2, 0, 0x201000, 0x1000);
	memory_new(0x4000);
	low = vm_slot_new(&vm, 1, 0, 0x200000, 0x1000);
	*(uint32_t *)(low + 0xffc) = 0x11111111;
	*(uint32_t *)high = 0x22222222;
	vcpu_play(&vcpu);
	vcpu_print_regs(&vcpu);
	printf("low:\n");
	print_dump(low, 8);
	print_dump(low + 0xff8, 8);
	printf("high:\n");
	print_dump(high, 8);
	print_dump(high + 0xff8, 8);
	return 0;
}
