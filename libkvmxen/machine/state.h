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
	STATE_REGS = 1 << 0,   /* regs: GPRs, RIP, RFLAGS */
	STATE_SREGS = 1 << 1,  /* sregs but apic_base and cr8 */
	STATE_XSAVE = 1 << 2,  /* xsave (the FPU is its first 512 bytes) and xcr0 */
	STATE_DEBUG = 1 << 3,  /* debugregs */
	STATE_EVENTS = 1 << 4, /* events, sregs.interrupt_bitmap */
	STATE_MSRS = 1 << 5,   /* msrs */
	STATE_LAPIC = 1 << 6,  /* lapic, sregs.apic_base, sregs.cr8, MSR_IA32_TSCDEADLINE */
	STATE_MP = 1 << 7,     /* mp_state */
	STATE_TSC = 1 << 8,    /* msrs' TSC and tsc_host */
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
	struct kvm_lapic_state lapic;  /* xAPIC layout, KVM's timer frequency */
	uint64_t msrs[MSR_TABLE_SIZE]; /* indexed by the row of msr_table */
	uint64_t tsc_host;             /* the host's TSC when the guest's was msrs[MSR_ROW_TSC] */
	uint64_t tsc_step; /* vm->tsc_step of then: the vcpu's TSC is the VM's (tsc.h) */
	bool fpu_set;      /* by KVM_SET_FPU: counts, though xsave's XSTATE_BV may not say so */
};

/* Bits of EFER that Xen may take: system calls, long mode enabled and active, no execute, fast
 * FXSAVE. */
#define STATE_EFER_LMA   (1ull << 10)
#define STATE_EFER_KNOWN ((1ull << 0) | (1ull << 8) | STATE_EFER_LMA | (1ull << 11) | (1ull << 14))

/* Bits of the APIC base register. */
#define STATE_APIC_BSP    (1ull << 8)
#define STATE_APIC_X2APIC (1ull << 10)
#define STATE_APIC_ENABLE (1ull << 11)

/* Components of XSTATE. */
#define STATE_XSTATE_FP  (1ull << 0)
#define STATE_XSTATE_SSE (1ull << 1)

/* One 32-bit register of the LAPIC page, at its offset in the xAPIC layout. */
#define STATE_LAPIC_ID          0x020
#define STATE_LAPIC_VERSION     0x030
#define STATE_LAPIC_TPR         0x080
#define STATE_LAPIC_PPR         0x0a0
#define STATE_LAPIC_LDR         0x0d0
#define STATE_LAPIC_DFR         0x0e0
#define STATE_LAPIC_SPIV        0x0f0
#define STATE_LAPIC_ISR         0x100 /* eight words, 16 bytes apart */
#define STATE_LAPIC_LVTT        0x320
#define STATE_LAPIC_LVT0        0x350
#define STATE_LAPIC_TMICT       0x380
#define STATE_LAPIC_TMCCT       0x390
#define STATE_LAPIC_TDCR        0x3e0
#define STATE_LAPIC_VERSION_KVM 0x50014u /* as KVM's and Xen's say: 0x14, six LVT entries */
#define STATE_LAPIC_LVT_MASKED  0x10000u
uint32_t vcpu_state_lapic_get(const struct vcpu_state *state, unsigned offset);
void vcpu_state_lapic_set(struct vcpu_state *state, unsigned offset, uint32_t value);
/* With an in-kernel LAPIC (its version register is never 0). Without one the VMM has its own, and
 * Xen's is kept disabled. */
bool vcpu_state_has_lapic(const struct vcpu_state *state);
/* Registers of the page that follow from others: PPR, and a timer's count when it is not armed. */
void vcpu_state_lapic_derive(struct vcpu_state *state);
/* The LAPIC timer is in TSC deadline mode. */
bool vcpu_state_lapic_deadline(const struct vcpu_state *state);
/* Whether KVM takes a value of the APIC base register; physical_bits: of the guest's CPUID. */
bool vcpu_state_apic_base_valid(uint64_t value, unsigned physical_bits);

/* KVM_SET_SREGS and KVM_SET_LAPIC once their checks have passed: cr8 and TPR stay one, a bit of
 * interrupt_bitmap queues that interrupt. The parts touched become dirty. */
void vcpu_state_set_sregs(struct vcpu_state *state, const struct kvm_sregs *sregs);
void vcpu_state_set_lapic(struct vcpu_state *state, const struct kvm_lapic_state *lapic);
/* KVM_GET_SREGS2 and KVM_SET_SREGS2, without the PDPTRs: with nested paging the processor takes
 * them from memory. */
void vcpu_state_get_sregs2(const struct vcpu_state *state, struct kvm_sregs2 *sregs2);
void vcpu_state_set_sregs2(struct vcpu_state *state, const struct kvm_sregs2 *sregs2);
/* KVM_GET_VCPU_EVENTS and KVM_SET_VCPU_EVENTS. Software interrupts and exceptions do not show: the
 * instruction runs again. When setting, fields that the flags do not name stay. */
void vcpu_state_get_events(const struct vcpu_state *state, struct kvm_vcpu_events *events);
void vcpu_state_set_events(struct vcpu_state *state, const struct kvm_vcpu_events *events);
/* KVM_GET_FPU and KVM_SET_FPU: the first 512 bytes of xsave as they are. KVM reports no mxcsr and
 * takes none. */
void vcpu_state_get_fpu(const struct vcpu_state *state, struct kvm_fpu *fpu);
void vcpu_state_set_fpu(struct vcpu_state *state, const struct kvm_fpu *fpu);
/* KVM_GET_XSAVE and KVM_SET_XSAVE: FPU and SSE registers that XSTATE_BV calls unused read as after
 * a reset. */
void vcpu_state_get_xsave(const struct vcpu_state *state, struct kvm_xsave *xsave);
void vcpu_state_set_xsave(struct vcpu_state *state, const struct kvm_xsave *xsave);
/* An FXSAVE image (512 bytes) of what the state holds, for these components; initial values for
 * the others. */
void vcpu_state_fxsave(const struct vcpu_state *state, uint64_t components, void *image);
/* XSTATE_BV, the components in use, of the xsave area. */
uint64_t vcpu_state_xstate_bv(const struct vcpu_state *state);
void vcpu_state_set_xstate_bv(struct vcpu_state *state, uint64_t bv);

/* KVM's state of a vcpu after KVM_CREATE_VCPU. id: its APIC id; boot: runnable at once;
 * irqchip: with an in-kernel LAPIC. Everything becomes known and dirty. */
void vcpu_state_reset(struct vcpu_state *state, uint32_t id, bool boot, bool irqchip);

#endif
