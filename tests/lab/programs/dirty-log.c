// KVM_GET_DIRTY_LOG: the pages that the guest wrote since the last call, by stores, string
// instructions, locked instructions and port input; not those that it read or that the monitor
// wrote.

#include "vm.h"

#include <stdio.h>

#define MORE  0x400000
#define PAGES 256

GUEST(guest, 64,
      "mov $0x400000, %ebx\n"
      "movb $1, 0x00000(%rbx)\n"
      "movl $1, 0x03ffe(%rbx)\n" // pages 3 and 4
      "mov 0x06000(%rbx), %eax\n"
      "lock incl 0x08000(%rbx)\n"
      "lea 0x0affc(%rbx), %rdi; mov $3, %ecx; rep stosl\n"                        // pages 10 and 11
      "mov $BUFFER, %esi; lea 0x10000(%rbx), %rdi; mov $0x800, %ecx; rep movsl\n" // 16, 17
      "lea 0x20000(%rbx), %rdi; mov $8, %ecx; mov $0x100, %dx; rep insb\n"        // 32
      "movb $1, 0xff000(%rbx)\n"                                                  // 255
      "hlt\n"
      "movb $1, 0x05000(%rbx)\n"
      "movb $1, 0x00000(%rbx)\n"
      "hlt\n"
      "hlt\n"
      "movb $2, 0x07000(%rbx)\n"
      "hlt\n"
      "movb $2, 0x09000(%rbx)\n"
      "hlt");

static void print_log(struct vm *vm)
{
	uint64_t bitmap[PAGES / 64] = {0};
	struct kvm_dirty_log log = {.slot = 1, .dirty_bitmap = bitmap};

	IOCTL(vm->fd, KVM_GET_DIRTY_LOG, &log);
	printf("dirty:");
	for (unsigned int i = 0; i < PAGES; i++)
		if (bitmap[i / 64] >> (i % 64) & 1)
			printf(" %u", i);
	printf("\n");
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *more;

	vm_boot(&vm, &vcpu, 64, guest);
	more = vm_slot_new(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, MORE, PAGES * 0x1000);
	more[0x2000] = 1;
	print_log(&vm);
	vcpu_play_merged(&vcpu);
	more[0x50000] = 1;
	print_log(&vm);
	print_log(&vm);
	vcpu_play(&vcpu);
	print_log(&vm);
	vcpu_play(&vcpu);
	print_log(&vm);
	// What was written without the log is not in it later.
	vm_slot(&vm, 1, 0, MORE, PAGES * 0x1000, more);
	vcpu_play(&vcpu);
	vm_slot(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, MORE, PAGES * 0x1000, more);
	vcpu_play(&vcpu);
	print_log(&vm);
	printf("memory: %u %u %u\n", more[0x5000], more[0x7000], more[0x9000]);
	return 0;
}
