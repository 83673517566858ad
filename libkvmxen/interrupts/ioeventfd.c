#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/hot.h"
#include "libkvmxen/message.h"

#define FLAGS_VALID ((1u << kvm_ioeventfd_flag_nr_max) - 1)

/* KVM's buses. A guest on x86 cannot write to the one of virtio-ccw; KVM accepts it all the same.
 */
enum bus { BUS_MMIO, BUS_PIO, BUS_CCW };

/* One of the VMM's registrations. */
struct ioeventfd {
	/* The key, in this order. No two entries can match the same write: a length of 0 is alone
	 * at its address, an entry without datamatch is alone at its address and length. */
	enum bus bus;
	uint64_t address;
	uint32_t length; /* 0: any */
	bool wildcard;   /* any data */
	uint64_t datamatch;

	struct eventfd *eventfd;
};

/* Sorted by key; immutable once published. */
struct ioeventfds {
	size_t count;
	struct ioeventfd entries[];
};

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

HOT static int key_compare(const struct ioeventfd *a, const struct ioeventfd *b)
{
	int order = COMPARE(a->bus, b->bus);

	if (!order)
		order = COMPARE(a->address, b->address);
	if (!order)
		order = COMPARE(a->length, b->length);
	if (!order)
		order = COMPARE(b->wildcard, a->wildcard);
	if (!order && !a->wildcard)
		order = COMPARE(a->datamatch, b->datamatch);
	return order;
}

