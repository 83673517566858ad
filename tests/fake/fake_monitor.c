/* The monitor: CPUID as events on a vm_event ring (xen/vm_event.h). */
#define __XEN_TOOLS__
#include "tests/fake/internal.h"

#include <sys/mman.h>
#include <xen/vm_event.h>

/* The registers that a response may set. */
#define MONITOR_REGS(X)                                                                            \
	X(rax)                                                                                     \
	X(rbx)                                                                                     \
	X(rcx)                                                                                     \
	X(rdx)                                                                                     \
	X(rsp)                                                                                     \
	X(rbp) X(rsi) X(rdi) X(r8) X(r9) X(r10) X(r11) X(r12) X(r13) X(r14) X(r15) X(rip) X(rflags)

#define RING_ENTRIES(ring) ((uint32_t)__RING_SIZE(ring, PAGE_SIZE))
#define RING_OF(ring, i)   (&(ring)->ring[(i) & (RING_ENTRIES(ring) - 1)])

/* The page as both sides see it: at one address, so that a sanitizer can tell their order. */
static vm_event_sring_t *ring_of(const struct domain *d)
{
	return d->monitor.theirs ? d->monitor.theirs : d->monitor.own;
}

int xen_monitor_open(struct domain *d, uint64_t gfn, void **ring, uint32_t *port)
{
	int rc;

	if (d->monitor.open)
		return -EBUSY;
	if (!xen_p2m_find(&d->p2m, gfn)) {
		rc = xen_memory_populate(d, 0, 1, &gfn);
		if (rc < 0)
			return rc;
	}
	d->monitor.frame = xen_memory_unhook(d, gfn);
	xen_domain_invalidate(d);
	d->monitor.port = xen_port_alloc(d, PORT_MONITOR, NULL);
	if (!d->monitor.port) {
		xen_frame_put(d->monitor.frame);
		return -ENOSPC;
	}
	xen_frame_get(d->monitor.frame);
	d->monitor.own = xen_frames_mmap(NULL, d->monitor.frame, 1, PROT_READ | PROT_WRITE);
	d->monitor.theirs = xen_frames_mmap(NULL, d->monitor.frame, 1, PROT_READ | PROT_WRITE);
	if (d->monitor.own == MAP_FAILED || d->monitor.theirs == MAP_FAILED)
		abort();
	SHARED_RING_INIT(ring_of(d));
	d->monitor.req_prod = d->monitor.rsp_cons = 0;
	d->monitor.open = true;
	d->monitor.debug = false;
	*ring = d->monitor.theirs;
	*port = d->monitor.port->number;
	return 0;
}

void xen_monitor_free(struct domain *d)
{
	if (!d->monitor.open)
		return;
	d->monitor.open = false;
	munmap(d->monitor.own, PAGE_SIZE);
	xen_frame_put(d->monitor.frame);
	xen_port_free(d->monitor.port);
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		d->vcpus[i].event_paused = false; /* vm_event_cleanup */
}

int xen_monitor_close(struct domain *d, void *ring)
{
	bool was_open = d->monitor.open;

	/* NULL: who has opened it is no more, and its mapping neither. */
	if (!ring && was_open)
		ring = d->monitor.theirs;
	if (!ring || ring != d->monitor.theirs) {
		violation("domain %u: monitor closed that is not open", d->domid);
		return -EINVAL;
	}
	xen_monitor_free(d);
	munmap(d->monitor.theirs, PAGE_SIZE);
	d->monitor.theirs = NULL;
	xen_frame_put(d->monitor.frame);
	return was_open ? 0 : -ESRCH;
}

void xen_monitor_reset(struct domain *d)
{
	if (d->monitor.theirs)
		xen_monitor_close(d, d->monitor.theirs);
}

static void save_regs(struct vm_event_regs_x86 *to, const struct hvm_hw_cpu *c)
{
#define SAVE(reg) to->reg = c->reg;
	MONITOR_REGS(SAVE)
#undef SAVE
	to->cr0 = c->cr0;
	to->cr2 = c->cr2;
	to->cr3 = c->cr3;
	to->cr4 = c->cr4;
	to->msr_efer = c->msr_efer;
	to->fs_base = c->fs_base;
	to->gs_base = c->gs_base;
	to->cs_sel = c->cs_sel;
	to->ss_sel = c->ss_sel;
}

