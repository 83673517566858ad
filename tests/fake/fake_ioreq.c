/*
 * Ioreqs from Xen's side: who gets a request, the state machine of a slot, its completion.
 *
 * NONE -> READY by Xen; READY -> (INPROCESS) -> RESP_READY by the emulator, which then notifies;
 * Xen takes the answer and writes NONE. A state that goes backwards crashes the domain.
 */
#include "tests/fake/internal.h"

#include <stddef.h>

static struct ioreq *slot(struct server *s, const struct vcpu *v)
{
	return &s->page->vcpu_ioreq[v->id];
}

/* The state shares its byte with the direction and two more bits: the byte is accessed as a whole,
 * in order with the rest of the slot. */
#define STATE_MASK  0x0f
#define DATA_IS_PTR (1u << 4)
#define DIR_READ    (1u << 5)
#define DF          (1u << 6)

static uint8_t *state_byte(struct ioreq *req)
{
	return (uint8_t *)req + offsetof(struct ioreq, type) - 1;
}

static uint8_t state_load(struct ioreq *req)
{
	return __atomic_load_n(state_byte(req), __ATOMIC_ACQUIRE) & STATE_MASK;
}

static void state_clear(struct ioreq *req)
{
	__atomic_fetch_and(state_byte(req), (uint8_t)~STATE_MASK, __ATOMIC_RELEASE);
}

/* What is to be seen of a request once it is ready. */
static void state_publish(struct ioreq *to, const struct ioreq *req)
{
	uint8_t byte = STATE_IOREQ_READY | (req->data_is_ptr ? DATA_IS_PTR : 0) |
		       (req->dir ? DIR_READ : 0) | (req->df ? DF : 0);

	__atomic_store_n(state_byte(to), byte, __ATOMIC_RELEASE);
}

_Static_assert(sizeof(struct ioreq) == 32, "the slot's layout is part of Xen's ABI");

static bool claims(const struct server *s, enum io_space space, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < s->nr_ranges[space]; i++)
		if (s->ranges[space][i].start <= start && s->ranges[space][i].end >= end)
			return true;
	return false;
}

struct server *xen_ioreq_select(struct domain *d, const struct ioreq *req)
{
	uint64_t start = req->addr, end = start + req->size - 1;
	enum io_space space = IO_SPACE_PORT;

	if (req->type == IOREQ_TYPE_COPY) {
		space = IO_SPACE_MEMORY;
		end = req->df ? start + req->size - 1
			      : start + (uint64_t)req->size * req->count - 1;
		if (req->df)
			start -= (uint64_t)req->size * (req->count - 1);
	} else if (req->type == IOREQ_TYPE_PCI_CONFIG) {
		space = IO_SPACE_PCI;
		start = end = req->addr >> 32;
	}
	for (unsigned id = MAX_SERVERS; id-- > 0;) {
		struct server *s = d->servers[id];

		if (s && s->enabled && claims(s, space, start, end))
			return s;
	}
	return NULL;
}

bool xen_ioreq_send(struct vcpu *v, struct server *s, const struct ioreq *req)
{
	struct ioreq *to = slot(s, v);
	uint32_t port = s->ports[v->id]->number;

	if (v->d->shutting_down && !v->deferring)
		return false;
	v->deferring = true;
	if (state_load(to) != STATE_IOREQ_NONE) {
		xen_domain_crash(v->d, "the emulator set a slot's state that Xen has not filled");
		return false;
	}
	if (to->vp_eport != port) {
		xen_domain_crash(v->d, "the emulator overwrote a slot's vp_eport");
		return false;
	}
	to->addr = req->addr;
	to->data = req->data;
	to->count = req->count;
	to->size = req->size;
	to->type = req->type;
	s->pending[v->id] = true;
	s->seen[v->id] = STATE_IOREQ_READY;
	v->blocked_in_xen = true;
	state_publish(to, req);
	xen_port_send(s->ports[v->id]);
	return true;
}

void xen_ioreq_broadcast_invalidate(struct vcpu *v)
{
	const struct ioreq req = {
		.type = IOREQ_TYPE_INVALIDATE,
		.size = 4,
		.dir = IOREQ_WRITE,
		.data = ~0ull,
	};

	for (unsigned id = MAX_SERVERS; id-- > 0;) {
		struct server *s = v->d->servers[id];

		/* a slot that is taken makes Xen log a line and forget about it */
		if (s && s->enabled && !s->pending[v->id])
			xen_ioreq_send(v, s, &req);
	}
}

bool xen_ioreq_pending(const struct vcpu *v)
{
	for (unsigned id = 0; id < MAX_SERVERS; id++)
		if (v->d->servers[id] && v->d->servers[id]->pending[v->id])
			return true;
	return false;
}

/* hvm_wait_for_io: one look at one slot. */
static bool complete_slot(struct vcpu *v, struct server *s)
{
	struct ioreq *from = slot(s, v);
	uint8_t state = state_load(from);
	uint64_t data = ~0ull;

	if (state != STATE_IOREQ_NONE && state < s->seen[v->id]) {
		s->pending[v->id] = false;
		xen_domain_crash(v->d, "a slot's state went backwards");
		return false;
	}
	switch (state) {
	case STATE_IOREQ_NONE:
		violation("domain %u vcpu %u: the request was withdrawn, not answered", v->d->domid,
			  v->id);
		break;
	case STATE_IOREQ_READY:
	case STATE_IOREQ_INPROCESS:
		s->seen[v->id] = state;
		v->blocked_in_xen = true;
		return false;
	case STATE_IORESP_READY:
		data = from->data;
		state_clear(from);
		break;
	default:
		s->pending[v->id] = false;
		xen_domain_crash(v->d, "a slot's state is none that exists");
		return false;
	}
	s->pending[v->id] = false;
	if (v->wanted)
		v->req.data = data;
	return true;
}

bool xen_ioreq_complete(struct vcpu *v)
{
	for (unsigned id = MAX_SERVERS; id-- > 0;) {
		struct server *s = v->d->servers[id];

		if (s && s->pending[v->id] && !complete_slot(v, s))
			return false;
	}
	return true;
}

void xen_ioreq_cancel(struct vcpu *v)
{
	v->wanted = false;
}
