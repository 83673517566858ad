// The storm of kicks of kick-storm with the signal blocked in the thread and let through by
// KVM_SET_SIGNAL_MASK while the guest runs: its handler never runs, and after EINTR the signal is
// still pending.

#include "vm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#define KICKS 1000

GUEST(guest, 64,
      "mov $0x100, %edx\n"
      "1: in %dx, %eax\n"
      "out %eax, %dx\n"
      "inc %rcx\n"
      "jmp 1b");

static pthread_t runner;
static struct kvm_run *volatile run;
static volatile uint32_t interrupted, handled;

static void on_kick(int number)
{
	(void)number;
	handled++;
}

static void *kick(void *argument)
{
	(void)argument;
	for (uint32_t i = 0; i < KICKS; i++) {
		pthread_kill(runner, SIGUSR1);
		if (!wait_for(&interrupted, i + 1))
			fail("kick %u was lost", i);
	}
	return NULL;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	pthread_t thread;
	struct {
		struct kvm_signal_mask header;
		uint8_t signals[8];
	} mask = {0};
	const struct timespec no_time = {0};
	sigset_t kick_set;
	uint32_t given = 0;
	unsigned int wrong = 0;

	vm_boot(&vm, &vcpu, 64, guest);
	run = vcpu.run;
	runner = pthread_self();
	catch_signal(SIGUSR1, on_kick);
	sigemptyset(&kick_set);
	sigaddset(&kick_set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &kick_set, NULL);
	mask.header.len = 8;
	IOCTL(vcpu.fd, KVM_SET_SIGNAL_MASK, &mask);
	if (pthread_create(&thread, NULL, kick, NULL))
		fail("pthread_create");
	while (interrupted < KICKS) {
		int error = vcpu_try_run(&vcpu);

		if (error) {
			if (error != EINTR)
				fail_run(&vcpu, error);
			if (sigtimedwait(&kick_set, NULL, &no_time) != SIGUSR1)
				fail("EINTR without a pending signal");
			interrupted++;
		} else if (run->exit_reason != KVM_EXIT_IO || run->io.port != 0x100) {
			fail_run(&vcpu, 0);
		} else if (run->io.direction == KVM_EXIT_IO_IN) {
			*(uint32_t *)io_data(run) = ++given;
		} else if (*(uint32_t *)io_data(run) != given) {
			wrong++;
		}
	}
	pthread_join(thread, NULL);
	printf("%u kicks, %u times EINTR, %u handled, %u wrong values\n", KICKS, interrupted,
	       handled, wrong);
	return 0;
}
