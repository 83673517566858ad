/* A system call that does not begin once a byte is set: no signal falls between look and call. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "libkvmxen/gate.h"

#define KICKS 2000

void register_gate_suite(void);

static volatile uint8_t gate;
static atomic_uint handled, seen;

static void on_signal(int number)
{
	gate = 1;
	atomic_fetch_add(&handled, 1);
}

/* Nothing ever comes through the poll: it ends by a signal, or after `ms`. */
static long gated_poll(int ms)
{
	struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l};
	const long arguments[6] = {0, 0, (long)&limit, 0, _NSIG / 8, 0};

	return gate_syscall(&gate, SYS_ppoll, arguments);
}

static void an_open_gate_lets_the_call_through(void)
{
	const long arguments[6] = {-1, 0, 0, 0, 0, 0};

	gate = 0;
	CU_ASSERT_EQUAL(gated_poll(1), 0);
	CU_ASSERT_EQUAL(gate_syscall(&gate, SYS_close, arguments), -EBADF);
	CU_ASSERT_EQUAL(gate_syscall(&gate, SYS_getpid, arguments), getpid());
}

static void a_set_gate_does_not(void)
{
	gate = 1;
	CU_ASSERT_EQUAL(gated_poll(60000), -ECANCELED);
	gate = 0;
}

/* The next kick comes when the one before was seen: a lost one shows as a poll that ends by itself.
 */
static void *kick(void *data)
{
	pthread_t thread = *(pthread_t *)data;
	unsigned i;

	for (i = 0; i < KICKS; i++) {
		pthread_kill(thread, SIGUSR1);
		while (atomic_load(&seen) <= i)
			sched_yield();
	}
	return NULL;
}

static void no_kick_is_lost(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;
	pthread_t self = pthread_self(), kicker;
	unsigned lost = 0;

	gate = 0;
	atomic_store(&handled, 0);
	atomic_store(&seen, 0);
	sigaction(SIGUSR1, &action, &old);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&kicker, NULL, kick, &self), 0);
	while (atomic_load(&seen) < KICKS) {
		/* So that kicks land before the call, in it and between look and call. */
		for (volatile unsigned i = atomic_load(&seen) % 97 * 20; i; i--)
			;
		lost += gated_poll(5000) == 0;
		gate = 0;
		atomic_fetch_add(&seen, 1);
	}
	pthread_join(kicker, NULL);
	sigaction(SIGUSR1, &old, NULL);
	CU_ASSERT_EQUAL(lost, 0);
	CU_ASSERT_EQUAL(atomic_load(&handled), KICKS);
}

void register_gate_suite(void)
{
	CU_pSuite suite = CU_add_suite("gate", NULL, NULL);

	if (!gate_works()) {
		fprintf(stderr, "gate: skipped: this thread has no rseq area\n");
		return;
	}
	CU_ADD_TEST(suite, an_open_gate_lets_the_call_through);
	CU_ADD_TEST(suite, a_set_gate_does_not);
	CU_ADD_TEST(suite, no_kick_is_lost);
}
