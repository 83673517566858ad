/*
 * inject: KVM_INTERRUPT, the vector of a PIC or LAPIC that the VMM emulates, into a vcpu at rest.
 *
 * It goes into Xen as the pending event of the CPU record. Loading that takes down every vcpu that
 * has no record in the image, so with others up it is a load of all (machine/load.h), with the
 * world stopped. A vcpu that is up alone needs no more than its own record.
 *
 * Threads: the vcpu's own, which holds vcpu->lock.
 */
#ifndef KVMXEN_MACHINE_INJECT_H
#define KVMXEN_MACHINE_INJECT_H

#include "libkvmxen/machine/vcpu.h"

#define INJECT_NONE (-1) /* of vcpu->injecting */

/*
 * Injects vcpu->injecting before the vcpu is let run. 1: it is in Xen, and a halted vcpu is awake.
 * 0: it is in vcpu->state, to be loaded with the rest. -errno.
 */
long inject(struct vcpu *vcpu);

/* Shows the vector as the state's injected interrupt, as KVM_GET_VCPU_EVENTS wants it. */
void inject_show(struct vcpu *vcpu);

#endif
