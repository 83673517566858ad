// KVM_SET_VCPU_EVENTS injects exceptions, with and without an error code; KVM_GET_VCPU_EVENTS of a
// vcpu at rest has none.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "nop; putb 1, 0x90\n"
      "nop; putb 2, 0x90\n"
      "nop; putb 3, 0x90\n"
      "hlt");
GUEST(handler6, 64,
      "push %rax; push %rdx; mov 16(%rsp), %eax; tell 0x506; pop %rdx; pop %rax; iretq");
GUEST(handler13, 64,
      "push %rax; push %rdx; mov 16(%rsp), %eax; tell 0x50d; pop %rdx; pop %rax; add $8, %rsp; "
      "iretq");

static void print_events(struct vcpu *vcpu)
{
	struct kvm_vcpu_events e;

	IOCTL(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	printf("exception %u interrupt %u nmi %u pending %u masked %u\n", e.exception.injected,
	       e.interrupt.injected, e.nmi.injected, e.nmi.pending, e.nmi.masked);
}

static void inject(struct vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error)
{
	struct kvm_vcpu_events e;

	IOCTL(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	e.exception.injected = 1;
	e.exception.nr = vector;
	e.exception.has_error_code = has_error;
	e.exception.error_code = error;
	IOCTL(vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
}

// Completes the write of the last exit.
static void complete(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	vcpu_try_run(vcpu);
	vcpu->run->immediate_exit = 0;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vm_handler(&vm, 64, 6, 0, handler6);
	vm_handler(&vm, 64, 13, 1, handler13);
	print_events(&vcpu);
	inject(&vcpu, 6, false, 0);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	complete(&vcpu);
	print_events(&vcpu);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	complete(&vcpu);
	inject(&vcpu, 13, true, 0x1234);
	vcpu_play(&vcpu);
	return 0;
}
