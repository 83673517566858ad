/*
 * resample: irqfds with a resample eventfd (KVM_IRQFD_FLAG_RESAMPLE). Their eventfd raises a line;
 * the guest's end of the interrupt lowers it and signals the resample eventfds of that GSI.
 *
 * Xen tells no device model of an end of interrupt, so a timer looks at Xen's chips for as long as
 * such an interrupt is on its way, at shorter intervals first. A chip whose line is still up when
 * the guest ends an interrupt takes it anew at once, and no look would find it ended. So the IOAPIC
 * gets no more than a pulse, which it delivers all the same, once its pin is not masked; and the
 * domain is paused meanwhile, or the guest might end it between the two edges. The PIC gives an
 * interrupt when the processor takes it: its line stays up until then.
 */
#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/message.h"

/* Each look stops the domain for a moment. */
#define LOOK_FIRST_NS (50 * 1000)
#define LOOK_LAST_NS  (10 * 1000 * 1000)

enum stage {
	IDLE,
	RAISED,       /* no chip has taken it yet: masked, or the processor has interrupts off */
	TAKEN_IOAPIC, /* the line is down; its end is awaited */
	TAKEN_PIC,
};

/* All that share a GSI. */
struct resampler {
	uint32_t gsi;
	enum stage stage;
	uint8_t vector; /* TAKEN_IOAPIC */
	struct resample *users;
	struct resampler *next;
};

struct resample {
	struct resampler *resampler;
	struct eventfd *eventfd;
	struct resample *next;
};

/* `firing` protects what is below; who adds and removes holds `config` as well. */
struct resamplers {
	struct watch timer;
	struct vm *vm;
	long interval_ns;
	struct resampler *list;
};

static void arm(struct resamplers *all, long ns)
{
	struct itimerspec when = {.it_value.tv_nsec = ns};

	all->interval_ns = ns;
	if (timerfd_settime(all->timer.fd, 0, &when, NULL) < 0)
		message_error("an irqfd's timer cannot be set: %s", strerror(errno));
}

/* --- what the chips say --- */

/* The pin of a chip that a GSI drives; -1: none. */
static int pin_of(struct vm *vm, uint32_t gsi, bool ioapic)
{
	struct interrupts_private *p = vm->interrupts.private;
	unsigned ticket = readers_enter(&p->readers), n, i;
	const struct kvm_irq_routing_entry *entry = routing_find(atomic_load(&p->routing), gsi, &n);
	int pin = -1;

	for (i = 0; i < n; i++, entry++) {
		if (entry->type != KVM_IRQ_ROUTING_IRQCHIP ||
		    (entry->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC) != ioapic)
			continue;
		pin = entry->u.irqchip.pin;
		if (entry->u.irqchip.irqchip == KVM_IRQCHIP_PIC_SLAVE)
			pin += PIC_PINS;
	}
	readers_exit(&p->readers, ticket);
	return pin;
}

static bool ioapic_pin(struct vm *vm, int pin, union vioapic_redir_entry *entry)
{
	struct hvm_hw_vioapic record;

	if (pin < 0 || chips_record_get(vm, HVM_SAVE_CODE(IOAPIC), 0, &record, sizeof record) < 0)
		return false;
	entry->bits = record.redirtbl[pin].bits;
	return true;
}

/* In service, and is the pin masked? */
static bool pic_pin(struct vm *vm, int pin, bool *in_service, bool *masked)
{
	struct hvm_hw_vpic record;
	unsigned bit = 1u << pin % PIC_PINS;

	if (pin < 0 ||
	    chips_record_get(vm, HVM_SAVE_CODE(PIC), pin / PIC_PINS, &record, sizeof record) < 0)
		return false;
	*in_service = record.isr & bit;
	*masked = record.imr & bit;
	return true;
}

/* Gives it to the chip that takes it now, if one does. */
static enum stage give(struct vm *vm, struct resampler *resampler)
{
	int pin = pin_of(vm, resampler->gsi, true);
	union vioapic_redir_entry entry;
	bool in_service, masked;

