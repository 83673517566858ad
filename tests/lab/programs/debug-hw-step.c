// A breakpoint in a debug register, then single steps from there, as a debugger does: between the
// stops the monitor reads all state and sets it again. In 32 bits, where kernels begin.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 32,
      "mov $1, %ecx\n"
      "cld\n"
      "mov $2, %ecx\n"
      "mov $3, %ecx\n"
      "out %al, $0x90\n"
      "mov $4, %ecx\n"
      "hlt");

static void set(struct vcpu *vcpu, unsigned int control, uint64_t dr0, uint64_t dr7)
{
	struct kvm_guest_debug debug = {.control = control};

	debug.arch.debugreg[0] = dr0;
	debug.arch.debugreg[7] = dr7;
	IOCTL(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
}

static void again(struct vcpu *vcpu)
{
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu_get_regs(vcpu, &regs);
	vcpu_get_sregs(vcpu, &sregs);
	IOCTL(vcpu->fd, KVM_GET_VCPU_EVENTS, &events);
	IOCTL(vcpu->fd, KVM_GET_DEBUGREGS, &debugregs);
	vcpu_set_sregs(vcpu, &sregs);
	vcpu_set_regs(vcpu, &regs);
	IOCTL(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
	IOCTL(vcpu->fd, KVM_SET_DEBUGREGS, &debugregs);
}

static void run(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	vcpu_run(vcpu);
	vcpu_print_exit(vcpu);
	vcpu_get_regs(vcpu, &regs);
	if (vcpu->run->exit_reason == KVM_EXIT_DEBUG)
		printf("  exception %u pc %llx dr6 %llx rip %llx rcx %llx\n",
		       vcpu->run->debug.arch.exception,
		       (unsigned long long)vcpu->run->debug.arch.pc,
		       (unsigned long long)vcpu->run->debug.arch.dr6 & 0x400f,
		       (unsigned long long)regs.rip, (unsigned long long)regs.rcx);
}

int main(void)
{
	const unsigned int break_on = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
	const unsigned int step = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
	struct vm vm;
	struct vcpu vcpu;
	int i;

	vm_boot_irqchip(&vm, &vcpu, 32, guest);
	set(&vcpu, break_on, CODE + 5, 0x402);
	run(&vcpu);
	for (i = 0; i < 3; i++) {
		again(&vcpu);
		set(&vcpu, step, 0, 0);
		run(&vcpu);
	}
	again(&vcpu);
	set(&vcpu, 0, 0, 0);
	run(&vcpu);
	return 0;
}
