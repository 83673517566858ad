/*
 * adopt: a domain of a toolstack's, in place of one of our own.
 *
 * KVMXEN_DOMAIN holds its number: this process is that domain's device model. The toolstack (libxl)
 * has created the domain, built it for firmware of its own and left it paused. What would be the
 * making of a domain here takes that one over: its memory is given back, its vcpus go down, and the
 * rest is as with any domain. Its life stays the toolstack's, which unpauses it, pauses it and
 * destroys it. Here it is only shut down, when the VM ends: it cannot go on without its devices.
 *
 * Each function is called with vm->lock held, adopt_let_go also by a process that ends.
 */
#ifndef KVMXEN_MACHINE_ADOPT_H
#define KVMXEN_MACHINE_ADOPT_H

#include "libkvmxen/machine/vm.h"

/* Is there a domain to be adopted? */
bool adopt_wanted(void);

/* In place of creating: sets domid, handle and adopted. 0, or -errno with a message said. */
int adopt_take(struct vm *vm);

/* Before the first state of the vcpus is loaded, after all that Xen must know before a domain first
 * runs: from here on a vcpu can be stopped, which Xen's creation of a domain would not allow while
 * the toolstack has not unpaused it. */
int adopt_begin(struct vm *vm);

/* Everything is there: the toolstack may let it run. */
int adopt_ready(struct vm *vm);

/* The VM ends before its domain: a crash, unless something has shut the domain down. What waits for
 * an answer has to be answered afterwards. paused: the domain is, by us, which ends here. */
void adopt_let_go(struct vm *vm, bool paused);

#endif
