/*
 * run: KVM_RUN.
 *
 * The order is KVM's: what the last exit left is completed first, then immediate_exit is looked at,
 * then the guest runs until an exit or a signal. machine/wait.h says how no signal is lost.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <xen/sched.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/hot.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/exit.h"
#include "libkvmxen/machine/debug.h"
#include "libkvmxen/machine/inject.h"
#include "libkvmxen/machine/load.h"
#include "libkvmxen/machine/quiet.h"
#include "libkvmxen/machine/shutdown.h"
#include "libkvmxen/machine/wait.h"
#include "libkvmxen/machine/window.h"
#include "libkvmxen/machine/spare.h"
#include "libkvmxen/machine/world.h"
#include "libkvmxen/message.h"

/* Waiting without an event: how soon, and at the latest how often, Xen is asked what the vcpu is
 * doing. Only an idle wait pays for it; it finds HLT without an irqchip, triple faults and a domain
 * that somebody destroyed. */
#define IDLE_FIRST_MS         32
#define IDLE_FIRST_NO_IRQCHIP 1 /* HLT is an exit then, and found no sooner than by asking */
#define IDLE_LAST_MS          512
/* How often a vcpu is looked at whose VMM waits for an interrupt window or an end of interrupt. */
#define POLL_FIRST_MS 1
#define POLL_LAST_MS  4

struct run {
	struct vcpu *vcpu;
	struct wait wait;
	unsigned idle_ms;
	unsigned poll_ms; /* how soon to look for a window or an end of interrupt */
	int eoi;          /* the vector of an end of interrupt to be shown, or -1 */
	bool hold;        /* the vcpu is wanted at rest between two instructions: see held */
	bool exact;       /* it stops where it is: it has not run since the stop was wanted */
	bool stepped;     /* an I/O instruction that the debugger steps is being completed */
};

static long finish(struct vcpu *vcpu, enum vcpu_phase phase, long rc)
{
	vcpu->phase = phase;
	return rc;
}

static long finish_interrupted(struct vcpu *vcpu, enum vcpu_phase phase)
{
	vcpu->put_off = 0;
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	stats_exit(vcpu->stats, KVM_EXIT_INTR);
	return finish(vcpu, phase, -EINTR);
}

static long finish_exit(struct vcpu *vcpu, enum vcpu_phase phase, uint32_t reason)
{
	vcpu->run->exit_reason = reason;
	stats_exit(vcpu->stats, reason);
	return finish(vcpu, phase, 0);
}

static long finish_internal_error(struct vcpu *vcpu, enum vcpu_phase phase)
{
	vcpu->run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	vcpu->run->internal.ndata = 0;
	return finish_exit(vcpu, phase, KVM_EXIT_INTERNAL_ERROR);
}

/* KVM would reset the vcpu here; but where it has no instruction it does not come so far. */
COLD static long finish_shutdown(struct vcpu *vcpu)
{
	bool nowhere = shutdown_is_fetch(vcpu);

	shutdown_forget_events(vcpu);
	if (nowhere)
		return finish_internal_error(vcpu, VCPU_STOPPED);
	return finish_exit(vcpu, VCPU_STOPPED, KVM_EXIT_SHUTDOWN);
}

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

/* --- before the guest runs --- */

COLD static long materialise(struct vcpu *vcpu)
{
	long rc = vm_materialise(vcpu->vm);

	if (rc < 0)
		return rc;
	return vcpu->slot ? 0 : -EINVAL;
}

/* The records of all vcpus are loaded with this one's. */
static int stop_for_load(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	unsigned tries = 0;
	int rc = world_stop(vm);

	while (rc == 0 && quiet_others_not_yet(vm, vcpu, tries)) {
		world_start(vm);
		quiet_wait(tries++);
		rc = world_stop(vm);
	}
	return rc;
}

/* The part of the preparation that needs the world stopped: slots, dirty state, irqchip records.
 * vm->lock held. */
COLD static long flush_locked(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	unsigned work = atomic_exchange(&vm->work, 0);
	long rc;

	if (work == 0 && vcpu->state.dirty == 0 && vcpu->phase != VCPU_NEW)
		return 0;
	rc = stop_for_load(vcpu);
	if (rc == 0) {
		if (work & VM_WORK_MEMORY)
			rc = memory_flush(vm);
		else
			memory_refresh_aliases(vm); /* a reset may have rewritten a ROM */
		if (rc == 0 && (vcpu->state.dirty || vcpu->phase == VCPU_NEW ||
				(work & (VM_WORK_INTERRUPTS | VM_WORK_VCPUS))))
			rc = load_dirty(vm, vcpu);
		world_start(vm);
	}
	if (rc < 0)
		atomic_fetch_or(&vm->work, work);
	return rc;
}

COLD static long flush(struct vcpu *vcpu)
{
	long rc;

	pthread_mutex_lock(&vcpu->vm->lock);
	rc = flush_locked(vcpu);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return rc;
}

