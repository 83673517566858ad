/*
 * run: KVM_RUN.
 *
 * The order is KVM's: what the last exit left is completed first, then immediate_exit is looked at,
 * then the guest runs until an exit or a signal. machine/wait.h says how no signal is lost.
 */
#include <errno.h>
#include <stdint.h>

#include "libkvmxen/hot.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/exit.h"
#include "libkvmxen/machine/debug.h"
#include "libkvmxen/machine/inject.h"
#include "libkvmxen/machine/quiet.h"
#include "libkvmxen/machine/run_private.h"
#include "libkvmxen/machine/wait.h"
#include "libkvmxen/machine/window.h"
#include "libkvmxen/machine/world.h"
#include "libkvmxen/message.h"

/* Waiting without an event: how soon, and at the latest how often, Xen is asked what the vcpu is
 * doing. Only an idle wait pays for it; it finds HLT without an irqchip, triple faults and a domain
 * that somebody destroyed. */
#define IDLE_FIRST_MS         32
#define IDLE_FIRST_NO_IRQCHIP 1 /* HLT is an exit then, and found no sooner than by asking */
/* How often a vcpu is looked at whose VMM waits for an interrupt window or an end of interrupt. */
#define POLL_FIRST_MS 1
#define POLL_LAST_MS  4

static long finish_eoi(struct run *r, enum vcpu_phase phase)
{
	r->vcpu->run->eoi.vector = r->eoi;
	return finish_exit(r->vcpu, phase, KVM_EXIT_IOAPIC_EOI);
}

/* A signal or immediate_exit; what is told once only goes first. */
static long finish_stop(struct run *r, enum vcpu_phase phase)
{
	return r->eoi >= 0 ? finish_eoi(r, phase) : finish_interrupted(r->vcpu, phase);
}

/* The guest goes on from here: copies of its state are stale from now. */
static void let_run(struct vcpu *vcpu)
{
	vcpu->phase = VCPU_RUNNING;
	vcpu->state.known = 0;
	while (!world_answer(vcpu))
		atomic_store(&vcpu->io_cancelled, false); /* an invalidate has no result */
}

/* --- a request of the guest --- */

/* Once the registers have the result, no later load of another vcpu's can lose it: to load again
 * would only make that one load again. */
COLD static long make_up_once(struct run *r, bool *made_up)
{
	struct vcpu *vcpu = r->vcpu;
	long rc;

	wait_block(&r->wait, vcpu);
	rc = *made_up ? 0 : run_make_up(vcpu);
	if (rc < 0)
		return rc;
	atomic_store(&vcpu->io_cancelled, false);
	*made_up = true;
	return 0;
}

/* The instruction is completed, and the next one must not begin. */
COLD static long stop_behind(struct run *r)
{
	r->exact = true;
	return world_arm(r->vcpu->vm);
}

/* Goes on with a request until it is shown or done. 1: an exit is shown; 0: answered. */
HOT static long work_on_request(struct run *r)
{
	struct vcpu *vcpu = r->vcpu;
	bool made_up = false;
	long rc;

	if (exit_next(vcpu) == EXIT_SHOWN) {
		interrupts_signal(vcpu);
		return 1;
	}
	if (__builtin_expect(r->wait.stop || r->hold, false)) {
		interrupts_signal(vcpu);
		rc = stop_behind(r);
		if (rc < 0)
			return rc;
	}
	vcpu->phase = VCPU_RUNNING;
	do {
		if (__builtin_expect(atomic_load(&vcpu->io_cancelled), false)) {
			interrupts_signal(vcpu);
			rc = make_up_once(r, &made_up);
			if (rc < 0)
				return rc;
		}
		if (vcpu->has_replay)
			run_remember_replay(vcpu);
		exit_result_to_slot(vcpu);
		vcpu->state.known = 0;
	} while (!world_answer(vcpu));
	interrupts_signal(vcpu);
	return 0;
}

/* The vcpu is at rest between two instructions. What waited for that is done now. 1: KVM_RUN ends
 * with *rc; 0: the guest may go on. */
