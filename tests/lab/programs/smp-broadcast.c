// One vcpu interrupts all others at once, by the "all excluding self" shorthand, in a VM of four;
// and an MSI to a logical destination reaches the vcpus that set it.

#include "vm.h"

#include <stdio.h>

#define VCPUS 4

// edi: the APIC id.  The logical id is its bit.
GUEST(guest, 64,
      "lapic_init\n"
      "movl $0xffffffff, 0xe0(%rbx)\n"
      "mov %edi, %ecx; mov $1 << 24, %eax; shl %cl, %eax; mov %eax, 0xd0(%rbx)\n"
      "lock incl DATA\n"
      "1: pause; cmpl $4, DATA; jne 1b\n"
      "test %edi, %edi; jnz 2f\n"
      "movl $0xc4061, 0x300(%rbx)\n"
      // The first waits until the others have been interrupted, then has the monitor send.
      "1: pause; cmpl $3, DATA + 4; jne 1b\n"
      "putb 1, 0x82\n"
      "1: pause; cmpl $2, DATA + 8; jne 1b\n"
      "finish\n"
      "2: sti; 3: hlt; jmp 3b");
GUEST(handler61, 64, "mov %edi, %eax; tell; lock incl DATA + 4; movl $0, 0xb0(%rbx); iretq");
GUEST(handler62, 64, "putb 0x62, 0x81; movl $0, 0xb0(%rbx); lock incl DATA + 8; iretq");

static bool send(struct vcpu *vcpu)
{
	// Logical, to vcpus 1 and 3, fixed delivery.
	struct kvm_msi msi = {.address_lo = LAPIC | 0xa << 12 | 1 << 2, .data = 0x62};

	if (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x82)
		printf("MSI taken: %d\n", IOCTL(vcpu->vm->fd, KVM_SIGNAL_MSI, &msi) > 0);
	return true;
}

int main(void)
{
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct vm vm;
	struct vcpu vcpus[VCPUS];
	struct vcpu_thread threads[VCPUS];

	vm_boot_irqchip(&vm, &vcpus[0], 64, guest);
	vm_interrupt(&vm, 64, 0x61, 0, handler61);
	vm_interrupt(&vm, 64, 0x62, 1, handler62);
	for (unsigned int i = 1; i < VCPUS; i++) {
		struct kvm_regs regs;

		vcpu_create(&vm, &vcpus[i], i);
		vcpu_set_cpuid(&vcpus[i]);
		vcpu_mode(&vcpus[i], 64, CODE);
		vcpu_get_regs(&vcpus[i], &regs);
		regs.rdi = i;
		vcpu_set_regs(&vcpus[i], &regs);
		IOCTL(vcpus[i].fd, KVM_SET_MP_STATE, &runnable);
		vcpu_thread_start(&threads[i], &vcpus[i]);
	}
	vcpus[0].on_exit = send;
	vcpu_play(&vcpus[0]);
	sleep_ms(300);
	for (unsigned int i = 1; i < VCPUS; i++) {
		vcpu_thread_stop(&threads[i]);
		vcpu_thread_join(&threads[i]);
	}
	return 0;
}
