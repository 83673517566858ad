#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "libkvmxen/message.h"

struct irqfd {
	struct watch watch;
	struct vm *vm;
	uint32_t gsi;
	struct eventfd *eventfd;
	struct resample *resample; /* NULL: none */
	struct irqfd *next;
};

/* An edge of the line, or the message that the GSI is routed to. Whoever gets `firing` after
 * another finds the interrupt delivered, not merely its eventfd taken. */
static void irqfd_fire(struct irqfd *irqfd)
{
	pthread_mutex_t *firing = &irqfd->vm->interrupts.private->firing;

	pthread_mutex_lock(firing);
	if (!eventfd_take(irqfd->eventfd)) {
		/* Somebody else did. */
	} else if (irqfd->resample) {
		resample_raise(irqfd->vm, irqfd->resample);
	} else {
		line_set(irqfd->vm, irqfd->gsi, LINE_USERSPACE, true);
		line_set(irqfd->vm, irqfd->gsi, LINE_USERSPACE, false);
	}
	pthread_mutex_unlock(firing);
}

static void irqfd_ready(struct watch *watch, uint32_t events)
{
	irqfd_fire((struct irqfd *)((char *)watch - offsetof(struct irqfd, watch)));
}

void interrupts_settle(struct vm *vm)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct irqfd *irqfd;

	pthread_mutex_lock(&p->config);
	for (irqfd = p->irqfds; irqfd; irqfd = irqfd->next)
		irqfd_fire(irqfd);
	pthread_mutex_unlock(&p->config);
}

/* config held. */
static void irqfd_free(struct irqfd *irqfd)
{
	worker_remove(irqfd->vm->worker, &irqfd->watch);
	if (irqfd->resample)
		resample_remove(irqfd->vm, irqfd->resample);
	eventfd_put(irqfd->vm->interrupts.private, irqfd->eventfd);
	free(irqfd);
}

/* config held. */
static int irqfd_add(struct irqfd *irqfd, const struct kvm_irqfd *args)
{
	struct interrupts_private *p = irqfd->vm->interrupts.private;
	struct irqfd *other;
	int rc;

	for (other = p->irqfds; other; other = other->next)
		if (eventfd_is(other->eventfd, args->fd))
			return -EBUSY;
	irqfd->eventfd = eventfd_get(p, args->fd, &rc);
	if (rc < 0)
		return rc;
	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE)
		rc = resample_add(irqfd->vm, irqfd->gsi, args->resamplefd, &irqfd->resample);
	if (rc < 0) {
		eventfd_put(p, irqfd->eventfd);
		return rc;
	}
	irqfd->watch.fd = irqfd->eventfd->fd;
	irqfd->watch.events = EPOLLIN;
	irqfd->watch.ready = irqfd_ready;
	/* One that is signalled already fires at once: epoll tells of levels. */
	rc = worker_add(irqfd->vm->worker, &irqfd->watch);
	if (rc < 0) {
		if (irqfd->resample)
			resample_remove(irqfd->vm, irqfd->resample);
		eventfd_put(p, irqfd->eventfd);
		return rc;
	}
	irqfd->next = p->irqfds;
	p->irqfds = irqfd;
	return 0;
}

static int assign(struct vm *vm, const struct kvm_irqfd *args)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct irqfd *irqfd;
	bool resample = args->flags & KVM_IRQFD_FLAG_RESAMPLE;
	int rc;

	/* With a split irqchip the end of an interrupt is KVM_EXIT_IOAPIC_EOI. */
	if (resample ? !vm->interrupts.irqchip : !vm->interrupts.lapic)
		return -EINVAL;
	rc = eventfd_check(args->fd);
	if (rc == 0 && resample)
		rc = eventfd_check(args->resamplefd);
	if (rc < 0)
		return rc;
	irqfd = calloc(1, sizeof *irqfd);
	if (!irqfd)
		return -ENOMEM;
	irqfd->vm = vm;
	irqfd->gsi = args->gsi;
	pthread_mutex_lock(&p->config);
	rc = irqfd_add(irqfd, args);
	pthread_mutex_unlock(&p->config);
	if (rc < 0)
		free(irqfd);
	return rc;
}

/* That there is none is no error in KVM. */
static int deassign(struct vm *vm, const struct kvm_irqfd *args)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct irqfd **at, *irqfd;
	int rc = eventfd_check(args->fd);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&p->config);
	for (at = &p->irqfds; (irqfd = *at);) {
		if (irqfd->gsi != args->gsi || !eventfd_is(irqfd->eventfd, args->fd)) {
			at = &irqfd->next;
			continue;
		}
		*at = irqfd->next;
		/* What was signalled before has been delivered in KVM. */
		irqfd_fire(irqfd);
		irqfd_free(irqfd);
	}
	pthread_mutex_unlock(&p->config);
	return 0;
}

long interrupts_irqfd(struct vm *vm, const struct kvm_irqfd *args)
{
	uint32_t known = KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE;
	int rc;

	if (args->flags & ~known)
		rc = -EINVAL;
	else if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		rc = deassign(vm, args);
	else
		rc = assign(vm, args);
	if (rc < 0)
		message_refused("KVM_IRQFD: fd %d GSI %u flags %#x: %s", (int)args->fd, args->gsi,
				args->flags, strerror(-rc));
	return rc;
}

void irqfd_free_all(struct vm *vm)
{
	struct interrupts_private *p = vm->interrupts.private;

	while (p->irqfds) {
		struct irqfd *irqfd = p->irqfds;

		p->irqfds = irqfd->next;
		irqfd_free(irqfd);
	}
	resamplers_free(vm);
}
