/* The worker: watches, their removal, deferred calls. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "libkvmxen/machine/worker.h"
#include "tests/unit/unit_rig.h"

void register_worker_suite(void);

static struct worker *worker;

static void set_up(void)
{
	CU_ASSERT_EQUAL_FATAL(worker_create(&worker), 0);
}

/* A watched eventfd that counts. */
struct counter {
	struct watch watch;
	atomic_uint calls;
	atomic_bool busy;
	unsigned sleep_us;
	bool remove_self, keep;
};

static void count(struct watch *watch, uint32_t events)
{
	struct counter *counter = (struct counter *)watch;
	uint64_t value;

	atomic_store(&counter->busy, true);
	if (!counter->keep)
		CU_ASSERT_EQUAL(read(watch->fd, &value, sizeof value), sizeof value);
	if (counter->sleep_us)
		usleep(counter->sleep_us);
	if (counter->remove_self)
		worker_remove(worker, watch);
	atomic_fetch_add(&counter->calls, 1);
	atomic_store(&counter->busy, false);
}

static void counter_init(struct counter *counter)
{
	memset(counter, 0, sizeof *counter);
	counter->watch.fd = eventfd(0, EFD_NONBLOCK);
	counter->watch.events = EPOLLIN;
	counter->watch.ready = count;
}

static void signal_it(struct counter *counter)
{
	uint64_t one = 1;

	CU_ASSERT_EQUAL(write(counter->watch.fd, &one, sizeof one), sizeof one);
}

static void a_watch_is_called_until_it_is_removed(void)
{
	struct counter counter;

	set_up();
	counter_init(&counter);
	CU_ASSERT_EQUAL(worker_add(worker, &counter.watch), 0);
	signal_it(&counter);
	CU_ASSERT(RIG_WAIT(atomic_load(&counter.calls) == 1));
	signal_it(&counter);
	CU_ASSERT(RIG_WAIT(atomic_load(&counter.calls) == 2));
	worker_remove(worker, &counter.watch);
	signal_it(&counter);
	usleep(20000);
	CU_ASSERT_EQUAL(atomic_load(&counter.calls), 2);
	worker_remove(worker, &counter.watch); /* again: nothing */
	close(counter.watch.fd);
	worker_destroy(worker);
}

static void a_watch_that_is_ready_already_is_called(void)
{
	struct counter counter;

	set_up();
	counter_init(&counter);
	signal_it(&counter);
	CU_ASSERT_EQUAL(worker_add(worker, &counter.watch), 0);
	CU_ASSERT(RIG_WAIT(atomic_load(&counter.calls) == 1));
	worker_destroy(worker);
	close(counter.watch.fd);
}

static void removal_waits_for_the_callback(void)
{
	struct counter counter;

	set_up();
	counter_init(&counter);
	counter.sleep_us = 50000;
	CU_ASSERT_EQUAL(worker_add(worker, &counter.watch), 0);
	signal_it(&counter);
	CU_ASSERT(RIG_WAIT(atomic_load(&counter.busy)));
	worker_remove(worker, &counter.watch);
	CU_ASSERT_FALSE(atomic_load(&counter.busy));
	CU_ASSERT_EQUAL(atomic_load(&counter.calls), 1);
	close(counter.watch.fd);
	worker_destroy(worker);
}

static void a_callback_may_remove_itself(void)
{
	struct counter counter;

	set_up();
	counter_init(&counter);
	counter.remove_self = counter.keep = true;
	signal_it(&counter);
	CU_ASSERT_EQUAL(worker_add(worker, &counter.watch), 0);
	CU_ASSERT(RIG_WAIT(atomic_load(&counter.calls) == 1));
	usleep(20000);
	CU_ASSERT_EQUAL(atomic_load(&counter.calls), 1);
	worker_destroy(worker);
	close(counter.watch.fd);
}

/* Watches come, fire and go while others do; none is called after its removal has returned. */
static void *churn(void *data)
{
	atomic_bool *bad = data;
	unsigned i;

	for (i = 0; i < 500; i++) {
		struct counter counter;
		unsigned calls;

		counter_init(&counter);
		counter.keep = true;
		if (worker_add(worker, &counter.watch))
			atomic_store(bad, true);
		signal_it(&counter);
		if (i % 2)
			usleep(50);
		worker_remove(worker, &counter.watch);
		calls = atomic_load(&counter.calls);
		sched_yield();
		if (atomic_load(&counter.calls) != calls || atomic_load(&counter.busy))
			atomic_store(bad, true);
		close(counter.watch.fd);
		memset(&counter, 0xee, sizeof counter);
	}
	return NULL;
}

