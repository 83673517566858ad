/*
 * cr2: where a vcpu can be stopped without its CR2 being lost.
 *
 * On AMD, Xen 4.17's CPU record has a stale CR2, and a load of the record puts that into the
 * processor. That matters between a page fault and the moment that its handler reads CR2. Until
 * then a handler runs with interrupts off (an interrupt gate), so a vcpu that is seen there is let
 * go a little further before it is stopped.
 */
#ifndef KVMXEN_MACHINE_CR2_H
#define KVMXEN_MACHINE_CR2_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

#include "libkvmxen/machine/vcpu.h"

/* How often a stop is given up for it: code that keeps interrupts off for long is no handler. */
#define CR2_TRIES 24

/* A guest with these registers may be about to read CR2. */
bool cr2_at_stake(const struct hvm_hw_cpu *cpu);
/* The vcpu is at rest in Xen. False where Xen keeps CR2. Calls Xen. */
bool cr2_may_be_lost(struct vcpu *vcpu);
/* The same of any vcpu but self that is in KVM_RUN; the world is stopped. */
bool cr2_others_may_lose(struct vm *vm, const struct vcpu *self);

#endif
