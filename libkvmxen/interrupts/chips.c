#include "libkvmxen/interrupts/interrupts_private.h"

#include <string.h>

/* IOAPIC redirection entries (82093AA), as in union kvm's redirtbl. */
#define MSI_ADDRESS      0xfee00000u
#define MSI_DEST_SHIFT   12
#define MSI_DEST_LOGICAL (1u << 2)
#define MSI_LEVEL        (3u << 14) /* trigger mode level, asserted */
#define MSI_MODE_SHIFT   8

#define PIC_NONE 8 /* no priority: nothing pending */

void chips_reset(struct chips *chips)
{
	unsigned i;

	memset(chips, 0, sizeof *chips);
	chips->pic[0].elcr_mask = 0xf8;
	chips->pic[1].elcr_mask = 0xde;
	chips->ioapic.base_address = 0xfec00000;
	for (i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		chips->ioapic.redirtbl[i].fields.mask = 1;
	chips->pit_reinject = true;
}

static unsigned pic_priority(const struct kvm_pic_state *pic, unsigned mask)
{
	unsigned priority = 0;

	if (!mask)
		return PIC_NONE;
	while (!(mask & (1u << ((priority + pic->priority_add) & 7))))
		priority++;
	return priority;
}

/* Does the slave ask for an interrupt? */
static bool pic_slave_output(const struct kvm_pic_state *pic)
{
	return pic_priority(pic, pic->irr & ~pic->imr) < pic_priority(pic, pic->isr);
}

static int pic_set_pin(struct kvm_pic_state *pic, unsigned pin, bool level)
{
	uint8_t mask = 1u << pin;
	int result = 1;

	if (level) {
		if ((pic->elcr & mask) || !(pic->last_irr & mask)) {
			result = !(pic->irr & mask);
			pic->irr |= mask;
		}
		pic->last_irr |= mask;
	} else {
		if (pic->elcr & mask)
			pic->irr &= ~mask;
		pic->last_irr &= ~mask;
	}
	return pic->imr & mask ? -1 : result;
}

int chips_pic_set(struct chips *chips, unsigned irq, bool level)
{
	unsigned chip = irq / PIC_PINS;
	int result = pic_set_pin(&chips->pic[chip], irq % PIC_PINS, level);

	if (pic_slave_output(&chips->pic[1])) {
		pic_set_pin(&chips->pic[0], PIC_CASCADE, true);
		pic_set_pin(&chips->pic[0], PIC_CASCADE, false);
	}
	chips->dirty |= DIRTY_PIC0 | (chip ? DIRTY_PIC1 : 0);
	return result;
}

static int ioapic_deliver(struct vm *vm, unsigned pin)
{
	struct chips *chips = &vm->interrupts.private->chips;
	struct kvm_ioapic_state *ioapic = &chips->ioapic;
	struct kvm_msi msi = {0};
	bool level = ioapic->redirtbl[pin].fields.trig_mode;
	int result;

	if (ioapic->redirtbl[pin].fields.mask || (level && ioapic->redirtbl[pin].fields.remote_irr))
		return -1;
	msi.address_lo = MSI_ADDRESS |
			 ((uint32_t)ioapic->redirtbl[pin].fields.dest_id << MSI_DEST_SHIFT) |
			 (ioapic->redirtbl[pin].fields.dest_mode ? MSI_DEST_LOGICAL : 0);
	msi.data = ioapic->redirtbl[pin].fields.vector |
		   ((uint32_t)ioapic->redirtbl[pin].fields.delivery_mode << MSI_MODE_SHIFT) |
		   (level ? MSI_LEVEL : 0);
	result = msi_send(vm, &msi, true);
	if (!level)
		chips->ioapic_delivered |= 1u << pin;
	else if (result > 0)
		ioapic->redirtbl[pin].fields.remote_irr = 1;
	return result;
}

int chips_ioapic_set(struct vm *vm, unsigned pin, bool level)
{
	struct chips *chips = &vm->interrupts.private->chips;
	struct kvm_ioapic_state *ioapic = &chips->ioapic;
	uint32_t mask = 1u << pin, old = ioapic->irr;

	if (!level) {
		ioapic->irr &= ~mask;
		return 1;
	}
	chips->dirty |= DIRTY_IOAPIC;
	ioapic->irr |= mask;
	if (!ioapic->redirtbl[pin].fields.trig_mode) {
		chips->ioapic_delivered &= ~mask;
		if (old & mask)
			return 0;
	}
	return ioapic_deliver(vm, pin);
}

void chips_ioapic_load(struct vm *vm, const struct kvm_ioapic_state *state)
{
	struct chips *chips = &vm->interrupts.private->chips;
	uint32_t pending = state->irr;
	unsigned pin;

	chips->ioapic = *state;
	chips->ioapic.irr = 0;
	chips->ioapic_delivered = 0;
	for (pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		if (pending & (1u << pin))
			chips_ioapic_set(vm, pin, true);
}
