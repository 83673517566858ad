// An irqfd with a resample eventfd on a level-triggered pin: the eventfd raises the line, the
// guest's end of interrupt lowers it and signals the resample eventfd.

#include "vm.h"

#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

GUEST(guest, 64,
      "pic_off\n"
      "lapic_init\n"
      "ioapic_pin 10, 0x803a\n"
      "putb 1, 0x82; sti; hlt; cli\n"
      "putb 2, 0x82\n"
      "putb 1, 0x82; sti; hlt; cli\n"
      "putb 2, 0x82\n"
      "sti; nop; nop; cli\n"
      "finish");
GUEST(handler, 64, "putb 0x3a, 0x81; lapic_eoi; iretq");

static int event, resample;

static bool serve(struct vcpu *vcpu)
{
	struct pollfd wait = {.fd = resample, .events = POLLIN};
	uint64_t count = 1;

	if (vcpu->run->exit_reason != KVM_EXIT_IO || vcpu->run->io.port != 0x82)
		return true;
	if (*io_data(vcpu->run) == 1) {
		if (write(event, &count, sizeof(count)) != sizeof(count))
			fail("write to an eventfd");
		return true;
	}
	// The signal may come a little after the guest's end of interrupt.
	poll(&wait, 1, 5000);
	if (read(resample, &count, sizeof(count)) != sizeof(count))
		count = 0;
	printf("resampled: %llu\n", (unsigned long long)count);
	return true;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	struct kvm_irqfd irqfd = {.gsi = 10, .flags = KVM_IRQFD_FLAG_RESAMPLE};

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_interrupt(&vm, 64, 0x3a, 0, handler);
	event = eventfd(0, EFD_NONBLOCK);
	resample = eventfd(0, EFD_NONBLOCK);
	irqfd.fd = (uint32_t)event;
	irqfd.resamplefd = (uint32_t)resample;
	IOCTL(vm.fd, KVM_IRQFD, &irqfd);
	vcpu.on_exit = serve;
	vcpu_play(&vcpu);
	return 0;
}