static void watches_come_and_go_in_many_threads(void)
{
	pthread_t threads[4];
	atomic_bool bad = false;
	unsigned i;

	set_up();
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, churn, &bad);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_FALSE(atomic_load(&bad));
	worker_destroy(worker);
}

static atomic_uint order[8], orders;

static void note(void *data)
{
	atomic_store(&order[atomic_fetch_add(&orders, 1)], (unsigned)(uintptr_t)data);
}

static void deferred_calls_come_in_time_and_order(void)
{
	struct timespec start, end;
	long ms;

	set_up();
	atomic_store(&orders, 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CU_ASSERT_EQUAL(worker_defer(worker, 60, note, (void *)3), 0);
	CU_ASSERT_EQUAL(worker_defer(worker, 20, note, (void *)2), 0);
	CU_ASSERT_EQUAL(worker_defer(worker, 0, note, (void *)1), 0);
	CU_ASSERT_EQUAL(worker_defer(worker, 60, note, (void *)4), 0);
	CU_ASSERT_EQUAL(worker_defer(worker, 1000000, note, (void *)5), 0);
	CU_ASSERT(RIG_WAIT(atomic_load(&orders) == 4));
	clock_gettime(CLOCK_MONOTONIC, &end);
	ms = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
	CU_ASSERT(ms >= 59);
	CU_ASSERT(atomic_load(&order[0]) == 1 && atomic_load(&order[1]) == 2);
	CU_ASSERT(atomic_load(&order[2]) == 3 && atomic_load(&order[3]) == 4);
	worker_destroy(worker); /* with one to come: dropped */
	CU_ASSERT_EQUAL(atomic_load(&orders), 4);
}

static void look_at_thread(void *data)
{
	sigset_t mask;
	char name[16];

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	CU_ASSERT(sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGALRM) &&
		  sigismember(&mask, SIGINT));
	pthread_getname_np(pthread_self(), name, sizeof name);
	CU_ASSERT_STRING_EQUAL(name, "kvmxen-worker");
	CU_ASSERT(worker_is_self(worker));
	atomic_store((atomic_bool *)data, true);
}

static void the_thread_takes_no_signal(void)
{
	atomic_bool done = false;

	set_up();
	CU_ASSERT_FALSE(worker_is_self(worker));
	CU_ASSERT_EQUAL(worker_defer(worker, 0, look_at_thread, &done), 0);
	CU_ASSERT(RIG_WAIT(atomic_load(&done)));
	CU_ASSERT_FALSE(worker_is_self(worker));
	worker_destroy(worker);
}

static void a_bad_descriptor_is_refused(void)
{
	struct watch watch = {.fd = -1, .events = EPOLLIN, .ready = count};

	set_up();
	CU_ASSERT_EQUAL(worker_add(worker, &watch), -EBADF);
	worker_remove(worker, &watch);
	worker_destroy(worker);
	worker_destroy(NULL);
}

/* Nothing was ever watched: there is no thread. */
static void an_unused_worker_ends(void)
{
	set_up();
	worker_destroy(worker);
}

void register_worker_suite(void)
{
	CU_pSuite suite = CU_add_suite("worker", NULL, NULL);

	CU_ADD_TEST(suite, a_watch_is_called_until_it_is_removed);
	CU_ADD_TEST(suite, a_watch_that_is_ready_already_is_called);
	CU_ADD_TEST(suite, removal_waits_for_the_callback);
	CU_ADD_TEST(suite, a_callback_may_remove_itself);
	CU_ADD_TEST(suite, watches_come_and_go_in_many_threads);
	CU_ADD_TEST(suite, deferred_calls_come_in_time_and_order);
	CU_ADD_TEST(suite, the_thread_takes_no_signal);
	CU_ADD_TEST(suite, a_bad_descriptor_is_refused);
	CU_ADD_TEST(suite, an_unused_worker_ends);
}
