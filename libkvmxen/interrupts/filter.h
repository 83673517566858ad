/*
 * filter: which writes of a guest may concern an ioeventfd or a coalesced zone.
 *
 * Most exits concern none, and then nothing shared by vcpus is written and no table is looked at.
 * A filter may say yes for a write that nothing matches, never no for one that something does.
 * Changed under `config`, bits and ranges before what they are for is published; read by anybody.
 */
#ifndef KVMXEN_INTERRUPTS_FILTER_H
#define KVMXEN_INTERRUPTS_FILTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FILTER_WORDS 16 /* of 64 bits */

/* Of addresses: a bit for each, by its hash. */
struct address_filter {
	_Atomic uint64_t words[FILTER_WORDS];
};

/* One range that holds all: [low, high). */
struct range_filter {
	_Atomic uint64_t low, high;
};

static inline unsigned filter_hash(unsigned bus, uint64_t address)
{
	return (unsigned)(((address + bus) * 0x9e3779b97f4a7c15ull) >> 54);
}

static inline bool address_filter_may(const struct address_filter *filter, unsigned bus,
				      uint64_t address)
{
	unsigned bit = filter_hash(bus, address);

	return atomic_load_explicit(&filter->words[bit / 64], memory_order_relaxed) >> bit % 64 & 1;
}

static inline void address_filter_add(struct address_filter *filter, unsigned bus, uint64_t address)
{
	unsigned bit = filter_hash(bus, address);

	atomic_fetch_or(&filter->words[bit / 64], 1ull << bit % 64);
}

static inline bool range_filter_may(const struct range_filter *filter, uint64_t address)
{
	return address >= atomic_load_explicit(&filter->low, memory_order_relaxed) &&
	       address < atomic_load_explicit(&filter->high, memory_order_relaxed);
}

#endif
