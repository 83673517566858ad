// MSRs that do not exist and values that cannot be: #GP in the guest, a short count for the
// monitor, which also stops there.

#include "vm.h"

#include <stdio.h>
#include <stdlib.h>

GUEST(guest, 64,
      "mov $0x12345678, %ecx; rdmsr\n"
      "putb 1, 0x90\n"
      "mov $0x12345678, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr\n"
      "putb 2, 0x90\n"
      // A reserved bit of EFER.
      "mov $0xc0000080, %ecx; rdmsr; or $0x80, %eax; wrmsr\n"
      "putb 4, 0x90\n"
      "hlt");
// #GP: shows the error code, goes on behind the instruction of two bytes.
GUEST(handler, 64, "pop %rax; tell 0x510; addq $2, (%rsp); iretq");

static void set(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct kvm_msrs *list = calloc(1, sizeof(*list) + 3 * sizeof(list->entries[0]));
	int done;

	if (!list)
		fail("out of memory");
	list->nmsrs = 3;
	list->entries[0].index = 0xc0000082;
	list->entries[1].index = index;
	list->entries[1].data = value;
	list->entries[2].index = 0xc0000083;
	done = IOCTL(vcpu->fd, KVM_SET_MSRS, list);
	printf("set %x to %llx: %d of 3\n", index, (unsigned long long)value, done);
	done = IOCTL(vcpu->fd, KVM_GET_MSRS, list);
	printf("get: %d of 3\n", done);
	free(list);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_set_cpuid(&vcpu);
	vm_handler(&vm, 64, 13, 0, handler);
	set(&vcpu, 0x12345678, 0);
	set(&vcpu, 0x277, 2);
	set(&vcpu, 0x2ff, 0xff);
	set(&vcpu, 0xc0000081, 0);
	vcpu_play(&vcpu);
	return 0;
}
