/*
 * PIC: one 8259 of the pair.
 */
#include <assert.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"

static_assert(sizeof(struct hvm_hw_vpic) == 8, "PIC record");
static_assert(sizeof(struct kvm_pic_state) == 16, "one of KVM_GET_IRQCHIP");

#define MASTER 0

/* hvm_hw_vpic.init_state: which ICW the next write sets, and what ICW1 said. KVM's init_state is
 * the former alone. */
#define INIT_NEXT   3u
#define INIT_IC4    4u /* ICW4 belongs to the sequence */
#define CASCADE_IRQ 2

/* Pins whose trigger mode can be set: all but 0, 1, 2 and 8, 13. */
#define ELCR_MASK_MASTER 0xf8
#define ELCR_MASK_SLAVE  0xde

#define NO_PRIORITY 8

/* The distance of the first pin of mask from the one of highest priority. */
static int priority(uint8_t mask, uint8_t highest)
{
	for (int i = 0; i < NO_PRIORITY; i++)
		if (mask & (1u << ((i + highest) & 7)))
			return i;
	return NO_PRIORITY;
}

/* The INT output that follows from the registers: KVM computes it when needed, Xen keeps it. */
static bool int_output(const struct hvm_hw_vpic *record)
{
	uint8_t in_service = record->isr;
	int wanted = priority(record->irr & ~record->imr, record->priority_add);

	if (record->init_state || wanted == NO_PRIORITY)
		return false;
	if (record->special_fully_nested_mode && record->is_master &&
	    ((wanted + record->priority_add) & 7) == CASCADE_IRQ)
		in_service &= ~(1u << CASCADE_IRQ);
	if (record->special_mask_mode)
		in_service &= ~record->imr;
	return wanted < priority(in_service, record->priority_add);
}

void pic_record_from_kvm(struct hvm_hw_vpic *record, const struct kvm_pic_state *pic, unsigned chip)
{
	*record = (struct hvm_hw_vpic){
		.irr = pic->irr,
		.imr = pic->imr,
		.isr = pic->isr,
		.irq_base = pic->irq_base,
		.priority_add = pic->priority_add & 7,
		.readsel_isr = !!pic->read_reg_select,
		.poll = !!pic->poll,
		.auto_eoi = !!pic->auto_eoi,
		.rotate_on_auto_eoi = !!pic->rotate_on_auto_eoi,
		.special_fully_nested_mode = !!pic->special_fully_nested_mode,
		.special_mask_mode = !!pic->special_mask,
		.is_master = chip == MASTER,
		.elcr = pic->elcr,
	};
	/* Outside the sequence Xen wants a plain zero. KVM knows no single mode. */
	if (pic->init_state & INIT_NEXT)
		record->init_state = (pic->init_state & INIT_NEXT) | (pic->init4 ? INIT_IC4 : 0);
	record->int_output = int_output(record);
}

void pic_record_to_kvm(struct kvm_pic_state *pic, const struct hvm_hw_vpic *record, unsigned chip,
		       uint16_t isa_wires)
{
	*pic = (struct kvm_pic_state){
		/* Edge detection remembers the wires. The cascade's own is never left high. */
		.last_irr =
			chip == MASTER ? isa_wires & 0xff & ~(1u << CASCADE_IRQ) : isa_wires >> 8,
		.irr = record->irr,
		.imr = record->imr,
		.isr = record->isr,
		.priority_add = record->priority_add,
		.irq_base = record->irq_base,
		.read_reg_select = record->readsel_isr,
		.poll = record->poll,
		.special_mask = record->special_mask_mode,
		.init_state = record->init_state & INIT_NEXT,
		.auto_eoi = record->auto_eoi,
		.rotate_on_auto_eoi = record->rotate_on_auto_eoi,
		.special_fully_nested_mode = record->special_fully_nested_mode,
		.init4 = !!(record->init_state & INIT_IC4),
		.elcr = record->elcr,
		.elcr_mask = chip == MASTER ? ELCR_MASK_MASTER : ELCR_MASK_SLAVE,
	};
}
