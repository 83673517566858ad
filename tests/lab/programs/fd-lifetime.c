// A vcpu's descriptor keeps its VM: it runs after the VM's descriptor and /dev/kvm were closed,
// through a duplicate too, and its mapping stays after the last one is closed.

#include "vm.h"

#include <stdio.h>
#include <unistd.h>

GUEST(guest, 64, "mov $1, %ecx; 1: mov %ecx, %eax; tell; inc %ecx; jmp 1b");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	int duplicate;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	close(vm.kvm);
	close(vm.fd);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	duplicate = dup(vcpu.fd);
	close(vcpu.fd);
	vcpu.fd = duplicate;
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	close(duplicate);
	printf("the mapping:");
	print_bytes(io_data(vcpu.run), 4);
	printf("\n");
	printf("ram:");
	print_bytes(vm.ram + CODE, 4);
	printf("\n");
	return 0;
}
