#include "libkvmxen/machine/state.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* Values at reset that are not zero (Intel SDM volume 3, 10.1.1; KVM agrees). */
#define RESET_CR0    0x60000010u
#define RESET_RIP    0xfff0u
#define RESET_RFLAGS 0x2u
#define RESET_DR6    0xffff0ff0u
#define RESET_DR7    0x400u
#define RESET_FCW    0x37fu
#define RESET_MXCSR  0x1f80u
/* EDX carries the processor's signature; before a VMM has set CPUID KVM says family 6. */
#define RESET_RDX     0x600u
#define APIC_BASE     0xfee00000u
#define LVT_EXTINT    0x700u
#define LVTT_MODE     (3u << 17)
#define LVTT_MODE_TSC (2u << 17)

/* Of the FXSAVE image and the XSAVE header behind it (SDM volume 1, 10.5.1 and 13.4). */
struct fxsave {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved;
	uint16_t fop;
	uint64_t ip, dp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16];
	uint8_t xmm[16][16];
	uint8_t unused[96];
};
static_assert(sizeof(struct fxsave) == 512, "FXSAVE image");
static_assert(sizeof(struct kvm_xsave) == 4096, "KVM_GET_XSAVE");
static_assert(sizeof(struct kvm_lapic_state) == 1024, "KVM_GET_LAPIC");
#define XSTATE_BV_OFFSET 512

uint32_t vcpu_state_lapic_get(const struct vcpu_state *state, unsigned offset)
{
	uint32_t value;

	memcpy(&value, state->lapic.regs + offset, sizeof value);
	return value;
}

void vcpu_state_lapic_set(struct vcpu_state *state, unsigned offset, uint32_t value)
{
	memcpy(state->lapic.regs + offset, &value, sizeof value);
}

void vcpu_state_lapic_derive(struct vcpu_state *state)
{
	uint32_t priority = vcpu_state_lapic_get(state, STATE_LAPIC_TPR) & 0xff;

	for (int i = 7; i >= 0; i--) {
		uint32_t word = vcpu_state_lapic_get(state, STATE_LAPIC_ISR + 0x10 * i);
		uint32_t class;

		if (!word)
			continue;
		class = (32 * i + 31 - __builtin_clz(word)) & 0xf0;
		if (class > (priority & 0xf0))
			priority = class;
		break;
	}
	vcpu_state_lapic_set(state, STATE_LAPIC_PPR, priority);
	if (!vcpu_state_lapic_get(state, STATE_LAPIC_TMICT))
		vcpu_state_lapic_set(state, STATE_LAPIC_TMCCT, 0);
}

bool vcpu_state_has_lapic(const struct vcpu_state *state)
{
	return vcpu_state_lapic_get(state, STATE_LAPIC_VERSION) != 0;
}

bool vcpu_state_lapic_deadline(const struct vcpu_state *state)
{
	return vcpu_state_has_lapic(state) &&
	       (vcpu_state_lapic_get(state, STATE_LAPIC_LVTT) & LVTT_MODE) == LVTT_MODE_TSC;
}

bool vcpu_state_apic_base_valid(uint64_t value, unsigned physical_bits)
{
	/* The guest is kept in xAPIC mode: x2APIC is not in its CPUID. */
	return !(value & (0x2ffull | STATE_APIC_X2APIC | ~0ull << physical_bits));
}

uint64_t vcpu_state_xstate_bv(const struct vcpu_state *state)
{
	uint64_t bv;

	memcpy(&bv, (const char *)state->xsave.region + XSTATE_BV_OFFSET, sizeof bv);
	return bv;
}

void vcpu_state_set_xstate_bv(struct vcpu_state *state, uint64_t bv)
{
	memcpy((char *)state->xsave.region + XSTATE_BV_OFFSET, &bv, sizeof bv);
}

static struct fxsave *fxsave(const struct vcpu_state *state)
{
	return (struct fxsave *)state->xsave.region;
}

void vcpu_state_get_fpu(const struct vcpu_state *state, struct kvm_fpu *fpu)
{
	const struct fxsave *image = fxsave(state);

	memset(fpu, 0, sizeof *fpu);
	fpu->fcw = image->fcw;
	fpu->fsw = image->fsw;
	fpu->ftwx = image->ftw;
	fpu->last_opcode = image->fop;
	fpu->last_ip = image->ip;
	fpu->last_dp = image->dp;
	memcpy(fpu->fpr, image->st, sizeof fpu->fpr);
	memcpy(fpu->xmm, image->xmm, sizeof fpu->xmm);
}

