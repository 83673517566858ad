/*
 * passthrough: where the interrupts of the host's devices go in the guest.
 *
 * Xen delivers them itself: a message as the message that a GSI is routed to, a line as the INTx of
 * a PCI device of the guest. Each INTx (device, n) is a wire of its own to IOAPIC pin
 * 16 + (4 * device + device / 8 + n) % 32, and to the ISA irq that PCI link (device + n) % 4 leads
 * to, if any. Devices 0 and 1 are line.c's.
 *
 * Pins 16 to 23, the upper ones of KVM's IOAPIC, have more such wires, of devices 8 and up. For an
 * ISA irq a link is led there, and a device from 2 to 7 is taken, whose pins KVM's guests have not.
 * (A line of line.c's with the same link then reaches the ISA irq too: a VMM wires its PCI devices
 * in one of the two ways, not in both.)
 */
#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <string.h>

#define FIRST_ISA_DEVICE 2 /* pins 24 and up */
#define FIRST_PIN_DEVICE 8 /* all pins again */
#define INTX_PER_DEVICE  4
#define XEN_PCI_PINS     32
#define FIRST_PCI_PIN    16
#define TIMER_IRQ        0
#define CASCADE_IRQ      2

static unsigned intx_pin(unsigned device, unsigned intx)
{
	return FIRST_PCI_PIN + (4 * device + device / 8 + intx) % XEN_PCI_PINS;
}

static unsigned intx_link(unsigned device, unsigned intx)
{
	return (device + intx) % PCI_LINKS;
}

/* The pin of the IOAPIC, or the ISA irq; -EINVAL: none. */
static int pin_of(struct vm *vm, uint32_t gsi)
{
	struct interrupts_private *p = vm->interrupts.private;
	unsigned ticket = readers_enter(&p->readers), n, i;
	const struct kvm_irq_routing_entry *entries =
		routing_find(atomic_load(&p->routing), gsi, &n);
	int pin = -EINVAL;

	for (i = 0; i < n; i++) {
		if (entries[i].type != KVM_IRQ_ROUTING_IRQCHIP)
			continue;
		pin = entries[i].u.irqchip.pin;
		if (entries[i].u.irqchip.irqchip == KVM_IRQCHIP_PIC_SLAVE)
			pin += PIC_PINS;
	}
	readers_exit(&p->readers, ticket);
	return pin == TIMER_IRQ || pin == CASCADE_IRQ ? -EINVAL : pin;
}

int interrupts_message(struct vm *vm, uint32_t gsi, struct kvm_msi *msi)
{
	struct interrupts_private *p = vm->interrupts.private;
	unsigned ticket = readers_enter(&p->readers), n;
	const struct kvm_irq_routing_entry *entry = routing_find(atomic_load(&p->routing), gsi, &n);
	int rc = -ENOENT;

	if (n && entry->type == KVM_IRQ_ROUTING_MSI) {
		*msi = (struct kvm_msi){
			.address_lo = entry->u.msi.address_lo,
			.address_hi = entry->u.msi.address_hi,
			.data = entry->u.msi.data,
		};
		rc = 0;
	}
	readers_exit(&p->readers, ticket);
	return rc;
}

/* `lock` held. */
static bool find_wire(const struct interrupts_private *p, unsigned first, int pin, int link,
		      uint8_t *device, uint8_t *intx)
{
	unsigned d, i;

	for (d = first; d < XEN_PCI_DEVICES; d++)
		for (i = 0; i < INTX_PER_DEVICE; i++) {
			if (p->wires_taken[d] & (1u << i))
				continue;
			if (link < 0 ? (int)intx_pin(d, i) != pin
				     : d >= FIRST_PIN_DEVICE || (int)intx_link(d, i) != link)
				continue;
			*device = d;
			*intx = i;
			return true;
		}
	return false;
}

/* The link that leads to the irq already, or a free one; -ENOSPC. `lock` held. */
static int find_link(const struct interrupts_private *p, int irq)
{
	int link, found = -ENOSPC;

	for (link = 0; link < PCI_LINKS; link++) {
		if (p->link_users[link] && p->link_irq[link] == irq)
			return link;
		if (!p->link_users[link] && found < 0)
			found = link;
	}
	return found;
}

static int take_isa(struct interrupts_private *p, int irq, uint8_t *device, uint8_t *intx)
{
	int link = find_link(p, irq);

	if (link < 0 || !find_wire(p, FIRST_ISA_DEVICE, 0, link, device, intx))
		return -ENOSPC;
	p->link_irq[link] = irq;
	p->link_users[link]++;
	return 0;
}

int interrupts_wire_take(struct vm *vm, uint32_t gsi, uint8_t *device, uint8_t *intx)
{
	struct interrupts_private *p = vm->interrupts.private;
	int pin = pin_of(vm, gsi), rc = 0;

	if (pin < 0 || !vm->interrupts.irqchip)
		return -EINVAL;
	pthread_mutex_lock(&p->lock);
	if (pin < FIRST_PCI_PIN)
		rc = take_isa(p, pin, device, intx);
	else if (!find_wire(p, FIRST_PIN_DEVICE, pin, -1, device, intx))
		rc = -ENOSPC;
	if (rc == 0)
		p->wires_taken[*device] |= 1u << *intx;
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* Xen looks which ISA irqs are such devices' when a link is led somewhere, not when a device is
 * bound: led before, the end of the interrupt would never be told. */
int interrupts_wire_lead(struct vm *vm, uint8_t device, uint8_t intx)
{
	struct interrupts_private *p = vm->interrupts.private;
	unsigned link = intx_link(device, intx);
	int rc = 0;

	if (device >= FIRST_PIN_DEVICE)
		return 0;
	pthread_mutex_lock(&p->lock);
	rc = vm->xen.dev->ops->pci_link_route(vm->xen.dev, vm->domid, link, p->link_irq[link]);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

void interrupts_wire_give(struct vm *vm, uint8_t device, uint8_t intx)
{
	struct interrupts_private *p = vm->interrupts.private;
	unsigned link = intx_link(device, intx);

	pthread_mutex_lock(&p->lock);
	p->wires_taken[device] &= ~(1u << intx);
	if (device < FIRST_PIN_DEVICE && --p->link_users[link] == 0 && vm_live(vm))
		vm->xen.dev->ops->pci_link_route(vm->xen.dev, vm->domid, link, 0);
	pthread_mutex_unlock(&p->lock);
}
