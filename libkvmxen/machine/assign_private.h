/*
 * assign_private: what the files of assign share. Called with vm->lock held,
 * if nothing else is said.
 *
 *	assign.c      the devices of a VM, in the library and in Xen
 *	assign_irq.c  their interrupts
 */
#ifndef KVMXEN_MACHINE_ASSIGN_PRIVATE_H
#define KVMXEN_MACHINE_ASSIGN_PRIVATE_H

#include "libkvmxen/ioctl/newer.h"
#include "libkvmxen/machine/assign.h"
#include "libkvmxen/xen/host_pci.h"

/* One interrupt: a line, a message, or an entry of an MSI-X table. */
struct assigned_irq {
	uint32_t gsi; /* the guest's */
	bool used;    /* MSI-X: the VMM has named the entry */
	bool bound;   /* Xen delivers it */
	struct device_irq irq;
};

struct assigned {
	struct assigned *next;
	uint32_t id, sbdf, flags; /* KVM_DEV_ASSIGN_* */
	struct host_pci host;
	uint16_t command;   /* as it was */
	bool enabled;       /* by us */
	bool in_xen, aside; /* the domain has it; it was set aside before */
	uint32_t irq_type;  /* KVM_DEV_IRQ_* in force */
	uint32_t msix_nr;   /* entries, KVM_ASSIGN_SET_MSIX_NR */
	struct assigned_irq line, *msix;
};

/* The VMM's argument of one of the ioctls. 0, -ENOTTY where they are not offered, -EFAULT. Takes no
 * lock. */
int assign_argument(void *arg, const void *user, size_t size);

struct assigned *assigned_find(struct vm *vm, uint32_t id);

/* Binds in Xen what KVM_ASSIGN_DEV_IRQ asked for, as far as it is not bound yet or goes elsewhere
 * now; the domain has the device and its chips. */
int assigned_irqs_update(struct vm *vm, struct assigned *dev);
/* Unbinds all. */
void assigned_irqs_release(struct vm *vm, struct assigned *dev);
/* KVM's state of them as well. */
void assigned_irqs_forget(struct vm *vm, struct assigned *dev);

#endif
