/*
 * shutdown: a triple fault of one vcpu of several.
 *
 * In KVM that vcpu alone stops. In Xen the whole domain is shut down, and Xen does not say by which
 * vcpu. Once that is found the domain is resumed with an invalidate request armed: each vcpu stops
 * before its next instruction, the others are let go on, and that one stays.
 */
#ifndef KVMXEN_MACHINE_SHUTDOWN_H
#define KVMXEN_MACHINE_SHUTDOWN_H

#include "libkvmxen/machine/vcpu.h"

/*
 * The domain was found shut down; called by a vcpu's own thread in KVM_RUN. 0: go on and look at
 * the slot (vcpu->tripled tells whose fault it was, and that one's request is not to be answered);
 * 1: the domain stays shut down, and each KVM_RUN has to say so; -errno.
 */
int shutdown_look(struct vcpu *vcpu);

/* Was it the #GP that Xen gives a guest for a fetch from where no memory is? KVM's guest gets none:
 * KVM_RUN ends with an internal error, RIP where it was. */
bool shutdown_is_fetch(struct vcpu *vcpu);

/* The exception that became a triple fault must not come again with the next registers. */
void shutdown_forget_events(struct vcpu *vcpu);

#endif
