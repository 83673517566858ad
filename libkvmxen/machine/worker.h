/*
 * worker: the thread of a VM that waits: irqfds, the domain's shutdown port, deferred work. The
 * CPUID monitor has one for itself.
 *
 * All signals are blocked in it. Callbacks run on the worker and must not wait for vcpus other
 * than through world_stop. The thread starts with the first watch and ends with the VM.
 */
#ifndef KVMXEN_MACHINE_WORKER_H
#define KVMXEN_MACHINE_WORKER_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

struct watch {
	int fd;
	uint32_t events; /* EPOLL* */
	void (*ready)(struct watch *watch, uint32_t events);
};

/* 0 or -errno. */
int worker_create(struct worker **worker);
/* Joins the thread; no callback runs afterwards. Watches stay with their owners. */
void worker_destroy(struct worker *worker);
/* The watch must live until worker_remove has returned: after that no callback of it runs or
 * will run (except when called from a callback on the worker itself, where it takes effect
 * when that returns). */
int worker_add(struct worker *worker, struct watch *watch);
void worker_remove(struct worker *worker, struct watch *watch);
/* Runs call(data) once on the worker, delay_ms from now. Several calls queue up. */
int worker_defer(struct worker *worker, unsigned delay_ms, void (*call)(void *), void *data);
bool worker_is_self(const struct worker *worker);

#endif
