// An ioeventfd of length 0 (KVM_CAP_IOEVENTFD_ANY_LENGTH) takes writes of every width to its
// address.

#include "vm.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "mov $0x1122334455667788, %rax\n"
      "movb $1, (%rbx); movw $2, (%rbx); movl $3, (%rbx); mov %rax, (%rbx)\n"
      "movb $4, 1(%rbx)\n"
      "putb 1, 0x100; putw 2, 0x100; putl 3, 0x100\n"
      "putb 4, 0x101\n"
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
	struct vm vm;
	struct vcpu vcpu;
	int memory, port;

	vm_boot(&vm, &vcpu, 64, guest);
	memory = ioeventfd(&vm, MMIO, 0, 0, 0);
	port = ioeventfd(&vm, 0x100, 0, KVM_IOEVENTFD_FLAG_PIO, 0);
	vcpu_play(&vcpu);
	print_count("memory", memory);
	print_count("port", port);
	return 0;
}
