// KVM_SET_FPU: the guest finds the x87 and SSE registers as they were set, and what it leaves in
// them is what KVM_GET_FPU gives.  On x86 these two have nothing to do with mxcsr.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "fxsave BUFFER\n"
      "hlt\n"
      "fxrstor BUFFER + 0x200\n"
      "fld1; faddp\n"
      "pxor %xmm3, %xmm3\n"
      "hlt");

static void print_fpu(const struct kvm_fpu *fpu)
{
	printf("fcw %x fsw %x ftwx %x\n", fpu->fcw, fpu->fsw, fpu->ftwx);
	for (unsigned int i = 0; i < 8; i++) {
		printf("st%u:", i);
		print_bytes(fpu->fpr[i], 10);
		printf("\n");
	}
	for (unsigned int i = 0; i < 16; i++) {
		printf("xmm%u:", i);
		print_bytes(fpu->xmm[i], 16);
		printf("\n");
	}
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_fpu fpu = {.fcw = 0x27f, .ftwx = 0x0f, .mxcsr = 0x1fa0};
	uint8_t *image;

	vm_boot(&vm, &vcpu, 64, guest);
	for (unsigned int i = 0; i < 8; i++)
		for (unsigned int j = 0; j < 10; j++)
			fpu.fpr[i][j] = (uint8_t)(i < 4 ? 0x80 | (i << 4) | j : 0);
	for (unsigned int i = 0; i < 16; i++)
		for (unsigned int j = 0; j < 16; j++)
			fpu.xmm[i][j] = (uint8_t)(i << 4 | j);
	IOCTL(vcpu.fd, KVM_SET_FPU, &fpu);
	vcpu_play(&vcpu);

	// Without the last instruction and data pointers, which processors keep differently.
	image = vm.ram + BUFFER;
	printf("in the guest: fcw %x fsw %x ftw %x mxcsr %x\n", *(uint16_t *)image,
	       *(uint16_t *)(image + 2), image[4], *(uint32_t *)(image + 24));
	for (unsigned int i = 0; i < 8; i++)
		print_dump(image + 32 + 16 * i, 10);
	print_dump(image + 160, 256);

	// What the guest loads: the same with other numbers.
	image = vm.ram + BUFFER + 0x200;
	*(uint16_t *)image = 0x37f;
	*(uint32_t *)(image + 24) = 0x1f80;
	image[4] = 0x80; // one register in use: 2.0
	*(uint16_t *)(image + 2) = 7 << 11;
	*(uint64_t *)(image + 32) = 0x8000000000000000;
	*(uint16_t *)(image + 40) = 0x4000;
	for (unsigned int i = 0; i < 256; i++)
		image[160 + i] = (uint8_t)(0xff - i);
	vcpu_play(&vcpu);
	IOCTL(vcpu.fd, KVM_GET_FPU, &fpu);
	print_fpu(&fpu);
	return 0;
}
