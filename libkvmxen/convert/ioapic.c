/*
 * IOAPIC: KVM's has 24 pins, Xen's 48.
 */
#include <assert.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"

static_assert(sizeof(struct hvm_hw_vioapic) == 16 + 8 * VIOAPIC_NUM_PINS, "IOAPIC record");
static_assert(KVM_IOAPIC_NUM_PINS <= VIOAPIC_NUM_PINS, "KVM's pins are the first of Xen's");

#define REDIRECTION_MASKED (1ull << 16)

void ioapic_record_from_kvm(struct hvm_hw_vioapic *record, const struct kvm_ioapic_state *ioapic)
{
	/* A base that never was in Xen: its upper pins would be live, not masked. */
	if (!record->base_address)
		for (int pin = KVM_IOAPIC_NUM_PINS; pin < VIOAPIC_NUM_PINS; pin++)
			record->redirtbl[pin].bits = REDIRECTION_MASKED;
	record->base_address = ioapic->base_address;
	record->ioregsel = ioapic->ioregsel;
	record->id = ioapic->id;
	for (int pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		record->redirtbl[pin].bits = ioapic->redirtbl[pin].bits;
}

void ioapic_record_to_kvm(struct kvm_ioapic_state *ioapic, const struct hvm_hw_vioapic *record,
			  uint32_t wires)
{
	memset(ioapic, 0, sizeof *ioapic);
	ioapic->base_address = record->base_address;
	ioapic->ioregsel = record->ioregsel;
	ioapic->id = record->id;
	ioapic->irr = wires & ((1u << KVM_IOAPIC_NUM_PINS) - 1);
	for (int pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		ioapic->redirtbl[pin].bits = record->redirtbl[pin].bits;
}
