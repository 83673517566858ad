// CR2 as the guest wrote it, and as a page fault left it.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $0x123456789abc, %rax; mov %rax, %cr2\n"
      "hlt\n"
      "mov $0x4000000000, %rax; mov (%rax), %eax\n"
      "hlt");
GUEST(handler, 64, "hlt");

static void show(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	vcpu_play(vcpu);
	vcpu_get_sregs(vcpu, &sregs);
	printf("cr2 %llx\n", (unsigned long long)sregs.cr2);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vm_handler(&vm, 64, 14, 0, handler);
	show(&vcpu);
	show(&vcpu);
	return 0;
}
