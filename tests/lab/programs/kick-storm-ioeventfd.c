// Kicks for a guest that writes to an ioeventfd without pause: it leaves KVM_RUN for nobody, and
// whoever serves the writes must not overlook the signals.

#include "vm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define KICKS 50
#define PORT  0x60

GUEST(guest, 64,
      "1: incl DATA\n"
      "out %al, $0x60\n"
      "jmp 1b");

static pthread_t runner;
static struct kvm_run *volatile run;
static volatile uint32_t interrupted;
static const volatile uint32_t *count; // the guest's

static void nothing(int number)
{
	(void)number;
}

static void set_immediate_exit(int number)
{
	(void)number;
	run->immediate_exit = 1;
}

// Each when the guest is seen to write. A signal alone may come outside of KVM_RUN.
static void *kick(void *alone)
{
	for (uint32_t i = 0; i < KICKS; i++) {
		if (!wait_for(count, *count + 100))
			fail("the guest does not go on");
		for (int n = 0; n < (alone ? 1000 : 1) && interrupted <= i; n++) {
			pthread_kill(runner, SIGUSR1);
			for (int ms = 0; ms < 50 && alone && interrupted <= i; ms++)
				sleep_ms(1);
		}
		if (!wait_for(&interrupted, i + 1))
			fail("kick %u was lost", i);
	}
	return NULL;
}

static void storm(struct vcpu *vcpu, void *alone)
{
	pthread_t thread;

	interrupted = 0;
	if (pthread_create(&thread, NULL, kick, alone))
		fail("pthread_create");
	while (interrupted < KICKS) {
		int error = vcpu_try_run(vcpu);

		if (error != EINTR)
			fail_run(vcpu, error);
		run->immediate_exit = 0;
		interrupted++;
	}
	pthread_join(thread, NULL);
}

int main(void)
{
	struct kvm_ioeventfd ioeventfd = {.addr = PORT, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO};
	struct vm vm;
	struct vcpu vcpu;
	uint64_t hits;

	vm_boot(&vm, &vcpu, 64, guest);
	ioeventfd.fd = eventfd(0, EFD_NONBLOCK);
	IOCTL(vm.fd, KVM_IOEVENTFD, &ioeventfd);
	run = vcpu.run;
	runner = pthread_self();
	count = (const volatile uint32_t *)(vm.ram + DATA);
	catch_signal(SIGUSR1, nothing);
	storm(&vcpu, "alone");
	printf("%u signals\n", KICKS);
	// As a VMM does whose handlers set immediate_exit.
	IOCTL(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT);
	catch_signal(SIGUSR1, set_immediate_exit);
	storm(&vcpu, NULL);
	printf("%u times immediate_exit\n", KICKS);
	if (read(ioeventfd.fd, &hits, sizeof(hits)) != sizeof(hits) || hits < 100 * KICKS)
		fail("the eventfd counted too little");
	return 0;
}