/* The index of the first entry that is not below the key. */
HOT static size_t lower_bound(const struct ioeventfds *table, const struct ioeventfd *key)
{
	size_t low = 0, high = table ? table->count : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (key_compare(&table->entries[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

HOT static const struct ioeventfd *find(const struct ioeventfds *table, const struct ioeventfd *key)
{
	size_t at = lower_bound(table, key);

	if (!table || at == table->count || key_compare(&table->entries[at], key))
		return NULL;
	return &table->entries[at];
}

HOT bool ioeventfd_match(struct vcpu *vcpu, uint8_t type, uint64_t address, unsigned size,
			 uint64_t data)
{
	struct interrupts_private *p = vcpu->vm->interrupts.private;
	struct ioeventfd key = {
		.bus = type == IOREQ_TYPE_PIO ? BUS_PIO : BUS_MMIO,
		.address = address,
		.wildcard = true,
	};
	const struct ioeventfds *table;
	const struct ioeventfd *entry;
	unsigned ticket;

	if (!address_filter_may(&p->ioeventfd_filter, key.bus, address))
		return false;
	interrupts_signal(vcpu); /* another element of the same instruction */
	ticket = readers_enter(&p->readers);
	table = atomic_load(&p->ioeventfds);
	entry = find(table, &key);
	if (!entry) {
		key.length = size;
		entry = find(table, &key);
	}
	if (!entry) {
		key.wildcard = false;
		key.datamatch = size < 8 ? data & ((1ull << 8 * size) - 1) : data;
		entry = find(table, &key);
	}
	if (entry)
		hit_keep(vcpu, entry->eventfd, ticket);
	else
		readers_exit(&p->readers, ticket);
	return entry;
}

/* Could one write match both? */
static bool collide(const struct ioeventfd *a, const struct ioeventfd *b)
{
	return a->bus == b->bus && a->address == b->address &&
	       (!a->length || !b->length ||
		(a->length == b->length &&
		 (a->wildcard || b->wildcard || a->datamatch == b->datamatch)));
}

static bool collides(const struct ioeventfds *table, const struct ioeventfd *new)
{
	struct ioeventfd first = {.bus = new->bus, .address = new->address, .wildcard = true};
	size_t at;

	for (at = lower_bound(table, &first);
	     table && at < table->count && table->entries[at].bus == new->bus &&
	     table->entries[at].address == new->address;
	     at++)
		if (collide(&table->entries[at], new))
			return true;
	return false;
}

/* config held. The filter for just what is in the table. */
static void filter_anew(struct interrupts_private *p, const struct ioeventfds *table)
{
	struct address_filter filter = {0};
	size_t i;

	for (i = 0; i < table->count; i++)
		address_filter_add(&filter, table->entries[i].bus, table->entries[i].address);
	for (i = 0; i < FILTER_WORDS; i++)
		atomic_store(&p->ioeventfd_filter.words[i], atomic_load(&filter.words[i]));
}

/* config held. Publishes the table with `add` in it or without `drop`. */
static int publish(struct interrupts_private *p, const struct ioeventfd *add,
		   const struct ioeventfd *drop)
{
	struct ioeventfds *old = atomic_load(&p->ioeventfds), *new;
	size_t count = old ? old->count : 0, at;

	if (add)
		address_filter_add(&p->ioeventfd_filter, add->bus, add->address);
	new = malloc(sizeof *new + (count + 1) * sizeof *new->entries);
	if (!new)
		return -ENOMEM;
	at = drop ? (size_t)(drop - old->entries) : lower_bound(old, add);
	if (at)
		memcpy(new->entries, old->entries, at * sizeof *new->entries);
	if (drop) {
		memcpy(new->entries + at, old->entries + at + 1,
		       (count - at - 1) * sizeof *new->entries);
		new->count = count - 1;
	} else {
		new->entries[at] = *add;
		if (count > at)
			memcpy(new->entries + at + 1, old->entries + at,
			       (count - at) * sizeof *new->entries);
		new->count = count + 1;
	}
	if (drop)
		filter_anew(p, new);
	if (new->count) {
		atomic_store(&p->ioeventfds, new);
	} else {
		atomic_store(&p->ioeventfds, NULL);
		free(new);
	}
	readers_wait(&p->readers);
	return 0;
}

static struct ioeventfd key_of(const struct kvm_ioeventfd *args)
{
	struct ioeventfd key = {
		.bus = args->flags & KVM_IOEVENTFD_FLAG_PIO                 ? BUS_PIO
		       : args->flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY ? BUS_CCW
									    : BUS_MMIO,
		.address = args->addr,
		.length = args->len,
		.wildcard = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH),
	};

	if (!key.wildcard)
		key.datamatch = args->datamatch;
	return key;
}

static int assign(struct vm *vm, const struct kvm_ioeventfd *args)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct ioeventfd new = key_of(args);
	struct ioeventfds *old;
	int rc;

	switch (args->len) {
	case 0:
	case 1:
	case 2:
	case 4:
	case 8:
		break;
	default:
		return -EINVAL;
	}
	if (args->addr + args->len < args->addr || (args->flags & ~FLAGS_VALID) ||
	    (!args->len && !new.wildcard))
		return -EINVAL;
	pthread_mutex_lock(&p->config);
	new.eventfd = eventfd_get(p, args->fd, &rc);
	old = atomic_load(&p->ioeventfds);
	if (rc == 0 && collides(old, &new))
		rc = -EEXIST;
	if (rc == 0)
		rc = publish(p, &new, NULL);
	if (rc < 0 && new.eventfd)
		eventfd_put(p, new.eventfd);
	pthread_mutex_unlock(&p->config);
	if (rc == 0)
		free(old);
	return rc;
}

static int deassign(struct vm *vm, const struct kvm_ioeventfd *args)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct ioeventfd key = key_of(args);
	const struct ioeventfd *entry;
	struct ioeventfds *old;
	int rc = eventfd_check(args->fd);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&p->config);
	old = atomic_load(&p->ioeventfds);
	entry = find(old, &key);
	rc = entry && eventfd_is(entry->eventfd, args->fd) ? publish(p, NULL, entry) : -ENOENT;
	if (rc == 0) {
		eventfd_put(p, entry->eventfd);
		free(old);
	}
	pthread_mutex_unlock(&p->config);
	return rc;
}

long interrupts_ioeventfd(struct vm *vm, const struct kvm_ioeventfd *args)
{
	bool drop = args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN;
	int rc = drop ? deassign(vm, args) : assign(vm, args);

	if (rc < 0)
		message_refused("KVM_IOEVENTFD: %s address %#llx length %u flags %#x fd %d: %s",
				drop ? "deassign" : "assign", (unsigned long long)args->addr,
				args->len, args->flags, args->fd, strerror(-rc));
	return rc;
}

void ioeventfd_free_all(struct vm *vm)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct ioeventfds *table = atomic_exchange(&p->ioeventfds, NULL);
	size_t i;

	for (i = 0; table && i < table->count; i++)
		eventfd_put(p, table->entries[i].eventfd);
	free(table);
}
