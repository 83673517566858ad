/* One vcpu's general registers, and bringing vcpus up and down. */
#include "tests/fake/internal.h"

#define REGS(X)                                                                                    \
	X(rax)                                                                                     \
	X(rbx)                                                                                     \
	X(rcx)                                                                                     \
	X(rdx)                                                                                     \
	X(rbp)                                                                                     \
	X(rsi) X(rdi) X(rsp) X(r8) X(r9) X(r10) X(r11) X(r12) X(r13) X(r14) X(r15) X(rip) X(rflags)

int xen_vcpu_context_get(struct vcpu *v, struct vcpu_guest_context *context)
{
	const struct hvm_hw_cpu *c = &v->cpu;

	if (!v->initialised)
		return -ENODATA;
	memset(context, 0, sizeof *context);
	memcpy(&context->fpu_ctxt, c->fpu_regs, sizeof c->fpu_regs);
	context->flags = VGCF_I387_VALID | (v->down ? 0 : VGCF_online);
#define GET(reg) context->user_regs.reg = c->reg;
	REGS(GET)
#undef GET
	context->user_regs.cs = c->cs_sel;
	context->user_regs.ds = c->ds_sel;
	context->user_regs.es = c->es_sel;
	context->user_regs.fs = c->fs_sel;
	context->user_regs.gs = c->gs_sel;
	context->user_regs.ss = c->ss_sel;
	context->fs_base = c->fs_base;
	context->gs_base_kernel = c->shadow_gs;
	context->gs_base_user = c->gs_base;
	context->ctrlreg[0] = c->cr0;
	context->ctrlreg[2] = c->cr2;
	context->ctrlreg[3] = c->cr3;
	context->ctrlreg[4] = c->cr4;
	context->debugreg[0] = c->dr0;
	context->debugreg[1] = c->dr1;
	context->debugreg[2] = c->dr2;
	context->debugreg[3] = c->dr3;
	context->debugreg[6] = c->dr6;
	context->debugreg[7] = c->dr7;
	return 0;
}

static void load(struct vcpu *v, const struct vcpu_guest_context *context)
{
	struct hvm_hw_cpu *c = &v->cpu;

#define SET(reg) c->reg = context->user_regs.reg;
	REGS(SET)
#undef SET
	c->rflags |= 2;
	c->dr0 = context->debugreg[0];
	c->dr1 = context->debugreg[1];
	c->dr2 = context->debugreg[2];
	c->dr3 = context->debugreg[3];
	c->dr6 = context->debugreg[6];
	c->dr7 = context->debugreg[7];
	/* without the flag the FPU is reset; with it only x87 and SSE survive */
	if (context->flags & VGCF_I387_VALID) {
		memcpy(c->fpu_regs, &context->fpu_ctxt, sizeof c->fpu_regs);
	} else {
		memset(c->fpu_regs, 0, sizeof c->fpu_regs);
		c->fpu_regs[0] = 0x7f;
		c->fpu_regs[1] = 0x03;
		c->fpu_regs[24] = 0x80;
		c->fpu_regs[25] = 0x1f;
	}
	v->xsave.head.save_area.xsave_hdr.xstate_bv = 3;
	memset(v->xsave.rest, 0, sizeof v->xsave.rest);
}

int xen_vcpu_context_set(struct vcpu *v, const struct vcpu_guest_context *context)
{
	if (xen_vcpu_runnable(v))
		violation("domain %u vcpu %u: registers written while it runs", v->d->domid, v->id);
	if (!context) {
		xen_vcpu_reset(v);
		return 0;
	}
	xen_ioreq_cancel(v);
	load(v, context);
	v->initialised = true;
	v->down = !(context->flags & VGCF_online);
	v->resume = true;
	if (!v->down && v->d->creation_finished)
		xen_vcpu_start(v);
	return 0;
}

enum fake_vcpu_state xen_vcpu_state(const struct vcpu *v)
{
	if (v->stuck)
		return FAKE_STUCK;
	if (v->down || !v->initialised)
		return FAKE_DOWN;
	if (v->event_paused || v->blocked_in_xen)
		return FAKE_WAITING;
	if (xen_ioreq_pending(v))
		return FAKE_RESUMING;
	if (v->blocked)
		return FAKE_BLOCKED;
	return xen_vcpu_runnable(v) ? FAKE_RUNNING : FAKE_PAUSED;
}

enum fake_vcpu_state fake_vcpu_state(uint16_t domid, unsigned vcpu)
{
	enum fake_vcpu_state state;
	struct vcpu *v;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	state = v ? xen_vcpu_state(v) : FAKE_DOWN;
	fake_unlock();
	return state;
}

bool fake_vcpu_wait(uint16_t domid, unsigned vcpu, enum fake_vcpu_state state, int timeout)
{
	struct timespec deadline = fake_deadline(timeout);
	struct vcpu *v;
	bool ok;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	while (v && xen_vcpu_state(v) != state && fake_wait(&deadline))
		;
	ok = v && xen_vcpu_state(v) == state;
	fake_unlock();
	return ok;
}

bool fake_guest_regs(uint16_t domid, unsigned vcpu, struct hvm_hw_cpu *regs)
{
	struct vcpu *v;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	if (v)
		*regs = v->cpu;
	fake_unlock();
	return v != NULL;
}

bool fake_guest_set_regs(uint16_t domid, unsigned vcpu, const struct hvm_hw_cpu *regs)
{
	struct vcpu *v;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	if (v)
		v->cpu = *regs;
	fake_changed();
	fake_unlock();
	return v != NULL;
}

uint64_t fake_guest_tsc(uint16_t domid, unsigned vcpu)
{
	struct vcpu *v;
	uint64_t tsc;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	tsc = v ? xen_vcpu_tsc(v) : 0;
	fake_unlock();
	return tsc;
}

uint64_t fake_guest_pat(uint16_t domid, unsigned vcpu)
{
	struct vcpu *v;
	uint64_t pat;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	pat = v ? v->pat : 0;
	fake_unlock();
	return pat;
}

unsigned fake_guest_events(uint16_t domid, unsigned vcpu, uint32_t *events, unsigned n)
{
	unsigned have = 0;
	struct vcpu *v;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	if (v)
		have = v->nr_events;
	for (unsigned i = 0; i < n && i < have; i++)
		events[i] = v->events[i];
	fake_unlock();
	return have;
}

int fake_guest_sipi(uint16_t domid, unsigned vcpu, uint8_t vector)
{
	struct vcpu *v;
	int rc = 0;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	if (!v || v->initialised)
		rc = v ? -EBUSY : -EINVAL;
	if (!rc) {
		xen_records_reset_cpu(v, (uint16_t)vector << 8);
		v->initialised = true;
		v->down = false;
		v->resume = true;
		if (v->d->creation_finished)
			xen_vcpu_start(v);
		fake_changed();
	}
	fake_unlock();
	return rc;
}
