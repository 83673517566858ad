// A VM belongs to the process that created it: in a child of fork() its ioctls fail with EIO, and
// the parent goes on.

#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

GUEST(guest, 64, "mov $1, %ecx; 1: mov %ecx, %eax; tell; inc %ecx; jmp 1b");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_regs regs;
	pid_t child;
	int status;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		printf("child: run %s\n", errno_name(vcpu_try_run(&vcpu)));
		printf("child: get regs %s\n",
		       errno_name(ioctl(vcpu.fd, KVM_GET_REGS, &regs) < 0 ? errno : 0));
		printf("child: create vcpu %s\n",
		       errno_name(ioctl(vm.fd, KVM_CREATE_VCPU, 1) < 0 ? errno : 0));
		printf("child: api version %d\n", ioctl(vm.kvm, KVM_GET_API_VERSION, 0));
		fflush(stdout);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		fail("fork");
	printf("child: status %d\n", status);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	return 0;
}
