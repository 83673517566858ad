// With the in-kernel interrupt controllers HLT is no exit: KVM_RUN stays in the guest until an
// interrupt wakes it, here one that another thread raises after a while.

#include "vm.h"

#include <pthread.h>
#include <stdio.h>

GUEST(guest, 16,
      "pic_init\n"
      "putb 1, 0x90\n"
      "sti; hlt\n"
      "putb 3, 0x90\n"
      "finish");
GUEST(handler, 16, "putb 2, 0x90; pic_eoi; iret");

static void *raise_later(void *vm)
{
	sleep_ms(500);
	vm_irq(vm, 4, 1);
	return NULL;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	pthread_t thread;

	vm_boot_irqchip(&vm, &vcpu, 16, guest);
	vm_interrupt(&vm, 16, 0x24, 0, handler);
	vcpu_run(&vcpu);
	vcpu_print_exit(&vcpu);
	if (pthread_create(&thread, NULL, raise_later, &vm))
		fail("pthread_create");
	vcpu_play(&vcpu);
	pthread_join(thread, NULL);
	return 0;
}
