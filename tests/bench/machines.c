/*
 * machines: a worker that makes and ends minimal VMs: one slot of 640 KiB, one vcpu, one exit.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/bench/worker.h"
#include "tests/lab/programs/vm.h"

GUEST(guest, 64, "1: tell; jmp 1b");

static const char *const names[] = {"create", "destroy"};
enum { CREATE, DESTROY, ROWS };

static int64_t create_timed(struct vm *vm, struct vcpu *vcpu)
{
	int64_t began = now_ns();

	vm_boot(vm, vcpu, 64, guest);
	if (vcpu_run(vcpu) != KVM_EXIT_IO)
		fail("exit reason %u", vcpu->run->exit_reason);
	return now_ns() - began;
}

static int64_t destroy_timed(struct vm *vm, struct vcpu *vcpu)
{
	int64_t began = now_ns();

	vcpu_destroy(vcpu);
	vm_destroy(vm);
	munmap(vm->ram, RAM_SIZE);
	return now_ns() - began;
}

static int64_t batch(unsigned row, unsigned count)
{
	int64_t created = 0, destroyed = 0;

	for (unsigned i = 0; i < count; i++) {
		struct vm vm;
		struct vcpu vcpu;

		created += create_timed(&vm, &vcpu);
		destroyed += destroy_timed(&vm, &vcpu);
		alarm(0);
	}
	return row == CREATE ? created : destroyed;
}

int main(void)
{
	worker_serve(names, ROWS, batch);
	return 0;
}
