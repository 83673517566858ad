/*
 * machine: the smallest machine that the ops tables can make: a domain with 2 MiB of RAM at 0, an
 * ioreq server for everything else, and one event channel for each vcpu. For one thread.
 *
 * A step of the set-up that fails ends the program: the test of that step comes first.
 */
#ifndef KVMXEN_TESTS_LAB_XEN_MACHINE_H
#define KVMXEN_TESTS_LAB_XEN_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "libkvmxen/xen/xen.h"

enum {
	RAM_FRAMES = 512,     /* one extent of order 9 */
	CODE_AT = 0x1000,     /* guest addresses */
	DATA_AT = 0x3000,     /* a page for the test's own use */
	STACK_AT = 0x2000,    /* grows down */
	SCRATCH_A = 0x100000, /* frames out of the guest's reach */
	SCRATCH_B = 0x100001,
	RING_FRAME = 0x100002,
};

struct machine {
	const struct device_ops *d;
	const struct control_ops *c;
	struct device *dev;
	struct control *ctl;
	uint8_t handle[16];
	uint16_t domid;
	uint16_t server;
	unsigned vcpus;
	uint8_t *ram;
	struct shared_iopage *page;
	struct event_channels *evtchn;
	int ports[2];
};

/* Real-mode code, in this program's read-only data. */
#define REAL_MODE(name, ...)                                                                       \
	asm(".pushsection .rodata\n.code16\n" #name ":\n" __VA_ARGS__ "\n" #name                   \
	    "_end:\n.code64\n.popsection");                                                        \
	extern const uint8_t name[] __attribute__((visibility("hidden")));                         \
	extern const uint8_t name##_end[] __attribute__((visibility("hidden")))

/* The pair under test; the program ends if Xen cannot be opened. */
struct xen the_xen(void);

void random_handle(uint8_t handle[16]);

void machine_make(struct machine *m, enum emulation emulation, unsigned vcpus);
/* Copies code to CODE_AT and loads vcpu 0 in real mode with its first instruction next. */
void machine_load(struct machine *m, const uint8_t *code, const uint8_t *end);
#define MACHINE_LOAD(m, code) machine_load(m, code, code##_end)
/* The image that machine_load loads: HEADER, CPU, END; returns its length. */
uint32_t machine_image(uint8_t image[4096], uint64_t rip);
void machine_unpause(struct machine *m);
/* The next ioreq of vcpu 0, or false after 20 s: *req is a copy. */
bool machine_wait(struct machine *m, struct ioreq *req);
bool machine_quiet(struct machine *m, int ms); /* no ioreq for so long */
void machine_answer(struct machine *m, uint64_t data);
/* Waits for `out` of value to port, and answers it unless told to keep it. */
bool machine_wait_out(struct machine *m, uint16_t port, uint32_t value, bool answer);
/* The body of a HVM save record of vcpu 0 or of the domain. */
int machine_record(struct machine *m, uint16_t typecode, void *body, uint32_t len);
/* Takes port from a set once, when it is pending within 20 s, and unmasks it. Xen makes a port
 * pending when it is bound, and the kernel shows it a moment later. */
bool machine_take(struct machine *m, struct event_channels *evtchn, int port);
/* Answers what is outstanding and takes all of it down. */
void machine_end(struct machine *m);

#endif
