/*
 * worker: a program that `measure` asks for samples.
 *
 * A worker serves lines on its standard input, "ROW COUNT", each with a line that holds the
 * nanoseconds that COUNT operations of that row took, or "-" for a row that it does not have.
 * Between two lines it stands still, so that many workers can take turns.
 */
#ifndef KVMXEN_TESTS_BENCH_WORKER_H
#define KVMXEN_TESTS_BENCH_WORKER_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t now_ns(void);

/* Serves standard input until it ends. row: an index of names. batch: how long it took, or -1. */
void worker_serve(const char *const *names, size_t n,
		  int64_t (*batch)(unsigned row, unsigned count));

#endif