void vcpu_state_set_fpu(struct vcpu_state *state, const struct kvm_fpu *fpu)
{
	struct fxsave *image = fxsave(state);

	image->fcw = fpu->fcw;
	image->fsw = fpu->fsw;
	image->ftw = fpu->ftwx;
	image->fop = fpu->last_opcode;
	image->ip = fpu->last_ip;
	image->dp = fpu->last_dp;
	memcpy(image->st, fpu->fpr, sizeof fpu->fpr);
	memcpy(image->xmm, fpu->xmm, sizeof fpu->xmm);
	/* KVM does not touch XSTATE_BV here. Before the first run, where it is zero, a processor
	 * with XSAVE then loses in KVM what was set; it is kept, but KVM_GET_XSAVE shows the same.
	 */
	state->fpu_set = true;
	state->dirty |= STATE_XSAVE;
}

void vcpu_state_fxsave(const struct vcpu_state *state, uint64_t components, void *image)
{
	struct fxsave *to = image;

	memcpy(to, state->xsave.region, sizeof *to);
	if (!(components & STATE_XSTATE_FP)) {
		memset(to, 0, offsetof(struct fxsave, mxcsr));
		memset(to->st, 0, sizeof to->st);
		to->fcw = RESET_FCW;
	}
	if (!(components & STATE_XSTATE_SSE)) {
		memset(to->xmm, 0, sizeof to->xmm);
		to->mxcsr = RESET_MXCSR;
	}
}

void vcpu_state_get_xsave(const struct vcpu_state *state, struct kvm_xsave *xsave)
{
	*xsave = state->xsave;
	vcpu_state_fxsave(state, vcpu_state_xstate_bv(state), xsave->region);
}

void vcpu_state_set_xsave(struct vcpu_state *state, const struct kvm_xsave *xsave)
{
	state->xsave = *xsave;
	state->fpu_set = false;
	state->dirty |= STATE_XSAVE;
}

/* KVM_GET_SREGS shows the injected interrupt as a bit. */
static void show_interrupt(struct vcpu_state *state)
{
	uint8_t vector = state->events.interrupt.nr;

	memset(state->sregs.interrupt_bitmap, 0, sizeof state->sregs.interrupt_bitmap);
	if (state->events.interrupt.injected && !state->events.interrupt.soft)
		state->sregs.interrupt_bitmap[vector / 64] = 1ull << (vector % 64);
}

#define VECTOR_BP 3
#define VECTOR_OF 4

void vcpu_state_get_events(const struct vcpu_state *state, struct kvm_vcpu_events *events)
{
	*events = state->events;
	if (events->exception.nr == VECTOR_BP || events->exception.nr == VECTOR_OF)
		events->exception.injected = 0;
	if (events->interrupt.soft)
		events->interrupt.injected = 0;
	events->interrupt.soft = 0;
}

void vcpu_state_set_events(struct vcpu_state *state, const struct kvm_vcpu_events *events)
{
	struct kvm_vcpu_events *to = &state->events;

	to->exception = events->exception;
	/* Without KVM_CAP_EXCEPTION_PAYLOAD nothing is ever pending beside being injected. */
	to->exception.pending = 0;
	to->exception_has_payload = 0;
	to->exception_payload = events->exception_payload;
	to->interrupt.injected = events->interrupt.injected;
	to->interrupt.nr = events->interrupt.nr;
	to->interrupt.soft = events->interrupt.soft;
	if (events->flags & KVM_VCPUEVENT_VALID_SHADOW)
		to->interrupt.shadow = events->interrupt.shadow;
	to->nmi.injected = events->nmi.injected;
	if (events->flags & KVM_VCPUEVENT_VALID_NMI_PENDING)
		to->nmi.pending = !!events->nmi.pending;
	to->nmi.masked = events->nmi.masked;
	show_interrupt(state);
	state->dirty |= STATE_EVENTS;
}

void vcpu_state_set_sregs(struct vcpu_state *state, const struct kvm_sregs *sregs)
{
	const uint64_t old_apic_base = state->sregs.apic_base, old_cr8 = state->sregs.cr8;

	state->sregs = *sregs;
	/* KVM ignores a CR8 that no guest could write. */
	if (sregs->cr8 & ~0xfull)
		state->sregs.cr8 = old_cr8;
	if (vcpu_state_has_lapic(state) && state->sregs.cr8 != old_cr8) {
		vcpu_state_lapic_set(state, STATE_LAPIC_TPR, state->sregs.cr8 << 4);
		vcpu_state_lapic_derive(state);
	}
	if (state->sregs.cr8 != old_cr8 || sregs->apic_base != old_apic_base)
		state->dirty |= STATE_LAPIC;

	for (unsigned vector = 0; vector < KVM_NR_INTERRUPTS; vector++) {
		if (!(sregs->interrupt_bitmap[vector / 64] & (1ull << (vector % 64))))
			continue;
		state->events.interrupt.injected = 1;
		state->events.interrupt.nr = vector;
		state->events.interrupt.soft = 0;
		state->dirty |= STATE_EVENTS;
		break;
	}
	show_interrupt(state);
	state->dirty |= STATE_SREGS;
}

