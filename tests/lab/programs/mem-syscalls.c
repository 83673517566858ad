// The kernel reads and writes memory that is in a slot for the monitor: read(), write(), and a copy
// from one page to the other.

#define _GNU_SOURCE
#include "vm.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

// Fills a page, then shows what the monitor read into the next one.
GUEST(guest, 64,
      "mov $0x200000, %edi; mov $0x41424344, %eax; mov $0x400, %ecx; rep stosl\n"
      "hlt\n"
      "mov 0x201000, %eax; tell; mov 0x2017fc, %eax; tell; mov 0x201800, %eax; tell\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *more;
	struct iovec parts[2];
	int fd;

	vm_boot(&vm, &vcpu, 64, guest);
	more = vm_slot_new(&vm, 1, 0, 0x200000, 0x2000);
	vcpu_play(&vcpu);
	fd = memfd_create("file", MFD_CLOEXEC);
	printf("written %zd\n", write(fd, more, 0x1000));
	parts[0] = (struct iovec){more + 0x1000, 0x400};
	parts[1] = (struct iovec){more + 0x1400, 0x400};
	printf("read %zd\n", preadv(fd, parts, 2, 2));
	memcpy(more + 0x1800, more + 0x1000, 4);
	vcpu_play(&vcpu);
	return 0;
}
