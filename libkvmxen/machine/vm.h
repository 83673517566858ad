/*
 * vm: one KVM virtual machine: slots, vcpus, irqchip, and the Xen domain under them.
 *
 * A VM starts as library state alone. The domain is *materialised* at the first KVM_RUN (or
 * whatever first truly needs Xen): emulated devices, vcpu count and CPUID are fixed at creation in
 * Xen, and KVM's calls that decide them come late. From VM_LIVE on the domain exists.
 *
 * Locks, taken in this order: vm->lock (configuration; held over hypercalls; every ioctl that
 * changes the VM takes it), then a module's own. None of them is ever taken by KVM_RUN in the
 * steady state: the exit path takes no lock, allocates nothing, calls no domctl.
 *
 * Lifetime: a VM lives while its fd or the fd of one of its vcpus is open (KVM API 4.1: "the VM
 * is destroyed when the last reference goes away").
 */
#ifndef KVMXEN_MACHINE_VM_H
#define KVMXEN_MACHINE_VM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/kvm.h>

#include "libkvmxen/interrupts/interrupts.h"
#include "libkvmxen/machine/memory.h"
#include "libkvmxen/machine/stats.h"
#include "libkvmxen/machine/worker.h"
#include "libkvmxen/xen/xen.h"

#define VM_MAX_VCPUS   128 /* HVM_MAX_VCPUS */
#define VM_MAX_VCPU_ID 255 /* as many ids: 8-bit APIC ids, less the one that means all */

struct vcpu;
struct vfio;
struct assigned;

enum vm_phase {
	VM_NEW,  /* library state alone */
	VM_LIVE, /* the domain exists */
	VM_GONE, /* the domain has ended under us, or could not be made: KVM_RUN fails */
};

struct vm {
	atomic_uint refs; /* the VM fd and each vcpu fd hold one */
	pthread_mutex_t lock;
	unsigned owner; /* fd_process() of its maker: another gets EIO, as KVM's check of the mm */
	struct xen xen;

	_Atomic enum vm_phase phase;
	/* The world stop (machine/world.h): while not 0, no vcpu may be let run. */
	atomic_uint stop;
	/* Work for the next KVM_RUN of any vcpu: VM_WORK_* bits. */
	atomic_uint work;
	_Atomic(struct vm_stats *) stats; /* own_stats, or the page of stats_fd */
	struct interrupts interrupts; /* irqchip, routing, irqfds, ioeventfds, coalesced zones */

	uint16_t domid;
	bool adopted;    /* the domain is a toolstack's: machine/adopt.h */
	uint16_t server; /* our ioreq server */
	uint8_t handle[16];
	char name[64];
	struct shared_iopage *ioreqs; /* one slot for each vcpu, shared with Xen */

	struct vcpu *vcpus[VM_MAX_VCPUS]; /* by Xen's number: the order of KVM_CREATE_VCPU */
	atomic_uint vcpu_count;

	unsigned domain_vcpus; /* Xen's, from the domain's making on: vcpus and spare ones */
	struct event_channels *spare_channels; /* machine/spare.c; NULL: there are none */
	uint32_t spare_ports[VM_MAX_VCPUS];

	struct memory memory;  /* slots and what is under them */
	struct worker *worker; /* one thread for each VM: everything that waits */
	struct vm_stats own_stats;
	int stats_fd; /* KVM_GET_STATS_FD; -1 */

	/* machine/world.h */
	pthread_mutex_t arm_lock; /* scratch_moved and the move itself */
	bool scratch_moved;       /* the scratch frame is at MEMORY_SCRATCH_GFN_B */

	bool debugged; /* Xen was told that some vcpu is: machine/debug.h */

	uint64_t clock_offset; /* KVM_SET_CLOCK: added to CLOCK_BOOTTIME, ns */
	/* The TSC: machine/tsc.h. */
	pthread_mutex_t tsc_lock;
	uint32_t tsc_khz;                   /* 0: the host's own */
	_Atomic uint32_t tsc_host_khz;      /* 0: not asked yet */
	uint64_t tsc_value, tsc_value_host; /* what the VMM set last, and when */
	uint64_t tsc_step;                  /* how often that began anew */
	uint64_t tsc_sync;                  /* when Xen's CPU records were true */
	uint64_t tss_address, identity_map_address;
	uint32_t boot_cpu_id;
	uint32_t vcpu_ids;                   /* KVM_CAP_MAX_VCPU_ID: how many; 0: not chosen yet */
	struct vfio *vfio_device;            /* KVM_CREATE_DEVICE; not owned */
	_Atomic(struct assigned *) assigned; /* devices of the host: machine/assign.h */
	bool iommu;                          /* the domain was made so that it can have them */
	struct vm *next;                     /* machine/vm.c: all VMs of this process */
};

/* Bits of vm->work. */
#define VM_WORK_MEMORY     1u /* memory_flush has something to do */
#define VM_WORK_INTERRUPTS 2u /* irqchip records to load */
#define VM_WORK_VCPUS      4u /* some vcpu has dirty state that must be loaded now */

/* KVM_CREATE_VM. NULL with errno. */
struct vm *vm_create(unsigned long type);
void vm_get(struct vm *vm);
/* The last one ends the domain and gives the VMM its memory back. */
void vm_put(struct vm *vm);

/* Makes the domain if there is none yet. Takes vm->lock itself (vm_materialise_locked: held).
 * 0 or -errno. */
int vm_materialise(struct vm *vm);
int vm_materialise_locked(struct vm *vm);

static inline bool vm_live(const struct vm *vm)
{
	return atomic_load_explicit(&vm->phase, memory_order_acquire) == VM_LIVE;
}

#endif
