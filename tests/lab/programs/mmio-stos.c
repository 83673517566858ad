// stos and rep stos of each width to MMIO, over the boundary of a page and downwards.  Printed as
// ranges of bytes where the accesses follow on each other.

#include "vm.h"

GUEST(guest, 64,
      "cld\n"
      "mov $0x8877665544332211, %rax\n"
      "mov $MMIO, %edi\n"
      "stosb; stosw; stosl; stosq\n"
      "mov $MMIO + 0x100, %edi; mov $5, %ecx; rep stosb\n"
      "mov $MMIO + 0x200, %edi; mov $5, %ecx; rep stosw\n"
      "mov $MMIO + 0x300, %edi; mov $5, %ecx; rep stosl\n"
      "mov $MMIO + 0x400, %edi; mov $5, %ecx; rep stosq\n"
      "mov $MMIO + 0x500, %edi; xor %ecx, %ecx; rep stosq\n"
      "mov $MMIO + 0xff8, %edi; mov $4, %ecx; rep stosl\n"
      "mov $MMIO + 0x1ff6, %edi; mov $4, %ecx; rep stosl\n"
      "mov $MMIO + 0x2ff8, %edi; mov $1100, %ecx; rep stosl\n"
      "std\n"
      "mov $MMIO + 0x6000, %edi; mov $4, %ecx; rep stosw\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_play_merged(&vcpu);
	vcpu_print_regs(&vcpu);
	return 0;
}
