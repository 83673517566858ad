/* A set of event channels: one /dev/xen/evtchn, read without blocking, and a ring to wait with. */
#include "libkvmxen/xen/privcmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenevtchn.h>

#include "libkvmxen/xen/direct_private.h"
#include "libkvmxen/xen/evtchn_notify.h"
#include "libkvmxen/xen/evtchn_ring.h"

struct event_channels {
	xenevtchn_handle *handle;
	struct evtchn_ring *ring; /* made by the first wait that wants it */
	bool no_ring;
};

int evtchn_open(int fd, struct event_channels **out)
{
	struct event_channels *evtchn = calloc(1, sizeof(*evtchn));
	int rc;

	if (!evtchn) {
		if (fd >= 0)
			close(fd);
		return -ENOMEM;
	}
	errno = 0;
	evtchn->handle = fd < 0 ? xenevtchn_open(direct_logger(), 0)
				: xenevtchn_fdopen(direct_logger(), fd, 0);
	if (!evtchn->handle) {
		rc = direct_result(-1);
		if (fd >= 0)
			close(fd);
		free(evtchn);
		return rc;
	}
	fd = xenevtchn_fd(evtchn->handle);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		rc = direct_result(-1);
		evtchn_close(evtchn);
		return rc;
	}
	*out = evtchn;
	return 0;
}

void evtchn_close(struct event_channels *evtchn)
{
	if (!evtchn)
		return;
	evtchn_ring_close(evtchn->ring);
	xenevtchn_close(evtchn->handle);
	free(evtchn);
}

int evtchn_fd(struct event_channels *evtchn)
{
	return xenevtchn_fd(evtchn->handle);
}

int evtchn_bind(struct event_channels *evtchn, uint16_t domid, uint32_t remote)
{
	return direct_result(xenevtchn_bind_interdomain(evtchn->handle, domid, remote));
}

int evtchn_offer(struct event_channels *evtchn, uint16_t domid)
{
	return direct_result(xenevtchn_bind_unbound_port(evtchn->handle, domid));
}

int evtchn_unbind(struct event_channels *evtchn, uint32_t local)
{
	return direct_result(xenevtchn_unbind(evtchn->handle, local));
}

int evtchn_notify(struct event_channels *evtchn, uint32_t local)
{
	return evtchn_notify_fd(xenevtchn_fd(evtchn->handle), local);
}

int evtchn_take(struct event_channels *evtchn)
{
	return direct_result(xenevtchn_pending(evtchn->handle));
}

int evtchn_unmask(struct event_channels *evtchn, uint32_t local)
{
	return direct_result(xenevtchn_unmask(evtchn->handle, local));
}

int evtchn_wait(struct event_channels *evtchn, uint32_t unmask, const volatile uint8_t *gate,
		unsigned timeout_ms)
{
	int rc;

	if (!evtchn->ring && !evtchn->no_ring) {
		const char *wanted = getenv("KVMXEN_RING");

		if (!wanted || strcmp(wanted, "0"))
			evtchn->ring = evtchn_ring_open(xenevtchn_fd(evtchn->handle));
		evtchn->no_ring = !evtchn->ring;
	}
	if (!evtchn->ring)
		return -EOPNOTSUPP;
	rc = evtchn_ring_wait(evtchn->ring, unmask, gate, timeout_ms);
	if (rc == -EIO) {
		evtchn_ring_close(evtchn->ring);
		evtchn->ring = NULL;
		evtchn->no_ring = true;
	}
	return rc;
}
