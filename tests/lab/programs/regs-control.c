// Control registers, EFER and the descriptor tables: set, seen by the guest, changed by it, got.
// Without an in-kernel local APIC, CR8 is run->cr8 at each KVM_RUN.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "mov %cr0, %rax; mov %rax, BUFFER\n"
      "mov %cr2, %rax; mov %rax, BUFFER + 0x08\n"
      "mov %cr3, %rax; mov %rax, BUFFER + 0x10\n"
      "mov %cr4, %rax; mov %rax, BUFFER + 0x18\n"
      "mov %cr8, %rax; mov %rax, BUFFER + 0x20\n"
      "mov $0xc0000080, %ecx; rdmsr; mov %eax, BUFFER + 0x28\n"
      "sgdt BUFFER + 0x30; sidt BUFFER + 0x40\n"
      "hlt\n"
      "mov %cr0, %rax; and $~0x10000, %rax; or $0x2, %rax; mov %rax, %cr0\n"
      "mov %cr4, %rax; or $0x80, %rax; mov %rax, %cr4\n"
      "mov $6, %eax; mov %rax, %cr8\n"
      "mov $TABLES + 0x8000, %eax; mov %rax, %cr3\n"
      "lgdt 1f - guest + CODE; lidt 2f - guest + CODE\n"
      "hlt\n"
      "1: .word 0x17; .quad 0x123456789\n"
      "2: .word 0x1ff; .quad 0x23456789a");

static void print_sregs(struct vcpu *vcpu)
{
	struct kvm_sregs s;

	vcpu_get_sregs(vcpu, &s);
	printf("cr0 %llx cr2 %llx cr3 %llx cr4 %llx cr8 %llx efer %llx\n",
	       (unsigned long long)s.cr0, (unsigned long long)s.cr2, (unsigned long long)s.cr3,
	       (unsigned long long)s.cr4, (unsigned long long)s.cr8, (unsigned long long)s.efer);
	printf("gdt %llx %x idt %llx %x\n", (unsigned long long)s.gdt.base, s.gdt.limit,
	       (unsigned long long)s.idt.base, s.idt.limit);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_sregs sregs;

	vm_boot(&vm, &vcpu, 64, guest);
	// The same tables again for the guest's new cr3.
	vm_copy(&vm, TABLES + 0x8000, vm.ram + TABLES, 0x1000);
	vcpu_get_sregs(&vcpu, &sregs);
	sregs.cr0 = 0x80010031;
	sregs.cr2 = 0xabcdef012345;
	sregs.cr4 |= 0x400;
	sregs.cr8 = 5;
	sregs.efer |= 1;
	vcpu_set_sregs(&vcpu, &sregs);
	print_sregs(&vcpu);
	vcpu.run->cr8 = 4;
	vcpu_play(&vcpu);
	printf("in the guest:\n");
	print_dump(vm.ram + BUFFER, 0x50);
	print_sregs(&vcpu);
	vcpu_play(&vcpu);
	print_sregs(&vcpu);
	printf("run->cr8 %llx\n", (unsigned long long)vcpu.run->cr8);
	return 0;
}
