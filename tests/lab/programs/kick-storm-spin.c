// The same storm of kicks as in kick-storm, on a guest that makes no exits: it counts in memory.
// Whether it gets on during the storm depends on the machine; after it, the count must go on.

#include "vm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#define KICKS 400 // each stops a vcpu that spins, which takes its time

GUEST(guest, 64,
      "1: incl DATA\n"
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

// One kick more, when the guest is seen to count.
static void *kick_counting(void *argument)
{
	const volatile uint32_t *count = argument;

	if (!wait_for(count, *count + 1))
		fail("the guest does not go on");
	pthread_kill(runner, SIGUSR1);
	return NULL;
}

static void run_to_kick(struct vcpu *vcpu)
{
	int error = vcpu_try_run(vcpu);

	if (error != EINTR)
		fail_run(vcpu, error);
	run->immediate_exit = 0;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	pthread_t thread;

	vm_boot(&vm, &vcpu, 64, guest);
	// As a VMM does whose handlers set immediate_exit.
	IOCTL(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT);
	run = vcpu.run;
	runner = pthread_self();
	catch_signal(SIGUSR1, on_kick);
	if (pthread_create(&thread, NULL, kick, NULL))
		fail("pthread_create");
	while (interrupted < KICKS) {
		run_to_kick(&vcpu);
		interrupted++;
	}
	pthread_join(thread, NULL);
	printf("%u kicks, %u times EINTR\n", KICKS, interrupted);
	if (pthread_create(&thread, NULL, kick_counting, vm.ram + DATA))
		fail("pthread_create");
	run_to_kick(&vcpu);
	pthread_join(thread, NULL);
	printf("the guest goes on\n");
	return 0;
}
