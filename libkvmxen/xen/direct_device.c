/* The direct device plane: one descriptor for all domains, and plain hypercalls where it must. */
#include "libkvmxen/xen/direct_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libkvmxen/xen/privcmd.h"
#include "libkvmxen/xen/xen.h"

struct direct_device {
	struct privcmd_device base; /* first: a struct device * is a struct direct_device * */
	xc_interface *xc;
	int privcmd;
};

/* Extents in one hypercall; libxenctrl wants an array that it may write to. */
enum { BATCH = 512 };

static xc_interface *device_xc(struct device *dev)
{
	return ((struct direct_device *)dev)->xc;
}

static int device_fd(const struct privcmd_device *dev, uint16_t domid)
{
	return ((const struct direct_device *)dev)->privcmd;
}

typedef int (*reservation_call)(xc_interface *xc, uint16_t domid, unsigned order, unsigned n,
				xen_pfn_t *gfns);

static int populate_batch(xc_interface *xc, uint16_t domid, unsigned order, unsigned n,
			  xen_pfn_t *gfns)
{
	return xc_domain_populate_physmap(xc, domid, n, order, 0, gfns);
}

static int release_batch(xc_interface *xc, uint16_t domid, unsigned order, unsigned n,
			 xen_pfn_t *gfns)
{
	return xc_domain_decrease_reservation(xc, domid, n, order, gfns);
}

/* How many of the extents the call has done, from the start; -errno when it was none. */
static ssize_t in_batches(reservation_call call, xc_interface *xc, uint16_t domid, unsigned order,
			  size_t n, const uint64_t *gfns)
{
	xen_pfn_t batch[BATCH];
	size_t done = 0;

	while (done < n) {
		size_t want = n - done < BATCH ? n - done : BATCH;
		int r;

		memcpy(batch, gfns + done, want * sizeof(*batch));
		r = direct_result(call(xc, domid, order, want, batch));
		if (r < 0)
			return done ? (ssize_t)done : r;
		done += r;
		if ((size_t)r < want)
			break;
	}
	return done;
}

static int mem_populate(struct device *dev, uint16_t domid, unsigned order, size_t n,
			const uint64_t *gfns)
{
	int done = in_batches(populate_batch, device_xc(dev), domid, order, n, gfns);

	/* Xen does not say why it stopped. */
	return done || !n ? done : -ENOMEM;
}

static int mem_release(struct device *dev, uint16_t domid, size_t n, const uint64_t *gfns)
{
	ssize_t done = in_batches(release_batch, device_xc(dev), domid, 0, n, gfns);

	if (done < 0)
		return done;
	return (size_t)done == n ? 0 : -EINVAL;
}

static int hvm_param_set(struct device *dev, uint16_t domid, uint32_t param, uint64_t value)
{
	return direct_result(xc_hvm_param_set(device_xc(dev), domid, param, value));
}

static int hvm_param_get(struct device *dev, uint16_t domid, uint32_t param, uint64_t *value)
{
	return direct_result(xc_hvm_param_get(device_xc(dev), domid, param, value));
}

static int device_evtchn_open(struct device *dev, uint16_t domid, struct event_channels **out)
{
	return evtchn_open(-1, out);
}

static void device_close(struct device *dev)
{
	struct direct_device *direct = (struct direct_device *)dev;

	xc_interface_close(direct->xc);
	close(direct->privcmd);
	free(direct);
}

static const struct device_ops direct_device_ops = {
	PRIVCMD_DEVICE_OPS,
	.mem_populate = mem_populate,
	.mem_release = mem_release,
	.hvm_param_set = hvm_param_set,
	.hvm_param_get = hvm_param_get,
	.evtchn_open = device_evtchn_open,
	.close = device_close,
};

int direct_device_open(struct device **dev)
{
	struct direct_device *direct;
	int rc;

	direct = calloc(1, sizeof(*direct));
	if (!direct)
		return -ENOMEM;
	direct->privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	if (direct->privcmd < 0) {
		rc = -errno;
		goto out_free;
	}
	rc = direct_xc_open(&direct->xc);
	if (rc)
		goto out_close;
	direct->base.fd = device_fd;
	direct->base.base.ops = &direct_device_ops;
	*dev = &direct->base.base;
	return 0;

out_close:
	close(direct->privcmd);
out_free:
	free(direct);
	return rc;
}
