// A triple fault of one of two vcpus with the in-kernel interrupt controllers: that one's KVM_RUN
// returns, the other goes on.

#include "vm.h"

GUEST(guest, 64,
      "1: pause; cmpl $1, DATA; jne 1b\n"
      "putb 1, 0x90\n"
      "lidt 2f(%rip); ud2\n"
      "2: .word 0; .quad 0");
GUEST(other, 64,
      "putb 2, 0x90\n"
      "movl $1, DATA\n"
      "1: pause; cmpl $2, DATA; jne 1b\n"
      "putb 3, 0x90\n"
      "finish");

int main(void)
{
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct vm vm;
	struct vcpu first, second;
	struct vcpu_thread thread;

	vm_boot_irqchip(&vm, &first, 64, guest);
	vm_load(&vm, AP_CODE, other);
	vcpu_create(&vm, &second, 1);
	vcpu_set_cpuid(&second);
	vcpu_mode(&second, 64, AP_CODE);
	IOCTL(second.fd, KVM_SET_MP_STATE, &runnable);
	vcpu_thread_start(&thread, &second);
	vcpu_play(&first);
	*(volatile uint32_t *)(vm.ram + DATA) = 2;
	vcpu_thread_join(&thread);
	return 0;
}
