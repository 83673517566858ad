/*
 * assign: devices of the host in a VM: KVM_ASSIGN_PCI_DEVICE and its family (KVM API of Linux 3.6,
 * 4.48 to 4.54 and 4.68), over Xen's passthrough.
 *
 * Offered where Xen has an IOMMU and this process is root in dom0; elsewhere the calls are unknown,
 * as to KVM since Linux 4.12. A device is the VM's from the ioctl on, the domain's from the first
 * KVM_RUN on: Xen decides at a domain's creation whether it may have devices, so one that comes
 * later than the first KVM_RUN is taken only when another came before.
 *
 * The interrupts go from Xen to the guest, not through the library: as the message, or to the pins,
 * that the GSI of KVM_ASSIGN_DEV_IRQ is routed to. A BAR is guest memory when the VMM gives a slot
 * the mapping of the device's resourceN (machine/memory_device.c).
 *
 * vm->lock guards the list and the devices in it; functions other than the ioctls' handlers and
 * assign_rerouted are called with it held.
 */
#ifndef KVMXEN_MACHINE_ASSIGN_H
#define KVMXEN_MACHINE_ASSIGN_H

#include "libkvmxen/machine/vm.h"

/* Does KVM_CHECK_EXTENSION tell of it? 1 or 0. */
long assign_offered(void);

/* Before the domain is made: shall it be made so that it can have devices? */
bool assign_wanted(struct vm *vm);
/* The domain is made, without memory yet: its devices become its own. 0 or -errno, with a message
 * said. */
int assign_materialise(struct vm *vm);
/* And their interrupts, once the chips are there. */
int assign_irqs_materialise(struct vm *vm);
/* The domain is about to be destroyed: the host has its devices again. The VM keeps them. */
void assign_domain_ends(struct vm *vm);
/* The VM goes. */
void assign_destroy(struct vm *vm);
/* KVM_SET_GSI_ROUTING has been done. Takes vm->lock. */
void assign_rerouted(struct vm *vm);

/* ioctl handlers; the arguments are the VMM's own. */
long assign_pci_device(struct vm *vm, void *user);
long assign_deassign(struct vm *vm, void *user);
long assign_dev_irq(struct vm *vm, void *user);
long assign_deassign_irq(struct vm *vm, void *user);
long assign_set_msix_nr(struct vm *vm, void *user);
long assign_set_msix_entry(struct vm *vm, void *user);
long assign_set_intx_mask(struct vm *vm, void *user);

#endif
