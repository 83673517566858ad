/*
 * load: a vcpu's state between the library and Xen, in one batch each way.
 *
 * Read lazily, once for each stop; written once, before the vcpu runs again. A context load is
 * dear: it takes down every vcpu that has no CPU record in the image, drops what Xen has in flight
 * for the others, and moves the TSC; so it is done for all vcpus together, with the world stopped.
 */
#ifndef KVMXEN_MACHINE_LOAD_H
#define KVMXEN_MACHINE_LOAD_H

#include "libkvmxen/machine/vcpu.h"

/* Makes the named parts (STATE_*) of vcpu->state known. The vcpu is not running. 0 or -errno. */
int load_read(struct vcpu *vcpu, uint32_t parts);

/* The first image of a domain that has just been made, still paused. vm->lock held. */
int load_first(struct vm *vm);

/* Whether Xen would take a state: 0, or -EINVAL and one message that names the field; -errno. The
 * second looks at all vcpus, before there is a domain. */
int load_check(const struct vcpu *vcpu, const struct vcpu_state *state);
int load_check_first(struct vm *vm);

/* Writes what is dirty in any vcpu that is not running in the VMM's eyes and in the irqchip.
 * vm->lock held, the world stopped. self: the vcpu whose KVM_RUN asks. */
int load_dirty(struct vm *vm, const struct vcpu *self);

#endif
