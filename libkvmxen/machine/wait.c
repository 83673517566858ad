#include "libkvmxen/machine/wait.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libkvmxen/gate.h"
#include "libkvmxen/hot.h"
#include "libkvmxen/machine/world.h"

/* How long to watch, in notifications. A sleep costs about ten: the unmask, the wait, and being
 * woken through an interrupt of dom0. */
#define POLL_NOTIFIES 32

/* --- which protocol the VMM uses --- */

enum protocol { PROTOCOL_UNKNOWN, PROTOCOL_FLAG, PROTOCOL_SIGNAL };

#define LOOK_EVERY 8 /* KVM_RUNs, or requests within one */

static HOT_DATA _Atomic enum protocol protocol;

void wait_expect_immediate_exit(void)
{
	enum protocol unknown = PROTOCOL_UNKNOWN;

	if (atomic_load_explicit(&protocol, memory_order_relaxed) == unknown)
		atomic_compare_exchange_strong(&protocol, &unknown, PROTOCOL_FLAG);
}

/* Faults of our own must stay deliverable. */
static void block_signals(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGTRAP);
	sigdelset(&all, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &all, old);
}

void wait_block(struct wait *wait, struct vcpu *vcpu)
{
	if (wait->blocked)
		return;
	block_signals(&wait->mask);
	wait->blocked = true;
	if (vcpu->run->immediate_exit)
		wait->stop = true;
}

static int signal_fd(struct vcpu *vcpu);

/* May a signal's handler run at any time, and no kick is lost? Then it sets immediate_exit, which
 * is looked at again before each sleep. */
static bool signals_may_come(const struct vcpu *vcpu)
{
	return !vcpu->has_sigmask && gate_works() &&
	       atomic_load_explicit(&protocol, memory_order_relaxed) == PROTOCOL_FLAG;
}

/* A signal that only the mask of KVM_SET_SIGNAL_MASK lets through stays pending while requests are
 * found by watching: nothing sleeps that it could wake. So it is looked for now and then. */
static bool signal_waits(struct vcpu *vcpu)
{
	struct pollfd fd = {.events = POLLIN};

	if (!vcpu->has_sigmask || ++vcpu->entries % LOOK_EVERY)
		return false;
	fd.fd = signal_fd(vcpu);
	return fd.fd >= 0 && poll(&fd, 1, 0) == 1;
}

HOT void wait_begin(struct wait *wait, struct vcpu *vcpu)
{
	wait->blocked = false;
	wait->stop = false;
	if (vcpu->run->immediate_exit)
		wait_expect_immediate_exit();
	if (!signals_may_come(vcpu))
		wait_block(wait, vcpu);
	wait->stop = vcpu->run->immediate_exit || signal_waits(vcpu);
}

HOT void wait_end(struct wait *wait)
{
	if (wait->blocked)
		pthread_sigmask(SIG_SETMASK, &wait->mask, NULL);
}

/* --- watching the slot --- */

static HOT_DATA atomic_uint watching; /* threads that do */

/* wait_prepare has asked already, unless the library is used by parts. */
static inline unsigned watchers_allowed(void)
{
	static HOT_DATA _Atomic unsigned allowed; /* and 1 more: 0 is "not known" */
	unsigned n = atomic_load_explicit(&allowed, memory_order_relaxed);
	const char *wanted;
	cpu_set_t cpus;

	if (n)
		return n - 1;
	wanted = getenv("KVMXEN_POLL");
	n = sched_getaffinity(0, sizeof cpus, &cpus) ? 1 : (unsigned)CPU_COUNT(&cpus);
	if (wanted && !strcmp(wanted, "0"))
		n = 1;
	atomic_store_explicit(&allowed, n, memory_order_relaxed);
	return n - 1;
}

void wait_prepare(void)
{
	watchers_allowed();
}

static bool request_is_there(const struct vcpu *vcpu)
{
	return world_slot_state(vcpu) == STATE_IOREQ_READY;
}

/* True: look again, the request is there or a kick. */
HOT static bool watch(struct vcpu *vcpu)
{
	const volatile uint8_t *gate = &vcpu->run->immediate_exit;
	uint64_t began = vcpu->poll.answered;
	bool seen;

	if (!vcpu->poll.fresh)
		return false;
	vcpu->poll.fresh = false;
	if (!vcpu->poll.window)
		return false;
	if (atomic_fetch_add_explicit(&watching, 1, memory_order_relaxed) >= watchers_allowed()) {
		atomic_fetch_sub_explicit(&watching, 1, memory_order_relaxed);
		return false;
	}
	while (!(seen = request_is_there(vcpu) || *gate) && __rdtsc() - began < vcpu->poll.window)
		__builtin_ia32_pause();
	atomic_fetch_sub_explicit(&watching, 1, memory_order_relaxed);
	return seen;
}

/* A sleep is over, for a request: would watching have caught it? */
static void adapt(struct vcpu *vcpu)
{
	uint64_t most = POLL_NOTIFIES * vcpu->poll.cost;

	if (!vcpu->poll.answered || !request_is_there(vcpu))
		return;
	if (__rdtsc() - vcpu->poll.answered <= most)
		vcpu->poll.window = most;
	else if (vcpu->poll.window > vcpu->poll.cost)
		vcpu->poll.window /= 2;
	else
		vcpu->poll.window = 0;
	vcpu->poll.answered = 0;
}

