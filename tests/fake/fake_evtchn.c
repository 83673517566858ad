/*
 * Event channels: the ports of domains on one side, /dev/xen/evtchn on the other.
 *
 * As with the kernel's driver, an event masks its port and queues it; the descriptor is readable
 * while the queue is not empty; what arrives at a masked port waits for the unmask.
 */
#include "tests/fake/internal.h"

#include <sys/eventfd.h>
#include <unistd.h>

struct local_port {
	struct local_port *next, *queued_next;
	struct event_channels *owner;
	uint32_t number;
	struct port *remote;     /* NULL: the other side has closed */
	struct local_port *loop; /* the other side, when that is a domain with a driver too */
	bool offered;
	bool pending, masked, queued;
};

struct event_channels {
	struct event_channels *next;
	int fd;
	uint16_t domid; /* whose ports it may bind */
	struct local_port *ports;
	struct local_port *queue;
};
static struct event_channels *handles;
static uint32_t next_number = 1;

struct port *xen_port_alloc(struct domain *d, enum port_use use, struct vcpu *v)
{
	struct port *port;
	uint32_t number = 1;

	while (number < MAX_PORTS && d->ports[number])
		number++;
	port = number < MAX_PORTS ? calloc(1, sizeof *port) : NULL;
	if (!port)
		return NULL;
	*port = (struct port){.d = d, .number = number, .use = use, .v = v};
	d->ports[number] = port;
	return port;
}

void xen_port_free(struct port *port)
{
	if (!port)
		return;
	if (port->peer)
		port->peer->remote = NULL;
	port->d->ports[port->number] = NULL;
	free(port);
}

/* The fd's counter is not zero exactly while something is queued. */
static void fd_set_ready(struct event_channels *evtchn, bool ready)
{
	uint64_t count = 1;

	if (ready) {
		if (write(evtchn->fd, &count, sizeof count) < 0)
			return;
	} else if (read(evtchn->fd, &count, sizeof count) < 0) {
		return;
	}
}

static void deliver(struct local_port *local)
{
	struct event_channels *evtchn = local->owner;
	struct local_port **at = &evtchn->queue;

	if (!local->pending || local->masked)
		return;
	local->pending = false;
	local->masked = local->queued = true;
	if (!*at)
		fd_set_ready(evtchn, true);
	while (*at)
		at = &(*at)->queued_next;
	*at = local;
	local->queued_next = NULL;
}

void xen_port_send(struct port *port)
{
	if (!port || !port->peer)
		return;
	port->peer->pending = true;
	deliver(port->peer);
}

int xen_evtchn_open(uint16_t domid, struct event_channels **out)
{
	struct event_channels *evtchn = calloc(1, sizeof *evtchn);

	if (!evtchn)
		return -ENOMEM;
	evtchn->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (evtchn->fd < 0) {
		free(evtchn);
		return -errno;
	}
	evtchn->domid = domid;
	evtchn->next = handles;
	handles = evtchn;
	*out = evtchn;
	return 0;
}

static struct event_channels **handle_at(struct event_channels *evtchn)
{
	struct event_channels **at = &handles;

	while (*at && *at != evtchn)
		at = &(*at)->next;
	if (!*at)
		violation("an event channel handle is used that is not open");
	return *at ? at : NULL;
}

static struct local_port **local_at(struct event_channels *evtchn, uint32_t number)
{
	struct local_port **at = &evtchn->ports;

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return *at ? at : NULL;
}

static void dequeue(struct local_port *local)
{
	struct local_port **at = &local->owner->queue;

	while (*at && *at != local)
		at = &(*at)->queued_next;
	if (!*at)
		return;
	*at = local->queued_next;
	local->queued = false;
	if (!local->owner->queue)
		fd_set_ready(local->owner, false);
}

static void close_local(struct local_port **at)
{
	struct local_port *local = *at;

	dequeue(local);
	if (local->loop)
		local->loop->loop = NULL;
	if (local->remote)
		local->remote->peer = NULL; /* unbound again: a successor may bind */
	*at = local->next;
	free(local);
}

void xen_evtchn_close(struct event_channels *evtchn)
{
	struct event_channels **at = evtchn ? handle_at(evtchn) : NULL;

	if (!at)
		return;
	while (evtchn->ports)
		close_local(&evtchn->ports);
	close(evtchn->fd);
	*at = evtchn->next;
	free(evtchn);
}

