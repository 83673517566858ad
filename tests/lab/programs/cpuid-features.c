// Features taken out of KVM_GET_SUPPORTED_CPUID are not there for the guest, those left are: bits
// that every 64-bit host has.

#include "vm.h"

#include <stdio.h>
#include <stdlib.h>

#define SSE3       (1u << 0)
#define CX16       (1u << 13)
#define HYPERVISOR (1u << 31)

GUEST(guest, 64,
      "mov $1, %eax; cpuid; mov %ecx, %eax; tell; mov $1, %eax; cpuid; mov %edx, %eax; tell\n"
      "mov $0x80000001, %eax; cpuid; mov %edx, %eax; tell\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_cpuid2 *cpuid;
	unsigned int step = 0;

	vm_boot(&vm, &vcpu, 64, guest);
	cpuid = supported_cpuid(&vm);
	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1) {
			cpuid->entries[i].ecx &= ~SSE3;
			cpuid->entries[i].ecx |= HYPERVISOR;
		}
	IOCTL(vcpu.fd, KVM_SET_CPUID2, cpuid);
	while (vcpu_run(&vcpu) == KVM_EXIT_IO) {
		uint32_t bits = *(uint32_t *)io_data(vcpu.run);

		switch (step++) {
		case 0:
			printf("sse3 %d cx16 %d hypervisor %d\n", !!(bits & SSE3), !!(bits & CX16),
			       !!(bits & HYPERVISOR));
			break;
		case 1:
			printf("fpu %u tsc %u msr %u pae %u apic %u fxsr %u sse %u sse2 %u\n",
			       bits & 1, bits >> 4 & 1, bits >> 5 & 1, bits >> 6 & 1, bits >> 9 & 1,
			       bits >> 24 & 1, bits >> 25 & 1, bits >> 26 & 1);
			break;
		case 2:
			printf("syscall %u nx %u long mode %u\n", bits >> 11 & 1, bits >> 20 & 1,
			       bits >> 29 & 1);
			break;
		}
	}
	vcpu_print_exit(&vcpu);
	free(cpuid);
	return 0;
}
