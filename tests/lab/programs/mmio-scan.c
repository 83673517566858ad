// The string instructions that only read: lods, scas, cmps with MMIO as source.  Printed as ranges
// of bytes where the accesses follow on each other.

#include "vm.h"

GUEST(guest, 64,
      "cld\n"
      "mov $MMIO, %esi; xor %eax, %eax\n"
      "lodsb; lodsw; lodsl\n"
      "mov %rax, %r8\n"
      "mov $MMIO + 0x100, %esi; mov $3, %ecx; rep lodsb; mov %rax, %r9\n"
      // The answers count up from 0x10: this finds the one that is 0x20.
      "mov $MMIO + 0x200, %edi; mov $100, %ecx; mov $0x20, %al; repne scasb\n"
      "mov %rcx, %r10; mov %rdi, %r11\n"
      // And this stops where they differ from the memory.
      "mov $MMIO + 0x300, %esi; mov $BUFFER, %edi; mov $100, %ecx; repe cmpsb\n"
      "mov %rcx, %r12; mov %rdi, %r13\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	for (unsigned int i = 0; i < 0x10; i++)
		vm.ram[BUFFER + i] = (uint8_t)(i < 5 ? 0x21 + i : 0);
	vcpu_play_merged(&vcpu);
	vcpu_print_regs(&vcpu);
	return 0;
}
