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

#include <linux/kvm.h>

/* Exits are counted by kind: KVM_EXIT_*, KVM's name of the counter where the meaning is KVM's, and
 * that of the summary. Those with EINTR are of kind INTR. */
#define STATS_EXITS(X)                                                                             \
	X(IO, "io_exits", "io")                                                                    \
	X(MMIO, "mmio_exits", "mmio")                                                              \
	X(HLT, "halt_exits", "hlt")                                                                \
	X(SHUTDOWN, "shutdown_exits", "shutdown")                                                  \
	X(FAIL_ENTRY, "fail_entry_exits", "fail_entry")                                            \
	X(INTERNAL_ERROR, "internal_error_exits", "internal_error")                                \
	X(IRQ_WINDOW_OPEN, "irq_window_exits", "irq_window_open")                                  \
	X(DEBUG, "debug_exits", "debug")                                                           \
	X(INTR, "signal_exits", "intr")
enum stats_exit {
#define X(kind, counter, key) STATS_EXIT_##kind,
	STATS_EXITS(X)
#undef X
		STATS_EXIT_KINDS
};

struct vm_stats {
	_Atomic uint64_t invalidates, ioeventfds, coalesced, cpuids, kicks, loads;
};

struct vcpu_stats {
	_Atomic uint64_t exits[STATS_EXIT_KINDS];
};

#define STATS_ADD(pointer) ((void)atomic_fetch_add_explicit((pointer), 1, memory_order_relaxed))

/* reason: KVM_EXIT_*. One of no kind is not counted. */
static inline void stats_exit(struct vcpu_stats *stats, uint32_t reason)
{
	switch (reason) {
#define X(kind, counter, key)                                                                      \
	case KVM_EXIT_##kind:                                                                      \
		STATS_ADD(&stats->exits[STATS_EXIT_##kind]);                                       \
		break;
		STATS_EXITS(X)
#undef X
	}
}

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
