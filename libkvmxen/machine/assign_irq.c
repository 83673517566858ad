/* The interrupts of assigned devices. */
#include "libkvmxen/machine/assign_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/message.h"

/* Fields of a message's data: what Xen delivers of them. */
#define DATA_VECTOR(data) ((data)&0xff)
#define DATA_MODE(data)   ((data) >> 8 & 7)
#define MODE_LOWEST       1
#define FIRST_VECTOR      16

/* What the host has and what the guest sees is the same kind in Xen. */
static const struct kind {
	uint32_t type; /* KVM_DEV_IRQ_HOST_* | KVM_DEV_IRQ_GUEST_* */
	enum device_irq_kind kind;
	uint8_t capability;        /* PCI_CAP_ID_* */
	unsigned control;          /* of that, the register with */
	uint16_t enable, maskable; /* these bits */
} kinds[] = {
	{KVM_DEV_IRQ_HOST_INTX | KVM_DEV_IRQ_GUEST_INTX, DEVICE_INTX, 0, 0, 0, 0},
	{KVM_DEV_IRQ_HOST_MSI | KVM_DEV_IRQ_GUEST_MSI, DEVICE_MSI, PCI_CAP_ID_MSI, PCI_MSI_FLAGS,
	 PCI_MSI_FLAGS_ENABLE, 0},
	{KVM_DEV_IRQ_HOST_MSIX | KVM_DEV_IRQ_GUEST_MSIX, DEVICE_MSIX, PCI_CAP_ID_MSIX,
	 PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, PCI_MSIX_FLAGS_MASKALL},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* The kind of which both halves are asked for; NULL: none yet. */
static const struct kind *kind_of(uint32_t type)
{
	size_t i;

	for (i = 0; i < KINDS; i++)
		if ((type & kinds[i].type) == kinds[i].type)
			return &kinds[i];
	return NULL;
}

static bool halves_differ(uint32_t type)
{
	return (type & KVM_DEV_IRQ_HOST_MASK) && (type & KVM_DEV_IRQ_GUEST_MASK) && !kind_of(type);
}

/* --- in Xen --- */

static int say(const struct assigned *dev, const char *what, int rc)
{
	message_error("KVM_ASSIGN_DEV_IRQ: device %#x: %s: %s", dev->sbdf, what, strerror(-rc));
	return rc;
}

static void unbind(struct vm *vm, struct assigned *dev, struct assigned_irq *irq)
{
	int rc;

	if (!irq->bound)
		return;
	rc = vm->xen.ctl->ops->device_irq_unbind(vm->xen.ctl, vm->domid, &irq->irq);
	if (rc < 0)
		message_debug("device %#x: its interrupt cannot be taken away: %s", dev->sbdf,
			      strerror(-rc));
	if (irq->irq.kind == DEVICE_INTX)
		interrupts_wire_give(vm, irq->irq.device, irq->irq.intx);
	irq->bound = false;
	irq->irq.pirq = -1;
}

static int bind(struct vm *vm, struct assigned *dev, struct assigned_irq *irq)
{
	int rc = vm->xen.ctl->ops->device_irq_bind(vm->xen.ctl, vm->domid, &irq->irq);

	/* Xen gives out entries of a table that dom0 has shown to it, as xen-pciback does. */
	if (rc == -ENODATA && irq->irq.kind == DEVICE_MSIX)
		return say(dev, "for MSI-X it must be bound to xen-pciback", rc);
	if (rc < 0)
		return say(dev, "Xen does not bind its interrupt", rc);
	irq->bound = true;
	return 0;
}

static int bind_line(struct vm *vm, struct assigned *dev)
{
	struct assigned_irq *irq = &dev->line;
	int rc;

	if (irq->bound)
		return 0;
	irq->irq = (struct device_irq){.kind = DEVICE_INTX, .sbdf = dev->sbdf, .pirq = -1};
	rc = host_pci_gsi(&dev->host, &irq->irq.gsi);
	if (rc < 0)
		return say(dev, "it has no interrupt line", rc);
	rc = interrupts_wire_take(vm, irq->gsi, &irq->irq.device, &irq->irq.intx);
	if (rc < 0)
		return say(dev, "Xen has no wire to where that GSI is routed", rc);
	rc = bind(vm, dev, irq);
	if (rc < 0) {
		interrupts_wire_give(vm, irq->irq.device, irq->irq.intx);
		return rc;
	}
	rc = interrupts_wire_lead(vm, irq->irq.device, irq->irq.intx);
	if (rc < 0) {
		unbind(vm, dev, irq);
		return say(dev, "its line cannot be led to an ISA irq", rc);
	}
	return 0;
}

static bool is_delivered(const struct kvm_msi *msi)
{
	return DATA_MODE(msi->data) <= MODE_LOWEST && DATA_VECTOR(msi->data) >= FIRST_VECTOR;
}

static int bind_message(struct vm *vm, struct assigned *dev, struct assigned_irq *irq,
			const struct device_irq *as)
{
	struct kvm_msi msi;
	uint64_t address;

	if (interrupts_message(vm, irq->gsi, &msi) < 0 || !is_delivered(&msi)) {
		/* KVM drops what has no route. */
		unbind(vm, dev, irq);
		return 0;
	}
	address = (uint64_t)msi.address_hi << 32 | msi.address_lo;
	if (irq->bound && irq->irq.address == address && irq->irq.data == msi.data)
		return 0;
	if (!irq->bound)
		irq->irq = *as;
	irq->irq.address = address;
	irq->irq.data = msi.data;
	return bind(vm, dev, irq);
}

static int bind_table(struct vm *vm, struct assigned *dev, struct device_irq *as, unsigned at)
{
	uint32_t table = host_pci_read(&dev->host, at + PCI_MSIX_TABLE, 4), i;
	uint64_t size;
	int rc = host_pci_bar(&dev->host, table & PCI_MSIX_TABLE_BIR, &as->table, &size);

	for (i = 0; i < dev->msix_nr && rc == 0; i++) {
		if (!dev->msix[i].used)
			continue;
		as->entry = dev->msix[i].irq.entry;
		rc = bind_message(vm, dev, &dev->msix[i], as);
	}
	return rc;
}

static void mask_line(struct assigned *dev, bool mask)
{
	host_pci_change(&dev->host, PCI_COMMAND, mask ? 0 : PCI_COMMAND_INTX_DISABLE,
			mask ? PCI_COMMAND_INTX_DISABLE : 0);
}

static bool is_masked(const struct assigned *dev)
{
	return dev->flags & KVM_DEV_ASSIGN_MASK_INTX;
}

int assigned_irqs_update(struct vm *vm, struct assigned *dev)
{
	const struct kind *kind = kind_of(dev->irq_type);
	struct device_irq as = {.sbdf = dev->sbdf, .pirq = -1};
	unsigned at;
	int rc;

	if (!kind || !dev->in_xen)
		return 0;
	as.kind = kind->kind;
	if (kind->kind == DEVICE_INTX) {
		/* A line that cannot be turned off in the device is taken from the guest. */
		if (is_masked(dev) && !(dev->flags & KVM_DEV_ASSIGN_PCI_2_3)) {
			unbind(vm, dev, &dev->line);
			return 0;
		}
		rc = bind_line(vm, dev);
		if (rc == 0)
			mask_line(dev, is_masked(dev));
		return rc;
	}
	at = host_pci_capability(&dev->host, kind->capability);
	if (!at)
		return say(dev, "the device has no such interrupt", -ENODEV);
	mask_line(dev, true);
	rc = kind->kind == DEVICE_MSI ? bind_message(vm, dev, &dev->line, &as)
				      : bind_table(vm, dev, &as, at);
	/* Xen has set the message; the bit that turns it on is the device model's. */
	if (rc == 0)
		host_pci_change(&dev->host, at + kind->control, kind->maskable, kind->enable);
	return rc;
}

void assigned_irqs_release(struct vm *vm, struct assigned *dev)
{
	const struct kind *kind = kind_of(dev->irq_type);
	unsigned at = kind ? host_pci_capability(&dev->host, kind->capability) : 0;
	uint32_t i;

	if (dev->in_xen && at && kind->enable)
		host_pci_change(&dev->host, at + kind->control, kind->enable, 0);
	unbind(vm, dev, &dev->line);
	for (i = 0; i < dev->msix_nr; i++)
		unbind(vm, dev, &dev->msix[i]);
}

void assigned_irqs_forget(struct vm *vm, struct assigned *dev)
{
	assigned_irqs_release(vm, dev);
	dev->irq_type = 0;
	free(dev->msix);
	dev->msix = NULL;
	dev->msix_nr = 0;
}

void assign_rerouted(struct vm *vm)
{
	if (!atomic_load(&vm->assigned))
		return;
	pthread_mutex_lock(&vm->lock);
	assign_irqs_materialise(vm);
	pthread_mutex_unlock(&vm->lock);
}

/* --- the ioctls --- */

static bool many(uint32_t bits)
{
	return bits & (bits - 1);
}

/* The halves in `wanted` are free, and go together with what is there. KVM's errors. */
static int check(const struct assigned *dev, uint32_t wanted)
{
	uint32_t host = wanted & KVM_DEV_IRQ_HOST_MASK, guest = wanted & KVM_DEV_IRQ_GUEST_MASK;
	uint32_t known = 0;
	size_t i;

	for (i = 0; i < KINDS; i++)
		known |= kinds[i].type;
	if (many(host) || many(guest) || !wanted)
		return -EINVAL;
	if ((host && (dev->irq_type & KVM_DEV_IRQ_HOST_MASK)) ||
	    (guest && (dev->irq_type & KVM_DEV_IRQ_GUEST_MASK)))
		return -EEXIST;
	if ((wanted & ~known) || (host == KVM_DEV_IRQ_HOST_MSIX && !dev->msix_nr))
		return -EINVAL;
	if (halves_differ(dev->irq_type | wanted)) {
		message_refused("KVM_ASSIGN_DEV_IRQ: flags %#x: Xen delivers an interrupt as the "
				"kind that it is in the host",
				wanted);
		return -EINVAL;
	}
	return 0;
}

static int assign_irq(struct vm *vm, struct assigned *dev, const struct kvm_assigned_irq *arg)
{
	uint32_t wanted = arg->flags & (KVM_DEV_IRQ_HOST_MASK | KVM_DEV_IRQ_GUEST_MASK);
	uint32_t before = dev->irq_type;
	int rc = check(dev, wanted);

	if (rc < 0)
		return rc;
	if (wanted & KVM_DEV_IRQ_GUEST_MASK)
		dev->line.gsi = arg->guest_irq;
	dev->irq_type |= wanted;
	rc = assigned_irqs_update(vm, dev);
	if (rc < 0) {
		assigned_irqs_release(vm, dev);
		dev->irq_type = before;
	}
	return rc;
}

long assign_dev_irq(struct vm *vm, void *user)
{
	struct kvm_assigned_irq arg;
	struct assigned *dev;
	long rc = assign_argument(&arg, user, sizeof arg);

	if (rc < 0)
		return rc;
	rc = -ENODEV;
	if (!vm->interrupts.irqchip) {
		message_refused("KVM_ASSIGN_DEV_IRQ: without KVM_CREATE_IRQCHIP");
		return -EINVAL;
	}
	pthread_mutex_lock(&vm->lock);
	dev = assigned_find(vm, arg.assigned_dev_id);
	if (dev)
		rc = assign_irq(vm, dev, &arg);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

static int deassign_irq(struct vm *vm, struct assigned *dev, uint32_t flags)
{
	bool host = flags & KVM_DEV_IRQ_HOST_MASK, guest = flags & KVM_DEV_IRQ_GUEST_MASK;

	if (!vm->interrupts.irqchip)
		return -EINVAL;
	if (!dev->irq_type)
		return -ENXIO;
	if (host || guest)
		assigned_irqs_release(vm, dev);
	if (host && (dev->irq_type & KVM_DEV_IRQ_HOST_MSIX)) {
		free(dev->msix);
		dev->msix = NULL;
		dev->msix_nr = 0;
	}
	if (host)
		dev->irq_type &= ~KVM_DEV_IRQ_HOST_MASK;
	if (guest)
		dev->irq_type &= ~KVM_DEV_IRQ_GUEST_MASK;
	return 0;
}

long assign_deassign_irq(struct vm *vm, void *user)
{
	struct kvm_assigned_irq arg;
	struct assigned *dev;
	long rc = assign_argument(&arg, user, sizeof arg);

	if (rc < 0)
		return rc;
	rc = -ENODEV;
	pthread_mutex_lock(&vm->lock);
	dev = assigned_find(vm, arg.assigned_dev_id);
	if (dev)
		rc = deassign_irq(vm, dev, arg.flags);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

static int set_msix_nr(struct assigned *dev, unsigned nr)
{
	/* Once, until the interrupt is taken away again. */
	if (dev->msix_nr || !nr || nr > KVM_MAX_MSIX_PER_DEV)
		return -EINVAL;
	dev->msix = calloc(nr, sizeof *dev->msix);
	if (!dev->msix)
		return -ENOMEM;
	dev->msix_nr = nr;
	return 0;
}

long assign_set_msix_nr(struct vm *vm, void *user)
{
	struct kvm_assigned_msix_nr arg;
	struct assigned *dev;
	long rc = assign_argument(&arg, user, sizeof arg);

	if (rc < 0)
		return rc;
	rc = -EINVAL;
	pthread_mutex_lock(&vm->lock);
	dev = assigned_find(vm, arg.assigned_dev_id);
	if (dev)
		rc = set_msix_nr(dev, arg.entry_nr);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

static int set_msix_entry(struct vm *vm, struct assigned *dev, unsigned entry, uint32_t gsi)
{
	uint32_t i;

	for (i = 0; i < dev->msix_nr; i++) {
		struct assigned_irq *irq = &dev->msix[i];

		if (irq->used && irq->irq.entry != entry)
			continue;
		irq->used = true;
		irq->irq.entry = entry;
		irq->gsi = gsi;
		return assigned_irqs_update(vm, dev);
	}
	return -ENOSPC;
}

long assign_set_msix_entry(struct vm *vm, void *user)
{
	struct kvm_assigned_msix_entry arg;
	struct assigned *dev;
	long rc = assign_argument(&arg, user, sizeof arg);

	if (rc < 0)
		return rc;
	rc = -EINVAL;
	pthread_mutex_lock(&vm->lock);
	dev = assigned_find(vm, arg.assigned_dev_id);
	if (dev)
		rc = set_msix_entry(vm, dev, arg.entry, arg.gsi);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

long assign_set_intx_mask(struct vm *vm, void *user)
{
	struct kvm_assigned_pci_dev arg;
	struct assigned *dev;
	long rc = assign_argument(&arg, user, sizeof arg);

	if (rc < 0)
		return rc;
	rc = -ENODEV;
	pthread_mutex_lock(&vm->lock);
	dev = assigned_find(vm, arg.assigned_dev_id);
	if (dev) {
		dev->flags &= ~KVM_DEV_ASSIGN_MASK_INTX;
		dev->flags |= arg.flags & KVM_DEV_ASSIGN_MASK_INTX;
		rc = dev->irq_type & KVM_DEV_IRQ_GUEST_INTX ? assigned_irqs_update(vm, dev) : 0;
	}
	pthread_mutex_unlock(&vm->lock);
	return rc;
}
