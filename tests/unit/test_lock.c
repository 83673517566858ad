/* The lock of a vcpu: nobody is in beside its holder, and nobody sleeps for ever. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <sched.h>

#include "libkvmxen/machine/vcpu_lock.h"

void register_lock_suite(void);

#define THREADS 4
#define ROUNDS  20000u

static struct vcpu_lock lock;
static unsigned counted; /* under the lock, and nothing else protects it */

static void *count(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned before;

		vcpu_lock(&lock);
		before = counted;
		if (i % 64 == 0)
			sched_yield();
		counted = before + 1;
		vcpu_unlock(&lock);
	}
	return NULL;
}

static void one_at_a_time(void)
{
	pthread_t threads[THREADS];

	counted = 0;
	for (unsigned i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, count, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(counted, THREADS * ROUNDS);
}

static void a_try_does_not_wait(void)
{
	CU_ASSERT(vcpu_trylock(&lock));
	CU_ASSERT_FALSE(vcpu_trylock(&lock));
	vcpu_unlock(&lock);
	CU_ASSERT(vcpu_trylock(&lock));
	vcpu_unlock(&lock);
}

void register_lock_suite(void)
{
	CU_pSuite suite = CU_add_suite("vcpu lock", NULL, NULL);

	CU_ADD_TEST(suite, one_at_a_time);
	CU_ADD_TEST(suite, a_try_does_not_wait);
}
