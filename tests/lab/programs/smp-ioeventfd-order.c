// One vcpu hits an ioeventfd and counts its hits in memory, another one tells the count by an exit:
// the eventfd has been signalled at least as often by then.

#include "vm.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ROUNDS 1500

// Until DATA is set.
GUEST(hitter, 64,
      "mov $0x200, %edx\n"
      "1: out %al, %dx; lock incq DATA + 8\n"
      "cmpl $0, DATA; je 1b\n"
      "hlt");
GUEST(teller, 64,
      "mov $0x100, %edx\n"
      "1: mov DATA + 8, %eax; out %eax, %dx\n"
      "cmpl $0, DATA; je 1b\n"
      "hlt");

static void *run_hitter(void *argument)
{
	vcpu_run(argument);
	return NULL;
}

int main(void)
{
	struct kvm_ioeventfd ioeventfd = {.addr = 0x200, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO};
	struct vm vm;
	struct vcpu tell, hit;
	uint64_t signalled = 0, count;
	uint32_t hits, rounds = 0;
	unsigned int early = 0;
	pthread_t thread;

	vm_boot(&vm, &tell, 64, teller);
	vm_load(&vm, AP_CODE, hitter);
	vcpu_create(&vm, &hit, 1);
	vcpu_mode(&hit, 64, AP_CODE);
	ioeventfd.fd = eventfd(0, EFD_NONBLOCK);
	IOCTL(vm.fd, KVM_IOEVENTFD, &ioeventfd);
	if (pthread_create(&thread, NULL, run_hitter, &hit))
		fail("pthread_create");
	while (vcpu_run(&tell) == KVM_EXIT_IO) {
		memcpy(&hits, io_data(tell.run), sizeof hits);
		if (read(ioeventfd.fd, &count, sizeof count) == sizeof count)
			signalled += count;
		early += signalled < hits;
		if (++rounds == ROUNDS)
			*(volatile uint32_t *)(vm.ram + DATA) = 1;
	}
	pthread_join(thread, NULL);
	if (read(ioeventfd.fd, &count, sizeof count) == sizeof count)
		signalled += count;
	hits = *(volatile uint32_t *)(vm.ram + DATA + 8);
	printf("%u exits came before their signal, hits: %d, as many signals: %d\n", early,
	       hits > 0, signalled == hits);
	vcpu_print_exit(&tell);
	vcpu_print_exit(&hit);
	return 0;
}