COLD static int held(struct run *r, enum vcpu_phase phase, long *rc)
{
	struct vcpu *vcpu = r->vcpu;

	r->hold = false;
	*rc = 0;
	vcpu->phase = phase;
	if (vcpu->injecting != INJECT_NONE)
		*rc = inject(vcpu);
	if (*rc >= 0 && vcpu->phase == VCPU_IDLE && window_injects(vcpu))
		*rc = run_leave_halt(vcpu);
	if (*rc >= 0 && vcpu->state.dirty)
		*rc = run_flush(vcpu);
	if (*rc < 0)
		return 1;
	if (r->eoi >= 0) {
		*rc = finish_eoi(r, phase);
		return 1;
	}
	if (!window_wanted(vcpu) || !window_open(vcpu))
		return 0;
	*rc = finish_exit(vcpu, phase, KVM_EXIT_IRQ_WINDOW_OPEN);
	return 1;
}

/* --- what the slot holds --- */

/* As take_request. */
COLD static int take_nonsense(struct run *r, long *rc)
{
	struct vcpu *vcpu = r->vcpu;

	message_error("KVM_RUN: vcpu %u: Xen sent a request of type %u, size %u, address "
		      "%#llx: none that its headers know",
		      vcpu->id, vcpu->io.type, vcpu->io.size, (unsigned long long)vcpu->io.addr);
	*rc = finish_internal_error(vcpu, VCPU_PARKED);
	return 1;
}

COLD static int take_invalidate(struct run *r, long *rc)
{
	struct vcpu *vcpu = r->vcpu;

	if (atomic_exchange(&vcpu->tripled, false)) {
		wait_block(&r->wait, vcpu);
		*rc = run_finish_shutdown(vcpu);
		return 1;
	}
	if (debug_active(vcpu) && debug_stopped(vcpu, r->stepped)) {
		*rc = finish_exit(vcpu, VCPU_PARKED, KVM_EXIT_DEBUG);
		return 1;
	}
	/* Not there: it runs on, and is parked again. */
	if (r->wait.stop && !r->exact && quiet_not_yet(vcpu, vcpu->put_off)) {
		wait_block(&r->wait, vcpu);
		let_run(vcpu);
		quiet_wait(vcpu->put_off++);
		return 0;
	}
	if (r->wait.stop) {
		*rc = finish_stop(r, VCPU_PARKED);
		return 1;
	}
	if ((r->hold || window_asked(vcpu)) && held(r, VCPU_PARKED, rc))
		return 1;
	/* A stop of the world in progress answers for us when it ends: world_answer
	 * waits for that. */
	STATS_ADD(&vcpu->vm->stats->invalidates);
	r->exact = false; /* of a stop between two instructions that was for us */
	let_run(vcpu);
	return 0;
}

/* 1: KVM_RUN ends with *rc; 0: go on waiting. */
static int take_request(struct run *r, long *rc)
{
	struct vcpu *vcpu = r->vcpu;

	if (__builtin_expect(!exit_take(vcpu), false))
		return take_nonsense(r, rc);
	if (vcpu->io.type == IOREQ_TYPE_INVALIDATE)
		return take_invalidate(r, rc);
	if (vcpu->has_replay && run_is_replay(vcpu))
		vcpu->io_done = vcpu->io.count;
	*rc = work_on_request(r);
	if (*rc == 0)
		return 0;
	if (*rc == 1)
		*rc = finish(vcpu, VCPU_EXIT, 0);
	return 1;
}

/* --- waiting --- */

static unsigned idle_first(const struct vcpu *vcpu)
{
	return vcpu->vm->interrupts.lapic ? IDLE_FIRST_MS : IDLE_FIRST_NO_IRQCHIP;
}

/* An I/O of the guest is in the slot. An end of interrupt before it is shown before it: the request
 * stays for the next KVM_RUN. */
static bool eoi_first(struct run *r)
{
	struct vcpu *vcpu = r->vcpu;

	if (vcpu->slot->type == IOREQ_TYPE_INVALIDATE)
		return false;
	if (r->eoi < 0 && interrupts_expect_eoi(vcpu))
		r->eoi = interrupts_ended(vcpu);
	return r->eoi >= 0;
}

