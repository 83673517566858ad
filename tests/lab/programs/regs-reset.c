// A new vcpu's registers before anything was set: the processor's reset state.

#include "vm.h"

#include <stdio.h>

static void print_segment(const char *name, const struct kvm_segment *s)
{
	printf("%s: selector %x base %llx limit %x type %u s %u dpl %u present %u db %u l %u g "
	       "%u\n",
	       name, s->selector, (unsigned long long)s->base, s->limit, s->type, s->s, s->dpl,
	       s->present, s->db, s->l, s->g);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_sregs sregs;
	struct kvm_debugregs debug;
	struct kvm_fpu fpu;

	vm_start(&vm);
	vcpu_create(&vm, &vcpu, 0);
	vcpu_print_regs(&vcpu);
	vcpu_get_sregs(&vcpu, &sregs);
	print_segment("cs", &sregs.cs);
	print_segment("ds", &sregs.ds);
	print_segment("es", &sregs.es);
	print_segment("fs", &sregs.fs);
	print_segment("gs", &sregs.gs);
	print_segment("ss", &sregs.ss);
	print_segment("tr", &sregs.tr);
	print_segment("ldt", &sregs.ldt);
	printf("gdt %llx %x idt %llx %x\n", (unsigned long long)sregs.gdt.base, sregs.gdt.limit,
	       (unsigned long long)sregs.idt.base, sregs.idt.limit);
	printf("cr0 %llx cr2 %llx cr3 %llx cr4 %llx cr8 %llx efer %llx apic base %llx\n",
	       (unsigned long long)sregs.cr0, (unsigned long long)sregs.cr2,
	       (unsigned long long)sregs.cr3, (unsigned long long)sregs.cr4,
	       (unsigned long long)sregs.cr8, (unsigned long long)sregs.efer,
	       (unsigned long long)sregs.apic_base);
	IOCTL(vcpu.fd, KVM_GET_DEBUGREGS, &debug);
	printf("dr6 %llx dr7 %llx\n", (unsigned long long)debug.dr6, (unsigned long long)debug.dr7);
	IOCTL(vcpu.fd, KVM_GET_FPU, &fpu);
	printf("fcw %x fsw %x ftwx %x\n", fpu.fcw, fpu.fsw, fpu.ftwx);
	return 0;
}
