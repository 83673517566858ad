/*
 * unit_rig: a VM put together by hand over the fake Xen, for tests of one module: no run loop, no
 * memory, vcpus that nobody runs.
 */
#ifndef KVMXEN_TESTS_UNIT_RIG_H
#define KVMXEN_TESTS_UNIT_RIG_H

#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/vm.h"
#include "tests/fake/fake.h"

#define RIG_VCPUS 2
#define RIG_SOON  5000 /* ms: what should happen at once */

struct rig {
	struct vm vm;
	struct vcpu vcpus[RIG_VCPUS];
};

/* A fresh fake and a VM_NEW VM without vcpus. */
void rig_new(struct rig *rig);
/* With KVM_CREATE_IRQCHIP. */
void rig_new_irqchip(struct rig *rig);
void rig_add_vcpus(struct rig *rig);
/* Creates the domain, as VM_LIVE. */
void rig_domain(struct rig *rig);
/* Loads the first image: CPUs, the irqchip's records, LAPICs. */
void rig_load(struct rig *rig);
/* rig_domain, rig_load, interrupts_materialise, unpause. */
void rig_start(struct rig *rig);
/* Ends everything; what is left in the fake is a failure. */
void rig_free(struct rig *rig);

/* Waits up to RIG_SOON until the expression is true. */
#define RIG_WAIT(expression)                                                                       \
	({                                                                                         \
		int left = RIG_SOON;                                                               \
		while (!(expression) && left-- > 0)                                                \
			usleep(1000);                                                              \
		(expression);                                                                      \
	})

#endif
