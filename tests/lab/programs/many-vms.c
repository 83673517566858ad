// VMs created, run and closed one after the other.

#include "vm.h"

#include <stdio.h>
#include <sys/mman.h>

GUEST(guest, 64, "mov DATA, %eax; tell; hlt");

int main(void)
{
	unsigned int right = 0;

	for (uint32_t i = 0; i < 10; i++) {
		struct vm vm;
		struct vcpu vcpu;

		vm_boot(&vm, &vcpu, 64, guest);
		*(uint32_t *)(vm.ram + DATA) = i;
		right += vcpu_run(&vcpu) == KVM_EXIT_IO && *(uint32_t *)io_data(vcpu.run) == i;
		right += vcpu_run(&vcpu) == KVM_EXIT_HLT;
		vcpu_destroy(&vcpu);
		vm_destroy(&vm);
		munmap(vm.ram, RAM_SIZE);
	}
	printf("%u of 20 exits as expected\n", right);
	return 0;
}
