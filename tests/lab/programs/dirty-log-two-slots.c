// Two slots with dirty logs and one without: each KVM_GET_DIRTY_LOG is of its slot alone and clears
// its log alone.

#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>

GUEST(guest, 64,
      "1: movb $1, 0x400000; movb $1, 0x407000\n"
      "movb $1, 0x501000; movb $1, 0x50f000\n"
      "movb $1, 0x600000\n"
      "hlt; jmp 1b");

static void print_log(struct vm *vm, unsigned int slot)
{
	uint64_t bitmap = 0;
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = &bitmap};
	int r = ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log);

	printf("slot %u: %s %llx\n", slot, errno_name(r < 0 ? errno : 0),
	       (unsigned long long)bitmap);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vm_slot_new(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, 0x400000, 0x10000);
	vm_slot_new(&vm, 2, KVM_MEM_LOG_DIRTY_PAGES, 0x500000, 0x10000);
	vm_slot_new(&vm, 3, 0, 0x600000, 0x10000);
	vcpu_play(&vcpu);
	print_log(&vm, 1);
	vcpu_play(&vcpu);
	print_log(&vm, 2);
	print_log(&vm, 2);
	print_log(&vm, 1);
	print_log(&vm, 3);
	print_log(&vm, 9);
	return 0;
}
