#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/hot.h"
#include "libkvmxen/message.h"

#define RING_ENTRIES                                                                               \
	((VCPU_PAGE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

struct zone {
	bool pio;
	uint64_t start, end; /* end is past the last byte, and may wrap as KVM's does */
	uint64_t reach;      /* the greatest end of this zone and those before it of its bus */
};

/* Sorted by bus and start; immutable once published. */
struct zones {
	size_t count;
	struct zone zones[];
};

/* KVM has one ring for a VM, seen through every vcpu fd: it lives in the page of the first vcpu,
 * which the others' mappings show too. */
static struct kvm_coalesced_mmio_ring *ring_of(struct vm *vm)
{
	return (void *)((char *)vm->vcpus[0]->run + VCPU_COALESCED_PAGE * VCPU_PAGE);
}

/* The ring is the VMM's memory: first and last may be anything. */
HOT static bool ring_put(struct vm *vm, const struct kvm_coalesced_mmio *entry)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct kvm_coalesced_mmio_ring *ring = ring_of(vm);
	uint32_t first, last;
	bool room;

	while (atomic_flag_test_and_set_explicit(&p->ring_busy, memory_order_acquire))
		__builtin_ia32_pause();
	last = __atomic_load_n(&ring->last, __ATOMIC_RELAXED);
	first = __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE);
	room = last < RING_ENTRIES && (last + 1) % RING_ENTRIES != first;
	if (room) {
		ring->coalesced_mmio[last] = *entry;
		__atomic_store_n(&ring->last, (last + 1) % RING_ENTRIES, __ATOMIC_RELEASE);
	}
	atomic_flag_clear_explicit(&p->ring_busy, memory_order_release);
	return room;
}

/* Is [address, address + length) inside? KVM's own comparison. */
static bool zone_holds(const struct zone *zone, uint64_t address, uint64_t length)
{
	return address + length >= address && address >= zone->start &&
	       address + length <= zone->end;
}

/* The index after the last zone of the bus that starts at or below the address. */
HOT static size_t upper_bound(const struct zones *table, bool pio, uint64_t address)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct zone *zone = &table->zones[middle];

		if (zone->pio < pio || (zone->pio == pio && zone->start <= address))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

HOT static bool zones_hold(const struct zones *table, bool pio, uint64_t address, unsigned size)
{
	size_t at = upper_bound(table, pio, address);

	while (at-- > 0) {
		const struct zone *zone = &table->zones[at];

		if (zone->pio != pio || zone->reach < address + size)
			return false;
		if (zone_holds(zone, address, size))
			return true;
	}
	return false;
}

HOT bool coalesced_match(struct vcpu *vcpu, uint8_t type, uint64_t address, unsigned size,
			 uint64_t data)
{
	struct vm *vm = vcpu->vm;
	struct interrupts_private *p = vm->interrupts.private;
	struct kvm_coalesced_mmio entry = {
		.phys_addr = address,
		.len = size,
		.pio = type == IOREQ_TYPE_PIO,
	};
	const struct zones *table;
	unsigned ticket;
	bool held;

	if (!range_filter_may(&p->zone_range[entry.pio], address))
		return false;
	ticket = readers_enter(&p->readers);
	table = atomic_load(&p->zones);
	held = table && zones_hold(table, entry.pio, address, size);
	readers_exit(&p->readers, ticket);
	if (!held)
		return false;
	memcpy(entry.data, &data, size);
	return ring_put(vm, &entry);
}

static int zone_compare(const void *a, const void *b)
{
	const struct zone *x = a, *y = b;

	if (x->pio != y->pio)
		return x->pio - y->pio;
	return (x->start > y->start) - (x->start < y->start);
}

