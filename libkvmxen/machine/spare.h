/*
 * spare: vcpus that Xen has and KVM_CREATE_VCPU has not asked for yet.
 *
 * Xen fixes the number of vcpus when the domain is made, so a few are made beyond those that are
 * there: as many as the VMM has announced by KVM_CAP_MAX_VCPU_ID, else SPARE_VCPUS; under
 * the broker none but what was announced.
 *
 * A spare vcpu is down, but a guest that sends INIT and SIPI to all processors starts it. It is
 * kept from executing anything by an invalidate request that was armed before the guest began: it
 * sends that and waits for an answer. Xen puts off a shutdown of the domain for as long as a
 * request is unanswered, so the answer is given now and then, with the next request armed already.
 */
#ifndef KVMXEN_MACHINE_SPARE_H
#define KVMXEN_MACHINE_SPARE_H

#include "libkvmxen/machine/vcpu.h"

#define SPARE_VCPUS 4

/* How many vcpus the domain of this VM shall have. vm->lock held. */
unsigned spare_total(const struct vm *vm);
/* The domain has been made with vm->domain_vcpus and an enabled ioreq server, is paused and has no
 * vcpu up. 0 or -errno. */
int spare_start(struct vm *vm);
/* One becomes the VMM's: the lowest, of which nothing is left here. vm->lock held. */
void spare_adopt(struct vm *vm, unsigned index);
/* Lets a shutdown that waits for spare vcpus come about; from KVM_RUN when nothing has happened for
 * a while. */
void spare_beat(struct vm *vm);
void spare_stop(struct vm *vm);

#endif
