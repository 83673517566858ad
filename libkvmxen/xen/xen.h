/*
 * xen: the pair of connections that the rest of the library works with.
 *
 * xen_open gives the direct pair when this process is root, and the broker's otherwise, or when
 * KVMXEN_BROKER names its socket; the unit tests put the fake's in its place with
 * xen_override before the first open. One pair serves the whole process and is never closed while
 * an fd of kvmxen is open.
 */
#ifndef KVMXEN_XEN_XEN_H
#define KVMXEN_XEN_XEN_H

#include "libkvmxen/xen/control.h"
#include "libkvmxen/xen/device.h"

struct xen {
	struct device *dev;
	struct control *ctl;
};

/* 0, or -errno with one message already said: -ENOENT when there is no Xen under this system, or,
 * without root, no broker;
 * -EACCES when this process may not talk to it, -EPROTO when it is not the version that this
 * library was built for. Opened once; after a failure the next call tries again. */
int xen_open(struct xen *xen);

/* A child of fork, whose parent has opened a pair: what the parent has is not the child's. */
void xen_forget(void);

/* The next xen_open calls return this pair; NULL: the direct one again. For tests. */
void xen_override(const struct xen *xen);

/* The direct implementations: xen/direct_device.c, xen/direct_control.c. */
int direct_device_open(struct device **dev);
int direct_control_open(struct control **ctl);

#endif
