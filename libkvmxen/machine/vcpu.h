/*
 * vcpu: one KVM vcpu, and the Xen vcpu that runs for it.
 *
 * Threads: KVM_RUN belongs to one thread at a time (vcpu->lock, as KVM's own: other ioctls of the
 * same vcpu wait for it). Fields under "run loop" are the running thread's; `slot` is shared with
 * Xen; `kick` and `in_run` may be touched by anyone.
 */
#ifndef KVMXEN_MACHINE_VCPU_H
#define KVMXEN_MACHINE_VCPU_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>
#include <xen/xen.h>
#include <xen/hvm/ioreq.h>

#include "libkvmxen/machine/state.h"
#include "libkvmxen/machine/vcpu_lock.h"
#include "libkvmxen/machine/vm.h"

/* What is mapped from a vcpu fd: kvm_run, the PIO data page, the coalesced ring. */
#define VCPU_PAGE           4096
#define VCPU_MMAP_SIZE      (3 * VCPU_PAGE)
#define VCPU_PIO_OFFSET     (1 * VCPU_PAGE)
#define VCPU_COALESCED_PAGE 2 /* KVM_CAP_COALESCED_MMIO */

/* Why Xen does not run a vcpu, seen from the library. */
enum vcpu_phase {
	VCPU_NEW,     /* nothing of it was loaded into Xen yet */
	VCPU_RUNNING, /* Xen may run it, or it waits for SIPI behind Xen's LAPIC */
	VCPU_EXIT,    /* its ioreq is unanswered: an exit is with the VMM */
	VCPU_PARKED,  /* its invalidate request is unanswered */
	VCPU_IDLE,    /* halted with a kick armed: as stable as parked */
	VCPU_STOPPED, /* the domain is shut down (triple fault) or the vcpu halted for good */
};

/* What a debugger has set: machine/debug.h. */
struct vcpu_debug {
	uint32_t control; /* KVM_GUESTDBG_*; 0: not debugged */
	uint64_t dr[8];   /* the VMM's DR0-3 and DR7 */
	uint64_t behind;  /* linear address behind an instruction that is stepped by a breakpoint */
	/* What is the debugger's in Xen's registers; nowhere: none any more, see debug.c. */
	enum { DEBUG_TF = 1, DEBUG_DR = 2, DEBUG_NOWHERE = 4 } in_xen;
	bool armed;                 /* it has been DEBUG_DR */
	bool stale;                 /* they have to be loaded again */
	struct kvm_debugregs guest; /* the guest's own meanwhile */
	/* From the monitor's thread: the vector of the event that the vcpu parks for, or 0. */
	_Atomic unsigned event;
	uint32_t cpuid[4]; /* with DEBUG_EVENT_CPUID: the registers behind it */
	uint64_t cpuid_rip;
};
#define DEBUG_EVENT_CPUID 0x100

struct eventfd; /* interrupts/eventfd.c */

struct vcpu {
	struct vm *vm;
	uint32_t id;    /* KVM's: the APIC id */
	uint32_t index; /* Xen's vcpu number */
	struct vcpu_lock lock;

	int memfd; /* the vcpu fd's file: VCPU_MMAP_SIZE bytes */
	struct kvm_run *run;
	void *pio;                          /* run + VCPU_PIO_OFFSET */
	_Atomic(struct vcpu_stats *) stats; /* as vm->stats */
	struct vcpu_stats own_stats;
	int stats_fd;

	_Atomic enum vcpu_phase phase;

	/* run loop */
	struct ioreq *slot;
	struct event_channels *evtchn;
	int notify_fd; /* evtchn's, or -1: see device.h */
	uint32_t port;
	uint32_t
		masked_port; /* port, when an event of it was taken and it was not unmasked since */
	struct {
		uint64_t cost;     /* TSC ticks of a notification */
		uint64_t window;   /* ticks to watch before sleeping */
		uint64_t answered; /* when the last answer was given; 0: no use any more */
		bool fresh;        /* not watched for since then */
	} poll;                    /* machine/wait.c */
	bool has_sigmask;
	sigset_t sigmask;  /* KVM_SET_SIGNAL_MASK */
	int sigfd;         /* of the mask; -1: none yet */
	struct ioreq io;   /* the copy of the request that is being worked on */
	uint32_t io_done;  /* elements of it already completed */
	uint32_t io_shown; /* elements in the exit shown to the VMM; 0: none shown */
	bool io_untaken;   /* KVM_RUN has ended before it took the request in the slot */
	/* An ioeventfd that the guest hit, until it is signalled: interrupts/hit.c. */
	struct {
		const struct eventfd *eventfd; /* NULL: none */
		unsigned ticket;               /* of the table's readers, until then */
		atomic_uint turn;              /* odd until then */
	} hit;
	bool halted; /* KVM_EXIT_HLT was shown: KVM's next KVM_RUN goes on behind it */
	atomic_bool
		io_cancelled; /* a context load made Xen forget it: exit_complete puts that right */
	atomic_bool lapic_on; /* Xen's LAPIC of it has been seen switched on: interrupts/msi.c */
	/* The monitor's last reply was for the CPUID at cpuid_rip, and Xen may not have put its
	 * registers into the vcpu yet: see machine/quiet.h. Written before the reply is sent. */
	atomic_bool cpuid_answered;
	atomic_bool cr2_tried; /* machine/quiet.c: all tries were in vain */
	atomic_uint cr2_rest;  /* for how many stops it is not tried again */
	/* How often its stop was put off: an exit may come in between, and KVM_RUN again. */
	unsigned put_off;
	unsigned entries; /* machine/wait.c: KVM_RUNs with a signal mask */
	uint64_t cpuid_rip;
	unsigned lapic_given; /* interrupts_given when state.lapic was read */
	atomic_bool tripled;  /* its triple fault: its invalidate request is KVM_EXIT_SHUTDOWN */
	bool has_replay;      /* the next request may be the re-issue of one already served */
	struct ioreq replay;
	uint64_t replay_data;
	/* With a split irqchip: vectors whose end its IOAPIC waits for (interrupts/eoi.c), and what
	 * wakes the vcpu's thread when one is added; else -1. */
	_Atomic uint32_t eoi[8];
	int wake_fd;

	struct vcpu_debug debug;

	int injecting; /* KVM_INTERRUPT's vector until it is in Xen, or INJECT_NONE:
			  machine/inject.h */

	/* interrupt window: machine/window.h */
	unsigned window_looks; /* exits reported exactly, or WINDOW_FOLLOWED */
	uint64_t shadow_rip;   /* where the vcpu was seen behind what looks like an STI; or 0 */

	atomic_bool in_run;    /* its thread is inside KVM_RUN and may let Xen run it */
	atomic_bool answering; /* about to answer its slot: see machine/world.h */

	/* Large, and on the exit path only its first fields: behind the run loop's own. */
	struct vcpu_state state;
	struct kvm_cpuid_entry2 *cpuid; /* KVM_SET_CPUID2; replaced before the first run only */
	uint32_t cpuid_count;
};

/* KVM_CREATE_VCPU. NULL with errno. */
struct vcpu *vcpu_create(struct vm *vm, unsigned long id);
/* Closing the last fd of a vcpu: drops its reference of the VM. KVM keeps the vcpu itself until
 * the VM ends, and so do we. */
void vcpu_release(struct vcpu *vcpu);
/* At the VM's end. */
void vcpu_free(struct vcpu *vcpu);

#endif
