// Two vcpus read and write MMIO at the same time: each one's values are an unbroken sequence.

#include "vm.h"

#include <stdio.h>

#define ROUNDS 1000

// rbx: the address, ecx: the rounds.
GUEST(guest, 64,
      "1: mov (%rbx), %eax\n"
      "add %rax, %rsi\n"
      "mov %eax, (%rbx)\n"
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

	while (vcpu_run(&storm->vcpu) == KVM_EXIT_MMIO) {
		uint32_t *data = (uint32_t *)run->mmio.data;

		if (run->mmio.phys_addr != MMIO + 0x1000 * storm->vcpu.id || run->mmio.len != 4)
			storm->wrong++;
		else if (!run->mmio.is_write)
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
		regs.rbx = MMIO + 0x1000 * i;
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
