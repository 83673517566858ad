// One vcpu run by one thread after the other, its registers read by yet another.

#include "vm.h"

#include <pthread.h>
#include <stdio.h>

GUEST(guest, 64, "1: inc %ecx; mov %ecx, %eax; tell; getb 0x90; jmp 1b");

static void *run_twice(void *argument)
{
	struct vcpu *vcpu = argument;

	for (unsigned int i = 0; i < 2; i++) {
		vcpu_run(vcpu);
		vcpu_answer(vcpu);
		vcpu_print_exit(vcpu);
	}
	return NULL;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	for (unsigned int i = 0; i < 4; i++) {
		struct kvm_regs regs;
		pthread_t thread;

		if (pthread_create(&thread, NULL, run_twice, &vcpu))
			fail("pthread_create");
		pthread_join(thread, NULL);
		vcpu_get_regs(&vcpu, &regs);
		printf("rcx %llu\n", (unsigned long long)regs.rcx);
	}
	return 0;
}
