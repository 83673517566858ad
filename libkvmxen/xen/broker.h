/*
 * broker: Xen for a process without privilege, by way of kvmxend.
 *
 * The control plane, and of the device plane what a restricted /dev/xen/privcmd refuses (populating
 * and releasing memory, HVM parameters), are messages (wire.h) on one connection. All the rest of
 * the device plane is done here, on descriptors that the broker has opened and restricted to the
 * domain: exits, interrupts, mappings and kicks never wait for it, and a guest runs on while
 * there is no broker.
 *
 * A connection that breaks is made anew: the broker knows the process by its credentials. A call
 * that was under way is repeated where that does no harm; see broker_control.c for where it does.
 *
 * The broker destroys the domains of a process that has ended; no janitor is needed.
 *
 * In a stub domain the connection goes over libxenvchan, and the descriptors are its own: Linux
 * ties them to the domain's target (privcmd), or Xen does (evtchn). Its domain is its target, which
 * it adopts; it makes none.
 *
 * Threads: any; calls of one process wait for each other. A child of fork has a connection of its
 * own, and none of its parent's domains.
 */
#ifndef KVMXEN_XEN_BROKER_H
#define KVMXEN_XEN_BROKER_H

#include "libkvmxen/xen/xen.h"

/* In place of a socket: a stub domain's way. */
#define BROKER_VCHAN "vchan"

/* Connects; socket NULL: WIRE_SOCKET. 0 or -errno: -ENOENT and -ECONNREFUSED when no broker is
 * there, -EACCES when it is not for this user, -EDQUOT when the user has too many connections,
 * -EPROTO when it is of another build. */
int broker_open(const char *socket, struct xen *xen);

/* The device plane that control operations use, in place of the broker's own: for tests. */
void broker_set_device(struct control *ctl, struct device *dev);

#endif