int xen_evtchn_fd(struct event_channels *evtchn)
{
	return handle_at(evtchn) ? evtchn->fd : -EBADF;
}

static struct local_port *new_local(struct event_channels *evtchn)
{
	struct local_port *local = calloc(1, sizeof *local);

	if (!local)
		return NULL;
	local->number = next_number++;
	local->owner = evtchn;
	local->next = evtchn->ports;
	evtchn->ports = local;
	return local;
}

int xen_evtchn_offer(struct event_channels *evtchn)
{
	struct local_port *local = handle_at(evtchn) ? new_local(evtchn) : NULL;

	if (!local)
		return -ENOMEM;
	local->offered = true;
	return local->number;
}

int xen_evtchn_bind_offer(struct event_channels *evtchn, uint32_t number)
{
	struct local_port *local, *other = NULL, **at;

	if (!handle_at(evtchn))
		return -EBADF;
	for (struct event_channels *each = handles; each && !other; each = each->next) {
		at = local_at(each, number);
		other = at ? *at : NULL;
	}
	if (!other || !other->offered || other->loop)
		return -EINVAL;
	local = new_local(evtchn);
	if (!local)
		return -ENOMEM;
	local->loop = other;
	other->loop = local;
	local->pending = true;
	deliver(local);
	return local->number;
}

int xen_evtchn_bind(struct event_channels *evtchn, struct domain *d, uint32_t remote)
{
	struct local_port *local;
	struct port *port;

	if (!handle_at(evtchn))
		return -EBADF;
	if (evtchn->domid != d->domid) {
		violation("a port of domain %u is bound in a set for domain %u", d->domid,
			  evtchn->domid);
		return -EACCES;
	}
	port = remote < MAX_PORTS ? d->ports[remote] : NULL;
	if (!port || port->peer)
		return -EINVAL;
	local = new_local(evtchn);
	if (!local)
		return -ENOMEM;
	local->remote = port;
	port->peer = local;
	/* Xen: something may have been sent before the bind, so it always signals once. */
	local->pending = true;
	deliver(local);
	return local->number;
}

int xen_evtchn_unbind(struct event_channels *evtchn, uint32_t number)
{
	struct local_port **at = handle_at(evtchn) ? local_at(evtchn, number) : NULL;

	if (!at) {
		violation("unbind of port %u, which is not bound here", number);
		return -ENOTCONN;
	}
	close_local(at);
	return 0;
}

int xen_evtchn_notify(struct event_channels *evtchn, uint32_t number)
{
	struct local_port **at = handle_at(evtchn) ? local_at(evtchn, number) : NULL;
	struct port *port;

	if (!at) {
		violation("notify of port %u, which is not bound here", number);
		return -ENOTCONN;
	}
	if ((*at)->loop) {
		(*at)->loop->pending = true;
		deliver((*at)->loop);
		return 0;
	}
	port = (*at)->remote;
	if (!port)
		return 0; /* the other side is gone; Xen says nothing */
	if (port->use == PORT_IOREQ)
		port->v->blocked_in_xen = false;
	else if (port->use == PORT_MONITOR)
		xen_monitor_notified(port->d);
	return 0;
}

int xen_evtchn_take(struct event_channels *evtchn)
{
	struct local_port *local;

	if (!handle_at(evtchn))
		return -EBADF;
	local = evtchn->queue;
	if (!local)
		return -EAGAIN;
	dequeue(local);
	return local->number;
}

int xen_evtchn_unmask(struct event_channels *evtchn, uint32_t number)
{
	struct local_port **at = handle_at(evtchn) ? local_at(evtchn, number) : NULL;

	if (!at) {
		violation("unmask of port %u, which is not bound here", number);
		return -EINVAL;
	}
	if ((*at)->queued) {
		violation("unmask of port %u before it was taken", number);
		return 0;
	}
	(*at)->masked = false;
	deliver(*at);
	return 0;
}

void xen_evtchns_check(void)
{
	for (struct event_channels *e = handles; e; e = e->next) {
		leak("event channel handle, fd %d", e->fd);
		for (struct local_port *local = e->ports; local; local = local->next)
			leak("bound port %u", local->number);
	}
}

void xen_evtchns_reset(void)
{
	while (handles)
		xen_evtchn_close(handles);
}
