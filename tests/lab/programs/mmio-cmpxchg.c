// cmpxchg on MMIO, with the expected value and with another one: KVM reads and then always
// writes, the old value if the comparison failed.

#include "vm.h"

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "mov $0x99887766, %ecx\n"
      // The first answer is 13 12 11 10.
      "mov $0x13121110, %eax; cmpxchg %ecx, 0x00(%rbx); sete %r8b; mov %rax, %r9\n"
      "mov $0, %eax; cmpxchg %ecx, 0x10(%rbx); sete %r10b; mov %rax, %r11\n"
      "mov $0x1b1a1918, %eax; lock cmpxchg %ecx, 0x20(%rbx); sete %r12b; mov %rax, %r13\n"
      "mov $0, %eax; lock cmpxchg %ecx, 0x30(%rbx); sete %r14b; mov %rax, %r15\n"
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
