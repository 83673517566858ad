// A guest that goes by itself from real mode to protected mode to long mode, as every boot does.

#include "vm.h"

#include <stdio.h>

// The descriptor tables and page tables are already in memory.
GUEST(guest, 16,
      "mov $0x16, %eax; tell\n"
      "cli; xor %ax, %ax; mov %ax, %ds\n"
      "lgdtl 4f - guest + CODE\n"
      "mov %cr0, %eax; or $1, %eax; mov %eax, %cr0\n"
      "ljmpl $CS32, $1f - guest + CODE\n"
      "4: .word 0x1f; .long GDT\n"
      ".code32\n"
      "1: mov $DS32, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss\n"
      "mov $STACK, %esp\n"
      "mov $0x32, %eax; tell\n"
      "movl $0x11223344, MMIO\n"
      "mov %cr4, %eax; or $0x20, %eax; mov %eax, %cr4\n"
      "mov $TABLES, %eax; mov %eax, %cr3\n"
      "mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr\n"
      "mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
      "rdmsr; tell\n"
      "ljmp $CS64, $2f - guest + CODE\n"
      ".code64\n"
      "2: mov $0x64, %eax; tell\n"
      "mov $0x1122334455667788, %rax; mov $MMIO, %ebx; mov %rax, (%rbx)\n"
      "push %rax; pop %rcx\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	// For the tables only: it starts in real mode after all.
	vm_boot(&vm, &vcpu, 64, guest);
	// KVM lets a guest set EFER.LME only if its CPUID has long mode.
	vcpu_set_cpuid(&vcpu);
	vcpu_get_sregs(&vcpu, &sregs);
	sregs.cr0 = 0x60000010;
	sregs.cr3 = 0;
	sregs.cr4 = 0;
	sregs.efer = 0;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	sregs.cs.limit = 0xffff;
	sregs.cs.l = sregs.cs.g = 0;
	sregs.ds.base = sregs.es.base = sregs.ss.base = 0;
	sregs.ds.selector = sregs.es.selector = sregs.ss.selector = 0;
	sregs.ds.limit = sregs.es.limit = sregs.ss.limit = 0xffff;
	sregs.ds.db = sregs.es.db = sregs.ss.db = 0;
	sregs.ds.g = sregs.es.g = sregs.ss.g = 0;
	sregs.fs = sregs.gs = sregs.ds;
	sregs.gdt.base = sregs.gdt.limit = 0;
	sregs.idt.base = 0;
	sregs.idt.limit = 0x3ff;
	vcpu_set_sregs(&vcpu, &sregs);
	vcpu_play(&vcpu);
	vcpu_get_sregs(&vcpu, &sregs);
	vcpu_get_regs(&vcpu, &regs);
	printf("cr0 %llx cr3 %llx cr4 %llx efer %llx cs %x l %u rcx %llx\n",
	       (unsigned long long)sregs.cr0, (unsigned long long)sregs.cr3,
	       (unsigned long long)sregs.cr4, (unsigned long long)sregs.efer, sregs.cs.selector,
	       sregs.cs.l, (unsigned long long)regs.rcx);
	return 0;
}
