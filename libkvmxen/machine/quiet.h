/*
 * quiet: where a vcpu can be stopped so that its state is all in its records.
 *
 * Two things are not. The registers of a CPUID reply: Xen puts them into the vcpu when that goes
 * on, but sends an invalidate request before; a VMM that gave the vcpu other registers at that stop
 * would have them overwritten. And CR2 on AMD: Xen 4.17's CPU record has a stale one, and loading
 * the record puts that into the processor. That matters between a page fault and the moment that
 * its handler reads CR2; until then a handler runs with interrupts off (an interrupt gate).
 *
 * So a vcpu that is seen there is let go a little further before it is stopped.
 */
#ifndef KVMXEN_MACHINE_QUIET_H
#define KVMXEN_MACHINE_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

#include "libkvmxen/machine/vcpu.h"

/* A guest with these registers may be about to read CR2. */
bool quiet_needs_cr2(const struct hvm_hw_cpu *cpu);
/* The vcpu, at rest in Xen, should go on a little: tries times it has done so already. Calls Xen.
 */
bool quiet_not_yet(struct vcpu *vcpu, unsigned tries);
/* The same of CR2 of any vcpu but self that is in KVM_RUN; the world is stopped. */
bool quiet_others_not_yet(struct vm *vm, const struct vcpu *self, unsigned tries);
/* How long to leave a vcpu alone before it is stopped again: it has to be scheduled first. */
void quiet_wait(unsigned tries);

#endif
