/* Vcpus: when Xen runs them, and what happens on the way into the guest. */
#include "tests/fake/internal.h"

#include <signal.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include <xen/hvm/params.h>

#define X86_EFLAGS_IF (1u << 9)
#define EVENT_VALID   (1u << 31)
#define EVENT_NMI     (EVENT_VALID | 2u << 8 | 2)
#define RESET_PAT     0x0007040600070406ull
#define STACK         (512u << 10)

uint64_t xen_host_tsc(void)
{
	return __rdtsc(); /* as the library, in dom0, reads it */
}

uint64_t xen_vcpu_tsc(const struct vcpu *v)
{
	return xen_host_tsc() + v->tsc_offset;
}

void xen_vcpu_init(struct vcpu *v, struct domain *d, unsigned id)
{
	v->d = d;
	v->id = id;
	v->down = true;
	v->pat = RESET_PAT;
	v->tsc_offset = -(int64_t)d->sync_tsc;
	xen_records_init_vcpu(v);
}

void xen_vcpu_reset(struct vcpu *v)
{
	v->down = true;
	v->initialised = v->blocked = false;
	v->cpu.flags = 0;
	memset(v->cpu.fpu_regs, 0, sizeof v->cpu.fpu_regs);
}

bool xen_vcpu_runnable(const struct vcpu *v)
{
	if (v->d->shutting_down && !v->deferring)
		return false;
	return xen_domain_runs(v->d) && !v->down && !v->blocked && !v->blocked_in_xen &&
	       !v->event_paused && !v->stuck;
}

void xen_vcpu_wake(struct vcpu *v)
{
	if (!v->blocked)
		return;
	v->blocked = false;
	v->resume = true;
}

/* Acknowledges the next interrupt, as Xen does on the way in: from here on it is an event that the
 * CPU record shows. */
static void take_interrupt(struct vcpu *v)
{
	if (v->cpu.pending_valid)
		return;
	if (v->nmi) {
		v->nmi = false;
		v->cpu.pending_event = EVENT_NMI;
		return;
	}
	for (int vector = 255; vector >= 0 && v->cpu.rflags & X86_EFLAGS_IF; vector--) {
		if (!v->irr[vector])
			continue;
		v->irr[vector] = false;
		v->cpu.pending_event = EVENT_VALID | vector;
		return;
	}
}

/* The guest enters with an event: its handler is taken to have run at once. */
static bool deliver_event(struct vcpu *v)
{
	take_interrupt(v);
	if (!v->cpu.pending_valid)
		return false;
	v->events = realloc(v->events, (v->nr_events + 1) * sizeof *v->events);
	if (!v->events)
		abort();
	v->events[v->nr_events++] = v->cpu.pending_event;
	v->cpu.pending_event = 0;
	return true;
}

static void run_current(struct vcpu *v)
{
	struct guest_op *op = fake_script_current(v);

	if (op && fake_op_run(v, op) == OP_DONE)
		op->done = true;
}

/* hvm_do_resume: completes what was asked for, then stops for an INVALIDATE when one is armed.
 * False: the vcpu does not enter the guest now. */
static bool resume(struct vcpu *v)
{
	bool sent = xen_ioreq_pending(v);
	struct guest_op *op = fake_script_current(v);

	v->resume = false;
	if (!xen_ioreq_complete(v)) {
		v->resume = true;
		return false;
	}
	if (sent && op && op->phase == OP_SENT) {
		op->phase = OP_ANSWERED;
		v->deferring = false;
		run_current(v);
	} else {
		v->deferring = false;
	}
	xen_domain_check_shutdown(v->d);
	if (!v->invalidate)
		return xen_vcpu_runnable(v);
	/* When the completion has sent a further request, the flag is lost. */
	v->invalidate = false;
	xen_ioreq_broadcast_invalidate(v);
	take_interrupt(v);
	return xen_vcpu_runnable(v);
}

/* A spinning vcpu stays in the guest: only a reschedule brings it through its resume path. */
static bool spins(const struct vcpu *v, const struct guest_op *op)
{
	if (!op)
		return !v->program;
	return (op->op.kind == FAKE_SPIN || op->op.kind == FAKE_POLL) && op->phase;
}

bool xen_vcpu_step(struct vcpu *v)
{
	bool progress = v->resume || xen_ioreq_pending(v);
	struct guest_op *op;
	enum op_result result;

	if (!xen_vcpu_runnable(v))
		return false;
	op = fake_script_current(v);
	if ((progress || !spins(v, op)) && !resume(v))
		return true;
	progress |= deliver_event(v);
	op = fake_script_next(v); /* the resume may have ended the one above */
	if (!op)
		return progress;
	result = fake_op_run(v, op);
	if (result == OP_DONE)
		op->done = true;
	return result != OP_IDLE || progress;
}

/* Gives the others a chance at the lock, which pthreads would hand to us again. */
static void breathe(void)
{
	fake_unlock();
	sched_yield();
	fake_lock();
}

static void *run(void *arg)
{
	struct vcpu *v = arg;

	fake_lock();
	while (!v->d->dying && !v->d->dead) {
		if (xen_vcpu_step(v)) {
			fake_changed();
			breathe();
		} else {
			struct guest_op *op = fake_script_current(v);
			struct timespec soon = fake_deadline(1);

			/* memory changes without telling anybody */
			fake_wait(op && op->op.kind == FAKE_POLL ? &soon : NULL);
		}
	}
	fake_unlock();
	return NULL;
}

void xen_vcpu_start(struct vcpu *v)
{
	pthread_attr_t attr;
	sigset_t all, old;

	if (fake_host.manual || v->has_thread || getpid() != v->d->pid)
		return;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	/* The program's signals are for its own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&v->thread, &attr, run, v))
		abort();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	v->has_thread = true;
}

/* A forked child has no such threads. */
void xen_vcpu_stop(struct vcpu *v)
{
	if (!v->has_thread)
		return;
	v->has_thread = false;
	if (getpid() != v->d->pid)
		return;
	fake_unlock();
	pthread_join(v->thread, NULL);
	fake_lock();
}

bool fake_step(uint16_t domid, unsigned vcpu)
{
	struct vcpu *v;
	bool progress;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	progress = v && xen_vcpu_step(v);
	fake_changed();
	fake_unlock();
	return progress;
}
