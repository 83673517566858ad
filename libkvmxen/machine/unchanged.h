/*
 * unchanged: a SET of what the GET gave changes nothing.
 *
 * VMMs write back all registers when they go on after a stop. Loading them stops every vcpu of the
 * domain for a moment, and makes Xen forget more than KVM would (the result of an I/O, CR2 on AMD);
 * so a part that is as it was is not loaded.
 */
#ifndef KVMXEN_MACHINE_UNCHANGED_H
#define KVMXEN_MACHINE_UNCHANGED_H

#include "libkvmxen/machine/vcpu.h"

struct unchanged {
	struct vcpu_state before;
	bool applies;
};

/* Around the change of a vcpu's state by the VMM, when what is to change has been read. For the
 * vcpu's ioctls. */
void unchanged_begin(struct unchanged *unchanged, const struct vcpu *vcpu);
/* Parts that were clean and known, and are the same, are clean again. */
void unchanged_end(const struct unchanged *unchanged, struct vcpu *vcpu);

#endif
