/*
 * domain: the Xen domain under a VM, from its making to its end.
 */
#ifndef KVMXEN_MACHINE_DOMAIN_H
#define KVMXEN_MACHINE_DOMAIN_H

#include "libkvmxen/machine/vm.h"

struct vcpu;

/* Makes the domain and starts it: xen-facts' "materialise". vm->lock held; on failure nothing is
 * left in Xen. 0 or -errno, with a message said. */
int domain_make(struct vm *vm);

/* KVM_CREATE_VCPU while the domain is there: connects the vcpu to one that Xen has spare. vm->lock
 * held. 0 or -errno. */
int domain_add_vcpu(struct vm *vm, struct vcpu *vcpu);

/* Ends the domain, if there is one. keep_content: the VMM goes on and gets its memory back as
 * ordinary memory. No vcpu is in KVM_RUN. */
void domain_end(struct vm *vm, bool keep_content);

/* The process is about to end: the domain goes, nothing else is touched. */
void domain_abandon(struct vm *vm);

#endif
