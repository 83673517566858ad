/*
 * interrupts_private: what the files of interrupts/ share.
 *
 * Two states of the chips. Until the domain runs, PIC, IOAPIC and PIT are the library's own, as
 * KVM resets them, and lines and messages act on them as in KVM. Once interrupts_materialise was
 * called Xen's chips are the truth and lines and messages are passed on; then the library's copy of
 * a chip counts only while it is dirty: set by the VMM and not yet loaded.
 *
 * Locks, in this order: vm->lock; `config` (who changes routing, irqfds, ioeventfds and zones);
 * `firing` (an irqfd's interrupt is on its way); `lock` (chips and lines). Readers of the published
 * tables take none: see struct readers.
 */
#ifndef KVMXEN_INTERRUPTS_INTERRUPTS_PRIVATE_H
#define KVMXEN_INTERRUPTS_INTERRUPTS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "libkvmxen/interrupts/filter.h"
#include "libkvmxen/interrupts/interrupts.h"
#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/vm.h"

#define PIC_PINS        8
#define PIC_CASCADE     2 /* the master's pin that the slave drives */
#define ISA_IRQS        16
#define PCI_LINKS       4
#define XEN_PCI_DEVICES 32   /* on the one bus whose INTx Xen knows */
#define GSI_LIMIT       4096 /* KVM_MAX_IRQ_ROUTES */
#define IOBUS_LIMIT     1000 /* NR_IOBUS_DEVS: devices on one of KVM's buses */

/* --- readers.c: tables that are replaced while others read them --- */

/* A reader is between readers_enter and readers_exit while it uses a published table. A writer
 * puts the new table in place, waits in readers_wait, and frees the old one. Neither lock nor
 * allocation for a reader. */
struct readers {
	atomic_uint phase;
	atomic_uint inside[2];
};

unsigned readers_enter(struct readers *readers);
void readers_exit(struct readers *readers, unsigned ticket);
/* Returns when no reader is left that may have seen what was published before the call. One
 * writer at a time: `config` held. Never from inside. */
void readers_wait(struct readers *readers);

/* --- the published tables --- */

struct routing;    /* routing.c */
struct ioeventfds; /* ioeventfd.c */
struct zones;      /* coalesced.c */
struct irqfd;      /* irqfd.c */
struct resamplers; /* resample.c */

/* --- chips.c: the library's PIC and IOAPIC, as KVM emulates them --- */

enum chip_dirty { DIRTY_PIC0 = 1, DIRTY_PIC1 = 2, DIRTY_IOAPIC = 4, DIRTY_PIT = 8 };

struct chips {
	struct kvm_pic_state pic[2];
	struct kvm_ioapic_state ioapic;
	uint32_t ioapic_delivered; /* pins whose edge was delivered */
	struct kvm_pit_state2 pit;
	bool pit_reinject;
	unsigned dirty; /* DIRTY_*: the VMM or a line changed it since the last load */
	/* What drives each pin: a bit for each source, OR-ed. */
	uint8_t pic_lines[ISA_IRQS], ioapic_lines[KVM_IOAPIC_NUM_PINS];
};

void chips_reset(struct chips *chips);
/* A pin's level has been set. As KVM's kvm_pic_set_irq and kvm_ioapic_set_irq: -1 masked, 0
 * coalesced, else how many took it. `lock` held. */
int chips_pic_set(struct chips *chips, unsigned irq, bool level);
int chips_ioapic_set(struct vm *vm, unsigned pin, bool level);
/* KVM_SET_IRQCHIP of an IOAPIC: what is pending in it is delivered again. */
void chips_ioapic_load(struct vm *vm, const struct kvm_ioapic_state *state);

struct interrupts_private {
	pthread_mutex_t config;
	struct readers readers;
	_Atomic(struct routing *) routing;
	_Atomic(struct ioeventfds *) ioeventfds;
	_Atomic(struct zones *) zones;
	struct range_filter zone_range[2]; /* MMIO, PIO */
	struct address_filter ioeventfd_filter;
	struct irqfd *irqfds;          /* config */
	struct resamplers *resamplers; /* config: the pointer; else firing */
	struct eventfd *eventfds;      /* config */
	atomic_flag ring_busy;         /* coalesced.c: entries of the ring */

	pthread_mutex_t firing;
	atomic_uint given; /* see interrupts_given */

	pthread_mutex_t lock;
	struct chips chips;
	uint32_t wires;   /* what Xen was told: ISA irqs 0-15, IOAPIC pins 16-23 */
	atomic_bool live; /* see interrupts_live */
	uint16_t domid;   /* of which domain */
	/* passthrough.c: wires of devices of the host; a bit for each INTx of each PCI device, */
	uint8_t wires_taken[XEN_PCI_DEVICES];
	uint8_t link_irq[PCI_LINKS], link_users[PCI_LINKS]; /* and where PCI links lead */
	/* From the making of an image until Xen has it: what it does not know of. */
	atomic_bool loading;
	uint32_t risen; /* wires that rose meanwhile */
	uint8_t loaded_irr[2];
	struct kvm_msi *late;
	unsigned late_count;
};

