/* The device plane of a process without privilege: restricted descriptors, and for what those
 * refuse the broker. */
#include "libkvmxen/xen/broker_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct broker *broker_of(struct device *dev)
{
	return (struct broker *)dev;
}

/* Not repeated: populating twice would leave frames that no gfn shows. */
static int mem_populate(struct device *dev, uint16_t domid, unsigned order, size_t n,
			const uint64_t *gfns)
{
	size_t done = 0;

	while (done < n) {
		size_t want = n - done < WIRE_GFNS_MAX ? n - done : WIRE_GFNS_MAX;
		struct wire_message request = {
			.op = WIRE_mem_populate,
			.domid = domid,
			.arg = {order},
			.length = want * sizeof *gfns,
		};
		int rc = broker_call(broker_of(dev), &request, gfns + done, NULL, NULL, NULL);

		if (rc < 0)
			return done ? (int)done : rc;
		done += rc;
		if ((size_t)rc < want)
			break;
	}
	return done;
}

static int mem_release(struct device *dev, uint16_t domid, size_t n, const uint64_t *gfns)
{
	size_t done;

	for (done = 0; done < n;) {
		size_t want = n - done < WIRE_GFNS_MAX ? n - done : WIRE_GFNS_MAX;
		struct wire_message request = {
			.op = WIRE_mem_release,
			.domid = domid,
			.length = want * sizeof *gfns,
		};
		int rc = broker_call(broker_of(dev), &request, gfns + done, NULL, NULL, NULL);

		/* How far it came is not known: one by one, what is gone already may be so. */
		if (rc == -ECONNABORTED && want > 1) {
			for (size_t i = 0; i < want; i++)
				mem_release(dev, domid, 1, gfns + done + i);
			rc = 0;
		}
		if (rc < 0 && rc != -ECONNABORTED)
			return rc;
		done += want;
	}
	return 0;
}

static int hvm_param_set(struct device *dev, uint16_t domid, uint32_t param, uint64_t value)
{
	struct wire_message request = {
		.op = WIRE_hvm_param_set,
		.domid = domid,
		.arg = {param, value},
	};

	return broker_call_again(broker_of(dev), &request, NULL, NULL, NULL, NULL);
}

static int hvm_param_get(struct device *dev, uint16_t domid, uint32_t param, uint64_t *value)
{
	struct wire_message request = {
		.op = WIRE_hvm_param_get,
		.domid = domid,
		.arg = {param},
	};
	int rc = broker_call_again(broker_of(dev), &request, NULL, NULL, NULL, NULL);

	if (rc >= 0)
		*value = request.arg[0];
	return rc;
}

static int broker_evtchn_open(struct device *dev, uint16_t domid, struct event_channels **out)
{
	struct wire_message request = {.op = WIRE_evtchn_open, .domid = domid};
	int fd, rc;

	/* Xen lets a stub domain bind to its target's ports and no others that matter. */
	if (broker_of(dev)->stub)
		return evtchn_open(-1, out);
	rc = broker_call_again(broker_of(dev), &request, NULL, NULL, NULL, &fd);

	if (rc < 0)
		return rc;
	return fd < 0 ? -EPROTO : evtchn_open(fd, out);
}

static void device_close(struct device *dev)
{
	struct broker *broker = broker_of(dev);
	unsigned i;

	broker->ctl.ops->close(&broker->ctl);
	for (i = 0; i < BROKER_DOMAINS; i++)
		if (atomic_load(&broker->domains[i]))
			close((int)(atomic_load(&broker->domains[i]) & 0xffffffff));
	if (broker->privcmd >= 0)
		close(broker->privcmd);
	pthread_mutex_destroy(&broker->lock);
	free(broker);
}

const struct device_ops broker_device_ops = {
	PRIVCMD_DEVICE_OPS,
	.mem_populate = mem_populate,
	.mem_release = mem_release,
	.hvm_param_set = hvm_param_set,
	.hvm_param_get = hvm_param_get,
	.evtchn_open = broker_evtchn_open,
	.close = device_close,
};
