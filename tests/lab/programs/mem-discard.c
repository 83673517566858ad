// madvise(MADV_DONTNEED) on memory in a slot, as a monitor's balloon does: the guest and the
// monitor read zeroes there, and can use it again.

#define _GNU_SOURCE
#include "vm.h"

#include <stdio.h>
#include <sys/mman.h>

GUEST(guest, 64,
      "mov $0x200000, %ebx\n"
      "movl $1, (%rbx); movl $2, 0x1000(%rbx); movl $3, 0x2000(%rbx)\n"
      "hlt\n"
      "mov (%rbx), %eax; tell; mov 0x1000(%rbx), %eax; tell; mov 0x2000(%rbx), %eax; tell\n"
      "movl $4, 0x1000(%rbx)\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *more;

	vm_boot(&vm, &vcpu, 64, guest);
	more = vm_slot_new(&vm, 1, 0, 0x200000, 0x4000);
	vcpu_play(&vcpu);
	if (madvise(more + 0x1000, 0x1000, MADV_DONTNEED) < 0)
		printf("madvise fails\n");
	vcpu_play(&vcpu);
	printf("memory: %u %u %u\n", *(uint32_t *)more, *(uint32_t *)(more + 0x1000),
	       *(uint32_t *)(more + 0x2000));
	return 0;
}