static bool needs_flush(struct vcpu *vcpu)
{
	return atomic_load_explicit(&vcpu->vm->work, memory_order_relaxed) || vcpu->state.dirty ||
	       vcpu->phase == VCPU_NEW;
}

/* An IN whose result Xen has forgotten (a context load came in between): RIP has moved on already,
 * so RAX is all that is missing. */
static long merge_input(struct vcpu *vcpu)
{
	const struct ioreq *io = &vcpu->io;
	struct kvm_regs *regs = &vcpu->state.regs;
	long rc;

	if (io->type != IOREQ_TYPE_PIO || io->dir != IOREQ_READ || io->data_is_ptr)
		return 0;
	rc = load_read(vcpu, STATE_REGS);
	if (rc < 0)
		return rc;
	switch (io->size) {
	case 1:
		regs->rax = (regs->rax & ~0xffull) | (io->data & 0xff);
		break;
	case 2:
		regs->rax = (regs->rax & ~0xffffull) | (io->data & 0xffff);
		break;
	default:
		regs->rax = io->data & 0xffffffff;
		break;
	}
	vcpu->state.dirty |= STATE_REGS;
	return 0;
}

COLD static void remember_replay(struct vcpu *vcpu)
{
	vcpu->replay = vcpu->io;
	vcpu->replay_data = vcpu->io.data;
}

/* Does the request in vcpu->io repeat the one that a context load made Xen forget? */
COLD static bool is_replay(struct vcpu *vcpu)
{
	const struct ioreq *a = &vcpu->io, *b = &vcpu->replay;
	bool same;

	vcpu->has_replay = false;
	same = a->type == b->type && a->addr == b->addr && a->size == b->size && a->dir == b->dir &&
	       a->count == b->count && !a->data_is_ptr &&
	       (a->dir == IOREQ_READ || a->data == b->data);
	if (same)
		vcpu->io.data = vcpu->replay_data;
	return same;
}

/* A context load made Xen forget the request: the guest's registers must take what it dropped.
 * Under the lock, since a load of another vcpu's writes this one's registers too: it comes before
 * or after, and never takes what is half done. */
COLD static long make_up(struct vcpu *vcpu)
{
	long rc;

	pthread_mutex_lock(&vcpu->vm->lock);
	atomic_store(&vcpu->io_cancelled, false);
	rc = merge_input(vcpu);
	if (rc == 0 && vcpu->state.dirty)
		rc = flush_locked(vcpu);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return rc;
}

/* Once the registers have the result, no later load of another vcpu's can lose it: to load again
 * would only make that one load again. */
COLD static long make_up_once(struct run *r, bool *made_up)
{
	struct vcpu *vcpu = r->vcpu;
	long rc;

	wait_block(&r->wait, vcpu);
	rc = *made_up ? 0 : make_up(vcpu);
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

	if (exit_next(vcpu) == EXIT_SHOWN)
		return 1;
	if (__builtin_expect(r->wait.stop || r->hold, false)) {
		rc = stop_behind(r);
		if (rc < 0)
			return rc;
	}
	vcpu->phase = VCPU_RUNNING;
	do {
		if (__builtin_expect(atomic_load(&vcpu->io_cancelled), false)) {
			rc = make_up_once(r, &made_up);
			if (rc < 0)
				return rc;
		}
		if (vcpu->has_replay)
			remember_replay(vcpu);
		exit_result_to_slot(vcpu);
		vcpu->state.known = 0;
	} while (!world_answer(vcpu));
	return 0;
}

/* Xen leaves HLT for an interrupt only. To go on without one, the vcpu is taken down and brought up
 * again with the state that it has. */
COLD static long leave_halt(struct vcpu *vcpu)
{
	long rc;

	pthread_mutex_lock(&vcpu->vm->lock);
	rc = load_read(vcpu, STATE_ALL);
	if (rc == 0) {
		vcpu->halted = false;
		vcpu->state.mp_state.mp_state = KVM_MP_STATE_RUNNABLE;
		vcpu->state.dirty |= STATE_MP | STATE_REGS;
	}
	pthread_mutex_unlock(&vcpu->vm->lock);
	return rc;
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
		*rc = leave_halt(vcpu);
	if (*rc >= 0 && vcpu->state.dirty)
		*rc = flush(vcpu);
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
		*rc = finish_shutdown(vcpu);
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
	if (vcpu->has_replay && is_replay(vcpu))
		vcpu->io_done = vcpu->io.count;
	*rc = work_on_request(r);
	if (*rc == 0)
		return 0;
	if (*rc == 1)
		*rc = finish(vcpu, VCPU_EXIT, 0);
	return 1;
}

/* --- waiting --- */

/* A vcpu that fetches instructions from a read-only slot stands still until the slot is shown in
 * another way. 1: that was it; 0: not so; -errno. */
