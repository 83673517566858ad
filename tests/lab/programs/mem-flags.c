// Turning a slot's dirty log on and off leaves its memory alone; a read-only slot becomes writable
// by deleting and adding it.

#include "vm.h"

#include <stdio.h>

#define MORE 0x200000

GUEST(guest, 64,
      "mov $0x200000, %ebx\n"
      "1: incl (%rbx); mov (%rbx), %eax; tell; hlt; jmp 1b");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *more;

	vm_boot(&vm, &vcpu, 64, guest);
	more = vm_slot_new(&vm, 1, 0, MORE, 0x2000);
	vcpu_play(&vcpu);
	vm_slot(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, MORE, 0x2000, more);
	printf("logged\n");
	vcpu_play(&vcpu);
	vm_slot(&vm, 1, 0, MORE, 0x2000, more);
	printf("not logged\n");
	vcpu_play(&vcpu);
	vm_slot(&vm, 1, 0, MORE, 0, more);
	vm_slot(&vm, 1, KVM_MEM_READONLY, MORE, 0x2000, more);
	printf("read-only\n");
	vcpu_play(&vcpu);
	vm_slot(&vm, 1, 0, MORE, 0, more);
	vm_slot(&vm, 1, 0, MORE, 0x2000, more);
	printf("writable\n");
	vcpu_play(&vcpu);
	printf("memory:");
	print_bytes(more, 4);
	printf("\n");
	return 0;
}
