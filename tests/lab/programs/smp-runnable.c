// A second vcpu started without INIT and SIPI: registers and KVM_SET_MP_STATE, with the in-kernel
// interrupt controllers.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "putb 1, 0x90\n"
      "movl $1, DATA\n"
      "1: pause; cmpl $2, DATA; jne 1b\n"
      "putb 2, 0x90\n"
      "finish");
GUEST(second_guest, 64,
      "1: pause; cmpl $1, DATA; jne 1b\n"
      "putb 3, 0x90\n"
      "mov $LAPIC, %ebx; mov 0x20(%rbx), %eax; tell\n"
      "movl $2, DATA\n"
      "finish");

int main(void)
{
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct vm vm;
	struct vcpu first, second;
	struct vcpu_thread thread;

	vm_boot_irqchip(&vm, &first, 64, guest);
	vm_load(&vm, AP_CODE, second_guest);
	vcpu_create(&vm, &second, 1);
	vcpu_set_cpuid(&second);
	vcpu_mode(&second, 64, AP_CODE);
	IOCTL(second.fd, KVM_SET_MP_STATE, &runnable);
	vcpu_thread_start(&thread, &second);
	vcpu_play(&first);
	vcpu_thread_join(&thread);
	return 0;
}
