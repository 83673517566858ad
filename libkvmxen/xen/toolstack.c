#include "libkvmxen/xen/toolstack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <xenstore.h>

/* xenstored takes a path without a slash as one in the caller's own domain. */
int toolstack_ready(uint16_t domid)
{
	static const char value[] = "running";
	struct xs_handle *xs;
	char path[64];
	int rc = 0;

	errno = 0;
	xs = xs_open(0);
	if (!xs)
		return errno ? -errno : -EIO;
	snprintf(path, sizeof path, "device-model/%u/state", domid);
	if (!xs_write(xs, XBT_NULL, path, value, sizeof value - 1))
		rc = errno ? -errno : -EIO;
	xs_close(xs);
	return rc;
}

/* dom0, unless libxl has said that it is a stub domain. */
static unsigned device_model_of(struct xs_handle *xs, uint16_t domid)
{
	char path[64], *text;
	unsigned found = 0;

	snprintf(path, sizeof path, "/local/domain/%u/image/device-model-domid", domid);
	text = xs_read(xs, XBT_NULL, path, NULL);
	if (text)
		found = strtoul(text, NULL, 10);
	free(text);
	return found;
}

bool toolstack_ending(uint16_t domid)
{
	struct xs_handle *xs = xs_open(0);
	char path[64], *state;
	bool ending;

	if (!xs)
		return false;
	snprintf(path, sizeof path, "/local/domain/%u/device-model/%u/state",
		 device_model_of(xs, domid), domid);
	errno = 0;
	state = xs_read(xs, XBT_NULL, path, NULL);
	ending = !state && errno == ENOENT;
	free(state);
	xs_close(xs);
	return ending;
}
