// The time stamp counter: it goes on over exits, MSR 0x10 sets it and reads it.

#include "vm.h"

#include <stdio.h>
#include <stdlib.h>

GUEST(guest, 64,
      "1: rdtsc; shl $32, %rdx; or %rdx, %rax; mov %rax, DATA(,%rcx,8); inc %ecx\n"
      "getb 0x90; jmp 1b");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_msrs *list = calloc(1, sizeof(*list) + sizeof(list->entries[0]));
	const uint64_t *stamps;
	unsigned int wrong = 0;

	if (!list)
		fail("out of memory");
	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_set_cpuid(&vcpu);
	stamps = (uint64_t *)(vm.ram + DATA);
	for (unsigned int i = 0; i < 100; i++) {
		vcpu_run(&vcpu);
		if (i && stamps[i] <= stamps[i - 1])
			wrong++;
	}
	printf("%u steps back\n", wrong);
	list->nmsrs = 1;
	list->entries[0].index = 0x10;
	IOCTL(vcpu.fd, KVM_GET_MSRS, list);
	printf("the monitor reads more than the guest did: %d\n",
	       list->entries[0].data > stamps[99]);
	list->entries[0].data = stamps[99] + (1ull << 40);
	IOCTL(vcpu.fd, KVM_SET_MSRS, list);
	vcpu_run(&vcpu);
	printf("set forward: %d\n",
	       stamps[100] - stamps[99] >= 1ull << 40 && stamps[100] - stamps[99] < 1ull << 41);
	vcpu_run(&vcpu);
	printf("goes on: %d\n", stamps[101] > stamps[100]);
	free(list);
	return 0;
}
