// The memory type range registers: set by the monitor, read and changed by the guest.

#include "vm.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
	uint32_t index;
	uint64_t set;
} msrs[] = {
	{0x250, 0x0606060606060606}, {0x258, 0x0000000000000000}, {0x268, 0x0505050505050505},
	{0x26f, 0x0505050505050506}, {0x200, 0x00000000c0000000}, {0x201, 0x0000000fc0000800},
	{0x202, 0x00000000f0000000}, {0x203, 0x0000000ff0000800}, {0x2ff, 0x0000000000000c06},
};
#define COUNT (sizeof(msrs) / sizeof(msrs[0]))

GUEST(guest, 64,
      "xor %esi, %esi\n"
      "1: mov DATA(,%esi,4), %ecx; test %ecx, %ecx; jz 2f\n"
      "rdmsr; mov %eax, BUFFER(,%esi,8); mov %edx, BUFFER + 4(,%esi,8)\n"
      "inc %esi; jmp 1b\n"
      "2: mov $0x268, %ecx; mov $0x06060606, %eax; mov %eax, %edx; wrmsr\n"
      "mov $0x200, %ecx; mov $0xe0000000, %eax; xor %edx, %edx; wrmsr\n"
      "hlt");

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
	done = IOCTL(vcpu.fd, KVM_GET_MSRS, list);
	printf("got: %d of %u\n", done, (unsigned int)COUNT);
	for (unsigned int i = 0; i < COUNT; i++)
		printf("%x: guest %llx, got %llx\n", msrs[i].index,
		       (unsigned long long)((uint64_t *)(vm.ram + BUFFER))[i],
		       (unsigned long long)list->entries[i].data);
	return 0;
}
