#include "libkvmxen/xen/direct_private.h"
#include "libkvmxen/xen/direct_version.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libkvmxen/message.h"
#include "libkvmxen/xen/broker.h"
#include "libkvmxen/xen/wire.h"
#include "libkvmxen/xen/xen.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct xen opened_pair, override;
static bool opened, overridden;

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static const char *running(char *text, size_t size)
{
	xc_interface *xc;
	int rc = direct_xc_open(&xc);

	if (rc)
		return "of another version";
	rc = direct_version_running(xc, text, size);
	xc_interface_close(xc);
	return rc < 0 ? "of another version" : text;
}

static int say_why(int rc)
{
	static const char *const files[] = {"/dev/xen/privcmd", "/dev/xen/evtchn"};
	const char *file = files[exists(files[0])];
	char reason[128], version[32];

	switch (rc) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		if (exists("/sys/hypervisor/properties/features"))
			message_error("Xen is under this system, but %s cannot be opened: %s", file,
				      "are the modules xen-privcmd and xen-evtchn loaded?");
		else
			message_error("no Xen hypervisor under this system: %s %s", file,
				      exists(file) ? "is of no use" : "does not exist");
		return -ENOENT;
	case -EACCES:
		message_error("this process may not talk to Xen: opening /dev/xen/privcmd and "
			      "/dev/xen/evtchn needs root");
		return -EACCES;
	case -EPERM:
		message_error("Xen lets only the control domain (dom0) create domains, and this is "
			      "another one");
		return -EACCES;
	case -EPROTO:
		message_error("this kvmxen was built for the control interface of Xen %s, and Xen "
			      "%s runs here",
			      direct_version_built_for(), running(version, sizeof(version)));
		return -EPROTO;
	default:
		message_error("Xen cannot be opened: %s", strerror_r(-rc, reason, sizeof(reason)));
		return rc;
	}
}

/* The device plane opens this file only when there is a vcpu: find out early. */
static int try_evtchn(struct device *dev)
{
	struct event_channels *evtchn;
	int rc = dev->ops->evtchn_open(dev, DOMID_SELF, &evtchn);

	if (!rc)
		dev->ops->evtchn_close(evtchn);
	return rc;
}

static int open_direct(void)
{
	struct xen xen;
	int rc;

	rc = direct_device_open(&xen.dev);
	if (rc)
		return say_why(rc);
	rc = try_evtchn(xen.dev);
	if (!rc)
		rc = direct_control_open(&xen.ctl);
	if (rc) {
		xen.dev->ops->close(xen.dev);
		return say_why(rc);
	}
	opened_pair = xen;
	return 0;
}

static int say_why_not_broker(const char *socket, int rc)
{
	switch (rc) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -ETIMEDOUT:
		message_error("%sthere is no broker (kvmxend) at %s",
			      geteuid() == 0 ? "" : "this process is not root, and ", socket);
		return -ENOENT;
	case -EACCES:
		message_error("the broker at %s is not for this user: is it in group kvmxen?",
			      socket);
		return -EACCES;
	case -EPROTO:
		message_error("the broker at %s is of another version of kvmxen", socket);
		return -EPROTO;
	default:
		message_error("the broker at %s cannot be used: %s", socket, strerror(-rc));
		return rc;
	}
}

static int open_pair(void)
{
	const char *socket = getenv("KVMXEN_BROKER");
	int rc;

	if ((!socket || !*socket) && geteuid() == 0) {
		rc = open_direct();
	} else {
		socket = socket && *socket ? socket : WIRE_SOCKET;
		rc = broker_open(socket, &opened_pair);
		if (rc)
			rc = say_why_not_broker(socket, rc);
	}
	if (rc)
		return rc;
	opened = true;
	message_debug("Xen %s, %s", opened_pair.ctl->ops->version(opened_pair.ctl),
		      opened_pair.ctl->watches ? "by the broker" : "directly");
	return 0;
}

int xen_open(struct xen *xen)
{
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (!overridden && !opened)
		rc = open_pair();
	if (!rc)
		*xen = overridden ? override : opened_pair;
	pthread_mutex_unlock(&lock);
	return rc;
}

void xen_forget(void)
{
	pthread_mutex_lock(&lock);
	opened = false;
	pthread_mutex_unlock(&lock);
}

void xen_override(const struct xen *xen)
{
	pthread_mutex_lock(&lock);
	overridden = xen != NULL;
	if (xen)
		override = *xen;
	pthread_mutex_unlock(&lock);
}
