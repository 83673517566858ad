#include "libkvmxen/interrupts/interrupts_private.h"
#include "libkvmxen/hot.h"

#include <errno.h>
#include <stdlib.h>

int interrupts_init(struct vm *vm)
{
	struct interrupts_private *p = calloc(1, sizeof *p);

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->config, NULL);
	pthread_mutex_init(&p->firing, NULL);
	pthread_mutex_init(&p->lock, NULL);
	atomic_flag_clear(&p->ring_busy);
	chips_reset(&p->chips);
	vm->interrupts.private = p;
	return 0;
}

void interrupts_destroy(struct vm *vm)
{
	struct interrupts_private *p = vm->interrupts.private;

	if (!p)
		return;
	irqfd_free_all(vm);
	ioeventfd_free_all(vm);
	coalesced_free_all(vm);
	routing_free(vm);
	pthread_mutex_destroy(&p->config);
	pthread_mutex_destroy(&p->firing);
	pthread_mutex_destroy(&p->lock);
	free(p->late);
	free(p);
	vm->interrupts.private = NULL;
}

unsigned interrupts_given(const struct vm *vm)
{
	return atomic_load(&vm->interrupts.private->given);
}

HOT bool interrupts_match(struct vcpu *vcpu, uint8_t type, uint64_t address, unsigned size,
			  uint64_t data, bool is_write)
{
	struct vm_stats *stats = vcpu->vm->stats;

	if (!is_write || (type != IOREQ_TYPE_PIO && type != IOREQ_TYPE_COPY))
		return false;
	if (ioeventfd_match(vcpu, type, address, size, data)) {
		STATS_ADD(&stats->ioeventfds);
		return true;
	}
	if (coalesced_match(vcpu, type, address, size, data)) {
		STATS_ADD(&stats->coalesced);
		return true;
	}
	return false;
}
