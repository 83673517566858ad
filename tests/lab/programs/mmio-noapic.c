// Without an in-kernel interrupt controller the addresses of the local APIC and the I/O APIC are
// the monitor's like any others; so is one far above 4 GiB.

#include "vm.h"

GUEST(guest, 64,
      "mov $IOAPIC, %ebx\n"
      "movl $1, (%rbx)\n"
      "mov 0x10(%rbx), %eax; tell\n"
      "mov $LAPIC, %ebx\n"
      "mov 0x20(%rbx), %eax; tell\n"
      "movl $0x1ff, 0xf0(%rbx)\n"
      "mov $0xfed00000, %ebx\n"
      "mov 0xf0(%rbx), %rax; mov %rax, %r8\n"
      "mov $0xffffff00, %ebx\n"
      "mov 0xf0(%rbx), %al; tell\n"
      // main() has mapped this to guest physical 64 GiB.
      "mov $0x4000000000, %rbx\n"
      "movl $0x77, 0x1000(%rbx)\n"
      "mov 0xffc(%rbx), %eax; tell\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	// 1 GiB at virtual 256 GiB, behind the tables of the 1:1 map.
	((uint64_t *)(vm.ram + TABLES + 0x1000))[256] = (TABLES + 0x6000) | 3;
	for (uint64_t i = 0; i < 512; i++)
		((uint64_t *)(vm.ram + TABLES + 0x6000))[i] = (0x1000000000 + (i << 21)) | 0x83;
	vcpu_play(&vcpu);
	vcpu_print_regs(&vcpu);
	return 0;
}
