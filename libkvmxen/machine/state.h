/*
 * vcpu_state: everything that KVM's GET and SET ioctls can read and write of one vcpu, in KVM's
 * own structures.
 *
 * The library keeps one for each vcpu. Before the domain exists it is the only truth; later it is
 * a copy, read once for each stop and written back once before the vcpu runs again. `known` says
 * which parts are filled in, `dirty` which were set since the last write-back.
 *
 * No Xen type appears here: convert/ goes between this and Xen's records.
 */
#ifndef KVMXEN_MACHINE_STATE_H
#define KVMXEN_MACHINE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "libkvmxen/machine/msr.h"

/* Parts of the state: bits of `known` and `dirty`. Each follows one Xen record or call. */
enum state_part {
	STATE_REGS = 1 << 0,     /* regs: GPRs, RIP, RFLAGS */
	STATE_SREGS = 1 << 1,    /* sregs but apic_base and cr8 */
	STATE_XSAVE = 1 << 2,    /* xsave (the FPU is its first 512 bytes) and xcr0 */
	STATE_DEBUG = 1 << 3,    /* debugregs */
	STATE_EVENTS = 1 << 4,   /* events, sregs.interrupt_bitmap */
	STATE_MSRS = 1 << 5,     /* msrs */
	STATE_LAPIC = 1 << 6,    /* lapic, sregs.apic_base, sregs.cr8, MSR_IA32_TSCDEADLINE */
	STATE_MP = 1 << 7,       /* mp_state */
	STATE_TSC = 1 << 8,      /* msrs' TSC was set by the VMM */
	STATE_ALL = (1 << 9) - 1,
};

struct vcpu_state {
	uint32_t known, dirty; /* state_part bits */
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave; /* standard, uncompacted */
	uint64_t xcr0;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_lapic_state lapic; /* xAPIC layout, KVM's timer frequency */
	uint64_t msrs[MSR_TABLE_SIZE]; /* indexed by the row of msr_table */
};

/* KVM's state of a vcpu after KVM_CREATE_VCPU. id: its APIC id; boot: runnable at once;
 * irqchip: with an in-kernel LAPIC. Everything becomes known and dirty. */
void vcpu_state_reset(struct vcpu_state *state, uint32_t id, bool boot, bool irqchip);

#endif
