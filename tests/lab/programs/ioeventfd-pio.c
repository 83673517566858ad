// ioeventfds on ports: a write that matches in port, width and value signals the eventfd and is no
// exit, any other write is an exit.

#include "vm.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

GUEST(guest, 32,
      // 0x100: a byte of any value.
      "putb 1, 0x100; putb 2, 0x100; putw 3, 0x100; putb 4, 0x101\n"
      // 0x110: a word 0x1234 or 0x5678.
      "putw 0x1234, 0x110; putw 0x5678, 0x110; putw 0x9abc, 0x110; putb 0x34, 0x110\n"
      "putl 0x1234, 0x110; putw 0x1234, 0x111; putw 0x1234, 0x110\n"
      // 0x120: a long of any value.
      "putl 0x12345678, 0x120; putw 1, 0x120; putl 0, 0x120\n"
      // Reads are never matched.
      "getb 0x100; getw 0x110; getl 0x120\n"
      "hlt");

static int ioeventfd(struct vm *vm, uint64_t address, uint32_t length, uint32_t flags,
		     uint64_t value)
{
	struct kvm_ioeventfd request = {
		.addr = address,
		.len = length,
		.flags = flags,
		.datamatch = value,
		.fd = eventfd(0, EFD_NONBLOCK),
	};

	IOCTL(vm->fd, KVM_IOEVENTFD, &request);
	return request.fd;
}

static void print_count(const char *name, int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) != sizeof(count))
		count = 0;
	printf("%s: %llu\n", name, (unsigned long long)count);
}

int main(void)
{
	const uint32_t pio = KVM_IOEVENTFD_FLAG_PIO, match = KVM_IOEVENTFD_FLAG_DATAMATCH;
	struct vm vm;
	struct vcpu vcpu;
	int any, first, second, wide;

	vm_boot(&vm, &vcpu, 32, guest);
	any = ioeventfd(&vm, 0x100, 1, pio, 0);
	first = ioeventfd(&vm, 0x110, 2, pio | match, 0x1234);
	second = ioeventfd(&vm, 0x110, 2, pio | match, 0x5678);
	wide = ioeventfd(&vm, 0x120, 4, pio, 0);
	vcpu_play(&vcpu);
	print_count("port 100", any);
	print_count("port 110 value 1234", first);
	print_count("port 110 value 5678", second);
	print_count("port 120", wide);
	return 0;
}
