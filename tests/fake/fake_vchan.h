/*
 * fake_vchan: libxenvchan within a process, in place of the library of that name. Two byte queues
 * and two descriptors for each connection; the rings are small, so that long messages come in
 * pieces.
 */
#ifndef KVMXEN_TESTS_FAKE_VCHAN_H
#define KVMXEN_TESTS_FAKE_VCHAN_H

#include <stdbool.h>
#include <stddef.h>

/* The next offer that nobody has taken, waiting at most so long: its path. */
bool fake_vchan_offered(char *path, size_t size, unsigned timeout_ms);
/* Ends that are not closed. */
unsigned fake_vchan_open_ends(void);

#endif
