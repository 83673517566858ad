// A guest that looks for its hypervisor as Linux does, leaf by leaf from 0x40000000 up in steps of
// 0x100: it finds what the monitor set and no other.

#include "vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

GUEST(guest, 64,
      "mov $0x40000000, %esi; mov $BUFFER, %edi\n"
      "1: mov %esi, %eax; cpuid\n"
      "mov %eax, (%rdi); mov %ebx, 4(%rdi); mov %ecx, 8(%rdi); mov %edx, 12(%rdi)\n"
      "add $16, %rdi; add $0x100, %esi; cmp $0x40010000, %esi; jb 1b\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_cpuid2 *cpuid;
	unsigned int kept = 0;

	vm_boot(&vm, &vcpu, 64, guest);
	cpuid = supported_cpuid(&vm);
	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function >> 16 != 0x4000)
			cpuid->entries[kept++] = cpuid->entries[i];
	cpuid->entries[kept++] = (struct kvm_cpuid_entry2){
		.function = 0x40000000,
		.eax = 0x40000001,
		.ebx = 0x4b4d564b,
		.ecx = 0x564b4d56,
		.edx = 0x4d,
	};
	cpuid->entries[kept++] = (struct kvm_cpuid_entry2){.function = 0x40000001};
	cpuid->nent = kept;
	IOCTL(vcpu.fd, KVM_SET_CPUID2, cpuid);
	vcpu_play(&vcpu);
	for (unsigned int i = 0; i < 256; i++) {
		const uint8_t *leaf = vm.ram + BUFFER + 16 * i;
		static const uint8_t none[16];

		if (memcmp(leaf, none, 16))
			printf("%x: highest %x signature \"%.12s\"\n", 0x40000000 + 0x100 * i,
			       *(uint32_t *)leaf, leaf + 4);
	}
	free(cpuid);
	return 0;
}
