// KVM_GET_XCRS and KVM_SET_XCRS, where the processor has XSAVE: XCR0 as the guest reads it, and as
// it leaves it.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov %cr4, %rax; or $0x40000, %rax; mov %rax, %cr4\n"
      "xor %ecx, %ecx; xgetbv; tell\n"
      "mov $1, %eax; xor %edx, %edx; xsetbv\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_xcrs xcrs;

	vm_boot(&vm, &vcpu, 64, guest);
	if (IOCTL(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_XCRS) <= 0) {
		printf("no XSAVE here\n");
		return 0;
	}
	vcpu_set_cpuid(&vcpu);
	IOCTL(vcpu.fd, KVM_GET_XCRS, &xcrs);
	printf("%u registers, first %u: %llx\n", xcrs.nr_xcrs, xcrs.xcrs[0].xcr,
	       (unsigned long long)xcrs.xcrs[0].value);
	xcrs.xcrs[0].value = 3;
	IOCTL(vcpu.fd, KVM_SET_XCRS, &xcrs);
	vcpu_play(&vcpu);
	IOCTL(vcpu.fd, KVM_GET_XCRS, &xcrs);
	printf("%u registers, first %u: %llx\n", xcrs.nr_xcrs, xcrs.xcrs[0].xcr,
	       (unsigned long long)xcrs.xcrs[0].value);
	return 0;
}
