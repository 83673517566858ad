// Loads and stores of 16 bytes at MMIO addresses.  An exit holds 8 bytes at most and where the
// cut is made is not specified: printed are the ranges of bytes.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "mov $BUFFER, %esi\n"
      "movups (%rsi), %xmm0\n"
      "movups %xmm0, 0x00(%rbx)\n"
      "movaps %xmm0, 0x20(%rbx)\n"
      "movdqa %xmm0, 0x40(%rbx)\n"
      "movdqu %xmm0, 0x61(%rbx)\n"
      "movntdq %xmm0, 0x80(%rbx)\n"
      "movups 0x100(%rbx), %xmm1; movups %xmm1, 0x10(%rsi)\n"
      "movaps 0x120(%rbx), %xmm1; movups %xmm1, 0x20(%rsi)\n"
      "movdqa 0x140(%rbx), %xmm1; movups %xmm1, 0x30(%rsi)\n"
      "movdqu 0x161(%rbx), %xmm1; movups %xmm1, 0x40(%rsi)\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	for (unsigned int i = 0; i < 16; i++)
		vm.ram[BUFFER + i] = (uint8_t)(0xf0 + i);
	vcpu_play_merged(&vcpu);
	printf("memory:\n");
	print_dump(vm.ram + BUFFER, 0x50);
	return 0;
}