/* The two begin alike; sregs2 has its flags where sregs has the interrupt bitmap. */
#define SREGS_COMMON offsetof(struct kvm_sregs, interrupt_bitmap)
static_assert(SREGS_COMMON == offsetof(struct kvm_sregs2, flags), "kvm_sregs2 begins as kvm_sregs");

void vcpu_state_get_sregs2(const struct vcpu_state *state, struct kvm_sregs2 *sregs2)
{
	memset(sregs2, 0, sizeof *sregs2);
	memcpy(sregs2, &state->sregs, SREGS_COMMON);
}

void vcpu_state_set_sregs2(struct vcpu_state *state, const struct kvm_sregs2 *sregs2)
{
	struct kvm_sregs sregs;

	memset(&sregs, 0, sizeof sregs);
	memcpy(&sregs, sregs2, SREGS_COMMON);
	vcpu_state_set_sregs(state, &sregs);
}

void vcpu_state_set_lapic(struct vcpu_state *state, const struct kvm_lapic_state *lapic)
{
	state->lapic = *lapic;
	vcpu_state_lapic_set(state, STATE_LAPIC_VERSION, STATE_LAPIC_VERSION_KVM);
	vcpu_state_lapic_derive(state);
	state->sregs.cr8 = (vcpu_state_lapic_get(state, STATE_LAPIC_TPR) >> 4) & 0xf;
	state->dirty |= STATE_LAPIC;
}

static struct kvm_segment segment(uint16_t selector, uint64_t base, uint8_t type, uint8_t s)
{
	return (struct kvm_segment){
		.base = base,
		.limit = 0xffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = s,
	};
}

static void lapic_reset(struct vcpu_state *state, uint32_t id, bool boot)
{
	vcpu_state_lapic_set(state, STATE_LAPIC_ID, id << 24);
	vcpu_state_lapic_set(state, STATE_LAPIC_VERSION, STATE_LAPIC_VERSION_KVM);
	vcpu_state_lapic_set(state, STATE_LAPIC_DFR, 0xffffffff);
	vcpu_state_lapic_set(state, STATE_LAPIC_SPIV, 0xff);
	for (unsigned offset = STATE_LAPIC_LVTT; offset < STATE_LAPIC_TMICT; offset += 0x10)
		vcpu_state_lapic_set(state, offset, STATE_LAPIC_LVT_MASKED);
	/* Virtual wire on the boot processor, as firmware would leave it: programs that never
	 * touch the LAPIC count on it (KVM_X86_QUIRK_LINT0_REENABLED). */
	if (boot)
		vcpu_state_lapic_set(state, STATE_LAPIC_LVT0, LVT_EXTINT);
}

void vcpu_state_reset(struct vcpu_state *state, uint32_t id, bool boot, bool irqchip)
{
	struct kvm_segment data = segment(0, 0, 0x3, 1);

	memset(state, 0, sizeof *state);
	state->known = state->dirty = STATE_ALL;

	state->regs.rip = RESET_RIP;
	state->regs.rflags = RESET_RFLAGS;
	state->regs.rdx = RESET_RDX;

	/* As kvm_intel has them, accessed bits set: both kinds of processor enter a guest so. */
	state->sregs.cs = segment(0xf000, 0xffff0000, 0xb, 1);
	state->sregs.ds = state->sregs.es = state->sregs.fs = state->sregs.gs = data;
	state->sregs.ss = data;
	state->sregs.tr = segment(0, 0, 0xb, 0);
	state->sregs.ldt = segment(0, 0, 0x2, 0);
	state->sregs.gdt.limit = state->sregs.idt.limit = 0xffff;
	state->sregs.cr0 = RESET_CR0;
	state->sregs.apic_base = APIC_BASE | STATE_APIC_ENABLE | (boot ? STATE_APIC_BSP : 0);

	fxsave(state)->fcw = RESET_FCW;
	fxsave(state)->mxcsr = RESET_MXCSR;
	state->xcr0 = STATE_XSTATE_FP;

	state->debugregs.dr6 = RESET_DR6;
	state->debugregs.dr7 = RESET_DR7;
	state->events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW |
			      KVM_VCPUEVENT_VALID_SMM;
	state->mp_state.mp_state =
		boot || !irqchip ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED;
	if (irqchip)
		lapic_reset(state, id, boot);

	for (int row = 0; row < MSR_TABLE_SIZE; row++)
		state->msrs[row] = msr_table[row].reset;
}
