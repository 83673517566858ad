// Exceptions of a long mode guest that it handles itself: divide error, breakpoint, invalid opcode,
// general protection, page fault.

#include "vm.h"

GUEST(guest, 64,
      "xor %edx, %edx; mov $1, %eax; xor %ecx, %ecx; div %ecx\n"
      "int3; nop\n"
      "ud2\n"
      "movabs $0x8000000000000000, %rbx; mov (%rbx), %al\n"
      "mov $0x123456789000, %rbx; mov %al, (%rbx)\n"
      "int $0x50\n"
      "mov $0x1234, %ax; mov %ax, %ds\n"
      "hlt");

// Shows a number, what is on the stack up to the flags, and goes on behind the instruction.
#define SHOW(number, length)                                                                       \
	"mov $" #number ", %eax; tell 0x510\n"                                                     \
	"mov (%rsp), %eax; tell\n"                                                                 \
	"mov 8(%rsp), %eax; tell\n"                                                                \
	"addq $" #length ", (%rsp); iretq"
#define SHOW_ERROR(number, length) "pop %rax; tell 0x511\n" SHOW(number, length)

GUEST(divide, 64, SHOW(0, 2));
GUEST(breakpoint, 64, SHOW(3, 0));
GUEST(opcode, 64, SHOW(6, 2));
GUEST(protection, 64, SHOW_ERROR(13, 2));
GUEST(page, 64, "mov %cr2, %rax; tell 0x512; shr $32, %rax; tell 0x512\n" SHOW_ERROR(14, 2));
GUEST(interrupt, 64, SHOW(0x50, 0));

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vm_handler(&vm, 64, 0, 0, divide);
	vm_handler(&vm, 64, 3, 1, breakpoint);
	vm_handler(&vm, 64, 6, 2, opcode);
	vm_handler(&vm, 64, 13, 3, protection);
	vm_handler(&vm, 64, 14, 4, page);
	vm_handler(&vm, 64, 0x50, 5, interrupt);
	vcpu_play(&vcpu);
	return 0;
}