	if (pin >= 0 && !ioapic_pin(vm, pin, &entry))
		return RAISED;
	if (pin >= 0 && !entry.fields.mask) {
		resampler->vector = entry.fields.vector;
		/* It may be up for the PIC. */
		line_set(vm, resampler->gsi, LINE_RESAMPLE, false);
		line_set(vm, resampler->gsi, LINE_RESAMPLE, true);
		line_set(vm, resampler->gsi, LINE_RESAMPLE, false);
		return TAKEN_IOAPIC;
	}
	if (!pic_pin(vm, pin_of(vm, resampler->gsi, false), &in_service, &masked))
		return RAISED;
	line_set(vm, resampler->gsi, LINE_RESAMPLE, !masked && !in_service);
	return !masked && in_service ? TAKEN_PIC : RAISED;
}

static bool ended(struct vm *vm, const struct resampler *resampler)
{
	union vioapic_redir_entry entry;
	uint32_t busy[VECTOR_WORDS] = {0};
	bool in_service, masked;

	if (resampler->stage == TAKEN_PIC)
		return pic_pin(vm, pin_of(vm, resampler->gsi, false), &in_service, &masked) &&
		       !in_service;
	if (!ioapic_pin(vm, pin_of(vm, resampler->gsi, true), &entry))
		return false;
	if (entry.fields.trig_mode)
		return !entry.fields.remote_irr;
	return lapics_busy(vm, busy) &&
	       !(busy[resampler->vector / 32] & 1u << resampler->vector % 32);
}

/* --- the course of one interrupt --- */

/* A chip was set, and Xen has not been told yet. */
static bool chips_are_set(struct interrupts_private *p)
{
	bool set;

	pthread_mutex_lock(&p->lock);
	set = p->chips.dirty;
	pthread_mutex_unlock(&p->lock);
	return set;
}

static void signal_all(const struct resampler *resampler)
{
	const struct resample *user;

	for (user = resampler->users; user; user = user->next)
		eventfd_signal(user->eventfd);
}

/* RAISED: with the domain paused. */
static enum stage give_paused(struct vm *vm, struct resampler *resampler)
{
	const struct control_ops *ops = vm->xen.ctl->ops;
	bool paused = ops->domain_pause(vm->xen.ctl, vm->domid) == 0;
	enum stage stage = give(vm, resampler);
	int rc = paused ? ops->domain_unpause(vm->xen.ctl, vm->domid) : 0;

	if (rc < 0)
		message_error("domain %u cannot be unpaused: error %d", vm->domid, -rc);
	return stage;
}

/* Did it come further? */
static bool look(struct vm *vm, struct resampler *resampler)
{
	if (resampler->stage == RAISED) {
		resampler->stage = give_paused(vm, resampler);
		return resampler->stage != RAISED;
	}
	if (!ended(vm, resampler))
		return false;
	resampler->stage = IDLE;
	signal_all(resampler);
	return true;
}

/* Chips that the VMM has set and that Xen does not have yet say nothing. */
static bool can_look(struct vm *vm)
{
	return interrupts_live(vm) && !chips_are_set(vm->interrupts.private);
}

static void look_at_all(struct watch *watch, uint32_t events)
{
	struct resamplers *all =
		(struct resamplers *)((char *)watch - offsetof(struct resamplers, timer));
	struct interrupts_private *p = all->vm->interrupts.private;
	bool waiting = false, further = false;
	struct resampler *resampler;
	uint64_t expirations;

	if (read(watch->fd, &expirations, sizeof expirations) < 0)
		return;
	pthread_mutex_lock(&p->firing);
	for (resampler = all->list; resampler; resampler = resampler->next) {
		if (resampler->stage != IDLE)
			further |= can_look(all->vm) && look(all->vm, resampler);
		waiting |= resampler->stage != IDLE;
	}
	if (waiting)
		arm(all, further                               ? LOOK_FIRST_NS
			 : all->interval_ns * 2 < LOOK_LAST_NS ? all->interval_ns * 2
							       : LOOK_LAST_NS);
	pthread_mutex_unlock(&p->firing);
}

