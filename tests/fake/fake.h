/*
 * fake: Xen without Xen, for the unit tests.
 *
 * One process-wide fake host implements struct device_ops and struct control_ops. It is strict:
 * what Xen would refuse is refused with Xen's errno, and what Xen would punish later (a leaked
 * frame, a vcpu stuck for good, a crashed domain) is written down at once as a violation.
 *
 * A unit test is:
 *
 *	fake_install();                       // reset, and put the fake behind xen_open
 *	... the library creates a domain; fake_last_domain() says which ...
 *	op = fake_guest_out(domid, 0, 0x80, 1, 0x42);   // what the guest is going to do
 *	... KVM_RUN ...
 *	CU_ASSERT(fake_guest_wait(domid, 0, op, 1000));
 *	CU_ASSERT_PTR_NULL(fake_check());     // nothing broken, nothing left behind
 *
 * Guests are scripts, not code. Each vcpu has a queue of operations; its thread executes them one
 * after the other whenever Xen would run the vcpu. With an empty queue a vcpu spins. Results stay
 * readable after the domain's death, until fake_reset.
 *
 * Threads: every function may be called from any thread, but not from within a fake_program.
 * Units: gpa and address are bytes, gfn is a 4 KiB frame number, timeouts are milliseconds.
 */
#ifndef KVMXEN_TESTS_FAKE_H
#define KVMXEN_TESTS_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libkvmxen/xen/xen.h"

/* --- the fake host --- */

/* A fresh host with no domains behind xen_open. Whatever an earlier test left is destroyed. */
void fake_install(void);
/* The same without touching xen_open. */
void fake_reset(void);
/* The pair of connections, for tests that call the tables themselves. */
const struct xen *fake_xen(void);

/* NULL when no rule was broken and nothing is left: no domain, mapping, bound port, event channel
 * handle, xenstore name, leaked frame. Else one line for each finding; valid until the next call.
 * Does not forget anything. */
const char *fake_check(void);
/* Violations so far (without leaks). */
unsigned fake_violations(void);
/* Was there a violation whose text contains this? */
bool fake_violated(const char *text);
/* Forgets the violations: for tests that provoke one. */
void fake_forgive(void);

/* --- failures on demand; op is the name of a member of either table --- */

/* The next call of op fails with error and has no effect. */
void fake_fail(const char *op, int error);
/* Every call of op fails, until fake_fail_clear. */
void fake_fail_always(const char *op, int error);
/* The n-th call from now (1: the next) of any operation that can fail fails with error. Operations
 * that give something back (destroy, unmap, unbind, release) never fail and are not counted. */
void fake_fail_nth(unsigned n, int error);
void fake_fail_clear(void);
/* Has an injected failure been delivered since the last fake_fail*? */
bool fake_failed(void);

/* Calls of op since fake_reset; NULL: of all operations. */
unsigned fake_calls(const char *op);

/* The host runs out of memory after this many 4 KiB frames; default 4 Mi. */
void fake_host_frames(uint32_t frames);
/* "4.17.7" unless set. From "4.20" on a context is checked before it is applied, and so on. */
void fake_version(const char *version);

/* --- domains --- */

/* The domain created last, dead or alive; 0: none. */
uint16_t fake_last_domain(void);
/* Domains alive. */
unsigned fake_domains(void);
/* Has the domain been destroyed, by this process or by a child that it forked? */
bool fake_domain_destroyed(uint16_t domid);
/* The xenstore name of the domain, or NULL. */
const char *fake_domain_name(uint16_t domid);
/* A domain as a toolstack leaves it to its device model, paused. The test destroys it. */
uint16_t fake_domain_built(unsigned vcpus, bool irqchip);
/* Has that toolstack been told that the device model is there? */
bool fake_domain_ready(uint16_t domid);
/* SHUTDOWN_*, or -1 when the domain is not shut down. */
int fake_domain_shutdown_reason(uint16_t domid);
/* Shuts the domain down as the guest would: SHUTDOWN_* of xen/sched.h. SHUTDOWN_crash too. */
void fake_domain_shutdown(uint16_t domid, unsigned reason);

/* Looks at what a guest sees at gpa, without side effects: false on a hole. */
bool fake_ram_read(uint16_t domid, uint64_t gpa, void *buf, size_t len);
bool fake_ram_write(uint16_t domid, uint64_t gpa, const void *buf, size_t len);
/* MEM_* of a gfn, or -1: a hole. */
int fake_mem_type(uint16_t domid, uint64_t gfn);
/* Foreign mappings alive, in VMAs. */
unsigned fake_mappings(void);

/* --- interrupts as Xen sees them --- */

bool fake_isa_level(uint16_t domid, uint8_t irq);
bool fake_intx_level(uint16_t domid, uint8_t device, uint8_t intx);
/* Rising edges so far of a GSI: 0-15 from isa_irq_set, 16-47 from pci_intx_set. */
unsigned fake_gsi_edges(uint16_t domid, unsigned gsi);
/* The guest ends the interrupt of a level-triggered pin of the IOAPIC, which is given anew when its
 * line is still up. */
