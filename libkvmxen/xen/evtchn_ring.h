/*
 * evtchn_ring: unmasking an event channel and waiting for it, in one system call.
 *
 * /dev/xen/evtchn wants a write (unmask) and a read (wait) for each event. An io_uring takes both
 * at once. Between two calls nothing is in flight, so the threads of a VMM may take turns with one
 * ring, but only one at a time uses it.
 */
#ifndef KVMXEN_XEN_EVTCHN_RING_H
#define KVMXEN_XEN_EVTCHN_RING_H

#include <stdint.h>

struct evtchn_ring;

/* NULL: this system has no io_uring, or forbids it. */
struct evtchn_ring *evtchn_ring_open(int fd);
void evtchn_ring_close(struct evtchn_ring *ring);

/* As device.h's evtchn_wait. */
int evtchn_ring_wait(struct evtchn_ring *ring, uint32_t unmask, const volatile uint8_t *gate,
		     unsigned timeout_ms);

#endif
