// Two vcpus read and write ports at the same time: each one's values are an unbroken sequence.

#include "vm.h"

#include <stdio.h>

#define ROUNDS 2000

// ebx: the port, ecx: the rounds.  What it reads it writes back, and it adds it up.
GUEST(guest, 64,
      "mov %ebx, %edx\n"
      "1: in %dx, %eax\n"
      "add %rax, %rsi\n"
      "out %eax, %dx\n"
      "dec %ecx; jnz 1b\n"
      "hlt");

struct storm {
	struct vcpu vcpu;
	pthread_t thread;
	uint32_t given;
	unsigned int wrong;
};

static void *storm_run(void *argument)
{
	struct storm *storm = argument;
	struct kvm_run *run = storm->vcpu.run;

	while (vcpu_run(&storm->vcpu) == KVM_EXIT_IO) {
		uint32_t *data = (uint32_t *)io_data(run);

		if (run->io.port != 0x100 + storm->vcpu.id || run->io.size != 4)
			storm->wrong++;
		else if (run->io.direction == KVM_EXIT_IO_IN)
			*data = ++storm->given;
		else if (*data != storm->given)
			storm->wrong++;
	}
	return NULL;
}

int main(void)
{
	static struct storm storms[2];
	struct vm vm;

	vm_start(&vm);
	vm_load(&vm, CODE, guest);
	for (unsigned int i = 0; i < 2; i++) {
		struct kvm_regs regs;

		vcpu_create(&vm, &storms[i].vcpu, i);
		vcpu_mode(&storms[i].vcpu, 64, CODE);
		vcpu_get_regs(&storms[i].vcpu, &regs);
		regs.rbx = 0x100 + i;
		regs.rcx = ROUNDS;
		vcpu_set_regs(&storms[i].vcpu, &regs);
	}
	for (unsigned int i = 0; i < 2; i++)
		if (pthread_create(&storms[i].thread, NULL, storm_run, &storms[i]))
			fail("pthread_create");
	for (unsigned int i = 0; i < 2; i++) {
		struct kvm_regs regs;

		pthread_join(storms[i].thread, NULL);
		vcpu_get_regs(&storms[i].vcpu, &regs);
		printf("vcpu %u: %u reads, %u wrong, sum %llu, ", i, storms[i].given,
		       storms[i].wrong, (unsigned long long)regs.rsi);
		vcpu_print_exit(&storms[i].vcpu);
	}
	return 0;
}
