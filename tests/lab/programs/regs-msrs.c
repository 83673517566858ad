// KVM_SET_MSRS and KVM_GET_MSRS for the MSRs that every 64-bit system uses: the guest reads what
// was set, what it writes is what is got.

#include "vm.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
	uint32_t index;
	const char *name;
	uint64_t set;
} msrs[] = {
	{0x174, "sysenter cs", 0x08},
	{0x175, "sysenter esp", 0x56789000},
	{0x176, "sysenter eip", 0x56789abc},
	{0xc0000081, "star", 0x0013000800000000},
	{0xc0000082, "lstar", 0xffffffff81000000},
	{0xc0000083, "cstar", 0xffffffff82000000},
	{0xc0000084, "sfmask", 0x47700},
	{0xc0000100, "fs base", 0x7f0000001000},
	{0xc0000101, "gs base", 0xffff888000002000},
	{0xc0000102, "kernel gs base", 0x7f0000003000},
};
#define COUNT (sizeof(msrs) / sizeof(msrs[0]))

// Reads those whose numbers are in the list at DATA to BUFFER, then writes each one plus 0x10.
GUEST(guest, 64,
      "xor %esi, %esi\n"
      "1: mov DATA(,%esi,4), %ecx; test %ecx, %ecx; jz 2f\n"
      "rdmsr; mov %eax, BUFFER(,%esi,8); mov %edx, BUFFER + 4(,%esi,8)\n"
      "inc %esi\n"
      "add $0x10, %eax; wrmsr\n"
      "jmp 1b\n"
      "2: hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_msrs *list = calloc(1, sizeof(*list) + COUNT * sizeof(list->entries[0]));
	int done;

	if (!list)
		fail("out of memory");
	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_set_cpuid(&vcpu);
	list->nmsrs = COUNT;
	for (unsigned int i = 0; i < COUNT; i++) {
		list->entries[i].index = msrs[i].index;
		list->entries[i].data = msrs[i].set;
		((uint32_t *)(vm.ram + DATA))[i] = msrs[i].index;
	}
	done = IOCTL(vcpu.fd, KVM_SET_MSRS, list);
	printf("set: %d of %u\n", done, (unsigned int)COUNT);
	vcpu_play(&vcpu);
	for (unsigned int i = 0; i < COUNT; i++)
		list->entries[i].data = 0;
	done = IOCTL(vcpu.fd, KVM_GET_MSRS, list);
	printf("got: %d of %u\n", done, (unsigned int)COUNT);
	for (unsigned int i = 0; i < COUNT; i++)
		printf("%s: guest %llx, got %llx\n", msrs[i].name,
		       (unsigned long long)((uint64_t *)(vm.ram + BUFFER))[i],
		       (unsigned long long)list->entries[i].data);
	return 0;
}
