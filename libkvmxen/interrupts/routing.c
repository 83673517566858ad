#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/machine/assign.h"
#include "libkvmxen/message.h"

/* Immutable once published. Entries are sorted by GSI, in the VMM's order within one. */
struct routing {
	uint32_t gsis;   /* GSIs from here on have no route */
	uint32_t *first; /* of each GSI; gsis + 1 of them */
	struct kvm_irq_routing_entry entries[];
};

static void routing_put(struct routing *routing)
{
	if (routing)
		free(routing->first);
	free(routing);
}

/* chips: a split irqchip has no pins in the kernel. */
static bool entry_is_valid(const struct kvm_irq_routing_entry *entry, bool chips)
{
	switch (entry->type) {
	case KVM_IRQ_ROUTING_MSI:
		return !(entry->flags & ~KVM_MSI_VALID_DEVID);
	case KVM_IRQ_ROUTING_IRQCHIP:
		if (entry->flags || !chips)
			return false;
		if (entry->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC)
			return entry->u.irqchip.pin < KVM_IOAPIC_NUM_PINS;
		return entry->u.irqchip.irqchip < KVM_IRQCHIP_IOAPIC &&
		       entry->u.irqchip.pin < PIC_PINS;
	default:
		return false;
	}
}

/* A GSI goes to one message, or to at most one pin of each chip. */
static bool entries_go_together(const struct kvm_irq_routing_entry *a,
				const struct kvm_irq_routing_entry *b)
{
	return a->type == KVM_IRQ_ROUTING_IRQCHIP && b->type == KVM_IRQ_ROUTING_IRQCHIP &&
	       a->u.irqchip.irqchip != b->u.irqchip.irqchip;
}

/* Sorts the entries in: counting sort. -EINVAL when two of a GSI do not go together. */
static int routing_fill(struct routing *routing, uint32_t nr,
			const struct kvm_irq_routing_entry *entries)
{
	uint32_t *next = calloc(routing->gsis + 1, sizeof *next), i, j;
	int rc = 0;

	if (!next)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		routing->first[entries[i].gsi + 1]++;
	for (i = 0; i < routing->gsis; i++)
		routing->first[i + 1] += routing->first[i];
	for (i = 0; i < nr && rc == 0; i++) {
		uint32_t gsi = entries[i].gsi, at = routing->first[gsi] + next[gsi]++;

		routing->entries[at] = entries[i];
		for (j = routing->first[gsi]; j < at; j++)
			if (!entries_go_together(&routing->entries[j], &entries[i]))
				rc = -EINVAL;
	}
	free(next);
	return rc;
}

static int routing_make(struct routing **out, uint32_t nr,
			const struct kvm_irq_routing_entry *entries, bool chips)
{
	struct routing *routing;
	uint32_t gsis = 0, i;
	int rc;

	for (i = 0; i < nr; i++) {
		if (entries[i].gsi >= GSI_LIMIT || !entry_is_valid(&entries[i], chips)) {
			message_refused("KVM_SET_GSI_ROUTING: entry %u (GSI %u, type %u, flags "
					"%#x) names what x86 does not have",
					i, entries[i].gsi, entries[i].type, entries[i].flags);
			return -EINVAL;
		}
		if (entries[i].gsi >= gsis)
			gsis = entries[i].gsi + 1;
	}
	routing = calloc(1, sizeof *routing + nr * sizeof *entries);
	if (!routing)
		return -ENOMEM;
	routing->gsis = gsis;
	routing->first = calloc(gsis + 1, sizeof *routing->first);
	rc = routing->first ? routing_fill(routing, nr, entries) : -ENOMEM;
	if (rc < 0) {
		if (rc == -EINVAL)
			message_refused("KVM_SET_GSI_ROUTING: two entries of one GSI do not go "
					"together");
		routing_put(routing);
		return rc;
	}
	*out = routing;
	return 0;
}

static int routing_replace(struct vm *vm, uint32_t nr, const struct kvm_irq_routing_entry *entries)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct routing *routing, *old;
	int rc = routing_make(&routing, nr, entries, vm->interrupts.irqchip);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&p->config);
	old = atomic_exchange(&p->routing, routing);
	readers_wait(&p->readers);
	pthread_mutex_unlock(&p->config);
	routing_put(old);
	return 0;
}

int routing_set_empty(struct vm *vm)
{
	return routing_replace(vm, 0, NULL);
}

int routing_set_default(struct vm *vm)
{
	struct kvm_irq_routing_entry entries[ISA_IRQS + KVM_IOAPIC_NUM_PINS];
	unsigned n = 0, gsi;

	memset(entries, 0, sizeof entries);
	for (gsi = 0; gsi < KVM_IOAPIC_NUM_PINS; gsi++) {
		entries[n].gsi = gsi;
		entries[n].type = KVM_IRQ_ROUTING_IRQCHIP;
		entries[n].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		entries[n++].u.irqchip.pin = gsi;
		if (gsi >= ISA_IRQS)
			continue;
		entries[n].gsi = gsi;
		entries[n].type = KVM_IRQ_ROUTING_IRQCHIP;
		entries[n].u.irqchip.irqchip =
			gsi < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
		entries[n++].u.irqchip.pin = gsi % PIC_PINS;
	}
	return routing_replace(vm, n, entries);
}

void routing_free(struct vm *vm)
{
	routing_put(atomic_exchange(&vm->interrupts.private->routing, NULL));
}

const struct kvm_irq_routing_entry *routing_find(const struct routing *routing, uint32_t gsi,
						 unsigned *n)
{
	*n = 0;
	if (!routing || gsi >= routing->gsis)
		return NULL;
	*n = routing->first[gsi + 1] - routing->first[gsi];
	return &routing->entries[routing->first[gsi]];
}

long interrupts_set_gsi_routing(struct vm *vm, uint32_t nr, uint32_t flags,
				const struct kvm_irq_routing_entry *entries)
{
	int rc;

	if (!vm->interrupts.lapic) {
		message_refused("KVM_SET_GSI_ROUTING: without KVM_CREATE_IRQCHIP");
		return -EINVAL;
	}
	if (nr > GSI_LIMIT || flags) {
		message_refused("KVM_SET_GSI_ROUTING: %u entries (at most %d), flags %#x", nr,
				GSI_LIMIT, flags);
		return -EINVAL;
	}
	rc = routing_replace(vm, nr, entries);
	if (rc == 0)
		assign_rerouted(vm);
	return rc;
}
