#include "libkvmxen/machine/spare.h"

#include "libkvmxen/machine/adopt.h"
#include "libkvmxen/machine/world.h"

unsigned spare_total(const struct vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count), total = count;

	/* KVM_CREATE_VCPU itself chooses VM_MAX_VCPU_ID when nobody has. */
	if (adopt_wanted())
		total = count; /* the toolstack has chosen */
	else if (vm->vcpu_ids && vm->vcpu_ids < VM_MAX_VCPU_ID)
		total = vm->vcpu_ids;
	else if (!vm->xen.ctl->watches) /* the broker counts them against its user's limit */
		total = count + SPARE_VCPUS;
	total = total < count ? count : total;
	return total > VM_MAX_VCPUS ? VM_MAX_VCPUS : total;
}

int spare_start(struct vm *vm)
{
	const struct device_ops *dev = vm->xen.dev->ops;
	const struct control_ops *ctl = vm->xen.ctl->ops;
	unsigned count = atomic_load(&vm->vcpu_count), i;
	int rc;

	if (vm->domain_vcpus == count)
		return 0;
	rc = dev->evtchn_open(vm->xen.dev, vm->domid, &vm->spare_channels);
	for (i = count; rc >= 0 && i < vm->domain_vcpus; i++) {
		rc = dev->evtchn_bind(vm->spare_channels, vm->domid,
				      vm->ioreqs->vcpu_ioreq[i].vp_eport);
		if (rc >= 0)
			vm->spare_ports[i] = rc;
	}
	if (rc < 0)
		return rc;
	/* Xen arms nothing before a domain's first start. */
	rc = ctl->domain_unpause(vm->xen.ctl, vm->domid);
	if (rc == 0)
		rc = world_arm(vm);
	if (rc == 0)
		rc = ctl->domain_pause(vm->xen.ctl, vm->domid);
	return rc;
}

static void unbind(struct vm *vm, unsigned index)
{
	if (vm->spare_ports[index])
		vm->xen.dev->ops->evtchn_unbind(vm->spare_channels, vm->spare_ports[index]);
	vm->spare_ports[index] = 0;
}

void spare_adopt(struct vm *vm, unsigned index)
{
	unbind(vm, index);
}

void spare_beat(struct vm *vm)
{
	bool armed = false;
	unsigned i;

	if (!vm->spare_channels || pthread_mutex_trylock(&vm->lock) != 0)
		return;
	for (i = atomic_load(&vm->vcpu_count); vm->spare_channels && i < vm->domain_vcpus; i++) {
		struct ioreq *slot = &vm->ioreqs->vcpu_ioreq[i];

		if (world_request_state(slot) != STATE_IOREQ_READY)
			continue;
		if (!armed && world_arm(vm) < 0)
			break;
		armed = true;
		atomic_thread_fence(memory_order_release);
		slot->state = STATE_IORESP_READY;
		vm->xen.dev->ops->evtchn_notify(vm->spare_channels, vm->spare_ports[i]);
	}
	pthread_mutex_unlock(&vm->lock);
}

void spare_stop(struct vm *vm)
{
	unsigned i;

	if (!vm->spare_channels)
		return;
	for (i = atomic_load(&vm->vcpu_count); i < vm->domain_vcpus; i++) {
		struct ioreq *slot = &vm->ioreqs->vcpu_ioreq[i];

		if (vm->spare_ports[i] && world_request_state(slot) == STATE_IOREQ_READY) {
			slot->state = STATE_IORESP_READY;
			vm->xen.dev->ops->evtchn_notify(vm->spare_channels, vm->spare_ports[i]);
		}
		unbind(vm, i);
	}
	vm->xen.dev->ops->evtchn_close(vm->spare_channels);
	vm->spare_channels = NULL;
}
