// KVM_SET_BOOT_CPU_ID: the second vcpu is the boot processor; the first one waits for INIT and
// SIPI, which that one sends.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov $0x1b, %ecx; rdmsr; and $0x100, %eax; tell\n"
      "lapic_init\n"
      "mov 0x20(%rbx), %eax; tell 0x504\n"
      "movl $0x00000000, 0x310(%rbx); movl $0x4500, 0x300(%rbx)\n"
      "movl $0x00000000, 0x310(%rbx); movl $0x4600 | AP_CODE >> 12, 0x300(%rbx)\n"
      "1: pause; cmpl $2, DATA; jne 1b\n"
      "putb 2, 0x90\n"
      "finish");
GUEST(second_guest, 16, "xor %ax, %ax; mov %ax, %ds; movl $2, DATA; putb 3, 0x90; finish");

int main(void)
{
	struct vm vm;
	struct vcpu first, second;
	struct kvm_mp_state state;
	struct kvm_sregs sregs;
	struct vcpu_thread thread;

	vm_start_irqchip(&vm);
	IOCTL(vm.fd, KVM_SET_BOOT_CPU_ID, 1ul);
	vm_load(&vm, CODE, guest);
	vm_load(&vm, AP_CODE, second_guest);
	vcpu_create(&vm, &first, 0);
	vcpu_create(&vm, &second, 1);
	vcpu_set_cpuid(&first);
	vcpu_set_cpuid(&second);
	vcpu_mode(&second, 64, CODE);
	IOCTL(first.fd, KVM_GET_MP_STATE, &state);
	vcpu_get_sregs(&first, &sregs);
	printf("first: mp_state %u apic_base %llx\n", state.mp_state,
	       (unsigned long long)sregs.apic_base);
	IOCTL(second.fd, KVM_GET_MP_STATE, &state);
	vcpu_get_sregs(&second, &sregs);
	printf("second: mp_state %u apic_base %llx\n", state.mp_state,
	       (unsigned long long)sregs.apic_base);
	vcpu_thread_start(&thread, &first);
	vcpu_play(&second);
	vcpu_thread_join(&thread);
	return 0;
}
