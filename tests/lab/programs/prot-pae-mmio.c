// 32-bit paging with PAE, and an access to where no memory is.

#include "vm.h"

GUEST(guest, 32, "mov 0x40002000, %eax; tell; movb $0x5a, 0x40003001; hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_sregs sregs;
	uint64_t *pointers, *low, *next;

	vm_boot(&vm, &vcpu, 32, guest);
	pointers = (uint64_t *)(vm.ram + TABLES);
	low = (uint64_t *)(vm.ram + TABLES + 0x1000);
	next = (uint64_t *)(vm.ram + TABLES + 0x2000);
	pointers[0] = (TABLES + 0x1000) | 1;
	pointers[1] = (TABLES + 0x2000) | 1;
	low[0] = 0x83;
	next[0] = 0x140000083;
	vcpu_get_sregs(&vcpu, &sregs);
	sregs.cr3 = TABLES;
	sregs.cr4 |= 0x20;
	sregs.cr0 |= 0x80000000;
	vcpu_set_sregs(&vcpu, &sregs);
	vcpu_play(&vcpu);
	return 0;
}
