// KVM_CAP_TSC_DEADLINE_TIMER: the local APIC's timer in TSC-deadline mode. CPUID does not say it by
// itself: a monitor that has an in-kernel LAPIC sets the bit.

#include "vm.h"

#include <stdlib.h>

GUEST(guest, 64,
      "pic_off\n"
      "lapic_init\n"
      "mov $1, %eax; cpuid; mov %ecx, %eax; and $1 << 24, %eax; tell 0x504\n"
      "mov $LAPIC, %ebx; movl $0x40040, 0x320(%rbx)\n"
      "mov $3, %r9d\n"
      "1: mov $0x6e0, %ecx\n"
      "rdtsc; add $3000000, %eax; adc $0, %edx; mov %eax, %esi; mov %edx, %edi; wrmsr\n"
      "rdmsr; sub %esi, %eax; sub %edi, %edx; or %edx, %eax; tell 0x505\n"
      "sti; hlt; cli\n"
      // Not before its time; and it is 0 once it has come.
      "rdtsc; shl $32, %rdx; or %rdx, %rax; shl $32, %rdi; or %rdi, %rsi\n"
      "sub %rsi, %rax; shr $63, %rax; tell 0x506\n"
      "mov $0x6e0, %ecx; rdmsr; or %edx, %eax; tell 0x507\n"
      "dec %r9d; jnz 1b\n"
      "finish");
GUEST(handler, 64, "putb 0x40, 0x81; lapic_eoi; iretq");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_cpuid2 *cpuid;
	unsigned int i;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_interrupt(&vm, 64, 0x40, 0, handler);
	printf("capability %d\n", IOCTL(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER));
	cpuid = supported_cpuid(&vm);
	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= 1u << 24;
	IOCTL(vcpu.fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	vcpu_play(&vcpu);
	return 0;
}
