// KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: KVM_GET_DIRTY_LOG clears nothing, KVM_CLEAR_DIRTY_LOG clears
// the pages it is told.

#include "vm.h"

#include <stdio.h>

#define MORE  0x400000
#define PAGES 128

GUEST(guest, 64,
      "1: movb $1, 0x400000; movb $1, 0x405000; movb $1, 0x446000\n"
      "hlt\n"
      "movb $1, 0x405000\n"
      "hlt; jmp 1b");

static void print_log(struct vm *vm)
{
	uint64_t bitmap[PAGES / 64] = {0};
	struct kvm_dirty_log log = {.slot = 1, .dirty_bitmap = bitmap};

	IOCTL(vm->fd, KVM_GET_DIRTY_LOG, &log);
	printf("log %llx %llx\n", (unsigned long long)bitmap[0], (unsigned long long)bitmap[1]);
}

static void clear(struct vm *vm, uint32_t first, uint32_t pages, uint64_t low, uint64_t high)
{
	uint64_t bitmap[2] = {low, high};
	struct kvm_clear_dirty_log log = {
		.slot = 1,
		.first_page = first,
		.num_pages = pages,
		.dirty_bitmap = bitmap,
	};

	IOCTL(vm->fd, KVM_CLEAR_DIRTY_LOG, &log);
}

int main(void)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = {1}};
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	IOCTL(vm.fd, KVM_ENABLE_CAP, &cap);
	vm_slot_new(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, MORE, PAGES * 0x1000);
	vcpu_play(&vcpu);
	print_log(&vm);
	print_log(&vm);
	clear(&vm, 0, PAGES, 1u << 5, 0);
	print_log(&vm);
	vcpu_play(&vcpu);
	print_log(&vm);
	clear(&vm, 64, 64, 1u << 6, 0);
	print_log(&vm);
	clear(&vm, 0, 64, ~0ull, 0);
	print_log(&vm);
	vcpu_play(&vcpu);
	print_log(&vm);
	return 0;
}
