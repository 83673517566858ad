// KVM_CAP_SYNC_REGS: registers in the vcpu's mapping after each exit, and changes made there.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "1: mov %rbx, %rax; tell\n"
      "inc %rbx\n"
      "jmp 1b");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_run *run;

	vm_boot(&vm, &vcpu, 64, guest);
	printf("capability: %x\n", IOCTL(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS) & 3);
	run = vcpu.run;
	run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	for (unsigned int i = 0; i < 4; i++) {
		vcpu_run(&vcpu);
		vcpu_print_exit(&vcpu);
		printf("  rbx %llx rsp %llx cr3 %llx cs %x\n",
		       (unsigned long long)run->s.regs.regs.rbx,
		       (unsigned long long)run->s.regs.regs.rsp,
		       (unsigned long long)run->s.regs.sregs.cr3, run->s.regs.sregs.cs.selector);
		if (i == 1) {
			run->s.regs.regs.rbx = 0x100;
			run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
		}
		printf("  dirty %llx\n", (unsigned long long)run->kvm_dirty_regs);
	}
	run->kvm_valid_regs = 1u << 31;
	printf("invalid valid_regs: %s\n", errno_name(vcpu_try_run(&vcpu)));
	return 0;
}
