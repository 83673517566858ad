// A long mode guest with a program in ring 3: system calls by syscall, port I/O by its I/O
// permission bitmap and denied, back by an interrupt.

#include "vm.h"

#include <string.h>

#define TSS 0x4000

// Selectors: 0x20 is data for ring 3, 0x28 code, 0x30 the TSS.
GUEST(guest, 64,
      "mov $0x30, %ax; ltr %ax\n"
      "mov $0xc0000081, %ecx; xor %eax, %eax; mov $0x00180018, %edx; wrmsr\n"
      "mov $0xc0000082, %ecx; mov $HANDLERS, %eax; xor %edx, %edx; wrmsr\n"
      "mov $0xc0000084, %ecx; mov $0x200, %eax; xor %edx, %edx; wrmsr\n"
      "pushq $0x23; pushq $0x7000; pushq $2; pushq $0x2b; pushq $AP_CODE; iretq");
GUEST(user, 64,
      "mov %cs, %eax; mov $0x100, %dx; out %eax, %dx\n"
      "mov $0x77, %edi; syscall\n"
      "mov %edi, %eax; mov $0x100, %dx; out %eax, %dx\n"
      // Denied by the bitmap.
      "mov $0x108, %dx; out %al, %dx\n"
      "int $0x50");
GUEST(syscall_entry, 64,
      "mov %rcx, %rsi; mov %cs, %eax; tell; mov %edi, %eax; tell; mov $0x88, %edi\n"
      "mov %rsi, %rcx; sysretq");
GUEST(protection, 64,
      "pop %rax; tell 0x511; mov 8(%rsp), %eax; tell 0x512; addq $1, (%rsp); iretq");
GUEST(end, 64, "mov %cs, %eax; tell; hlt");

int main(void)
{
	const uint64_t descriptors[] = {
		0x00cff3000000ffff,
		0x00affb000000ffff,
		(0x0000890000000000 | (0x68 + 0x41 - 1)) + ((uint64_t)TSS << 16),
		0,
	};
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_sregs sregs;
	uint64_t *l4, *l3, *l2;

	vm_boot(&vm, &vcpu, 64, guest);
	vm_load(&vm, AP_CODE, user);
	vm_load(&vm, HANDLERS, syscall_entry);
	vm_handler(&vm, 64, 13, 1, protection);
	vm_handler(&vm, 64, 0x50, 2, end);
	vm.ram[IDT + 0x50 * 16 + 5] |= 0x60; // ring 3 may call it
	vm_copy(&vm, GDT + 0x20, descriptors, sizeof(descriptors));
	// Ring 0's stack, and a bitmap that allows the ports 0x100 to 0x107 only.
	*(uint64_t *)(vm.ram + TSS + 4) = STACK;
	*(uint16_t *)(vm.ram + TSS + 0x66) = 0x68;
	memset(vm.ram + TSS + 0x68, 0xff, 0x41);
	vm.ram[TSS + 0x68 + 0x20] = 0;
	// The first 2 MiB for ring 3 as well.
	l4 = (uint64_t *)(vm.ram + TABLES);
	l3 = l4 + 512;
	l2 = l3 + 512;
	l4[0] |= 4;
	l3[0] |= 4;
	l2[0] |= 4;
	vcpu_get_sregs(&vcpu, &sregs);
	sregs.gdt.limit = 0x3f;
	sregs.efer |= 1;
	vcpu_set_sregs(&vcpu, &sregs);
	vcpu_play(&vcpu);
	return 0;
}