static long look_executed(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	const struct control_ops *ops = vm->xen.ctl->ops;
	struct kvm_translation translation = {0};
	struct hvm_hw_cpu cpu;
	long rc;

	/* One record, and of a running vcpu: it must not be kept. */
	rc = ops->context_get_one(vm->xen.ctl, vm->domid, HVM_SAVE_CODE(CPU), vcpu->index, &cpu,
				  sizeof cpu);
	if (rc < 0)
		return 0; /* down by now */
	cpu_record_to_state(&vcpu->state, &cpu);
	vcpu->state.known = STATE_SREGS;
	translation.linear_address = vcpu->state.sregs.cs.base + vcpu->state.regs.rip;
	rc = vcpu_translate(vcpu, &translation);
	vcpu->state.known = 0;
	if (rc < 0)
		return rc;
	if (!translation.valid || !memory_executed(vm, translation.physical_address))
		return 0;
	pthread_mutex_lock(&vm->lock);
	rc = world_stop(vm);
	if (rc == 0) {
		rc = memory_flush(vm);
		world_start(vm);
	}
	pthread_mutex_unlock(&vm->lock);
	return rc < 0 ? rc : 1;
}

/* Has the domain ended, or shut down? 1: KVM_RUN ends with *rc; 0: no; -1: it goes on again. */
COLD static int look_domain(struct vcpu *vcpu, struct domain_info *info, long *rc)
{
	struct vm *vm = vcpu->vm;

	if (vm->xen.ctl->ops->domain_info(vm->xen.ctl, vm->domid, info) != 0 || info->dying) {
		if (vm_live(vm))
			message_error("KVM_RUN: domain %u is gone: somebody destroyed it",
				      vm->domid);
		*rc = finish_exit(vcpu, VCPU_STOPPED, KVM_EXIT_SHUTDOWN);
		return 1;
	}
	if (!info->shutdown)
		return 0;
	if (vm->adopted && info->shutdown_reason == SHUTDOWN_reboot) {
		*rc = finish_shutdown(vcpu);
		return 1;
	}
	if (info->shutdown_reason == SHUTDOWN_suspend) {
		*rc = shutdown_look(vcpu);
		if (*rc == 1)
			*rc = finish_shutdown(vcpu);
		else if (*rc == 0)
			return -1;
		return 1;
	}
	if (info->shutdown_reason == SHUTDOWN_crash) {
		vcpu->run->fail_entry.hardware_entry_failure_reason = ~0ull; /* VMEXIT_INVALID */
		vcpu->run->fail_entry.cpu = 0;
		*rc = finish_exit(vcpu, VCPU_STOPPED, KVM_EXIT_FAIL_ENTRY);
		return 1;
	}
	return 0;
}

/* Nothing has come for a while. 1: KVM_RUN ends with *rc. */
COLD static int look_idle(struct run *r, long *rc)
{
	struct vcpu *vcpu = r->vcpu;
	struct vm *vm = vcpu->vm;
	const struct control_ops *ops = vm->xen.ctl->ops;
	struct domain_info info;
	struct vcpu_info_bits bits;
	int ended;

	wait_block(&r->wait, vcpu);
	r->idle_ms = r->idle_ms * 2 > IDLE_LAST_MS ? IDLE_LAST_MS : r->idle_ms * 2;
	if (world_slot_state(vcpu) == STATE_IOREQ_READY)
		return 0;
	/* An answer that Xen has not looked at: its event was refused. */
	if (world_slot_state(vcpu) == STATE_IORESP_READY)
		vm->xen.dev->ops->evtchn_notify(vcpu->evtchn, vcpu->port);
	ended = look_domain(vcpu, &info, rc);
	if (ended)
		return ended > 0;
	spare_beat(vm);
	if (info.paused || ops->vcpu_info(vm->xen.ctl, vm->domid, vcpu->index, &bits) != 0 ||
	    world_slot_state(vcpu) == STATE_IOREQ_READY)
		return 0;
	if (bits.online && !bits.blocked) {
		*rc = look_executed(vcpu);
		return *rc < 0;
	}
	if (vm->interrupts.lapic)
		return 0;
	/* Without a LAPIC in the kernel HLT is the VMM's business. */
	vcpu->halted = true;
	*rc = finish_exit(vcpu, VCPU_IDLE, KVM_EXIT_HLT);
	return 1;
}

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
	ended = look_domain(vcpu, &info, rc);
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
		if (wait_for_vcpu(r) && look_idle(r, &rc))
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
		if (vcpu->io_done < vcpu->io.count && exit_next(vcpu) == EXIT_SHOWN) {
			*rc = finish(vcpu, VCPU_EXIT, 0);
			return 1;
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
		rc = materialise(vcpu);
	if (rc >= 0 && (vcpu->halted || (vcpu->phase == VCPU_IDLE && window_injects(vcpu))))
		rc = leave_halt(vcpu);
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
	rc = vcpu->phase == VCPU_EXIT && vcpu->io_done == vcpu->io.count ? merge_input(vcpu) : 0;
	if (rc == 0)
		rc = flush_locked(vcpu);
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
