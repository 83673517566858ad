/*
 * newer: what the table names and the kernel's oldest headers here (6.1) do not: ioctls that came
 * later, that have gone, or whose structures another architecture's headers have.
 */
#ifndef KVMXEN_IOCTL_NEWER_H
#define KVMXEN_IOCTL_NEWER_H

#include <stdint.h>

#include <linux/kvm.h>

/* Linux 6.8 */
struct kvm_userspace_memory_region2_ {
	uint32_t slot, flags;
	uint64_t guest_phys_addr, memory_size, userspace_addr;
	uint64_t guest_memfd_offset;
	uint32_t guest_memfd, pad1;
	uint64_t pad2[14];
};
#ifndef KVM_SET_USER_MEMORY_REGION2
#define KVM_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2_)
#endif
#ifndef KVM_SET_MEMORY_ATTRIBUTES
#define KVM_SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, uint64_t[4])
#endif
#ifndef KVM_CREATE_GUEST_MEMFD
#define KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, uint64_t[8])
#endif
#ifndef KVM_CAP_USER_MEMORY2
#define KVM_CAP_USER_MEMORY2 231
#endif

/* Gone: memory regions and aliases with 2.6.36, KVM_DEBUG_GUEST with 2.6.29, assignment with 4.12;
 * later headers do not have them at all. */
#undef KVM_DEBUG_GUEST
#define KVM_DEBUG_GUEST _IOW(KVMIO, 0x87, char[80])
#ifndef KVM_SET_MEMORY_REGION
#define KVM_SET_MEMORY_REGION _IOW(KVMIO, 0x40, char[24])
#endif
#ifndef KVM_SET_MEMORY_ALIAS
#define KVM_SET_MEMORY_ALIAS _IOW(KVMIO, 0x43, char[32])
#endif
#ifndef KVM_GET_NR_MMU_PAGES
#define KVM_GET_NR_MMU_PAGES _IO(KVMIO, 0x45)
#endif
#define KVM_CAP_DEVICE_ASSIGNMENT   17
#define KVM_CAP_DEVICE_MSI          20
#define KVM_CAP_DEVICE_DEASSIGNMENT 27
#define KVM_CAP_DEVICE_MSIX         28
#ifndef KVM_CAP_IOMMU
#define KVM_CAP_IOMMU 18
#endif
#ifndef KVM_CAP_ASSIGN_DEV_IRQ
#define KVM_CAP_ASSIGN_DEV_IRQ 29
#endif
#ifndef KVM_CAP_PCI_2_3
#define KVM_CAP_PCI_2_3 75
#endif
#ifndef KVM_ASSIGN_PCI_DEVICE
struct kvm_assigned_pci_dev {
	uint32_t assigned_dev_id, busnr, devfn, flags, segnr, reserved[11];
};
struct kvm_assigned_irq {
	uint32_t assigned_dev_id, host_irq, guest_irq, flags, reserved[12];
};
struct kvm_assigned_msix_nr {
	uint32_t assigned_dev_id;
	uint16_t entry_nr, padding;
};
struct kvm_assigned_msix_entry {
	uint32_t assigned_dev_id, gsi;
	uint16_t entry, padding[3];
};
#define KVM_DEV_ASSIGN_ENABLE_IOMMU (1 << 0)
#define KVM_DEV_ASSIGN_PCI_2_3      (1 << 1)
#define KVM_DEV_ASSIGN_MASK_INTX    (1 << 2)
#define KVM_DEV_IRQ_HOST_INTX       (1 << 0)
#define KVM_DEV_IRQ_HOST_MSI        (1 << 1)
#define KVM_DEV_IRQ_HOST_MSIX       (1 << 2)
#define KVM_DEV_IRQ_GUEST_INTX      (1 << 8)
#define KVM_DEV_IRQ_GUEST_MSI       (1 << 9)
#define KVM_DEV_IRQ_GUEST_MSIX      (1 << 10)
#define KVM_DEV_IRQ_HOST_MASK       0x00ff
#define KVM_DEV_IRQ_GUEST_MASK      0xff00
#define KVM_MAX_MSIX_PER_DEV        256
#define KVM_ASSIGN_PCI_DEVICE       _IOR(KVMIO, 0x69, struct kvm_assigned_pci_dev)
#define KVM_ASSIGN_DEV_IRQ          _IOW(KVMIO, 0x70, struct kvm_assigned_irq)
#define KVM_DEASSIGN_PCI_DEVICE     _IOW(KVMIO, 0x72, struct kvm_assigned_pci_dev)
#define KVM_ASSIGN_SET_MSIX_NR      _IOW(KVMIO, 0x73, struct kvm_assigned_msix_nr)
#define KVM_ASSIGN_SET_MSIX_ENTRY   _IOW(KVMIO, 0x74, struct kvm_assigned_msix_entry)
#define KVM_DEASSIGN_DEV_IRQ        _IOW(KVMIO, 0x75, struct kvm_assigned_irq)
#define KVM_ASSIGN_SET_INTX_MASK    _IOW(KVMIO, 0xa4, struct kvm_assigned_pci_dev)
#endif

/* Defined for PowerPC alone; the number and the size are what counts. */
#undef KVM_CREATE_SPAPR_TCE
#undef KVM_ALLOCATE_RMA
#define KVM_CREATE_SPAPR_TCE _IOW(KVMIO, 0xa8, char[16])
#define KVM_ALLOCATE_RMA     _IOR(KVMIO, 0xa9, char[8])

#endif
