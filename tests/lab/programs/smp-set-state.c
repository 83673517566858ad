// The state of one vcpu is read and written again and again, all of it, while another one does port
// I/O: that one's sequence stays unbroken, and the first goes on from where it was stopped.

#include "vm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#define STOPS 50

// Until DATA is set: what it reads it writes back.
GUEST(guest, 64,
      "mov $0x100, %edx\n"
      "1: in %dx, %eax; out %eax, %dx\n"
      "cmpl $0, DATA; je 1b\n"
      "hlt");
// Counts in DATA + 8, and from the same number in r8.
GUEST(counter, 64,
      "1: inc %r8; lock incq DATA + 8\n"
      "jmp 1b");

static struct kvm_run *volatile counter_run;
static volatile uint32_t stops;
static pthread_t counter_thread;

static void on_kick(int number)
{
	(void)number;
	counter_run->immediate_exit = 1;
}

static void *kick(void *argument)
{
	(void)argument;
	for (uint32_t i = 0; i < STOPS; i++) {
		sleep_ms(20);
		pthread_kill(counter_thread, SIGUSR1);
		if (!wait_for(&stops, i + 1))
			fail("kick %u was lost", i);
	}
	return NULL;
}

static void *run_io(void *argument)
{
	struct vcpu *vcpu = argument;
	struct kvm_run *run = vcpu->run;
	uint32_t given = 0;
	unsigned int wrong = 0;

	while (vcpu_run(vcpu) == KVM_EXIT_IO) {
		uint32_t *data = (uint32_t *)io_data(run);

		if (run->io.direction == KVM_EXIT_IO_IN)
			*data = ++given;
		else if (*data != given)
			wrong++;
	}
	printf("I/O: %u wrong values, got on: %d, ", wrong, given > 0);
	vcpu_print_exit(vcpu);
	return NULL;
}

int main(void)
{
	struct vm vm;
	struct vcpu io, count;
	pthread_t io_thread, kick_thread;
	unsigned int wrong = 0;

	vm_boot(&vm, &io, 64, guest);
	vm_load(&vm, AP_CODE, counter);
	vcpu_create(&vm, &count, 1);
	vcpu_mode(&count, 64, AP_CODE);
	counter_run = count.run;
	counter_thread = pthread_self();
	catch_signal(SIGUSR1, on_kick);
	if (pthread_create(&io_thread, NULL, run_io, &io) ||
	    pthread_create(&kick_thread, NULL, kick, NULL))
		fail("pthread_create");
	while (stops < STOPS) {
		struct kvm_regs regs;
		struct kvm_sregs sregs;
		struct kvm_fpu fpu;
		uint64_t counted;
		int error = vcpu_try_run(&count);

		if (error != EINTR)
			fail_run(&count, error);
		count.run->immediate_exit = 0;
		vcpu_get_regs(&count, &regs);
		vcpu_get_sregs(&count, &sregs);
		IOCTL(count.fd, KVM_GET_FPU, &fpu);
		// The memory is one behind if it was stopped between the two.
		counted = *(volatile uint64_t *)(vm.ram + DATA + 8);
		if (regs.r8 != counted && regs.r8 != counted + 1)
			wrong++;
		regs.r8 += 1000;
		*(volatile uint64_t *)(vm.ram + DATA + 8) = counted + 1000;
		vcpu_set_regs(&count, &regs);
		vcpu_set_sregs(&count, &sregs);
		IOCTL(count.fd, KVM_SET_FPU, &fpu);
		stops++;
	}
	*(volatile uint32_t *)(vm.ram + DATA) = 1;
	pthread_join(kick_thread, NULL);
	pthread_join(io_thread, NULL);
	printf("counter: %u stops, %u wrong\n", STOPS, wrong);
	return 0;
}
