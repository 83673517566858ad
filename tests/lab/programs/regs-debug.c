// KVM_SET_DEBUGREGS: the guest reads what was set, and what it sets is what KVM_GET_DEBUGREGS
// gives.  No breakpoint is enabled: an emulated processor may not know them in a guest.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov %dr0, %rax; mov %rax, BUFFER\n"
      "mov %dr1, %rax; mov %rax, BUFFER + 0x08\n"
      "mov %dr2, %rax; mov %rax, BUFFER + 0x10\n"
      "mov %dr3, %rax; mov %rax, BUFFER + 0x18\n"
      "mov %dr6, %rax; mov %rax, BUFFER + 0x20\n"
      "mov %dr7, %rax; mov %rax, BUFFER + 0x28\n"
      "mov $0x4000, %eax; mov %rax, %dr0\n"
      "mov $0x5000, %eax; mov %rax, %dr3\n"
      "mov $0x400, %eax; mov %rax, %dr7\n"
      "hlt");

static void print_debugregs(struct vcpu *vcpu)
{
	struct kvm_debugregs d;

	IOCTL(vcpu->fd, KVM_GET_DEBUGREGS, &d);
	printf("db %llx %llx %llx %llx dr6 %llx dr7 %llx\n", (unsigned long long)d.db[0],
	       (unsigned long long)d.db[1], (unsigned long long)d.db[2],
	       (unsigned long long)d.db[3], (unsigned long long)d.dr6, (unsigned long long)d.dr7);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_debugregs debug = {
		.db = {DATA, 0x1111, 0x222222222222, 0x3333},
		.dr6 = 0xffff0ff0,
		.dr7 = 0x000d0400,
	};

	vm_boot(&vm, &vcpu, 64, guest);
	IOCTL(vcpu.fd, KVM_SET_DEBUGREGS, &debug);
	print_debugregs(&vcpu);
	vcpu_play(&vcpu);
	printf("in the guest:\n");
	print_dump(vm.ram + BUFFER, 0x30);
	print_debugregs(&vcpu);
	return 0;
}
