/*
 * toolstack: what libxl and the device model of a domain say to each other by xenstore. The device
 * model may be a process of dom0 or a stub domain; each has a folder for it, device-model/DOMID, in
 * its own domain's.
 */
#ifndef KVMXEN_XEN_TOOLSTACK_H
#define KVMXEN_XEN_TOOLSTACK_H

#include <stdbool.h>
#include <stdint.h>

/* By the device model: it is there, the domain may run. 0 or -errno. */
int toolstack_ready(uint16_t domid);

/* In dom0: is the toolstack about to destroy the domain? It takes the answer to toolstack_ready
 * away first. */
bool toolstack_ending(uint16_t domid);

#endif
