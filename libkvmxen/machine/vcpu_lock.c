#include "libkvmxen/machine/vcpu_lock.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

void vcpu_lock_wait(struct vcpu_lock *lock)
{
	while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
		syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void vcpu_lock_wake(struct vcpu_lock *lock)
{
	syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
