// KVM_GET_MP_STATE of two vcpus through the second one's start by INIT and SIPI, and KVM_RUN of one
// that still waits for it.

#include "vm.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

GUEST(guest, 32,
      "putb 1, 0x82\n"
      "lapic_init\n"
      "movl $1 << 24, 0x310(%ebx); movl $0x4500, 0x300(%ebx)\n"
      "mov $1000, %ecx; 1: pause; loop 1b\n"
      "movl $1 << 24, 0x310(%ebx); movl $0x4600 | AP_CODE >> 12, 0x300(%ebx)\n"
      "1: pause; cmpl $1, DATA; jne 1b\n"
      "finish");
GUEST(ap, 16,
      "mov $1, %al; out %al, $0x90; xor %ax, %ax; mov %ax, %ds; movl $1, DATA; cli; 1: hlt; jmp "
      "1b");

static uint32_t get_state(struct vcpu *vcpu)
{
	struct kvm_mp_state state;

	IOCTL(vcpu->fd, KVM_GET_MP_STATE, &state);
	return state.mp_state;
}

static void print_state(struct vcpu *vcpu, const char *when)
{
	printf("vcpu %u %s: mp state %u\n", vcpu->id, when, get_state(vcpu));
}

static pthread_t runner;

static void *kick_later(void *argument)
{
	struct vcpu *vcpu = argument;

	sleep_ms(500);
	vcpu->run->immediate_exit = 1;
	pthread_kill(runner, SIGUSR1);
	return NULL;
}

// Lets it run for a while, in this thread.
static void run_a_while(struct vcpu *vcpu)
{
	pthread_t thread;

	runner = pthread_self();
	if (pthread_create(&thread, NULL, kick_later, vcpu))
		fail("pthread_create");
	vcpu_try_run(vcpu);
	pthread_join(thread, NULL);
	vcpu->run->immediate_exit = 0;
}

int main(void)
{
	struct vm vm;
	struct vcpu first, second;
	struct vcpu_thread thread;

	vm_boot_irqchip(&vm, &first, 32, guest);
	vm_load(&vm, AP_CODE, ap);
	vcpu_create(&vm, &second, 1);
	vcpu_set_cpuid(&second);
	print_state(&first, "at first");
	print_state(&second, "at first");
	// It does not start by itself.
	vcpu_thread_start(&thread, &second);
	sleep_ms(300);
	vcpu_thread_stop(&thread);
	vcpu_thread_join(&thread);
	print_state(&second, "after a run without SIPI");
	vcpu_thread_start(&thread, &second);
	vcpu_play(&first);
	sleep_ms(500);
	vcpu_thread_stop(&thread);
	vcpu_thread_join(&thread);
	// The first saw what the second did just before its HLT, which may not have come yet.
	catch_signal(SIGUSR1, NULL);
	for (unsigned int i = 0; i < 20 && get_state(&second) == KVM_MP_STATE_RUNNABLE; i++)
		run_a_while(&second);
	print_state(&first, "at the end");
	print_state(&second, "at the end");
	return 0;
}