/* Waits for the slot, a kick or the time. True: nothing came. */
static bool wait_for_vcpu(struct run *r)
{
	struct vcpu *vcpu = r->vcpu;
	bool window = window_wanted(vcpu), eoi = interrupts_expect_eoi(vcpu);

	if (!window && !eoi)
		return wait_event(&r->wait, vcpu, r->idle_ms);
	if (!wait_event(&r->wait, vcpu, r->poll_ms))
		return false;
	r->poll_ms = r->poll_ms * 2 > POLL_LAST_MS ? POLL_LAST_MS : r->poll_ms * 2;
	r->eoi = eoi ? interrupts_ended(vcpu) : -1;
	r->hold = r->eoi >= 0 || (window && window_glimpse(vcpu));
	return true;
}

/* The vcpu has to come to rest. 1: KVM_RUN ends with *rc. */
COLD static int park(struct run *r, long *rc)
{
	struct vcpu *vcpu = r->vcpu;
	struct domain_info info;
	int ended;

	wait_block(&r->wait, vcpu);
	*rc = world_park(vcpu);
	if (*rc < 0)
		return 1;
	if (*rc == 0)
		return 0;
	/* At rest because the domain is shut down? No kick must hide that: with the next KVM_RUN's
	 * load it would go on. */
	ended = run_look_domain(vcpu, &info, rc);
	if (ended)
		return ended > 0;
	if (r->wait.stop) {
		*rc = finish_stop(r, VCPU_IDLE);
		return 1;
	}
	return held(r, VCPU_IDLE, rc);
}

static long loop(struct run *r)
{
	struct vcpu *vcpu = r->vcpu;
	long rc;

	r->idle_ms = idle_first(vcpu);
	r->poll_ms = POLL_FIRST_MS;
	r->exact = r->wait.stop;
	for (;;) {
		if (world_slot_state(vcpu) == STATE_IOREQ_READY) {
			vcpu->io_untaken = eoi_first(r);
			if (vcpu->io_untaken)
				return finish_eoi(r, VCPU_RUNNING);
			if (take_request(r, &rc))
				return rc;
			r->idle_ms = idle_first(vcpu);
			continue;
		}
		if (r->wait.stop || r->hold) {
			if (park(r, &rc))
				return rc;
			continue;
		}
		/* Work that came while the guest runs (the worker flushes for slots). */
		if (wait_for_vcpu(r) && run_look_idle(r, &rc))
			return rc;
	}
}

/* What the last exit left; see the file's head. 1: KVM_RUN ends with *rc. */
static int resume(struct run *r, long *rc)
{
	struct vcpu *vcpu = r->vcpu;

	if (vcpu->phase == VCPU_EXIT && vcpu->io_shown) {
		exit_complete(vcpu);
		/* More elements of one instruction: the next exit, as KVM's own completion. */
		if (vcpu->io_done < vcpu->io.count) {
			enum exit_result next = exit_next(vcpu);

			interrupts_signal(vcpu);
			if (next == EXIT_SHOWN) {
				*rc = finish(vcpu, VCPU_EXIT, 0);
				return 1;
			}
		}
	} else if (r->wait.stop) {
		*rc = finish_interrupted(vcpu, vcpu->phase);
		return 1;
	}
	return 0;
}

/* An instruction whose exit was shown is completed before an interrupt is injected behind it, and
 * before anybody is told that one could be; and before a debugger is told that it was stepped. */
COLD static bool complete_first(const struct vcpu *vcpu)
{
	if (vcpu->phase != VCPU_EXIT || vcpu->io_done < vcpu->io.count ||
	    atomic_load_explicit(&vcpu->vm->work, memory_order_relaxed))
		return false;
	if (!vcpu->state.dirty && (debug_stepping(vcpu) || vcpu->injecting != INJECT_NONE))
		return true;
	if (!window_asked(vcpu))
		return false;
	return vcpu->state.dirty ? !(vcpu->state.dirty & ~(STATE_EVENTS | STATE_LAPIC))
				 : window_wanted(vcpu) && vcpu->run->if_flag;
}

/* Nothing has to go into the vcpu before it runs: an exit is answered, and that is all. */
static inline bool prepared(struct vcpu *vcpu)
{
	return vcpu->slot && !vcpu->halted && !debug_busy(vcpu) && vcpu->injecting == INJECT_NONE &&
	       !window_asked(vcpu) && !needs_flush(vcpu);
}