/* An event with the vcpu's registers; NULL: the ring is full. */
static vm_event_request_t *event_begin(struct vcpu *v, uint32_t reason)
{
	vm_event_sring_t *ring = ring_of(v->d);
	uint32_t prod = v->d->monitor.req_prod;
	vm_event_request_t *req = &RING_OF(ring, prod)->req;

	if (prod - v->d->monitor.rsp_cons >= RING_ENTRIES(ring))
		return NULL;
	memset(req, 0, sizeof *req);
	req->version = VM_EVENT_INTERFACE_VERSION;
	req->flags = VM_EVENT_FLAG_VCPU_PAUSED;
	req->reason = reason;
	req->vcpu_id = v->id;
	save_regs(&req->data.regs.x86, &v->cpu);
	return req;
}

static void event_send(struct vcpu *v)
{
	vm_event_sring_t *ring = ring_of(v->d);

	v->event_paused = true;
	v->d->monitor.req_prod++;
	__atomic_store_n(&ring->req_prod, v->d->monitor.req_prod, __ATOMIC_RELEASE);
	xen_port_send(v->d->monitor.port);
}

bool xen_monitor_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf, unsigned length)
{
	vm_event_request_t *req = event_begin(v, VM_EVENT_REASON_CPUID);

	if (!req)
		return false;
	req->u.cpuid.insn_length = length;
	req->u.cpuid.leaf = leaf;
	req->u.cpuid.subleaf = subleaf;
	event_send(v);
	return true;
}

int xen_monitor_debug(struct domain *d, bool on)
{
	if (!d->monitor.open)
		return -EINVAL;
	if (d->monitor.debug == on)
		return -EEXIST;
	d->monitor.debug = on;
	return 0;
}

bool xen_monitor_exception(struct vcpu *v, uint32_t reason, unsigned type, unsigned length)
{
	vm_event_request_t *req = event_begin(v, reason);

	if (!req)
		return false;
	/* The two have the same layout. */
	req->u.debug_exception.type = type;
	req->u.debug_exception.insn_length = length;
	event_send(v);
	return true;
}

/* vm_event_resume for one response. */
static void take(struct domain *d, const vm_event_response_t *rsp)
{
	struct vcpu *v = rsp->vcpu_id < d->nr_vcpus ? &d->vcpus[rsp->vcpu_id] : NULL;
	struct guest_op *op;

	if (rsp->version != VM_EVENT_INTERFACE_VERSION || !v) {
		violation("domain %u: monitor response with a wrong version or vcpu", d->domid);
		return;
	}
	if (!(rsp->flags & VM_EVENT_FLAG_VCPU_PAUSED) || !v->event_paused) {
		violation("domain %u: monitor response that does not let vcpu %u go on", d->domid,
			  v->id);
		return;
	}
	if (rsp->flags & VM_EVENT_FLAG_SET_REGISTERS) {
		const struct vm_event_regs_x86 *from = &rsp->data.regs.x86;
		struct hvm_hw_cpu *c = &v->cpu;

#define LOAD(reg) c->reg = from->reg;
		MONITOR_REGS(LOAD)
#undef LOAD
	}
	op = fake_script_current(v);
	if (op && op->phase == OP_SENT)
		op->phase = OP_ANSWERED;
	v->event_paused = false;
	v->resume = true;
}

void xen_monitor_notified(struct domain *d)
{
	vm_event_sring_t *ring;
	uint32_t prod;

	if (!d->monitor.open)
		return;
	ring = ring_of(d);
	prod = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE);
	if (prod - d->monitor.rsp_cons > d->monitor.req_prod - d->monitor.rsp_cons) {
		violation("domain %u: more monitor responses than requests", d->domid);
		return;
	}
	while (d->monitor.rsp_cons != prod) {
		const vm_event_response_t rsp = RING_OF(ring, d->monitor.rsp_cons)->rsp;

		d->monitor.rsp_cons++;
		take(d, &rsp);
	}
}
