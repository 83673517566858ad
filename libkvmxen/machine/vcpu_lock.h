/*
 * vcpu_lock: one ioctl of a vcpu at a time.
 *
 * Without waiters it is an atomic operation each way in the caller's own code: KVM_RUN takes it for
 * each exit (hot.h). Who has to wait sleeps on a futex.
 */
#ifndef KVMXEN_MACHINE_VCPU_LOCK_H
#define KVMXEN_MACHINE_VCPU_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>

/* 0: free; 1: held; 2: held, and somebody may sleep. */
struct vcpu_lock {
	atomic_uint state;
};

/* vcpu_lock.c: sleeps until the lock is the caller's; wakes one sleeper. */
void vcpu_lock_wait(struct vcpu_lock *lock);
void vcpu_lock_wake(struct vcpu_lock *lock);

static inline bool vcpu_trylock(struct vcpu_lock *lock)
{
	unsigned is_free = 0;

	return atomic_compare_exchange_strong_explicit(&lock->state, &is_free, 1,
						       memory_order_acquire, memory_order_relaxed);
}

static inline void vcpu_lock(struct vcpu_lock *lock)
{
	if (!vcpu_trylock(lock))
		vcpu_lock_wait(lock);
}

static inline void vcpu_unlock(struct vcpu_lock *lock)
{
	if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2)
		vcpu_lock_wake(lock);
}

#endif