/* Xen's chips are the truth: interrupts_materialise was called and the domain is there. */
static inline bool interrupts_live(const struct vm *vm)
{
	return atomic_load(&vm->interrupts.private->live) && vm_live(vm);
}

/* --- irqchip.c --- */

/* One of Xen's records of the domain. 0 or -errno, with a message said. */
int chips_record_get(struct vm *vm, uint16_t typecode, uint16_t instance, void *body,
		     uint32_t length);

/* --- pit.c --- */

/* Tells Xen what to do with ticks that the guest missed. The domain is there. */
int pit_set_timer_mode(struct vm *vm);

/* --- routing.c --- */

/* KVM's default: GSI n to pin n of the PICs and of the IOAPIC. */
int routing_set_default(struct vm *vm);
/* No route at all, as with a split irqchip. */
int routing_set_empty(struct vm *vm);
void routing_free(struct vm *vm);
/* The entries of a GSI, in *n. Between readers_enter and readers_exit. */
const struct kvm_irq_routing_entry *routing_find(const struct routing *routing, uint32_t gsi,
						 unsigned *n);

/* --- line.c --- */

enum line_source { LINE_USERSPACE = 1, LINE_RESAMPLE = 2 };

/* KVM's kvm_set_irq: sets all that the GSI is routed to. Its result: -1 nothing took it, 0
 * coalesced, else how many did. */
int line_set(struct vm *vm, uint32_t gsi, enum line_source source, bool level);
/* Tells Xen the levels of all wires that changed. `lock` held, the domain is there. */
void line_sync(struct vm *vm);
/* Gives Xen the rising edges of wires that came while an image was being loaded. `lock` held. */
void line_repeat(struct vm *vm);
/* What Xen's wires should be, as in interrupts_private.wires. `lock` held. */
uint32_t line_levels(const struct interrupts_private *p);
/* Levels of the IOAPIC's pins. `lock` held. */
uint32_t line_ioapic_levels(const struct interrupts_private *p);

/* --- msi.c --- */

/* Delivers an MSI: > 0 delivered, 0 nobody took it. `lock` held when locked. */
int msi_send(struct vm *vm, const struct kvm_msi *msi, bool locked);
/* The first vcpu that the message may be for; NULL: none. */
struct vcpu *msi_target(struct vm *vm, const struct kvm_msi *msi);
/* Gives Xen what came while an image was being loaded. `lock` held. */
void msi_send_late(struct vm *vm);

/* --- eoi.c: the end of level interrupts of a split irqchip --- */

#define MSI_DATA_LEVEL (1u << 15)

/* A pin of the VMM's IOAPIC has sent this message. */
void eoi_expect(struct vm *vm, const struct kvm_msi *msi);

#define VECTOR_WORDS 8

/* Adds the vectors that are requested or in service in any LAPIC: stops the domain for a moment.
 * False: Xen does not say. */
bool lapics_busy(struct vm *vm, uint32_t busy[VECTOR_WORDS]);

/* --- eventfd.c: references to the VMM's eventfds --- */

/* KVM keeps the file of an eventfd that it was given; so do we, whatever the VMM does with its
 * number. */
struct eventfd {
	int fd;        /* ours */
	int number;    /* the VMM's */
	unsigned refs; /* registrations of it: they share our descriptor */
	struct eventfd *next;
};

/* 0, -EBADF, or -EINVAL when fd is no eventfd. */
int eventfd_check(int fd);
/* A reference of it, or NULL with *rc. config held. */
struct eventfd *eventfd_get(struct interrupts_private *p, int fd, int *rc);
void eventfd_put(struct interrupts_private *p, struct eventfd *eventfd);
/* Is the VMM's fd this very file? */
bool eventfd_is(const struct eventfd *eventfd, int fd);
/* Takes the count: false when there was none. Never blocks. */
bool eventfd_take(const struct eventfd *eventfd);
void eventfd_signal(const struct eventfd *eventfd);

/* --- resample.c: the second eventfd of an irqfd --- */

struct resample;

/* 0 or -errno. config held. */
int resample_add(struct vm *vm, uint32_t gsi, int fd, struct resample **out);
/* config held, firing not. */
void resample_remove(struct vm *vm, struct resample *resample);
/* Raises the line until the guest has ended the interrupt. firing held. */
void resample_raise(struct vm *vm, struct resample *resample);
void resamplers_free(struct vm *vm);

/* --- hit.c --- */

/* interrupts_signal has to signal it and to leave the readers, which the caller has entered. */
void hit_keep(struct vcpu *vcpu, const struct eventfd *eventfd, unsigned ticket);

/* --- irqfd.c, ioeventfd.c, coalesced.c --- */

void irqfd_free_all(struct vm *vm);
bool ioeventfd_match(struct vcpu *vcpu, uint8_t type, uint64_t address, unsigned size,
		     uint64_t data);
void ioeventfd_free_all(struct vm *vm);
bool coalesced_match(struct vcpu *vcpu, uint8_t type, uint64_t address, unsigned size,
		     uint64_t data);
void coalesced_free_all(struct vm *vm);

#endif
