/* losses: the loss report (convert/loss.h) of what a VM is now. */
#include <string.h>

#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/load.h"

long vcpu_losses(struct vcpu *vcpu, loss_report *report, void *context)
{
	long rc = load_read(vcpu, STATE_ALL);

	return rc < 0 ? rc : loss_vcpu(&vcpu->state, system_has_xsave(), report, context);
}

static long chip_losses(struct vm *vm, unsigned id, loss_report *report, void *context)
{
	struct kvm_irqchip chip = {.chip_id = id};
	long rc = interrupts_get_irqchip(vm, &chip);

	if (rc < 0)
		return rc;
	return id == KVM_IRQCHIP_IOAPIC ? loss_ioapic(&chip.chip.ioapic, report, context)
					: loss_pic(&chip.chip.pic, id, report, context);
}

long vm_losses(struct vm *vm, loss_report *report, void *context)
{
	long sum = 0, rc = 0;

	for (unsigned id = 0; vm->interrupts.irqchip && id <= KVM_IRQCHIP_IOAPIC && rc >= 0; id++) {
		rc = chip_losses(vm, id, report, context);
		sum += rc;
	}
	if (rc >= 0 && vm->interrupts.pit) {
		struct kvm_pit_state2 pit;

		rc = interrupts_get_pit2(vm, &pit);
		if (rc == 0) {
			/* When they were loaded is a time of this host, and no state to lose. */
			for (unsigned i = 0; i < 3; i++)
				pit.channels[i].count_load_time = 0;
			rc = loss_pit(&pit, report, context);
			sum += rc;
		}
	}
	return rc < 0 ? rc : sum;
}
