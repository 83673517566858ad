// The table of KVM_GET_SUPPORTED_CPUID, set as it is: the guest reads what KVM_GET_CPUID2 shows,
// and after it has run the same table may be set again, a changed one not. CR4 takes no bit whose
// feature is not there, set or not.

#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define RESULTS 0x1000 // behind the questions
#define COUNT   200

GUEST(guest, 64,
      "mov $DATA, %esi\n"
      "1: mov (%rsi), %eax; mov 4(%rsi), %ecx; cmp $-1, %eax; je 2f\n"
      "cpuid\n"
      "mov %eax, 0x1000(%rsi); mov %ebx, 0x1004(%rsi); mov %ecx, 0x1008(%rsi)\n"
      "mov %edx, 0x100c(%rsi)\n"
      "add $16, %rsi; jmp 1b\n"
      "2: hlt");

static const struct {
	const char *name;
	unsigned int bit;
	uint32_t leaf;
	bool ecx; // or EBX
	unsigned int feature;
} features[] = {
	{"UMIP", 11, 7, true, 2},     {"FSGSBASE", 16, 7, false, 0}, {"PCIDE", 17, 1, true, 17},
	{"SMEP", 20, 7, false, 7},    {"SMAP", 21, 7, false, 20},    {"PKE", 22, 7, true, 3},
	{"OSXSAVE", 18, 1, true, 26},
};

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == leaf && cpuid->entries[i].index == 0)
			return &cpuid->entries[i];
	return NULL;
}

static void try_cr4(struct vcpu *vcpu, const struct kvm_cpuid2 *cpuid)
{
	for (unsigned int i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		const struct kvm_cpuid_entry2 *e = find(cpuid, features[i].leaf);
		bool has = e && (features[i].ecx ? e->ecx : e->ebx) >> features[i].feature & 1;
		struct kvm_sregs sregs;
		bool taken;

		vcpu_get_sregs(vcpu, &sregs);
		sregs.cr4 |= 1ull << features[i].bit;
		taken = ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) == 0;
		printf("%s %s\n", features[i].name,
		       taken == has ? "as its feature"
		       : taken      ? "taken"
				    : "refused");
		sregs.cr4 &= ~(1ull << features[i].bit);
		vcpu_set_sregs(vcpu, &sregs);
	}
}

static const char *set(struct vcpu *vcpu, const struct kvm_cpuid2 *cpuid)
{
	return errno_name(ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) ? errno : 0);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_cpuid2 *cpuid, *shown;
	unsigned int differ = 0;
	const struct kvm_cpuid_entry2 *e;

	vm_boot(&vm, &vcpu, 64, guest);
	cpuid = supported_cpuid(&vm);
	try_cr4(&vcpu, cpuid);
	printf("set: %s\n", set(&vcpu, cpuid));
	try_cr4(&vcpu, cpuid);
	for (unsigned int i = 0; i < cpuid->nent && i < COUNT; i++) {
		uint32_t *question = (uint32_t *)(vm.ram + DATA + 16 * i);

		question[0] = cpuid->entries[i].function;
		question[1] = cpuid->entries[i].index;
		question[4] = 0xffffffff;
	}
	vcpu_play(&vcpu);
	shown = calloc(1, sizeof(*shown) + cpuid->nent * sizeof(shown->entries[0]));
	shown->nent = cpuid->nent;
	IOCTL(vcpu.fd, KVM_GET_CPUID2, shown);
	for (unsigned int i = 0; i < shown->nent && i < COUNT; i++) {
		const uint32_t *r = (uint32_t *)(vm.ram + DATA + RESULTS + 16 * i);

		e = &shown->entries[i];
		if (r[0] != e->eax || r[1] != e->ebx || r[2] != e->ecx || r[3] != e->edx) {
			printf("%08x/%u differs\n", e->function, e->index);
			differ++;
		}
	}
	printf("%u leaves differ\n", differ);
	e = find(shown, 7);
	printf("TSC_ADJUST %u\n", e ? e->ebx >> 1 & 1 : 0);
	printf("the same: %s\n", set(&vcpu, shown));
	shown->entries[shown->nent - 1].edx ^= 1u << 31;
	printf("another: %s\n", set(&vcpu, shown));
	free(shown);
	free(cpuid);
	return 0;
}
