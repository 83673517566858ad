// Another thread waits in poll() for an ioeventfd while the guest goes on; the guest's next exit
// comes after the signal.

#include "vm.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

// Notifies, then waits until the monitor has written to DATA.
GUEST(guest, 32,
      "mov $3, %ecx\n"
      "1: mov %ecx, %eax; mov $0x100, %dx; out %ax, %dx\n"
      "2: pause; cmp %ecx, DATA; jne 2b\n"
      "mov %ecx, %eax; tell\n"
      "dec %ecx; jnz 1b\n"
      "hlt");

static int event;

static void *serve(void *argument)
{
	struct vm *vm = argument;

	for (uint32_t i = 3; i; i--) {
		struct pollfd wait = {.fd = event, .events = POLLIN};
		uint64_t count = 0;

		if (poll(&wait, 1, 60000) != 1 ||
		    read(event, &count, sizeof(count)) != sizeof(count))
			fail("no notification");
		if (count != 1)
			fail("count %llu", (unsigned long long)count);
		*(volatile uint32_t *)(vm->ram + DATA) = i;
	}
	return NULL;
}

int main(void)
{
	struct kvm_ioeventfd request = {.addr = 0x100, .len = 2, .flags = KVM_IOEVENTFD_FLAG_PIO};
	struct vm vm;
	struct vcpu vcpu;
	pthread_t thread;

	vm_boot(&vm, &vcpu, 32, guest);
	event = eventfd(0, EFD_NONBLOCK);
	request.fd = event;
	IOCTL(vm.fd, KVM_IOEVENTFD, &request);
	if (pthread_create(&thread, NULL, serve, &vm))
		fail("pthread_create");
	vcpu_play(&vcpu);
	pthread_join(thread, NULL);
	return 0;
}
