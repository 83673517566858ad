// KVM_SET_SREGS: segments with bases and limits of their own take effect in the guest; what the
// guest loads from its table is what KVM_GET_SREGS gives.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 32,
      "mov %fs:0, %eax; tell\n"
      "mov %gs:4, %eax; tell\n"
      "mov %fs, %eax; tell\n"
      "mov %gs, %eax; tell\n"
      "str %eax; tell\n"
      "sldt %eax; tell\n"
      "movl $0x11223344, %fs:0x10\n"
      "mov $0x20, %ax; mov %ax, %gs\n"
      "mov %gs:0, %eax; tell\n"
      "xor %eax, %eax; mov %ax, %fs\n"
      "mov $0x23, %ax; mov %ax, %es\n"
      "hlt");

static void print_segment(const char *name, const struct kvm_segment *s)
{
	printf("%s: selector %x base %llx limit %x type %u s %u dpl %u present %u db %u l %u g "
	       "%u\n",
	       name, s->selector, (unsigned long long)s->base, s->limit, s->type, s->s, s->dpl,
	       s->present, s->db, s->l, s->g);
}

int main(void)
{
	const uint64_t data = 0x00c0f20500001fff; // base 0x50000, up to 0x1fff pages, level 3
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_sregs sregs;

	vm_boot(&vm, &vcpu, 32, guest);
	vm_copy(&vm, GDT + 0x20, &data, 8);
	*(uint32_t *)(vm.ram + 0x30000) = 0xaaaaaaaa;
	*(uint32_t *)(vm.ram + 0x40004) = 0xbbbbbbbb;
	*(uint32_t *)(vm.ram + 0x50000) = 0xcccccccc;
	vcpu_get_sregs(&vcpu, &sregs);
	sregs.fs.base = 0x30000;
	sregs.fs.limit = 0xff;
	sregs.fs.g = 0;
	sregs.fs.selector = 0x48;
	sregs.gs.base = 0x40000;
	sregs.gs.selector = 0x50;
	sregs.tr.base = 0x60000;
	sregs.tr.limit = 0x67;
	sregs.tr.selector = 0x58;
	sregs.tr.type = 11;
	sregs.tr.present = 1;
	sregs.tr.s = 0;
	sregs.gdt.limit = 0x27;
	vcpu_set_sregs(&vcpu, &sregs);
	vcpu_play(&vcpu);
	printf("memory:");
	print_bytes(vm.ram + 0x30010, 4);
	printf("\n");
	vcpu_get_sregs(&vcpu, &sregs);
	print_segment("cs", &sregs.cs);
	print_segment("ds", &sregs.ds);
	print_segment("es", &sregs.es);
	print_segment("gs", &sregs.gs);
	print_segment("ss", &sregs.ss);
	print_segment("tr", &sregs.tr);
	printf("fs: selector %x, unusable or not present: %d\n", sregs.fs.selector,
	       sregs.fs.unusable || !sregs.fs.present);
	return 0;
}
