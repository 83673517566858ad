// KVM_SET_CPUID2: the guest sees the leaves as they were set, those of a hypervisor and of no one
// in particular among them, by subleaf where the flag says so; an absent one between them is zero.
// The vendor and the features are the host's, and not printed.

#include "vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Shows the four registers of a leaf.
GUEST(guest, 64,
      "mov $DATA, %esi\n"
      "1: mov (%rsi), %eax; mov 4(%rsi), %ecx; cmp $-1, %eax; je 2f\n"
      "cpuid\n"
      "mov %eax, 0x400(%rsi); mov %ebx, 0x404(%rsi); mov %ecx, 0x408(%rsi); mov %edx, 0x40c(%rsi)\n"
      "add $16, %rsi; jmp 1b\n"
      "2: hlt");

static const struct kvm_cpuid_entry2 ours[] = {
	{.function = 0x80000002,
	 .eax = 0x206d766b,
	 .ebx = 0x74736574,
	 .ecx = 0x6f727020,
	 .edx = 0x6d617267},
	{.function = 0x80000003, .eax = 0x6f727020, .ebx = 0x73736563, .ecx = 0x0000726f},
	{.function = 0x80000004},
	{.function = 0x40000000,
	 .eax = 0x40000001,
	 .ebx = 0x4b4d564b,
	 .ecx = 0x564b4d56,
	 .edx = 0x4d},
	{.function = 0x40000001},
	{.function = 0x40000100,
	 .eax = 0x11111111,
	 .ebx = 0x22222222,
	 .ecx = 0x33333333,
	 .edx = 0x44444444},
	{.function = 0x40000200,
	 .index = 0,
	 .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
	 .eax = 0x55555555},
	{.function = 0x40000200,
	 .index = 1,
	 .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
	 .eax = 0x66666666},
	{.function = 0x8fffffff, .eax = 0x77777777, .edx = 0x88888888},
};
#define COUNT (sizeof(ours) / sizeof(ours[0]))

static const struct {
	uint32_t leaf, subleaf;
} asked[] = {
	{0x80000002, 0}, {0x80000003, 0}, {0x80000004, 0}, {0x40000000, 0}, {0x40000001, 0},
	{0x40000100, 0}, {0x40000100, 5}, {0x40000200, 0}, {0x40000200, 1}, {0x40000200, 2},
	{0x40000050, 0}, {0x8fffffff, 0}, {0x8ffffffe, 0}, {0xc0000000, 0},
};

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_cpuid2 *cpuid;
	unsigned int kept = 0;

	vm_boot(&vm, &vcpu, 64, guest);
	cpuid = supported_cpuid(&vm);
	for (unsigned int i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];
		bool replaced = entry->function >> 16 == 0x4000 || entry->function >> 16 == 0xc000;

		for (unsigned int j = 0; j < COUNT; j++)
			replaced |= entry->function == ours[j].function;
		if (!replaced)
			cpuid->entries[kept++] = *entry;
	}
	memcpy(&cpuid->entries[kept], ours, sizeof(ours));
	cpuid->nent = kept + COUNT;
	IOCTL(vcpu.fd, KVM_SET_CPUID2, cpuid);
	for (unsigned int i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		memcpy(vm.ram + DATA + 16 * i, &asked[i], 8);
	memset(vm.ram + DATA + sizeof(asked) / sizeof(asked[0]) * 16, 0xff, 4);
	vcpu_play(&vcpu);
	for (unsigned int i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		const uint32_t *r = (uint32_t *)(vm.ram + DATA + 0x400 + 16 * i);

		printf("%08x/%u: %08x %08x %08x %08x\n", asked[i].leaf, asked[i].subleaf, r[0],
		       r[1], r[2], r[3]);
	}
	free(cpuid);
	return 0;
}
