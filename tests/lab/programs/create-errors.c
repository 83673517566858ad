// Creating things wrongly: machine types, vcpu ids, interrupt controllers too late or twice.

#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>

static void try_ioctl(const char *what, int fd, unsigned long request, uintptr_t argument)
{
	int r = ioctl(fd, request, argument);

	printf("%s: %s\n", what, errno_name(r < 0 ? errno : 0));
}

int main(void)
{
	struct kvm_pit_config pit = {0};
	struct kvm_irq_level irq = {.irq = 3};
	struct kvm_msi msi = {.address_lo = LAPIC, .data = 0x40};
	struct vm vm, other;
	struct vcpu vcpu;

	vm_create(&vm);
	try_ioctl("vm of type 99", vm.kvm, KVM_CREATE_VM, 99);
	try_ioctl("irq line without irqchip", vm.fd, KVM_IRQ_LINE, (uintptr_t)&irq);
	try_ioctl("msi without irqchip", vm.fd, KVM_SIGNAL_MSI, (uintptr_t)&msi);
	vcpu_create(&vm, &vcpu, 0);
	try_ioctl("vcpu 0 again", vm.fd, KVM_CREATE_VCPU, 0);
	try_ioctl("vcpu 100000", vm.fd, KVM_CREATE_VCPU, 100000);
	try_ioctl("irqchip after a vcpu", vm.fd, KVM_CREATE_IRQCHIP, 0);
	vm_create(&other);
	try_ioctl("irqchip", other.fd, KVM_CREATE_IRQCHIP, 0);
	try_ioctl("irqchip again", other.fd, KVM_CREATE_IRQCHIP, 0);
	try_ioctl("pit", other.fd, KVM_CREATE_PIT2, (uintptr_t)&pit);
	try_ioctl("pit again", other.fd, KVM_CREATE_PIT2, (uintptr_t)&pit);
	return 0;
}