/* What goes into the vcpu before it runs. 0 or -errno. */
COLD static long prepare(struct run *r)
{
	struct vcpu *vcpu = r->vcpu;
	long rc = 0;

	/* Both before the domain is made: that is when a new vcpu begins to run. */
	if (debug_busy(vcpu) && !(vcpu->phase == VCPU_EXIT && debug_stepping(vcpu)))
		rc = debug_prepare(vcpu);
	/* Behind an access to memory it has to wait until that is complete: see complete_first. */
	if (rc == 0 && vcpu->injecting != INJECT_NONE &&
	    !(vcpu->phase == VCPU_EXIT && vcpu->io.type == IOREQ_TYPE_COPY))
		rc = inject(vcpu);
	if (rc >= 0 && !vcpu->slot)
		rc = run_materialise(vcpu);
	if (rc >= 0 && (vcpu->halted || (vcpu->phase == VCPU_IDLE && window_injects(vcpu))))
		rc = run_leave_halt(vcpu);
	if (rc < 0)
		return rc;
	if (complete_first(vcpu)) {
		r->hold = true;
		r->stepped = debug_stepping(vcpu);
		return 0;
	}
	if (!needs_flush(vcpu))
		return 0;
	/* A load makes Xen forget the request: the result of an IN must go where it would have
	 * gone. */
	pthread_mutex_lock(&vcpu->vm->lock);
	rc = vcpu->phase == VCPU_EXIT && vcpu->io_done == vcpu->io.count ? run_merge_input(vcpu)
									 : 0;
	if (rc == 0)
		rc = run_flush_locked(vcpu);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return rc;
}

static long run_guest(struct run *r)
{
	struct vcpu *vcpu = r->vcpu;
	long rc = 0;

	if (resume(r, &rc))
		return rc;
	if (!prepared(vcpu)) {
		if (!vcpu->slot || vcpu->halted || needs_flush(vcpu))
			wait_block(&r->wait, vcpu);
		rc = prepare(r);
		if (rc < 0)
			return rc;
	}
	if (vcpu->phase == VCPU_STOPPED)
		return finish_exit(vcpu, VCPU_STOPPED, KVM_EXIT_SHUTDOWN);
	if (vcpu->phase == VCPU_EXIT) {
		rc = work_on_request(r);
		if (rc != 0)
			return rc == 1 ? finish(vcpu, VCPU_EXIT, 0) : rc;
	} else if (vcpu->phase == VCPU_PARKED) {
		if (window_wanted(vcpu) && held(r, VCPU_PARKED, &rc))
			return rc;
		let_run(vcpu);
	} else {
		vcpu->state.known = 0;
		vcpu->phase = VCPU_RUNNING;
	}
	return loop(r);
}

HOT long vcpu_run(struct vcpu *vcpu)
{
	struct run r = {.vcpu = vcpu, .eoi = -1};
	uint32_t reason = vcpu->run->exit_reason;
	bool immediate;
	long rc;

	if (atomic_load_explicit(&vcpu->vm->phase, memory_order_relaxed) == VM_GONE)
		return -EIO;
	wait_begin(&r.wait, vcpu);
	immediate = r.wait.stop;
	if (vcpu->run->kvm_valid_regs || vcpu->run->kvm_dirty_regs || window_asked(vcpu) ||
	    debug_busy(vcpu))
		wait_block(&r.wait, vcpu);
	/* Before another vcpu's load may take this one's state as it is. */
	rc = vcpu_sync_in(vcpu);
	if (rc == 0)
		rc = window_begin(vcpu);
	if (rc == 0) {
		atomic_store(&vcpu->in_run, true);
		rc = run_guest(&r);
		atomic_store(&vcpu->in_run, false);
		interrupts_keep_order(vcpu);
	}
	/* KVM has not come as far as to have a reason. */
	if (immediate && rc == -EINTR)
		vcpu->run->exit_reason = reason;
	window_report(vcpu);
	if (vcpu->run->kvm_valid_regs)
		vcpu_sync_out(vcpu);
	wait_end(&r.wait);
	return rc;
}
