/*
 * exit: from a vcpu's ioreq to kvm_run, and back.
 *
 * The request was copied once from the page shared with Xen and only the copy is used. It may hold
 * many elements (rep prefixes); an exit shows as many as KVM's structures take, and the next
 * KVM_RUN completes them before it goes on.
 */
#ifndef KVMXEN_MACHINE_EXIT_H
#define KVMXEN_MACHINE_EXIT_H

#include "libkvmxen/machine/vcpu.h"

enum exit_result {
	EXIT_SHOWN,    /* kvm_run holds an exit for the VMM */
	EXIT_ANSWER,   /* all elements done: the request can be answered */
	EXIT_BAD = -1, /* Xen sent what its own headers rule out */
};

/* Takes the request in the slot into vcpu->io. False when its fields make no sense. */
bool exit_take(struct vcpu *vcpu);

/* Goes on with vcpu->io: serves what ioeventfds and coalesced zones take, shows the next exit. */
enum exit_result exit_next(struct vcpu *vcpu);

/* Takes the VMM's results of the exit that was shown. */
void exit_complete(struct vcpu *vcpu);

/* Writes the result of vcpu->io into the slot, ready for world_answer. */
void exit_result_to_slot(struct vcpu *vcpu);

#endif
