#include "libkvmxen/machine/vm.h"

#include <errno.h>
#include <stdlib.h>

#include "libkvmxen/ioctl/fd.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/assign.h"
#include "libkvmxen/machine/domain.h"
#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/wait.h"
#include "libkvmxen/message.h"

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vm *all;

static void enlist(struct vm *vm)
{
	pthread_mutex_lock(&all_lock);
	vm->next = all;
	all = vm;
	pthread_mutex_unlock(&all_lock);
}

static void delist(const struct vm *vm)
{
	struct vm **at;

	pthread_mutex_lock(&all_lock);
	for (at = &all; *at; at = &(*at)->next)
		if (*at == vm) {
			*at = vm->next;
			break;
		}
	pthread_mutex_unlock(&all_lock);
}

/* A VMM that exits without closing its VM: its threads may still be in KVM_RUN, so nothing is taken
 * apart, but the domain goes now and not a moment after the process. */
__attribute__((destructor)) static void at_exit(void)
{
	struct vm *vm;

	for (vm = all; vm; vm = vm->next) {
		if (vm->owner != fd_process())
			continue;
		stats_write(vm);
		domain_abandon(vm);
	}
}

struct vm *vm_create(unsigned long type)
{
	static const struct kvm_clock_data zero;
	struct vm *vm;
	int rc;

	if (type != 0) {
		message_refused("KVM_CREATE_VM: type %lu is none of x86's", type);
		errno = EINVAL;
		return NULL;
	}
	vm = calloc(1, sizeof *vm);
	if (!vm)
		return NULL;
	atomic_init(&vm->refs, 1);
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->arm_lock, NULL);
	pthread_mutex_init(&vm->tsc_lock, NULL);
	vm->owner = fd_process();
	vm_stats_init(vm);
	wait_prepare();
	vm_set_clock(vm, &zero);
	rc = xen_open(&vm->xen);
	if (rc == 0)
		rc = worker_create(&vm->worker);
	if (rc < 0)
		goto no_worker;
	rc = memory_init(vm);
	if (rc < 0)
		goto no_memory;
	rc = interrupts_init(vm);
	if (rc == 0) {
		enlist(vm);
		return vm;
	}
	memory_destroy(vm, false);
no_memory:
	worker_destroy(vm->worker);
no_worker:
	free(vm);
	errno = -rc;
	return NULL;
}

void vm_get(struct vm *vm)
{
	atomic_fetch_add(&vm->refs, 1);
}

static void vm_destroy(struct vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;
	bool live = vm_live(vm);

	delist(vm);
	/* A child of the VMM's process has a copy of the library's state and none of the VM. */
	if (vm->owner != fd_process())
		return;
	stats_write(vm);
	/* While the domain and its chips are there. */
	pthread_mutex_lock(&vm->lock);
	assign_destroy(vm);
	pthread_mutex_unlock(&vm->lock);
	interrupts_destroy(vm);
	if (live) {
		/* A flush that the worker was asked for must be over, or find the domain gone. */
		pthread_mutex_lock(&vm->lock);
		domain_end(vm, true);
		pthread_mutex_unlock(&vm->lock);
	} else {
		memory_destroy(vm, true);
	}
	worker_destroy(vm->worker);
	for (i = 0; i < count; i++)
		vcpu_free(vm->vcpus[i]);
	vm_stats_free(vm);
	pthread_mutex_destroy(&vm->arm_lock);
	pthread_mutex_destroy(&vm->tsc_lock);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

void vm_put(struct vm *vm)
{
	if (atomic_fetch_sub(&vm->refs, 1) == 1)
		vm_destroy(vm);
}

int vm_materialise_locked(struct vm *vm)
{
	switch (atomic_load(&vm->phase)) {
	case VM_LIVE:
		return 0;
	case VM_GONE:
		return -EIO;
	default:
		return domain_make(vm);
	}
}

int vm_materialise(struct vm *vm)
{
	int rc;

	pthread_mutex_lock(&vm->lock);
	rc = vm_materialise_locked(vm);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}
