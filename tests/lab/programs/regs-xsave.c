// KVM_GET_XSAVE and KVM_SET_XSAVE: the legacy region holds the registers of the guest, and the ones
// set there are what the guest finds.

#include "vm.h"

#include <stdio.h>
#include <string.h>

GUEST(guest, 64,
      "fninit; fldpi\n"
      "mov $0x1122334455667788, %rax; movq %rax, %xmm5\n"
      "hlt\n"
      "fxsave BUFFER\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_xsave xsave;
	uint8_t *region = (uint8_t *)xsave.region;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_play(&vcpu);
	IOCTL(vcpu.fd, KVM_GET_XSAVE, &xsave);
	printf("fcw %x fsw %x ftw %x mxcsr %x\n", *(uint16_t *)region, *(uint16_t *)(region + 2),
	       region[4], *(uint32_t *)(region + 24));
	print_dump(region + 32, 10);
	print_dump(region + 160, 256);
	printf("xstate bv %x\n", region[512] & 3);
	for (unsigned int i = 0; i < 256; i++)
		region[160 + i] = (uint8_t)(i * 3);
	memcpy(region + 32, "\x00\x00\x00\x00\x00\x00\x00\xc0\x00\x40", 10); // 3.0
	*(uint32_t *)(region + 24) = 0x1fc0;
	region[512] |= 3;
	IOCTL(vcpu.fd, KVM_SET_XSAVE, &xsave);
	vcpu_play(&vcpu);
	printf("in the guest: fcw %x ftw %x mxcsr %x\n", *(uint16_t *)(vm.ram + BUFFER),
	       vm.ram[BUFFER + 4], *(uint32_t *)(vm.ram + BUFFER + 24));
	print_dump(vm.ram + BUFFER + 32, 10);
	print_dump(vm.ram + BUFFER + 160, 256);
	return 0;
}