void fake_ioapic_end(uint16_t domid, unsigned gsi);
/* Whenever the domain is not paused, the guest has ended an ISA interrupt before the next call. */
void fake_quick_guest(uint16_t domid);
/* A level-triggered pin whose line is up gives an interrupt at once. */
void fake_ioapic_unmask(uint16_t domid, unsigned gsi);
/* The PIC's interrupt is being served, or has been. */
void fake_pic_serve(uint16_t domid, unsigned irq, bool in_service);
/* MSIs injected so far; the n-th (from 0) of them. */
unsigned fake_msis(uint16_t domid);
bool fake_msi(uint16_t domid, unsigned n, uint64_t *address, uint32_t *data);
unsigned fake_nmis(uint16_t domid, unsigned vcpu);

/* --- devices of the host --- */

/* None unless set. */
void fake_host_iommu(bool there);
/* A PCI device of dom0's, or one that was set aside for guests. */
void fake_device_add(uint32_t sbdf, bool aside);
#define FAKE_DOM0  0
#define FAKE_ASIDE 0x7ff1 /* DOMID_IO */
/* The domain that has it; -ENODEV. */
int fake_device_owner(uint32_t sbdf);
/* Does the guest see a device's memory at gfn? Then which frame of the host's. */
bool fake_device_mapped(uint16_t domid, uint64_t gfn, uint64_t *mfn);
/* How many interrupts of devices the domain has; the last of them, and how often it was bound. */
unsigned fake_device_irqs(uint16_t domid, struct device_irq *last, unsigned *binds);

/* --- vcpus --- */

enum fake_vcpu_state {
	FAKE_DOWN,     /* never started, halted for good, or without a CPU record */
	FAKE_RUNNING,  /* executes its script, or spins with nothing left to do */
	FAKE_PAUSED,   /* could run, but the domain is paused or shut down */
	FAKE_BLOCKED,  /* HLT */
	FAKE_WAITING,  /* an ioreq or a monitor event of it is unanswered */
	FAKE_RESUMING, /* notified, but it has not yet looked for the answer */
	FAKE_STUCK,    /* for good: its ioreq server was destroyed before the answer */
};
enum fake_vcpu_state fake_vcpu_state(uint16_t domid, unsigned vcpu);
bool fake_vcpu_wait(uint16_t domid, unsigned vcpu, enum fake_vcpu_state state, int timeout);

/* The registers as they are inside Xen at this moment. */
bool fake_guest_regs(uint16_t domid, unsigned vcpu, struct hvm_hw_cpu *regs);
bool fake_guest_set_regs(uint16_t domid, unsigned vcpu, const struct hvm_hw_cpu *regs);
/* What RDTSC gives now, and the PAT in force. */
uint64_t fake_guest_tsc(uint16_t domid, unsigned vcpu);
uint64_t fake_guest_pat(uint16_t domid, unsigned vcpu);
/* SIPI: what another vcpu of the guest does to start this one. -EBUSY when it is up. */
int fake_guest_sipi(uint16_t domid, unsigned vcpu, uint8_t vector);
/* Events that the vcpu took: EVENTINJ values, e.g. 0x80000061 for vector 0x61. Returns how many
 * there were; the first n are copied. */
unsigned fake_guest_events(uint16_t domid, unsigned vcpu, uint32_t *events, unsigned n);

/* --- guest operations --- */

enum fake_op_kind {
	FAKE_OUT,       /* out: size bytes of value to port addr */
	FAKE_IN,        /* in: the value also lands in RAX */
	FAKE_OUTS,      /* rep outs: count elements from RAM at ram to port addr */
	FAKE_INS,       /* rep ins: count elements from port addr to RAM at ram */
	FAKE_READ,      /* size bytes at gpa addr, RAM or MMIO, cut as Xen cuts */
	FAKE_WRITE,     /* size bytes of data to gpa addr */
	FAKE_STOS,      /* rep stos: count times value at addr, one request when MMIO */
	FAKE_MOVS_TO,   /* rep movs: count elements from RAM at ram to MMIO at addr */
	FAKE_MOVS_FROM, /* rep movs: count elements from MMIO at addr to RAM at ram */
	FAKE_HLT,       /* done when the vcpu wakes; value: with interrupts on */
	FAKE_TRIPLE_FAULT,
	FAKE_CPUID, /* leaf addr, subleaf value; the answer is in RAX..RDX and in data */
	FAKE_RDMSR, /* msr addr */
	FAKE_WRMSR,
	FAKE_SPIN,  /* until fake_guest_unspin */
	FAKE_POLL,  /* spins until the byte in RAM at addr equals value */
	FAKE_CRASH, /* a state that VMRUN refuses: the domain crashes */
	FAKE_NOP,   /* one instruction that needs nobody; with RFLAGS.TF a #DB comes after it */
	FAKE_INT3,  /* for the debugger or, injected by it, for the guest itself */
};

