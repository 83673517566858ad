/*
 * guest: what the measured guests do, the same under every device model.
 *
 * The guest (32 bits, flat, no paging, interrupts off) reads a row's number and a count from
 * GUEST_ASK, does that row's operation count times, writes to GUEST_DONE and asks again. A worker
 * (worker.h) holds one such guest at its question, and measures from the answer to that write.
 */
#ifndef KVMXEN_TESTS_BENCH_GUEST_H
#define KVMXEN_TESTS_BENCH_GUEST_H

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

/* The names of the rows, by number. */
enum { GUEST_ROWS = 13 };
extern const char *const guest_rows[GUEST_ROWS];

#endif
