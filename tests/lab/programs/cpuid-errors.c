// KVM_SET_CPUID2 and KVM_GET_CPUID2: counts that are too high or too low.

#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static void try_ioctl(const char *what, int fd, unsigned long request, struct kvm_cpuid2 *cpuid)
{
	int r = ioctl(fd, request, cpuid);

	printf("%s: %s\n", what, errno_name(r < 0 ? errno : 0));
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_cpuid2 *cpuid;

	vm_start(&vm);
	vcpu_create(&vm, &vcpu, 0);
	cpuid = supported_cpuid(&vm);
	IOCTL(vcpu.fd, KVM_SET_CPUID2, cpuid);
	cpuid->nent = 0;
	try_ioctl("get supported, room for 0", vm.kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	cpuid->nent = 1;
	try_ioctl("get supported, room for 1", vm.kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	cpuid->nent = 1;
	try_ioctl("get, room for 1", vcpu.fd, KVM_GET_CPUID2, cpuid);
	cpuid->nent = 256;
	try_ioctl("get, room for all", vcpu.fd, KVM_GET_CPUID2, cpuid);
	cpuid->nent = 257;
	try_ioctl("set 257", vcpu.fd, KVM_SET_CPUID2, cpuid);
	cpuid->nent = 0;
	try_ioctl("set 0", vcpu.fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return 0;
}