void resample_raise(struct vm *vm, struct resample *resample)
{
	struct resampler *resampler = resample->resampler;

	/* While it is on its way the line is up, for the guest: another rise is none. */
	if (resampler->stage != IDLE)
		return;
	resampler->stage = RAISED;
	if (can_look(vm))
		look(vm, resampler);
	else
		line_set(vm, resampler->gsi, LINE_RESAMPLE, true);
	arm(vm->interrupts.private->resamplers, LOOK_FIRST_NS);
}

/* --- who takes part --- */

/* The VM's timer, made for the first. */
static int resamplers_get(struct vm *vm, struct resamplers **out)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct resamplers *all;
	int rc;

	*out = p->resamplers;
	if (*out)
		return 0;
	all = calloc(1, sizeof *all);
	if (!all)
		return -ENOMEM;
	all->vm = vm;
	all->timer.events = EPOLLIN;
	all->timer.ready = look_at_all;
	all->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	rc = all->timer.fd < 0 ? -errno : worker_add(vm->worker, &all->timer);
	if (rc < 0) {
		if (all->timer.fd >= 0)
			close(all->timer.fd);
		free(all);
		return rc;
	}
	*out = p->resamplers = all;
	return 0;
}

void resamplers_free(struct vm *vm)
{
	struct resamplers *all = vm->interrupts.private->resamplers;

	if (!all)
		return;
	worker_remove(vm->worker, &all->timer);
	close(all->timer.fd);
	free(all);
	vm->interrupts.private->resamplers = NULL;
}

static struct resampler *find(struct resamplers *all, uint32_t gsi)
{
	struct resampler *resampler;

	for (resampler = all->list; resampler; resampler = resampler->next)
		if (resampler->gsi == gsi)
			return resampler;
	resampler = calloc(1, sizeof *resampler);
	if (resampler) {
		resampler->gsi = gsi;
		resampler->next = all->list;
		all->list = resampler;
	}
	return resampler;
}

/* firing held. */
static void drop_unused(struct vm *vm, struct resampler *resampler)
{
	struct resampler **at = &vm->interrupts.private->resamplers->list;

	if (resampler->users)
		return;
	while (*at != resampler)
		at = &(*at)->next;
	*at = resampler->next;
	if (resampler->stage == RAISED)
		line_set(vm, resampler->gsi, LINE_RESAMPLE, false);
	free(resampler);
}

int resample_add(struct vm *vm, uint32_t gsi, int fd, struct resample **out)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct resample *resample = calloc(1, sizeof *resample);
	struct resamplers *all = NULL;
	int rc = resample ? resamplers_get(vm, &all) : -ENOMEM;

	if (rc == 0)
		resample->eventfd = eventfd_get(p, fd, &rc);
	if (rc < 0) {
		free(resample);
		return rc;
	}
	pthread_mutex_lock(&p->firing);
	resample->resampler = find(all, gsi);
	if (resample->resampler) {
		resample->next = resample->resampler->users;
		resample->resampler->users = resample;
	}
	pthread_mutex_unlock(&p->firing);
	if (!resample->resampler) {
		eventfd_put(p, resample->eventfd);
		free(resample);
		return -ENOMEM;
	}
	*out = resample;
	return 0;
}

void resample_remove(struct vm *vm, struct resample *resample)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct resample **at;

	pthread_mutex_lock(&p->firing);
	at = &resample->resampler->users;
	while (*at != resample)
		at = &(*at)->next;
	*at = resample->next;
	drop_unused(vm, resample->resampler);
	pthread_mutex_unlock(&p->firing);
	eventfd_put(p, resample->eventfd);
	free(resample);
}
