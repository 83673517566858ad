// KVM_GUESTDBG_SINGLESTEP: KVM_EXIT_DEBUG after each instruction of the guest.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64, "mov $1, %ecx; add $2, %ecx; nop; mov %ecx, DATA; jmp 1f; nop; 1: inc %ecx; hlt");

int main(void)
{
	struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP};
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	IOCTL(vcpu.fd, KVM_SET_GUEST_DEBUG, &debug);
	for (unsigned int i = 0; i < 6; i++) {
		struct kvm_regs regs;

		vcpu_run(&vcpu);
		vcpu_print_exit(&vcpu);
		vcpu_get_regs(&vcpu, &regs);
		printf("  exception %u pc %llx dr6 bs %d rip %llx rcx %llx tf %d\n",
		       vcpu.run->debug.arch.exception, (unsigned long long)vcpu.run->debug.arch.pc,
		       !!(vcpu.run->debug.arch.dr6 & 0x4000), (unsigned long long)regs.rip,
		       (unsigned long long)regs.rcx, !!(regs.rflags & 0x100));
	}
	debug.control = 0;
	IOCTL(vcpu.fd, KVM_SET_GUEST_DEBUG, &debug);
	vcpu_play(&vcpu);
	return 0;
}
