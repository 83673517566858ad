// ioeventfds on MMIO addresses: widths 1, 2, 4 and 8, with and without a value to match.

#include "vm.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "mov $0x1122334455667788, %rax\n"
      "movb $1, 0x00(%rbx); movb $2, 0x00(%rbx); movw $3, 0x00(%rbx)\n"
      "movw $0x1234, 0x10(%rbx); movw $0x1235, 0x10(%rbx)\n"
      "movl $0x12345678, 0x20(%rbx); movb $0x78, 0x20(%rbx); movl $0, 0x20(%rbx)\n"
      "mov %rax, 0x30(%rbx); mov %eax, 0x30(%rbx); movq $-1, 0x30(%rbx)\n"
      "mov 0x00(%rbx), %cl; mov 0x30(%rbx), %rcx\n"
      // The same numbers as ports are another address space.
      "putb 1, 0x100\n"
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
	const uint32_t match = KVM_IOEVENTFD_FLAG_DATAMATCH;
	struct vm vm;
	struct vcpu vcpu;
	int byte, word, wide, quad, low;

	vm_boot(&vm, &vcpu, 64, guest);
	byte = ioeventfd(&vm, MMIO, 1, 0, 0);
	word = ioeventfd(&vm, MMIO + 0x10, 2, match, 0x1234);
	wide = ioeventfd(&vm, MMIO + 0x20, 4, 0, 0);
	quad = ioeventfd(&vm, MMIO + 0x30, 8, match, 0x1122334455667788);
	low = ioeventfd(&vm, 0x100, 1, 0, 0);
	vcpu_play(&vcpu);
	print_count("byte", byte);
	print_count("word 1234", word);
	print_count("long", wide);
	print_count("quad 1122334455667788", quad);
	print_count("memory at 100", low);
	return 0;
}
