// KVM_GUESTDBG_USE_HW_BP: breakpoints on an instruction, on a write and on any access to memory.
// The guest's own debug registers do not change.

#include "vm.h"

#include <stdio.h>
#include <string.h>

GUEST(guest, 64,
      "mov $1, %ecx\n"
      "mark: mov $2, %ecx\n"
      "movl $5, DATA\n"
      "nop\n"
      "mov DATA + 8, %ebx\n"
      "nop\n"
      "mov %dr0, %rsi; mov %dr7, %rdi\n"
      "hlt");

static void run(struct vcpu *vcpu)
{
	struct kvm_debug_exit_arch *arch = &vcpu->run->debug.arch;
	struct kvm_regs regs;

	vcpu_run(vcpu);
	vcpu_print_exit(vcpu);
	vcpu_get_regs(vcpu, &regs);
	printf("  rip %llx rcx %llx\n", (unsigned long long)regs.rip, (unsigned long long)regs.rcx);
	if (vcpu->run->exit_reason == KVM_EXIT_DEBUG)
		printf("  exception %u pc %llx dr6 %llx dr7 %llx\n", arch->exception,
		       (unsigned long long)arch->pc, (unsigned long long)arch->dr6 & 0x400f,
		       (unsigned long long)arch->dr7);
}

static void set(struct vcpu *vcpu, unsigned int control, uint64_t dr0, uint64_t dr1, uint64_t dr2,
		uint64_t dr7)
{
	struct kvm_guest_debug debug = {.control = control};

	debug.arch.debugreg[0] = dr0;
	debug.arch.debugreg[1] = dr1;
	debug.arch.debugreg[2] = dr2;
	debug.arch.debugreg[7] = dr7;
	IOCTL(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
}

int main(void)
{
	const unsigned int on = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
	struct kvm_debugregs own;
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	// DR0: execution of the second instruction.
	set(&vcpu, on, CODE + 5, 0, 0, 0x402);
	run(&vcpu);
	// DR1: a write of four bytes; DR2: any access to four bytes.
	set(&vcpu, on, 0, DATA, DATA + 8, 0x400 | 0x28 | 0xd << 20 | 0xf << 24);
	run(&vcpu);
	run(&vcpu);
	IOCTL(vcpu.fd, KVM_GET_DEBUGREGS, &own);
	printf("own dr0 %llx dr7 %llx\n", (unsigned long long)own.db[0],
	       (unsigned long long)own.dr7);
	set(&vcpu, 0, 0, 0, 0, 0);
	run(&vcpu);
	return 0;
}
