// Another thread kicks the vcpu, each time waiting for the EINTR of the kick before, while the
// guest reads and writes a port in a loop.  No kick may be lost, and none may lose or repeat an
// access: each value that the guest writes is the one it was given just before.
//
// The signal's handler sets immediate_exit, so that a kick counts wherever it lands.

#include "vm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#define KICKS 1000

GUEST(guest, 64,
      "mov $0x100, %edx\n"
      "1: in %dx, %eax\n"
      "out %eax, %dx\n"
      "inc %rcx\n"
      "jmp 1b");

static pthread_t runner;
static struct kvm_run *volatile run;
static volatile uint32_t interrupted;

static void on_kick(int number)
{
	(void)number;
	run->immediate_exit = 1;
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
	uint32_t given = 0;
	unsigned int wrong = 0;

	vm_boot(&vm, &vcpu, 64, guest);
	// As a VMM does whose handlers set immediate_exit.
	IOCTL(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT);
	run = vcpu.run;
	runner = pthread_self();
	catch_signal(SIGUSR1, on_kick);
	if (pthread_create(&thread, NULL, kick, NULL))
		fail("pthread_create");
	while (interrupted < KICKS) {
		int error = vcpu_try_run(&vcpu);

		if (error) {
			if (error != EINTR)
				fail_run(&vcpu, error);
			run->immediate_exit = 0;
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
	printf("%u kicks, %u times EINTR, %u wrong values\n", KICKS, interrupted, wrong);
	return 0;
}
