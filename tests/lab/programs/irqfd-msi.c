// An irqfd on a GSI that is routed to an MSI, written by another thread while the guest is in HLT;
// the route is changed below it.  A second irqfd serves a second GSI.

#include "vm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

GUEST(guest, 64,
      "pic_off\n"
      "lapic_init\n"
      "putb 1, 0x82; sti; hlt; cli\n"
      "putb 2, 0x82; sti; hlt; cli\n"
      "putb 3, 0x82; sti; hlt; cli\n"
      "finish");
GUEST(handler51, 64, "putb 0x51, 0x81; lapic_eoi; iretq");
GUEST(handler52, 64, "putb 0x52, 0x81; lapic_eoi; iretq");
GUEST(handler53, 64, "putb 0x53, 0x81; lapic_eoi; iretq");

static int events[2];

static void route(struct vm *vm, uint32_t vector24, uint32_t vector25)
{
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + 2 * sizeof(table->entries[0]));
	const uint32_t vector[] = {vector24, vector25};

	if (!table)
		fail("out of memory");
	table->nr = 2;
	for (unsigned int i = 0; i < 2; i++)
		table->entries[i] = (struct kvm_irq_routing_entry){
			.gsi = 24 + i,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = {.address_lo = LAPIC, .data = vector[i]},
		};
	IOCTL(vm->fd, KVM_SET_GSI_ROUTING, table);
	free(table);
}

static void *signal_later(void *event)
{
	const uint64_t one = 1;

	sleep_ms(300);
	if (write(*(int *)event, &one, sizeof(one)) != sizeof(one))
		fail("write to an eventfd");
	return NULL;
}

static bool serve(struct vcpu *vcpu)
{
	pthread_t thread;
	uint8_t step;

	if (vcpu->run->exit_reason != KVM_EXIT_IO || vcpu->run->io.port != 0x82)
		return true;
	step = *io_data(vcpu->run);
	if (step == 3)
		route(vcpu->vm, 0x53, 0x52);
	if (pthread_create(&thread, NULL, signal_later, &events[step == 2]))
		fail("pthread_create");
	pthread_detach(thread);
	return true;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	vm_interrupt(&vm, 64, 0x51, 0, handler51);
	vm_interrupt(&vm, 64, 0x52, 1, handler52);
	vm_interrupt(&vm, 64, 0x53, 2, handler53);
	route(&vm, 0x51, 0x52);
	for (unsigned int i = 0; i < 2; i++) {
		struct kvm_irqfd irqfd = {.gsi = 24 + i};

		events[i] = eventfd(0, EFD_NONBLOCK);
		irqfd.fd = (uint32_t)events[i];
		IOCTL(vm.fd, KVM_IRQFD, &irqfd);
	}
	vcpu.on_exit = serve;
	vcpu_play(&vcpu);
	return 0;
}
