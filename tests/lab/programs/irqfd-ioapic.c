// An irqfd on a pin of the I/O APIC: each write to the eventfd is an edge.  After the irqfd is
// taken away a write is only a count.

#include "vm.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

GUEST(guest, 64,
      "pic_off\n"
      "lapic_init\n"
      "ioapic_pin 6, 0x36\n"
      "mov $3, %ecx\n"
      "1: putb 1, 0x82\n"
      "sti; hlt; cli\n"
      "dec %ecx; jnz 1b\n"
      "putb 2, 0x82\n"
      "finish");
GUEST(handler, 64, "putb 6, 0x81; lapic_eoi; iretq");

static int event;

static void signal_event(void)
{
	const uint64_t one = 1;

	if (write(event, &one, sizeof(one)) != sizeof(one))
		fail("write to an eventfd");
}

static void irqfd(struct vm *vm, unsigned int flags)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)event, .gsi = 6, .flags = flags};

	IOCTL(vm->fd, KVM_IRQFD, &irqfd);
}

static bool serve(struct vcpu *vcpu)
{
	uint64_t count = 0;

	if (vcpu->run->exit_reason != KVM_EXIT_IO || vcpu->run->io.port != 0x82)
		return true;
	if (*io_data(vcpu->run) == 2) {
		irqfd(vcpu->vm, KVM_IRQFD_FLAG_DEASSIGN);
		signal_event();
		if (read(event, &count, sizeof(count)) != sizeof(count))
			count = 0;
		printf("after deassign: count %llu\n", (unsigned long long)count);
	} else {
		signal_event();
	}
	return true;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_interrupt(&vm, 64, 0x36, 0, handler);
	event = eventfd(0, EFD_NONBLOCK);
	irqfd(&vm, 0);
	vcpu.on_exit = serve;
	vcpu_play(&vcpu);
	return 0;
}
