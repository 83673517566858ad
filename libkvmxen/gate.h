/*
 * gate: a system call that does not begin once a byte is set, however late it is set.
 *
 * KVM_RUN must not fall asleep when a signal's handler has just set immediate_exit. The usual way,
 * signals blocked up to a wait that unblocks them, costs two system calls for each KVM_RUN. Here
 * look and system call are one restartable sequence (rseq, registered by libc for every thread): a
 * signal that arrives between the two makes the kernel continue at the sequence's abort address.
 *
 * Threads: any. Signals need not be blocked.
 */
#ifndef KVMXEN_GATE_H
#define KVMXEN_GATE_H

#include <stdbool.h>
#include <stdint.h>

/* False: this thread has no rseq area (an old libc or kernel, or it is turned off). */
bool gate_works(void);

/*
 * The system call's own result (-errno when it failed), or
 * -ECANCELED: *gate was set before the system call began
 * -EDEADLK: it never began: this thread is interrupted all the time (single-stepped)
 */
long gate_syscall(const volatile uint8_t *gate, long number, const long arguments[6]);

#endif
