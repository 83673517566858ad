// The dirty log fetched again and again while the guest writes: with what was fetched, each page
// that differs from a copy made before is known; none is missed.

#include "vm.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define MORE  0x400000
#define PAGES 64

// Writes a count to page after page until DATA is set.
GUEST(guest, 64,
      "mov $0x400000, %ebx\n"
      "1: inc %rax; mov %rax, %rcx; and $63, %ecx; shl $12, %ecx\n"
      "mov %rax, (%rbx,%rcx)\n"
      "cmpl $0, DATA; je 1b\n"
      "hlt");

static void *run(void *argument)
{
	vcpu_play(argument);
	return NULL;
}

// Copies the pages that the log names, as a migration does.
static unsigned int copy_dirty(struct vm *vm, uint8_t *copy, const uint8_t *more)
{
	uint64_t bitmap = 0;
	struct kvm_dirty_log log = {.slot = 1, .dirty_bitmap = &bitmap};
	unsigned int pages = 0;

	IOCTL(vm->fd, KVM_GET_DIRTY_LOG, &log);
	for (unsigned int i = 0; i < PAGES; i++)
		if (bitmap >> i & 1) {
			memcpy(copy + 0x1000 * i, more + 0x1000 * i, 0x1000);
			pages++;
		}
	return pages;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	pthread_t thread;
	uint8_t *more, *copy;
	unsigned int pages = 0;

	vm_boot(&vm, &vcpu, 64, guest);
	more = vm_slot_new(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, MORE, PAGES * 0x1000);
	copy = memory_new(PAGES * 0x1000);
	if (pthread_create(&thread, NULL, run, &vcpu))
		fail("pthread_create");
	for (unsigned int i = 0; i < 20 || (pages <= PAGES && i < 1000); i++) {
		sleep_ms(20);
		pages += copy_dirty(&vm, copy, more);
	}
	*(volatile uint32_t *)(vm.ram + DATA) = 1;
	pthread_join(thread, NULL);
	copy_dirty(&vm, copy, more);
	printf("got on: %d, the copy is the same: %d\n", pages > PAGES,
	       !memcmp(copy, more, PAGES * 0x1000));
	return 0;
}
