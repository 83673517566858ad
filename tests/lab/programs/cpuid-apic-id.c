// Each vcpu's CPUID is its own: the APIC id of leaf 1 as it was set, equal to the local APIC's
// register; a leaf that differs from vcpu to vcpu.

#include "vm.h"

#include <stdio.h>
#include <stdlib.h>

#define VCPUS 3

GUEST(guest, 64,
      "mov $1, %eax; cpuid; mov %ebx, %eax; shr $24, %eax; tell\n"
      "mov $LAPIC, %ebx; mov 0x20(%rbx), %eax; shr $24, %eax; tell\n"
      "mov $0x40000100, %eax; cpuid; tell\n"
      "finish");

int main(void)
{
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct vm vm;
	struct vcpu vcpus[VCPUS];

	vm_start_irqchip(&vm);
	vm_load(&vm, CODE, guest);
	for (unsigned int i = 0; i < VCPUS; i++) {
		struct kvm_cpuid2 *cpuid = supported_cpuid(&vm);

		vcpu_create(&vm, &vcpus[i], i);
		for (unsigned int j = 0; j < cpuid->nent; j++)
			if (cpuid->entries[j].function == 1)
				cpuid->entries[j].ebx =
					(cpuid->entries[j].ebx & 0xffffff) | i << 24;
		cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
			.function = 0x40000100,
			.eax = 0x1000 + i,
		};
		IOCTL(vcpus[i].fd, KVM_SET_CPUID2, cpuid);
		free(cpuid);
		vcpu_mode(&vcpus[i], 64, CODE);
		IOCTL(vcpus[i].fd, KVM_SET_MP_STATE, &runnable);
	}
	for (unsigned int i = 0; i < VCPUS; i++) {
		printf("vcpu %u\n", i);
		vcpu_play(&vcpus[i]);
	}
	return 0;
}