/* --- sleeping --- */

/* With KVM_SET_SIGNAL_MASK a signal ends KVM_RUN and stays pending: KVM puts the VMM's own mask
 * back before the signal could be delivered. A signalfd sees it without taking it. */
static int signal_fd(struct vcpu *vcpu)
{
	sigset_t wanted;
	int i;

	if (!vcpu->has_sigmask || vcpu->sigfd >= 0)
		return vcpu->sigfd;
	sigfillset(&wanted);
	for (i = 1; i < NSIG; i++)
		if (sigismember(&vcpu->sigmask, i) == 1)
			sigdelset(&wanted, i);
	vcpu->sigfd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	return vcpu->sigfd;
}

/* What both ways to sleep return: 0 an event was taken; -EAGAIN: the time is over; -EINTR,
 * -ECANCELED, -EDEADLK as gate.h says. */
COLD static int sleep_in_poll(struct wait *wait, struct vcpu *vcpu, unsigned timeout_ms)
{
	const struct device_ops *ops = vcpu->vm->xen.dev->ops;
	struct pollfd fds[3] = {
		{.fd = ops->evtchn_fd(vcpu->evtchn), .events = POLLIN},
		{.fd = vcpu->wake_fd, .events = POLLIN},
		{.fd = signal_fd(vcpu), .events = POLLIN},
	};
	struct timespec limit = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000l,
	};
	const long arguments[6] = {(long)fds, 2, (long)&limit, 0, _NSIG / 8, 0};
	uint64_t count;
	int n, port;

	if (vcpu->masked_port)
		ops->evtchn_unmask(vcpu->evtchn, vcpu->masked_port);
	vcpu->masked_port = 0;
	if (!wait->blocked) {
		n = (int)gate_syscall(&vcpu->run->immediate_exit, SYS_ppoll, arguments);
	} else {
		n = ppoll(fds, 3, &limit, vcpu->has_sigmask ? NULL : &wait->mask);
		n = n < 0 ? -errno : n;
	}
	if (n <= 0)
		return n < 0 ? n : -EAGAIN;
	if (fds[0].revents & POLLIN) {
		port = ops->evtchn_take(vcpu->evtchn);
		if (port > 0)
			vcpu->masked_port = port;
	}
	if ((fds[1].revents & POLLIN) && read(vcpu->wake_fd, &count, sizeof count) < 0)
		return -errno;
	return fds[2].revents & POLLIN ? -EINTR : 0;
}

static bool is_failure(int rc)
{
	return rc < 0 && rc != -EAGAIN && rc != -EINTR && rc != -ECANCELED && rc != -EDEADLK;
}

static int sleep_in_ring(struct vcpu *vcpu, unsigned timeout_ms)
{
	const struct device_ops *ops = vcpu->vm->xen.dev->ops;
	int rc;

	if (!ops->evtchn_wait)
		return -EOPNOTSUPP;
	rc = ops->evtchn_wait(vcpu->evtchn, vcpu->masked_port, &vcpu->run->immediate_exit,
			      timeout_ms);
	if (rc > 0)
		vcpu->masked_port = rc;
	else if (rc == -EAGAIN || rc == -EINTR)
		vcpu->masked_port = 0;
	else if (is_failure(rc) && rc != -EOPNOTSUPP)
		vcpu->masked_port = vcpu->port; /* it may have taken an event with it */
	return rc > 0 ? 0 : rc;
}

/* A guest whose requests are all answered here, and found by watching, would keep a signal that is
 * blocked waiting for ever. */
COLD static bool signal_came(struct wait *wait, struct vcpu *vcpu)
{
	struct pollfd fd = {.fd = signal_fd(vcpu), .events = POLLIN};
	const struct timespec now = {0};

	if (vcpu->has_sigmask)
		return poll(&fd, 1, 0) == 1;
	return ppoll(NULL, 0, &now, &wait->mask) < 0; /* its handler has run */
}

HOT bool wait_event(struct wait *wait, struct vcpu *vcpu, unsigned timeout_ms)
{
	int rc = -EOPNOTSUPP;

	/* What they were blocked for is over: a sleep without that costs less. */
	if (wait->blocked && vcpu->wake_fd < 0 && signals_may_come(vcpu)) {
		wait_end(wait);
		wait->blocked = false;
	}
	if (watch(vcpu)) {
		if (vcpu->run->immediate_exit ||
		    (wait->blocked && ++wait->watched % LOOK_EVERY == 0 && signal_came(wait, vcpu)))
			wait->stop = true;
		return false;
	}
	/* The ring does not see wake_fd. */
	if (!wait->blocked && vcpu->wake_fd < 0)
		rc = sleep_in_ring(vcpu, timeout_ms);
	if (is_failure(rc))
		rc = sleep_in_poll(wait, vcpu, timeout_ms);
	if (rc == -EDEADLK)
		wait_block(wait, vcpu);
	if (rc == -EINTR) {
		wait->stop = true;
		if (!wait->blocked && !vcpu->run->immediate_exit)
			atomic_store(&protocol, PROTOCOL_SIGNAL);
	}
	if (vcpu->run->immediate_exit)
		wait->stop = true;
	adapt(vcpu);
	return rc == -EAGAIN;
}
