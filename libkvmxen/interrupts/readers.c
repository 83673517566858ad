#include "libkvmxen/interrupts/interrupts_private.h"
#include "libkvmxen/hot.h"

#include <sched.h>

HOT unsigned readers_enter(struct readers *readers)
{
	unsigned ticket = atomic_load(&readers->phase) & 1;

	atomic_fetch_add(&readers->inside[ticket], 1);
	return ticket;
}

HOT void readers_exit(struct readers *readers, unsigned ticket)
{
	atomic_fetch_sub(&readers->inside[ticket], 1);
}

/* Twice, since a reader may have read the phase before it changed and come in only after the wait.
 * New readers go to the other side, so that a busy exit path cannot hold the writer up. */
void readers_wait(struct readers *readers)
{
	unsigned round;

	for (round = 0; round < 2; round++) {
		unsigned old = atomic_fetch_xor(&readers->phase, 1) & 1;

		while (atomic_load(&readers->inside[old]))
			sched_yield();
	}
}
