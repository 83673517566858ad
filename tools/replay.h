/*
 * replay: the calls of a log made again, in their order, in this process.
 *
 * Descriptors and memory are this process's own: guest memory is there, but empty, an eventfd is a
 * fresh one, and where the VMM gave a wrong pointer or descriptor so do we. KVM_RUN is made with
 * immediate_exit set: the log has no guest memory, so no guest can run.
 */
#ifndef KVMXEN_TOOLS_REPLAY_H
#define KVMXEN_TOOLS_REPLAY_H

/* Says which answers differ. 0: none; 1: some; 2: no log. */
int replay_log(const char *path);

#endif
