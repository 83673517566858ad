// Taking ioeventfds away while the VM is in use: from then on the write is an exit again; what
// cannot be added twice or taken away.

#include "vm.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <errno.h>
#include <sys/ioctl.h>

GUEST(guest, 32,
      "putb 1, 0x100; putb 2, 0x100; putb 3, 0x100; hlt\n"
      "putb 1, 0x100; putb 2, 0x100; putb 3, 0x100; hlt\n"
      "putb 1, 0x100; putb 2, 0x100; putb 3, 0x100; hlt");

static void ioeventfd(struct vm *vm, int fd, uint32_t flags, uint64_t value)
{
	struct kvm_ioeventfd request = {
		.addr = 0x100,
		.len = 1,
		.flags = flags | KVM_IOEVENTFD_FLAG_PIO,
		.datamatch = value,
		.fd = fd,
	};

	printf("ioeventfd flags %x value %llu: %s\n", request.flags, (unsigned long long)value,
	       errno_name(ioctl(vm->fd, KVM_IOEVENTFD, &request) < 0 ? errno : 0));
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
	const uint32_t match = KVM_IOEVENTFD_FLAG_DATAMATCH, off = KVM_IOEVENTFD_FLAG_DEASSIGN;
	struct vm vm;
	struct vcpu vcpu;
	int one, two;

	vm_boot(&vm, &vcpu, 32, guest);
	one = eventfd(0, EFD_NONBLOCK);
	two = eventfd(0, EFD_NONBLOCK);
	ioeventfd(&vm, one, match, 1);
	ioeventfd(&vm, two, match, 2);
	ioeventfd(&vm, two, match, 1); // taken
	vcpu_play(&vcpu);
	print_count("one", one);
	print_count("two", two);
	ioeventfd(&vm, one, match | off, 2); // not this eventfd's
	ioeventfd(&vm, one, match | off, 1);
	ioeventfd(&vm, one, match | off, 1); // gone
	vcpu_play(&vcpu);
	print_count("one", one);
	print_count("two", two);
	ioeventfd(&vm, two, match | off, 2);
	vcpu_play(&vcpu);
	print_count("one", one);
	print_count("two", two);
	return 0;
}
