/*
 * Events between Xen and a stub domain. Xen gives the event channel of a domain's monitor to
 * whoever switches the monitor on, which is the broker; whom the events are for is a stub domain.
 * So each event on one side is sent on to the other, and nothing is looked at. Both ports are there
 * before ours are, and stay when the broker ends: a successor binds to them again, and what came
 * meanwhile is seen, since a bind raises an event on its own side, which is passed on.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tools/kvmxend/kvmxend.h"

struct relay {
	const struct device_ops *ops;
	struct event_channels *evtchn;
	int xen, stub; /* local ports */
	int stop;
	pthread_t thread;
};

static void pass_on(struct relay *relay)
{
	int port;

	/* Unmasked first: what comes while it is passed on raises it again. */
	while ((port = relay->ops->evtchn_take(relay->evtchn)) >= 0) {
		relay->ops->evtchn_unmask(relay->evtchn, port);
		relay->ops->evtchn_notify(relay->evtchn,
					  port == relay->xen ? relay->stub : relay->xen);
	}
}

static void *relay_run(void *arg)
{
	struct relay *relay = arg;
	struct pollfd fds[] = {
		{.fd = relay->ops->evtchn_fd(relay->evtchn), .events = POLLIN},
		{.fd = relay->stop, .events = POLLIN},
	};

	do {
		pass_on(relay);
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
	} while (!fds[1].revents);
	return NULL;
}

static int bind_ports(struct relay *relay, struct device *dev, const struct guest *domain)
{
	int rc = relay->ops->evtchn_open(dev, domain->domid, &relay->evtchn);

	if (rc < 0)
		return rc;
	relay->xen = rc =
		relay->ops->evtchn_bind(relay->evtchn, domain->domid, domain->monitor_port);
	if (rc >= 0)
		relay->stub = rc =
			relay->ops->evtchn_bind(relay->evtchn, domain->stub, domain->stub_port);
	if (rc < 0)
		relay->ops->evtchn_close(relay->evtchn);
	return rc;
}

int relay_open(struct device *dev, struct guest *domain)
{
	struct relay *relay = calloc(1, sizeof *relay);
	int rc;

	if (!relay)
		return -ENOMEM;
	relay->ops = dev->ops;
	relay->stop = eventfd(0, EFD_CLOEXEC);
	rc = relay->stop < 0 ? -errno : bind_ports(relay, dev, domain);
	if (rc < 0)
		goto out_free;
	rc = -pthread_create(&relay->thread, NULL, relay_run, relay);
	if (rc < 0) {
		relay->ops->evtchn_close(relay->evtchn);
		goto out_free;
	}
	domain->relay = relay;
	return 0;
out_free:
	if (relay->stop >= 0)
		close(relay->stop);
	free(relay);
	return rc;
}

void relay_close(struct relay *relay)
{
	if (!relay)
		return;
	eventfd_write(relay->stop, 1);
	pthread_join(relay->thread, NULL);
	relay->ops->evtchn_close(relay->evtchn);
	close(relay->stop);
	free(relay);
}
