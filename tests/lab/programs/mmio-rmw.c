// Instructions that read, change and write an MMIO address: a read exit, then a write exit of the
// same width.  With and without lock.

#include "vm.h"

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "mov $0x0102030405060708, %rax\n"
      "orb $0x80, 0x00(%rbx)\n"
      "orw $0x8001, 0x02(%rbx)\n"
      "orl $0x80000001, 0x04(%rbx)\n"
      "or %rax, 0x08(%rbx)\n"
      "and %eax, 0x10(%rbx)\n"
      "add %eax, 0x14(%rbx)\n"
      "sub %eax, 0x18(%rbx)\n"
      "xor %ax, 0x1c(%rbx)\n"
      "incl 0x20(%rbx)\n"
      "decb 0x24(%rbx)\n"
      "notl 0x28(%rbx)\n"
      "negw 0x2c(%rbx)\n"
      "shll $4, 0x30(%rbx)\n"
      "btsl $1, 0x34(%rbx)\n"
      "btrl $6, 0x38(%rbx)\n"
      "lock orl $0x80000001, 0x40(%rbx)\n"
      "lock andb $0x0f, 0x44(%rbx)\n"
      "lock incw 0x48(%rbx)\n"
      "lock add %rax, 0x50(%rbx)\n"
      "lock btsl $3, 0x58(%rbx)\n"
      "mov $0x11223344, %ecx; xchg %ecx, 0x60(%rbx); mov %rcx, %r8\n"
      "mov $0x55, %ecx; xchg %cl, 0x64(%rbx); mov %rcx, %r9\n"
      "mov $0x11223344, %ecx; xadd %ecx, 0x70(%rbx); mov %rcx, %r10\n"
      "mov $0x11223344, %ecx; lock xadd %ecx, 0x74(%rbx); mov %rcx, %r11\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_play(&vcpu);
	vcpu_print_regs(&vcpu);
	return 0;
}
