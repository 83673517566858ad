// KVM_SIGNAL_MSI: delivered and taken, delivered to a guest in HLT by another thread, and what the
// call returns when no APIC takes it.

#include "vm.h"

#include <pthread.h>
#include <stdio.h>

GUEST(guest, 64,
      "putb 0, 0x82\n" // the APIC is still off
      "pic_off\n"
      "lapic_init\n"
      "putb 1, 0x82\n"
      "sti; nop; nop; cli\n"
      "putb 2, 0x82\n"
      "sti; hlt; cli\n"
      "finish");
GUEST(handler51, 64, "putb 0x51, 0x81; lapic_eoi; iretq");
GUEST(handler52, 64, "putb 0x52, 0x81; lapic_eoi; iretq");

static int signal_msi(struct vm *vm, uint32_t destination, uint32_t data)
{
	struct kvm_msi msi = {.address_lo = LAPIC | destination << 12, .data = data};

	return IOCTL(vm->fd, KVM_SIGNAL_MSI, &msi);
}

static void *signal_later(void *vm)
{
	sleep_ms(300);
	signal_msi(vm, 0, 0x52);
	return NULL;
}

static bool serve(struct vcpu *vcpu)
{
	static pthread_t thread;

	if (vcpu->run->exit_reason != KVM_EXIT_IO || vcpu->run->io.port != 0x82)
		return true;
	switch (*io_data(vcpu->run)) {
	case 0:
		printf("APIC off: taken %d\n", signal_msi(vcpu->vm, 0, 0x51) > 0);
		break;
	case 1:
		printf("APIC on: taken %d\n", signal_msi(vcpu->vm, 0, 0x51) > 0);
		printf("no such APIC: taken %d\n", signal_msi(vcpu->vm, 9, 0x51) > 0);
		break;
	case 2:
		if (pthread_create(&thread, NULL, signal_later, vcpu->vm))
			fail("pthread_create");
		break;
	}
	return true;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_interrupt(&vm, 64, 0x51, 0, handler51);
	vm_interrupt(&vm, 64, 0x52, 1, handler52);
	vcpu.on_exit = serve;
	vcpu_play(&vcpu);
	return 0;
}
