// A slot whose memory is a shared mapping of a memfd, with an offset.

#define _GNU_SOURCE
#include "vm.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

GUEST(guest, 64,
      "mov $0x200000, %ebx\n"
      "mov (%rbx), %eax; tell\n"
      "movl $0x55667788, 0x1000(%rbx)\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *memory;
	int fd;

	vm_boot(&vm, &vcpu, 64, guest);
	fd = memfd_create("guest", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0x4000) < 0)
		fail("memfd");
	memory = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0x1000);
	if (memory == MAP_FAILED)
		fail("mmap of a memfd");
	*(uint32_t *)memory = 0x11223344;
	vm_slot(&vm, 1, 0, 0x200000, 0x2000, memory);
	vcpu_play(&vcpu);
	printf("memory:");
	print_bytes(memory + 0x1000, 4);
	printf("\n");
	return 0;
}
