/*
 * test_fake: what the suites over the fake itself share: a small machine that is driven through
 * the two tables, without the library.
 */
#ifndef KVMXEN_TESTS_UNIT_TEST_FAKE_H
#define KVMXEN_TESTS_UNIT_TEST_FAKE_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "tests/fake/fake.h"

#define PAGE  4096u
#define SOON  5000 /* ms: what must happen does so within this */
#define NEVER 30   /* ms: what must not happen is waited for this long */

/* The tables, with their connection as first argument. */
#define DEV(op, ...) (fake_xen()->dev->ops->op(fake_xen()->dev, ##__VA_ARGS__))
#define CTL(op, ...) (fake_xen()->ctl->ops->op(fake_xen()->ctl, ##__VA_ARGS__))
#define EVT(op, ...) (fake_xen()->dev->ops->evtchn_##op(__VA_ARGS__))

#define TEST(function)                                                                             \
	{                                                                                          \
#function, function                                                                \
	}

/* A running domain with 16 pages from gfn 0, 4 MiB allowed, one enabled server that claims
 * everything, and a bound port for each vcpu. */
struct machine {
	uint16_t domid, server;
	struct shared_iopage *page;
	struct event_channels *evtchn;
	int ports[4];
	unsigned vcpus;
};
struct machine machine_new(unsigned vcpus, enum emulation emulation);
/* The same before its first unpause. */
struct machine machine_new_paused(unsigned vcpus, enum emulation emulation);
void machine_free(struct machine *m);

/* A domain without anything but its allowance of 4 MiB. */
uint16_t domain_new(unsigned vcpus, enum emulation emulation);
/* KVM's reset state. */
struct hvm_hw_cpu cpu_reset(void);
/* HEADER, the CPU record for each of the first n vcpus, END. Returns the length. */
uint32_t image_make(uint8_t *image, unsigned n, const struct hvm_hw_cpu *cpu);
/* The same with one record more before END. */
uint32_t image_make_with(uint8_t *image, unsigned n, const struct hvm_hw_cpu *cpu, uint16_t code,
			 uint16_t instance, const void *body, uint32_t len);
void domain_load(uint16_t domid, unsigned vcpus);

/* Waits for a request in the vcpu's slot; NULL: none came. */
struct ioreq *take(struct machine *m, unsigned vcpu);
/* Is there none, and none coming? */
bool quiet(struct machine *m, unsigned vcpu);
void answer(struct machine *m, unsigned vcpu, uint64_t data);
void notify(struct machine *m, unsigned vcpu);
uint8_t state_get(struct ioreq *req);
void state_set(struct ioreq *req, uint8_t state);

/* Nothing broken, nothing left. */
void assert_clean(void);
/* A rule was broken, as the test wanted: forgives it. */
void assert_violated(const char *text);

extern CU_TestInfo fake_memory_tests[], fake_map_tests[], fake_ioreq_tests[], fake_io_tests[],
	fake_vcpu_tests[], fake_context_tests[], fake_evtchn_tests[], fake_misc_tests[];

#endif