struct fake_op {
	enum fake_op_kind kind;
	uint64_t addr;
	uint64_t ram;
	uint32_t size;  /* of one element */
	uint32_t count; /* of elements, for the rep kinds */
	bool df;        /* RFLAGS.DF: the rep kinds walk down */
	uint64_t value; /* in and out */
	void *data;     /* FAKE_WRITE: size bytes, copied by fake_guest_push */
};

/* Appends an operation to the vcpu's script: its id, or -errno. May be called before the vcpu is
 * up. The functions below are shorthands. */
int fake_guest_push(uint16_t domid, unsigned vcpu, const struct fake_op *op);
int fake_guest_out(uint16_t domid, unsigned vcpu, uint16_t port, unsigned size, uint32_t value);
int fake_guest_in(uint16_t domid, unsigned vcpu, uint16_t port, unsigned size);
int fake_guest_outs(uint16_t domid, unsigned vcpu, uint16_t port, unsigned size, unsigned count,
		    uint64_t ram, bool df);
int fake_guest_ins(uint16_t domid, unsigned vcpu, uint16_t port, unsigned size, unsigned count,
		   uint64_t ram, bool df);
int fake_guest_read(uint16_t domid, unsigned vcpu, uint64_t gpa, size_t size);
int fake_guest_write(uint16_t domid, unsigned vcpu, uint64_t gpa, const void *data, size_t size);
int fake_guest_write_value(uint16_t domid, unsigned vcpu, uint64_t gpa, unsigned size,
			   uint64_t value);
int fake_guest_stos(uint16_t domid, unsigned vcpu, uint64_t gpa, unsigned size, unsigned count,
		    uint64_t value, bool df);
int fake_guest_movs_to(uint16_t domid, unsigned vcpu, uint64_t mmio, uint64_t ram, unsigned size,
		       unsigned count, bool df);
int fake_guest_movs_from(uint16_t domid, unsigned vcpu, uint64_t mmio, uint64_t ram, unsigned size,
			 unsigned count, bool df);
/* PCI configuration through 0xcf8 and 0xcfc: two operations; the id of the second. */
int fake_guest_pci_read(uint16_t domid, unsigned vcpu, uint16_t bdf, uint8_t reg, unsigned size);
int fake_guest_pci_write(uint16_t domid, unsigned vcpu, uint16_t bdf, uint8_t reg, unsigned size,
			 uint32_t value);
int fake_guest_hlt(uint16_t domid, unsigned vcpu, bool interrupts);
int fake_guest_triple_fault(uint16_t domid, unsigned vcpu);
int fake_guest_cpuid(uint16_t domid, unsigned vcpu, uint32_t leaf, uint32_t subleaf);
int fake_guest_rdmsr(uint16_t domid, unsigned vcpu, uint32_t msr);
int fake_guest_wrmsr(uint16_t domid, unsigned vcpu, uint32_t msr, uint64_t value);
int fake_guest_spin(uint16_t domid, unsigned vcpu);
int fake_guest_poll(uint16_t domid, unsigned vcpu, uint64_t gpa, uint8_t value);
int fake_guest_nop(uint16_t domid, unsigned vcpu);
int fake_guest_int3(uint16_t domid, unsigned vcpu);

/* Ends the FAKE_SPIN that runs now, or the next one. */
void fake_guest_unspin(uint16_t domid, unsigned vcpu);

/* Waits until the operation has been executed: the instruction after it could run. */
bool fake_guest_wait(uint16_t domid, unsigned vcpu, int id, int timeout);
bool fake_guest_done(uint16_t domid, unsigned vcpu, int id);
/* What a finished IN, FAKE_READ of up to 8 bytes, RDMSR or POLL read. */
uint64_t fake_guest_value(uint16_t domid, unsigned vcpu, int id);
/* FAKE_READ: the bytes read; FAKE_CPUID: EAX EBX ECX EDX. Returns how many bytes were copied. */
size_t fake_guest_data(uint16_t domid, unsigned vcpu, int id, void *buf, size_t size);

/* A guest that decides as it goes: called when the script is empty, with the operation that ended
 * last (NULL at first, valid during the call only) and the registers; fills in *next, or returns
 * false: nothing now, ask again when something wakes the vcpu. next->data must stay valid until
 * the operation ends. Runs on the vcpu's thread with the fake locked: no call back into the fake
 * nor into the library. */
typedef bool (*fake_program)(void *arg, unsigned vcpu, const struct hvm_hw_cpu *regs,
			     const struct fake_op *last, struct fake_op *next);
void fake_guest_program(uint16_t domid, unsigned vcpu, fake_program program, void *arg);

/* Deterministic mode, for domains created from now on: no threads; fake_step lets one vcpu make
 * one step (resume, or one piece of an operation). False: it cannot run now. */
void fake_manual(bool manual);
bool fake_step(uint16_t domid, unsigned vcpu);

#endif
