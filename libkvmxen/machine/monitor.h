/*
 * monitor: what a guest reads with CPUID.
 *
 * Xen's policy cannot say what a VMM's table says: Xen's own leaves are always there, KVM's never,
 * and the APIC id is Xen's numbering. So every CPUID of the guest becomes an event on a vm_event
 * ring (xen/vm_event.h), and is answered from the table that the vcpu was given with
 * KVM_SET_CPUID2. The vcpu stands still meanwhile, and no kick brings it to rest: so the monitor
 * has a thread of its own, which nothing that stops the world can hold up.
 */
#ifndef KVMXEN_MACHINE_MONITOR_H
#define KVMXEN_MACHINE_MONITOR_H

#include <stdbool.h>

struct vm;

/* False with KVMXEN_CPUID=xen: the guest then reads what Xen says, and there is no monitor. */
bool monitor_wanted(void);

/* The domain has just been created, with its vcpus, and none ran. vm->lock held. 0 or -errno, and
 * then nothing is left. */
int monitor_start(struct vm *vm);
/* Before the domain is destroyed. Answers what is still there. Fine without a monitor. */
void monitor_stop(struct vm *vm);

#endif
