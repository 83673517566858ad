/*
 * stats: what a VM and its vcpus did: for KVM_GET_STATS_FD (KVM API 4.133), for the summary of
 * `kvmxen run` (KVMXEN_STATS) and for bench.
 *
 * Counters are relaxed atomics; reading is approximate. They start in their object and move to the
 * file behind a statistics descriptor when one is first asked for, so that the file is always
 * current and the exit path does no more than add one.
 */
#ifndef KVMXEN_MACHINE_STATS_H
#define KVMXEN_MACHINE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#define STATS_EXITS 40 /* KVM_EXIT_* below this are counted by kind */

struct vm_stats {
	_Atomic uint64_t invalidates, ioeventfds, coalesced, cpuids, kicks, loads;
};

struct vcpu_stats {
	_Atomic uint64_t exits[STATS_EXITS]; /* by KVM_EXIT_*, those with EINTR as INTR */
};

#define STATS_ADD(pointer) ((void)atomic_fetch_add_explicit((pointer), 1, memory_order_relaxed))

struct vm;
struct vcpu;
/* Before the first count; at the object's end. */
void vm_stats_init(struct vm *vm);
void vm_stats_free(struct vm *vm);
void vcpu_stats_init(struct vcpu *vcpu);
void vcpu_stats_free(struct vcpu *vcpu);

/* KVM_GET_STATS_FD: a new descriptor, or -errno. Its file outlives the VM, with the last values.
 * A vcpu's: its mutex is held. */
long vm_get_stats_fd(struct vm *vm);
long vcpu_get_stats_fd(struct vcpu *vcpu);

/* Writes `key value` lines to $KVMXEN_STATS, when set. */
void stats_write(const struct vm *vm);

#endif
