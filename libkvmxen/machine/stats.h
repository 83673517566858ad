/*
 * stats: what a VM did, for the summary of `kvmxen run` (KVMXEN_STATS) and for bench.
 *
 * Counters are written by one thread each or relaxed atomics; reading is approximate.
 */
#ifndef KVMXEN_MACHINE_STATS_H
#define KVMXEN_MACHINE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#define STATS_EXITS 40 /* KVM_EXIT_* below this are counted by kind */

struct stats {
	atomic_ulong exits[STATS_EXITS];
	atomic_ulong eintr, invalidates, ioeventfds, coalesced, cpuids, kicks, loads;
};

struct vm;
/* Writes `key value` lines to $KVMXEN_STATS, when set. */
void stats_write(const struct vm *vm);

#endif
