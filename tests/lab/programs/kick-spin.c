// A signal takes KVM_RUN out of a guest that makes no exit: EINTR and KVM_EXIT_INTR.  The
// registers can then be read and changed, and the guest goes on with them.

#include "vm.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#define LOOP_SIZE 15 // of its first line
GUEST(guest, 64,
      "1: inc %rcx; incl DATA; test %rbx, %rbx; jz 1b\n"
      "mov %ebx, %eax; tell\n"
      "xor %ebx, %ebx; jmp 1b");

static pthread_t runner;

// Kicks it when it is running.
static void *kick_later(void *argument)
{
	struct vm *vm = argument;
	const volatile uint32_t *count = (volatile uint32_t *)(vm->ram + DATA);

	sleep_ms(100);
	if (!wait_for(count, *count + 1))
		fail("the guest does not run");
	pthread_kill(runner, SIGUSR1);
	return NULL;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint64_t count = 0;

	catch_signal(SIGUSR1, NULL);
	runner = pthread_self();
	vm_boot(&vm, &vcpu, 64, guest);
	for (unsigned int i = 1; i <= 5; i++) {
		struct kvm_regs regs;
		pthread_t thread;
		bool in_loop, got_on;

		if (pthread_create(&thread, NULL, kick_later, &vm))
			fail("pthread_create");
		printf("kick %u: %s", i, errno_name(vcpu_try_run(&vcpu)));
		printf(", exit reason %u\n", vcpu.run->exit_reason);
		pthread_join(thread, NULL);
		vcpu_get_regs(&vcpu, &regs);
		in_loop = regs.rip >= CODE && regs.rip < CODE + LOOP_SIZE;
		got_on = regs.rcx > count;
		printf("rip in the loop: %d, it got on: %d, rbx %llx\n", in_loop, got_on,
		       (unsigned long long)regs.rbx);
		count = regs.rcx;
		regs.rbx = i;
		vcpu_set_regs(&vcpu, &regs);
		vcpu_run(&vcpu);
		vcpu_print_exit(&vcpu);
	}
	return 0;
}
