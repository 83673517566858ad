/*
 * janitor: no domain outlives its VMM.
 *
 * Nothing in Xen ties a domain to the process that made it. A small process of its own
 * (tools/kvmxen-janitor.c), started before the first domain, is told each domain's handle before
 * the domain is made; when the VMM ends, in whatever way, it destroys the domains that carry
 * those handles.
 */
#ifndef KVMXEN_MACHINE_JANITOR_H
#define KVMXEN_MACHINE_JANITOR_H

#include <stdint.h>

/* Waits for the janitor's word that it knows the handle. 0 or -errno. */
int janitor_watch(const uint8_t handle[16]);
void janitor_forget(const uint8_t handle[16]);

/* What both sides say to each other: datagrams of a SOCK_SEQPACKET pair. */
struct janitor_message {
	uint32_t verb; /* JANITOR_* */
	uint8_t handle[16];
};
#define JANITOR_WATCH  1u /* answered by one byte */
#define JANITOR_FORGET 2u /* not answered */

/* The janitor's own fd number for its end of the pair. */
#define JANITOR_FD 3

#endif
