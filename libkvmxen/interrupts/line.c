#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <string.h>

#include "libkvmxen/message.h"

/* Xen's wires: ISA irqs 0-15, and from 16 on the IOAPIC's pins 16-23, each the INTx of a PCI device
 * that is there for this alone: GSI 16 + 4 * device + intx. */
#define WIRES        KVM_IOAPIC_NUM_PINS
#define PINS_PER_DEV 4
#define TIMER_IRQ    0 /* Xen drives the IOAPIC's pin 2 with it, as PC chip sets do */
#define TIMER_PIN    2

static void wire_set(struct vm *vm, unsigned wire, bool level)
{
	const struct device_ops *ops = vm->xen.dev->ops;
	unsigned pin = wire - ISA_IRQS;
	int rc;

	if (wire < ISA_IRQS)
		rc = ops->isa_irq_set(vm->xen.dev, vm->domid, wire, level);
	else
		rc = ops->pci_intx_set(vm->xen.dev, vm->domid, pin / PINS_PER_DEV,
				       pin % PINS_PER_DEV, level);
	atomic_fetch_add(&vm->interrupts.private->given, 1);
	if (rc < 0)
		message_error("interrupt line %u cannot be %s: %s", wire,
			      level ? "raised" : "lowered", strerror(-rc));
}

uint32_t line_ioapic_levels(const struct interrupts_private *p)
{
	uint32_t levels = 0;
	unsigned pin;

	for (pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		if (p->chips.ioapic_lines[pin])
			levels |= 1u << pin;
	return levels;
}

/* In Xen an ISA irq drives the same pin of both chips. */
uint32_t line_levels(const struct interrupts_private *p)
{
	uint32_t ioapic = line_ioapic_levels(p), wires = 0;
	unsigned irq;

	for (irq = 0; irq < ISA_IRQS; irq++)
		if (p->chips.pic_lines[irq])
			wires |= 1u << irq;
	/* KVM's default routing drives both pins 2 from GSI 2: then it is no timer. */
	if ((ioapic & (1u << TIMER_PIN)) && !(wires & (1u << TIMER_PIN)))
		wires |= 1u << TIMER_IRQ;
	return wires | (ioapic & ~(1u << TIMER_PIN));
}

void line_sync(struct vm *vm)
{
	struct interrupts_private *p = vm->interrupts.private;
	uint32_t levels = line_levels(p), changed = levels ^ p->wires;
	unsigned wire;

	if (atomic_load(&p->loading))
		p->risen |= levels & changed;
	for (wire = 0; wire < WIRES && changed; wire++, changed >>= 1)
		if (changed & 1)
			wire_set(vm, wire, levels & (1u << wire));
	p->wires = levels;
}

void line_repeat(struct vm *vm)
{
	struct interrupts_private *p = vm->interrupts.private;
	uint32_t risen = p->risen;
	unsigned wire;

	p->risen = 0;
	for (wire = 0; wire < WIRES && risen; wire++, risen >>= 1) {
		bool level = p->wires & (1u << wire);

		if (!(risen & 1))
			continue;
		/* An edge up, and in the end the level that there is. */
		wire_set(vm, wire, !level);
		wire_set(vm, wire, level);
	}
}

/* One pin; `lock` held. */
static int pin_set(struct vm *vm, const struct kvm_irq_routing_entry *entry,
		   enum line_source source, bool level)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct chips *chips = &p->chips;
	bool live = interrupts_live(vm), is_ioapic;
	unsigned pin = entry->u.irqchip.pin;
	uint8_t *sources;
	int result = 1;

	is_ioapic = entry->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC;
	if (entry->u.irqchip.irqchip == KVM_IRQCHIP_PIC_SLAVE)
		pin += PIC_PINS;
	sources = is_ioapic ? &chips->ioapic_lines[pin] : &chips->pic_lines[pin];
	*sources = level ? *sources | source : *sources & ~source;
	level = *sources;
	if (is_ioapic && (!live || (chips->dirty & DIRTY_IOAPIC)))
		result = chips_ioapic_set(vm, pin, level);
	if (!is_ioapic && (!live || (chips->dirty & (DIRTY_PIC0 | DIRTY_PIC1))))
		result = chips_pic_set(chips, pin, level);
	return live ? 1 : result;
}

int line_set(struct vm *vm, uint32_t gsi, enum line_source source, bool level)
{
	struct interrupts_private *p = vm->interrupts.private;
	unsigned ticket = readers_enter(&p->readers), n, i;
	const struct kvm_irq_routing_entry *entries =
		routing_find(atomic_load(&p->routing), gsi, &n);
	bool locked = false;
	int result = -1;

	for (i = 0; i < n; i++) {
		struct kvm_msi msi = {
			.address_lo = entries[i].u.msi.address_lo,
			.address_hi = entries[i].u.msi.address_hi,
			.data = entries[i].u.msi.data,
		};
		int r = -1;

		if (entries[i].type == KVM_IRQ_ROUTING_IRQCHIP) {
			if (!locked)
				pthread_mutex_lock(&p->lock);
			locked = true;
			r = pin_set(vm, &entries[i], source, level);
		} else if (level) {
			r = msi_send(vm, &msi, locked);
			if (gsi < vm->interrupts.split)
				eoi_expect(vm, &msi);
		}
		if (r >= 0)
			result = r + (result < 0 ? 0 : result);
	}
	/* Once for both chips, and for each change, so that no pulse is lost. */
	if (locked && interrupts_live(vm))
		line_sync(vm);
	if (locked)
		pthread_mutex_unlock(&p->lock);
	readers_exit(&p->readers, ticket);
	return result;
}

long interrupts_irq_line_status(struct vm *vm, struct kvm_irq_level *level)
{
	if (!vm->interrupts.lapic) {
		message_refused("KVM_IRQ_LINE: without KVM_CREATE_IRQCHIP");
		return -ENXIO;
	}
	/* irq and status share a word. */
	level->status = line_set(vm, level->irq, LINE_USERSPACE, level->level);
	return 0;
}

long interrupts_irq_line(struct vm *vm, const struct kvm_irq_level *level)
{
	struct kvm_irq_level copy = *level;

	return interrupts_irq_line_status(vm, &copy);
}
