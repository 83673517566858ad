// A signal takes KVM_RUN out of a vcpu that waits in HLT behind the in-kernel interrupt
// controllers.  Run again it still waits, until an interrupt comes.

#include "vm.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

GUEST(guest, 16,
      "pic_init\n"
      "putb 1, 0x90\n"
      "sti; hlt\n"
      "putb 3, 0x90\n"
      "finish");
GUEST(handler, 16, "putb 2, 0x90; pic_eoi; iret");

static pthread_t runner;

static volatile bool returned;

// Kicks it after a while, and again if that was too early.
static void *kick_later(void *argument)
{
	(void)argument;
	while (!returned) {
		sleep_ms(300);
		pthread_kill(runner, SIGUSR1);
	}
	return NULL;
}

static void *raise_later(void *vm)
{
	sleep_ms(300);
	vm_irq(vm, 4, 1);
	return NULL;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	pthread_t thread;

	catch_signal(SIGUSR1, NULL);
	runner = pthread_self();
	vm_boot_irqchip(&vm, &vcpu, 16, guest);
	vm_interrupt(&vm, 16, 0x24, 0, handler);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	for (unsigned int i = 1; i <= 3; i++) {
		int error;

		returned = false;
		if (pthread_create(&thread, NULL, kick_later, NULL))
			fail("pthread_create");
		error = vcpu_try_run(&vcpu);
		returned = true;
		printf("kick %u: %s", i, errno_name(error));
		printf(", exit reason %u\n", vcpu.run->exit_reason);
		pthread_join(thread, NULL);
	}
	if (pthread_create(&thread, NULL, raise_later, &vm))
		fail("pthread_create");
	vcpu_play(&vcpu);
	pthread_join(thread, NULL);
	return 0;
}
