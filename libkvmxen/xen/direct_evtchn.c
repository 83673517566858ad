/* A set of event channels: one /dev/xen/evtchn, read without blocking. */
#include "libkvmxen/xen/direct_private.h"

#include <fcntl.h>
#include <stdlib.h>

#include <xenevtchn.h>

struct event_channels {
	xenevtchn_handle *handle;
};

int direct_evtchn_open(struct device *dev, struct event_channels **out)
{
	struct event_channels *evtchn;
	int fd, rc;

	evtchn = calloc(1, sizeof(*evtchn));
	if (!evtchn)
		return -ENOMEM;
	evtchn->handle = xenevtchn_open(direct_logger(), 0);
	if (!evtchn->handle) {
		rc = direct_result(-1);
		free(evtchn);
		return rc;
	}
	fd = xenevtchn_fd(evtchn->handle);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		rc = direct_result(-1);
		direct_evtchn_close(evtchn);
		return rc;
	}
	*out = evtchn;
	return 0;
}

void direct_evtchn_close(struct event_channels *evtchn)
{
	if (!evtchn)
		return;
	xenevtchn_close(evtchn->handle);
	free(evtchn);
}

int direct_evtchn_fd(struct event_channels *evtchn)
{
	return xenevtchn_fd(evtchn->handle);
}

int direct_evtchn_bind(struct event_channels *evtchn, uint16_t domid, uint32_t remote)
{
	return direct_result(xenevtchn_bind_interdomain(evtchn->handle, domid, remote));
}

int direct_evtchn_unbind(struct event_channels *evtchn, uint32_t local)
{
	return direct_result(xenevtchn_unbind(evtchn->handle, local));
}

int direct_evtchn_notify(struct event_channels *evtchn, uint32_t local)
{
	return direct_result(xenevtchn_notify(evtchn->handle, local));
}

int direct_evtchn_take(struct event_channels *evtchn)
{
	return direct_result(xenevtchn_pending(evtchn->handle));
}

int direct_evtchn_unmask(struct event_channels *evtchn, uint32_t local)
{
	return direct_result(xenevtchn_unmask(evtchn->handle, local));
}
