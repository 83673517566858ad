// Accesses half in memory, half in a hole behind or before it: the memory's half is done in the
// memory, the hole's half is an exit.

#include "vm.h"

#include <stdio.h>

#define MORE 0x200000

GUEST(guest, 64,
      "mov $0x200000, %ebx\n"
      "mov $0x8877665544332211, %rax\n"
      // From memory into the hole.
      "mov %eax, 0xffe(%rbx)\n"
      "mov 0xffe(%rbx), %r8d\n"
      "mov %rax, 0xffc(%rbx)\n"
      "mov 0xffc(%rbx), %r9\n"
      // From the hole into memory.
      "mov %eax, -2(%rbx)\n"
      "mov -2(%rbx), %r10d\n"
      "mov %rax, -4(%rbx)\n"
      "mov -4(%rbx), %r11\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *more;

	vm_boot(&vm, &vcpu, 64, guest);
	more = vm_slot_new(&vm, 1, 0, MORE, 0x1000);
	vcpu_play_merged(&vcpu);
	vcpu_print_regs(&vcpu);
	printf("memory:\n");
	print_dump(more, 16);
	print_dump(more + 0xff0, 16);
	return 0;
}
