// Two vcpus wake each other from HLT by interprocessor interrupts, 20 times each way.

#include "vm.h"

#include <stdio.h>

#define ROUND_TRIPS "20"

// Both run this; edi: the other's APIC id, esi: 1 for the one that begins.
GUEST(guest, 64,
      "lapic_init\n"
      "shl $24, %edi\n"
      "lock incl DATA\n"
      "1: pause; cmpl $2, DATA; jne 1b\n"
      "xor %r8, %r8\n"
      "test %esi, %esi; jz 2f\n"
      "1: mov %edi, 0x310(%rbx); movl $0x4061, 0x300(%rbx)\n"
      // Waits for one more.
      "2: mov %r8, %r9\n"
      "3: cli; cmp %r8, %r9; jne 4f; sti; hlt; jmp 3b; 4:\n"
      "cmp $" ROUND_TRIPS ", %r8; jb 1b\n"
      "test %esi, %esi; jnz 5f\n"
      "mov %edi, 0x310(%rbx); movl $0x4061, 0x300(%rbx)\n"
      "5: mov %r8, %rax; tell\n"
      "finish");
GUEST(handler, 64, "inc %r8; movl $0, 0xb0(%rbx); iretq");

int main(void)
{
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct vm vm;
	struct vcpu first, second;
	struct vcpu_thread thread;
	struct kvm_regs regs;

	vm_boot_irqchip(&vm, &first, 64, guest);
	vm_interrupt(&vm, 64, 0x61, 0, handler);
	vcpu_get_regs(&first, &regs);
	regs.rdi = 1;
	regs.rsi = 1;
	vcpu_set_regs(&first, &regs);
	vcpu_create(&vm, &second, 1);
	vcpu_set_cpuid(&second);
	vcpu_mode(&second, 64, CODE);
	IOCTL(second.fd, KVM_SET_MP_STATE, &runnable);
	vcpu_thread_start(&thread, &second);
	vcpu_play(&first);
	vcpu_thread_join(&thread);
	return 0;
}
