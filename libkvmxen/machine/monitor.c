#include "libkvmxen/machine/monitor.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#ifndef __XEN_TOOLS__
#define __XEN_TOOLS__
#endif
#include <xen/vm_event.h>

#include "libkvmxen/machine/cpuid.h"
#include "libkvmxen/machine/debug.h"
#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/vm.h"
#include "libkvmxen/message.h"

#define RING_PAGE       4096
#define INSN_LENGTH_MAX 15
#define RFLAGS_RF       (1ull << 16)
#define EFER_LMA        (1ull << 10)
#define SEGMENT_LONG    (1u << 9) /* L, in the 12 packed attribute bits */
#define APICBASE_ENABLE (1u << 11)
#define LEAF_FEATURES   1
#define FEATURES_APIC   (1u << 9) /* EDX of leaf 1 */
#define LEAF_XSTATE     0xd
#define VECTOR_DB       1
#define VECTOR_BP       3
#define DOM0            0

struct monitor {
	struct watch watch;
	struct worker *worker; /* its own: see monitor.h */
	struct vm *vm;
	void *page; /* shared with Xen */
	vm_event_back_ring_t ring;
	struct event_channels *evtchn;
	int port;
	struct monitor *next;
};

/* One for each VM that has one. */
static pthread_mutex_t monitors_lock = PTHREAD_MUTEX_INITIALIZER;
static struct monitor *monitors;

bool monitor_wanted(void)
{
	const char *choice = getenv("KVMXEN_CPUID");

	return !choice || strcmp(choice, "xen");
}

/* What follows the guest's registers. Xen's own answer, which comes with the event, knows those
 * that the event does not show. */
static void lookup(const struct vcpu *vcpu, const struct vm_event_cpuid *cpuid,
		   const struct vm_event_regs_x86 *regs, uint32_t answer[4])
{
	struct cpuid_dynamic dynamic = {
		.cr4 = regs->cr4,
		.xcr0 = vcpu->state.xcr0,
		.apic_enabled = vcpu->state.sregs.apic_base & APICBASE_ENABLE,
	};

	if (cpuid->leaf == LEAF_FEATURES && vcpu->vm->interrupts.lapic)
		dynamic.apic_enabled = regs->rdx & FEATURES_APIC;
	cpuid_lookup(vcpu->cpuid, vcpu->cpuid_count, &dynamic, cpuid->leaf, cpuid->subleaf, answer);
	/* EBX: how much XSAVE stores with the XCR0 and XSS of now. */
	if (cpuid->leaf == LEAF_XSTATE && cpuid->subleaf <= 1 && answer[1] && (uint32_t)regs->rbx)
		answer[1] = regs->rbx;
}

static void step_over(struct vm_event_regs_x86 *regs, uint32_t length)
{
	bool is_64bit = (regs->msr_efer & EFER_LMA) && (regs->cs.ar & SEGMENT_LONG);

	regs->rip += length;
	if (!is_64bit)
		regs->rip = (uint32_t)regs->rip;
	regs->rflags &= ~RFLAGS_RF;
}

static void answer_cpuid(struct vcpu *vcpu, vm_event_request_t *event)
{
	struct vm_event_regs_x86 *regs = &event->data.regs.x86;
	uint64_t at = regs->rip;
	uint32_t values[4];

	lookup(vcpu, &event->u.cpuid, regs, values);
	step_over(regs, event->u.cpuid.insn_length);
	STATS_ADD(&vcpu->vm->stats->cpuids);
	if (debug_cpuid(vcpu, values, regs->rip))
		return;
	regs->rax = values[0];
	regs->rbx = values[1];
	regs->rcx = values[2];
	regs->rdx = values[3];
	event->flags |= VM_EVENT_FLAG_SET_REGISTERS;
	vcpu->cpuid_rip = at;
	atomic_store(&vcpu->cpuid_answered, true);
}

/* Turns the request into its response. Nothing in it is believed. */
static void answer(struct monitor *monitor, vm_event_request_t *event)
{
	struct vm *vm = monitor->vm;
	struct vcpu *vcpu = NULL;

	event->flags &= VM_EVENT_FLAG_VCPU_PAUSED;
	if (event->vcpu_id < atomic_load(&vm->vcpu_count))
		vcpu = vm->vcpus[event->vcpu_id];
	if (event->version == VM_EVENT_INTERFACE_VERSION && vcpu) {
		switch (event->reason) {
		case VM_EVENT_REASON_CPUID:
			if (event->u.cpuid.insn_length > INSN_LENGTH_MAX)
				break;
			answer_cpuid(vcpu, event);
			return;
		case VM_EVENT_REASON_SOFTWARE_BREAKPOINT:
			debug_event(vcpu, VECTOR_BP, event->u.software_breakpoint.type,
				    event->u.software_breakpoint.insn_length);
			return;
		case VM_EVENT_REASON_DEBUG_EXCEPTION:
			debug_event(vcpu, VECTOR_DB, event->u.debug_exception.type,
				    event->u.debug_exception.insn_length);
			return;
		}
	}
	message_error("monitor: an event that nobody asked for: version %u reason %u vcpu %u",
		      event->version, event->reason, event->vcpu_id);
	event->version = VM_EVENT_INTERFACE_VERSION;
}

