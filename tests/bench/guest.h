/*
 * guest: what the measured guests do, the same under every device model, and how a worker is asked.
 *
 * The guest (32 bits, flat, no paging, interrupts off) reads a row's number and a count from
 * GUEST_ASK, does that row's operation count times, writes to GUEST_DONE and asks again. A worker
 * holds one such guest at its question and serves lines on its standard input, "ROW COUNT", each
 * with a line that holds the nanoseconds from the answer to the write to GUEST_DONE, or "-" for a
 * row that it does not have. Between two lines the guest stands still, so that many workers can
 * take turns.
 */
#ifndef KVMXEN_TESTS_BENCH_GUEST_H
#define KVMXEN_TESTS_BENCH_GUEST_H

#include <stdbool.h>
#include <stdint.h>

enum {
	GUEST_CODE = 0x8000,
	GUEST_BUFFER = 0x20000, /* of string instructions: one page */
	GUEST_RAM = 0xa0000,
	GUEST_ASK = 0x500,
	GUEST_DONE = 0x508,
	GUEST_PORT = 0x510,
	GUEST_PORT_WILDCARD = 0x520,
	GUEST_PORT_DATAMATCH = 0x524,
	GUEST_PORT_COALESCED = 0x528,
	GUEST_DATA = 0x77, /* what every operation writes */
};
#define GUEST_MMIO           0xd0000000u
#define GUEST_MMIO_WILDCARD  0xd0001000u
#define GUEST_MMIO_DATAMATCH 0xd0001010u
#define GUEST_MMIO_COALESCED 0xd0002000u

extern const uint8_t guest_code[], guest_code_end[];

/* The number of a row, or -1. */
int guest_row(const char *name);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t now_ns(void);

/* Serves standard input until it ends. batch: how long it took, or -1. */
void worker_serve(int64_t (*batch)(unsigned row, unsigned count));

#endif
