// A memfd mapped twice, one mapping in a slot: what the guest writes is seen through the other and
// by read(), what is written through the other and by write() is seen by the guest.

#define _GNU_SOURCE
#include "vm.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

GUEST(guest, 64,
      "mov $0x200000, %ebx\n"
      "mov (%rbx), %eax; tell\n"
      "movl $0x55667788, 8(%rbx)\n"
      "hlt\n"
      "mov (%rbx), %eax; tell\n"
      "mov 4(%rbx), %eax; tell\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *memory, *other;
	uint32_t word = 0;
	int fd;

	vm_boot(&vm, &vcpu, 64, guest);
	fd = memfd_create("guest", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0x1000) < 0)
		fail("memfd");
	memory = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	other = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED || other == MAP_FAILED)
		fail("mmap of a memfd");
	*(uint32_t *)other = 0x11223344;
	vm_slot(&vm, 1, 0, 0x200000, 0x1000, memory);
	vcpu_play(&vcpu);
	printf("other mapping: %x\n", *(uint32_t *)(other + 8));
	if (pread(fd, &word, 4, 8) != 4)
		fail("pread");
	printf("file: %x\n", word);
	*(uint32_t *)other = 0x99aabbcc;
	word = 0xddeeff00;
	if (pwrite(fd, &word, 4, 4) != 4)
		fail("pwrite");
	vcpu_play(&vcpu);
	return 0;
}