static bool serve_ring(struct monitor *monitor)
{
	vm_event_back_ring_t *ring = &monitor->ring;
	RING_IDX produced = __atomic_load_n(&ring->sring->req_prod, __ATOMIC_ACQUIRE);
	vm_event_request_t event;
	bool any = false;

	if (RING_REQUEST_PROD_OVERFLOW(ring, produced)) {
		message_error("CPUID monitor: the ring claims %u requests",
			      produced - ring->req_cons);
		return false;
	}
	for (; ring->req_cons != produced; any = true) {
		memcpy(&event, RING_GET_REQUEST(ring, ring->req_cons), sizeof event);
		ring->req_cons++;
		answer(monitor, &event);
		memcpy(RING_GET_RESPONSE(ring, ring->rsp_prod_pvt), &event, sizeof event);
		ring->rsp_prod_pvt++;
		__atomic_store_n(&ring->sring->rsp_prod, ring->rsp_prod_pvt, __ATOMIC_RELEASE);
	}
	return any;
}

static void serve(struct monitor *monitor)
{
	const struct device_ops *ops = monitor->vm->xen.dev->ops;

	if (serve_ring(monitor))
		ops->evtchn_notify(monitor->evtchn, monitor->port);
}

static void monitor_ready(struct watch *watch, uint32_t events)
{
	struct monitor *monitor =
		(struct monitor *)((char *)watch - offsetof(struct monitor, watch));
	const struct device_ops *ops = monitor->vm->xen.dev->ops;
	int port;

	/* Unmasked before the ring is read: what comes later raises it again. */
	while ((port = ops->evtchn_take(monitor->evtchn)) >= 0)
		ops->evtchn_unmask(monitor->evtchn, port);
	serve(monitor);
}

static void close_ring(struct monitor *monitor)
{
	struct xen *xen = &monitor->vm->xen;

	xen->ctl->ops->monitor_close(xen->ctl, monitor->vm->domid, monitor->page);
}

/* Switches the monitor on, and has its port: Xen's, or one that the broker finds, also after a
 * restart, and by which it passes the events on. */
static int open_ring(struct monitor *monitor)
{
	struct vm *vm = monitor->vm;
	const struct device_ops *ops = vm->xen.dev->ops;
	bool relayed = vm->xen.ctl->relayed;
	uint32_t port = 0;
	int rc;

	if (relayed) {
		rc = ops->evtchn_offer(monitor->evtchn, DOM0);
		if (rc < 0)
			return rc;
		monitor->port = port = rc;
	}
	rc = vm->xen.ctl->ops->monitor_open(vm->xen.ctl, vm->domid, MEMORY_MONITOR_GFN,
					    &monitor->page, &port);
	if (rc < 0 || relayed)
		return rc;
	monitor->port = rc = ops->evtchn_bind(monitor->evtchn, vm->domid, port);
	if (rc < 0)
		close_ring(monitor);
	return rc < 0 ? rc : 0;
}

static int open_events(struct monitor *monitor)
{
	const struct device_ops *ops = monitor->vm->xen.dev->ops;
	int rc = ops->evtchn_open(monitor->vm->xen.dev, monitor->vm->domid, &monitor->evtchn);

	if (rc < 0)
		return rc;
	rc = open_ring(monitor);
	if (rc < 0) {
		ops->evtchn_close(monitor->evtchn);
		return rc;
	}
	monitor->watch.fd = ops->evtchn_fd(monitor->evtchn);
	monitor->watch.events = EPOLLIN;
	monitor->watch.ready = monitor_ready;
	return 0;
}

static void close_events(struct monitor *monitor)
{
	const struct device_ops *ops = monitor->vm->xen.dev->ops;

	ops->evtchn_unbind(monitor->evtchn, monitor->port);
	ops->evtchn_close(monitor->evtchn);
	close_ring(monitor);
}

int monitor_start(struct vm *vm)
{
	struct monitor *monitor = calloc(1, sizeof *monitor);
	vm_event_sring_t *shared;
	int rc;

	if (!monitor)
		return -ENOMEM;
	monitor->vm = vm;
	rc = open_events(monitor);
	if (rc < 0)
		goto no_events;
	shared = monitor->page;
	BACK_RING_ATTACH(&monitor->ring, shared, shared->rsp_prod, RING_PAGE);
	rc = worker_create(&monitor->worker);
	if (rc < 0)
		goto no_worker;
	rc = worker_add(monitor->worker, &monitor->watch);
	if (rc < 0)
		goto no_watch;
	pthread_mutex_lock(&monitors_lock);
	monitor->next = monitors;
	monitors = monitor;
	pthread_mutex_unlock(&monitors_lock);
	return 0;
no_watch:
	worker_destroy(monitor->worker);
no_worker:
	close_events(monitor);
no_events:
	message_error("CPUID monitor: cannot be set up: %s", strerror(-rc));
	free(monitor);
	return rc;
}

static struct monitor *take_out(struct vm *vm)
{
	struct monitor **at, *monitor;

	pthread_mutex_lock(&monitors_lock);
	for (at = &monitors; *at && (*at)->vm != vm; at = &(*at)->next)
		;
	monitor = *at;
	if (monitor)
		*at = monitor->next;
	pthread_mutex_unlock(&monitors_lock);
	return monitor;
}

void monitor_stop(struct vm *vm)
{
	struct monitor *monitor = take_out(vm);

	if (!monitor)
		return;
	worker_destroy(monitor->worker);
	/* A vcpu that waits for an answer would keep the domain from dying. */
	serve(monitor);
	close_events(monitor);
	free(monitor);
}