/* config held. The range of the zones of a bus. One that wraps is everywhere. */
static void range_anew(struct interrupts_private *p, const struct zones *table, bool pio)
{
	uint64_t low = ~0ull, high = 0;
	size_t i;

	for (i = 0; i < table->count; i++) {
		const struct zone *zone = &table->zones[i];

		if (zone->pio != pio)
			continue;
		if (zone->end < zone->start) {
			low = 0;
			high = ~0ull;
		}
		low = zone->start < low ? zone->start : low;
		high = zone->end > high ? zone->end : high;
	}
	atomic_store(&p->zone_range[pio].low, low);
	atomic_store(&p->zone_range[pio].high, high);
}

/* config held. Takes the table over: sorts it, publishes it, frees the old one. */
static void publish(struct interrupts_private *p, struct zones *new)
{
	struct zones *old;
	size_t i;

	qsort(new->zones, new->count, sizeof *new->zones, zone_compare);
	for (i = 0; i < new->count; i++) {
		struct zone *zone = &new->zones[i];

		zone->reach = zone->end;
		if (i && zone[-1].pio == zone->pio && zone[-1].reach > zone->reach)
			zone->reach = zone[-1].reach;
	}
	/* In between it is what it was on one side: still around all that stays. */
	range_anew(p, new, false);
	range_anew(p, new, true);
	if (new->count == 0) {
		free(new);
		new = NULL;
	}
	old = atomic_exchange(&p->zones, new);
	readers_wait(&p->readers);
	free(old);
}

static int refuse(const char *name, const struct kvm_coalesced_mmio_zone *zone, int rc)
{
	message_refused("%s: address %#llx size %u pio %u: %s", name,
			(unsigned long long)zone->addr, zone->size, zone->pio, strerror(-rc));
	return rc;
}

long interrupts_register_coalesced(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct zones *old, *new = NULL;
	size_t count, on_bus = 0, i;
	int rc = 0;

	if (zone->pio > 1)
		return refuse("KVM_REGISTER_COALESCED_MMIO", zone, -EINVAL);
	pthread_mutex_lock(&p->config);
	old = atomic_load(&p->zones);
	count = old ? old->count : 0;
	for (i = 0; i < count; i++)
		on_bus += old->zones[i].pio == zone->pio;
	if (on_bus >= IOBUS_LIMIT)
		rc = -ENOSPC;
	if (rc == 0)
		new = malloc(sizeof *new + (count + 1) * sizeof *new->zones);
	if (rc == 0 && !new)
		rc = -ENOMEM;
	if (rc == 0) {
		if (count)
			memcpy(new->zones, old->zones, count * sizeof *new->zones);
		new->zones[count].pio = zone->pio;
		new->zones[count].start = zone->addr;
		new->zones[count].end = zone->addr + zone->size;
		new->count = count + 1;
		publish(p, new);
	}
	pthread_mutex_unlock(&p->config);
	return rc < 0 ? refuse("KVM_REGISTER_COALESCED_MMIO", zone, rc) : 0;
}

/* Every zone that holds the given one goes. That there is none is no error. */
long interrupts_unregister_coalesced(struct vm *vm, const struct kvm_coalesced_mmio_zone *zone)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct zones *old, *new;
	size_t i;
	int rc = 0;

	if (zone->pio > 1)
		return refuse("KVM_UNREGISTER_COALESCED_MMIO", zone, -EINVAL);
	pthread_mutex_lock(&p->config);
	old = atomic_load(&p->zones);
	if (old) {
		new = malloc(sizeof *new + old->count * sizeof *new->zones);
		if (new) {
			new->count = 0;
			for (i = 0; i < old->count; i++)
				if (old->zones[i].pio != zone->pio ||
				    !zone_holds(&old->zones[i], zone->addr, zone->size))
					new->zones[new->count++] = old->zones[i];
			publish(p, new);
		} else {
			rc = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&p->config);
	return rc < 0 ? refuse("KVM_UNREGISTER_COALESCED_MMIO", zone, rc) : 0;
}

void coalesced_free_all(struct vm *vm)
{
	free(atomic_exchange(&vm->interrupts.private->zones, NULL));
}
