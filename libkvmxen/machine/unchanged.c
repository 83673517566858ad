#include "libkvmxen/machine/unchanged.h"

#include <stddef.h>
#include <string.h>

#include "libkvmxen/machine/debug.h"
#include "libkvmxen/machine/inject.h"

#define SAME(field) (memcmp(&a->field, &b->field, sizeof a->field) == 0)

static bool same_regs(const struct vcpu_state *a, const struct vcpu_state *b)
{
	return SAME(regs);
}

/* VMMs that keep segments in their own form give back another type of an unusable one. */
static bool same_segment(const struct kvm_segment *a, const struct kvm_segment *b)
{
	if (a->base != b->base || a->limit != b->limit || a->selector != b->selector)
		return false;
	if (a->unusable || b->unusable)
		return a->unusable == b->unusable && a->dpl == b->dpl;
	return a->type == b->type && a->present == b->present && a->dpl == b->dpl &&
	       a->db == b->db && a->s == b->s && a->l == b->l && a->g == b->g && a->avl == b->avl;
}

static bool same_table(const struct kvm_dtable *a, const struct kvm_dtable *b)
{
	return a->base == b->base && a->limit == b->limit;
}

static bool same_sregs(const struct vcpu_state *sa, const struct vcpu_state *sb)
{
	const struct kvm_sregs *a = &sa->sregs, *b = &sb->sregs;

	return same_segment(&a->cs, &b->cs) && same_segment(&a->ds, &b->ds) &&
	       same_segment(&a->es, &b->es) && same_segment(&a->fs, &b->fs) &&
	       same_segment(&a->gs, &b->gs) && same_segment(&a->ss, &b->ss) &&
	       same_segment(&a->tr, &b->tr) && same_segment(&a->ldt, &b->ldt) &&
	       same_table(&a->gdt, &b->gdt) && same_table(&a->idt, &b->idt) && SAME(cr0) &&
	       SAME(cr2) && SAME(cr3) && SAME(cr4) && SAME(efer);
}

/* Where software may keep what it likes, and the mask, which nobody can set (SDM volume 1, 10.5.1).
 */
#define FXSAVE_SIZE     512
#define FXSAVE_MASK     28
#define FXSAVE_MASK_END 32
#define FXSAVE_UNUSED   416
#define XSAVE_EXTENDED  576

static bool same_xsave(const struct vcpu_state *a, const struct vcpu_state *b)
{
	uint64_t bv = vcpu_state_xstate_bv(a);
	uint8_t fa[FXSAVE_SIZE], fb[FXSAVE_SIZE];

	if (a->xcr0 != b->xcr0 || a->fpu_set != b->fpu_set || vcpu_state_xstate_bv(b) != bv)
		return false;
	vcpu_state_fxsave(a, bv, fa);
	vcpu_state_fxsave(b, bv, fb);
	return memcmp(fa, fb, FXSAVE_MASK) == 0 &&
	       memcmp(fa + FXSAVE_MASK_END, fb + FXSAVE_MASK_END,
		      FXSAVE_UNUSED - FXSAVE_MASK_END) == 0 &&
	       memcmp((const char *)a->xsave.region + XSAVE_EXTENDED,
		      (const char *)b->xsave.region + XSAVE_EXTENDED,
		      sizeof a->xsave - XSAVE_EXTENDED) == 0;
}

static bool same_debug(const struct vcpu_state *a, const struct vcpu_state *b)
{
	return SAME(debugregs.db) && SAME(debugregs.dr6) && SAME(debugregs.dr7);
}

static bool same_events(const struct vcpu_state *sa, const struct vcpu_state *sb)
{
	const struct kvm_vcpu_events *a = &sa->events, *b = &sb->events;

	if (a->exception.injected != b->exception.injected ||
	    a->interrupt.injected != b->interrupt.injected || a->nmi.injected != b->nmi.injected)
		return false;
	if (a->exception.injected && memcmp(&a->exception, &b->exception, sizeof a->exception) != 0)
		return false;
	if (a->interrupt.injected &&
	    (a->interrupt.nr != b->interrupt.nr || a->interrupt.soft != b->interrupt.soft))
		return false;
	return a->interrupt.shadow == b->interrupt.shadow && a->nmi.pending == b->nmi.pending &&
	       a->nmi.masked == b->nmi.masked;
}

static bool same_msrs(const struct vcpu_state *a, const struct vcpu_state *b)
{
	for (int row = 0; row < MSR_TABLE_SIZE; row++)
		if (row != MSR_ROW_TSC && row != MSR_ROW_TSC_DEADLINE &&
		    a->msrs[row] != b->msrs[row])
			return false;
	return true;
}

static bool same_lapic(const struct vcpu_state *a, const struct vcpu_state *b)
{
	return SAME(lapic) && SAME(sregs.apic_base) && SAME(sregs.cr8) &&
	       SAME(msrs[MSR_ROW_TSC_DEADLINE]);
}

/* The TSC goes on: it is never as it was. mp_state is compared where it is set. */
static const struct {
	uint32_t part;
	bool (*same)(const struct vcpu_state *a, const struct vcpu_state *b);
} parts[] = {
	{STATE_REGS, same_regs},   {STATE_SREGS, same_sregs},   {STATE_XSAVE, same_xsave},
	{STATE_DEBUG, same_debug}, {STATE_EVENTS, same_events}, {STATE_MSRS, same_msrs},
	{STATE_LAPIC, same_lapic},
};

void unchanged_begin(struct unchanged *unchanged, const struct vcpu *vcpu)
{
	unchanged->before = vcpu->state;
	/* A debugger's registers are not the guest's; one that stopped for good is started by any
	 * SET. */
	unchanged->applies = vcpu->phase != VCPU_NEW && vcpu->phase != VCPU_STOPPED &&
			     vcpu->injecting == INJECT_NONE && !debug_busy(vcpu);
}

void unchanged_end(const struct unchanged *unchanged, struct vcpu *vcpu)
{
	const struct vcpu_state *before = &unchanged->before;
	struct vcpu_state *state = &vcpu->state;
	uint32_t candidates = state->dirty & ~before->dirty & before->known;
	size_t i;

	for (i = 0; unchanged->applies && i < sizeof parts / sizeof *parts; i++)
		if ((candidates & parts[i].part) && parts[i].same(before, state))
			state->dirty &= ~parts[i].part;
}
