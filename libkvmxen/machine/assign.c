#include "libkvmxen/machine/assign_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/message.h"

#define SEGMENT(sbdf)  ((sbdf) >> 16)
#define BUS(sbdf)      ((sbdf) >> 8 & 0xff)
#define SLOT(sbdf)     ((sbdf) >> 3 & 0x1f)
#define FUNCTION(sbdf) ((sbdf)&7)
#define NAME           "%04x:%02x:%02x.%x"
#define NAME_OF(sbdf)  SEGMENT(sbdf), BUS(sbdf), SLOT(sbdf), FUNCTION(sbdf)

#define HEADER_TYPE 0x7f /* without PCI_HEADER_TYPE_MFD */
#define DEVFN_MAX   0xff
#define BUS_MAX     0xff
#define SEGMENT_MAX 0xffff

long assign_offered(void)
{
	struct xen xen;

	return xen_open(&xen) == 0 && xen.ctl->ops->host_iommu(xen.ctl) == 1;
}

int assign_argument(void *arg, const void *user, size_t size)
{
	if (!assign_offered())
		return -ENOTTY;
	return copy_in(arg, user, size) ? -EFAULT : 0;
}

struct assigned *assigned_find(struct vm *vm, uint32_t id)
{
	struct assigned *dev = atomic_load(&vm->assigned);

	while (dev && dev->id != id)
		dev = dev->next;
	return dev;
}

bool assign_wanted(struct vm *vm)
{
	return atomic_load(&vm->assigned);
}

/* --- the device in the host --- */

/* The VMM is going to use its configuration space and its BARs, and the guest as well. */
static void wake(const struct assigned *dev)
{
	/* Refused where a driver that keeps it for us has done it. */
	host_pci_enable(&dev->host, true);
	host_pci_change(&dev->host, PCI_COMMAND, 0, PCI_COMMAND_MEMORY);
}

static bool has_bars(const struct host_pci *host)
{
	unsigned bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (host_pci_read(host, PCI_BASE_ADDRESS_0 + 4 * bar, 4))
			return true;
	return false;
}

/* Can its line be turned off in the device (PCI 2.3)? */
static bool can_mask(const struct host_pci *host)
{
	uint16_t before = host_pci_read(host, PCI_COMMAND, 2);
	bool can;

	host_pci_write(host, PCI_COMMAND, 2, before ^ PCI_COMMAND_INTX_DISABLE);
	can = (host_pci_read(host, PCI_COMMAND, 2) ^ before) == PCI_COMMAND_INTX_DISABLE;
	host_pci_write(host, PCI_COMMAND, 2, before);
	return can;
}

static int refuse(const struct assigned *dev, int rc, const char *why)
{
	message_refused("KVM_ASSIGN_PCI_DEVICE: device " NAME ": %s", NAME_OF(dev->sbdf), why);
	return rc;
}

/* The checks of KVM, in its order. */
static int open_host(struct assigned *dev)
{
	int rc = host_pci_open(&dev->host, dev->sbdf);

	if (rc < 0)
		return refuse(dev, rc == -ENODEV ? -EINVAL : rc, "it cannot be opened in sysfs");
	if ((host_pci_read(&dev->host, PCI_HEADER_TYPE, 1) & HEADER_TYPE) != PCI_HEADER_TYPE_NORMAL)
		rc = refuse(dev, -EPERM, "a bridge");
	else if (!has_bars(&dev->host))
		rc = refuse(dev, -EPERM, "it has no BAR");
	else if (!host_pci_is_free(&dev->host))
		rc = refuse(dev, -EBUSY, "a driver of dom0 uses it");
	if (rc < 0)
		host_pci_close(&dev->host);
	return rc;
}

/* --- the device in Xen --- */

static int take(struct vm *vm, struct assigned *dev)
{
	int rc = vm->xen.ctl->ops->device_assign(vm->xen.ctl, vm->domid, dev->sbdf);

	if (rc < 0) {
		message_error("KVM_ASSIGN_PCI_DEVICE: Xen does not assign device " NAME
			      " to domain %u: %s%s",
			      NAME_OF(dev->sbdf), vm->domid, strerror(-rc),
			      rc == -EXDEV ? " (a log of all written pages excludes devices)" : "");
		return rc;
	}
	dev->aside = rc;
	dev->in_xen = true;
	return 0;
}

static void give_back(struct vm *vm, struct assigned *dev)
{
	int rc;

	assigned_irqs_release(vm, dev);
	/* What it would still write to is going to be somebody else's memory. */
	host_pci_quiet(dev->sbdf);
	if (!dev->in_xen)
		return;
	rc = vm->xen.ctl->ops->device_deassign(vm->xen.ctl, vm->domid, dev->sbdf, dev->aside);
	if (rc < 0)
		message_error("device " NAME " cannot be given back to the host: %s",
			      NAME_OF(dev->sbdf), strerror(-rc));
	dev->in_xen = false;
}

int assign_materialise(struct vm *vm)
{
	struct assigned *dev;
	int rc = 0;

	for (dev = atomic_load(&vm->assigned); dev && rc == 0; dev = dev->next) {
		wake(dev);
		rc = take(vm, dev);
	}
	return rc;
}

int assign_irqs_materialise(struct vm *vm)
{
	struct assigned *dev;
	int rc = 0;

	for (dev = atomic_load(&vm->assigned); dev && rc == 0; dev = dev->next)
		rc = assigned_irqs_update(vm, dev);
	return rc;
}

void assign_domain_ends(struct vm *vm)
{
	struct assigned *dev;

	for (dev = atomic_load(&vm->assigned); dev; dev = dev->next)
		give_back(vm, dev);
	vm->iommu = false;
}

/* --- the ioctls --- */

static int assign(struct vm *vm, struct assigned *dev)
{
	const struct control_ops *ops = vm->xen.ctl->ops;
	struct assigned *other;
	int rc;

	if (assigned_find(vm, dev->id))
		return refuse(dev, -EEXIST, "the VM has one with this id");
	if (vm_live(vm) && !vm->iommu)
		return refuse(dev, -EINVAL,
			      "Xen's domain was made without an IOMMU: the first device must be "
			      "assigned before the first KVM_RUN");
	rc = open_host(dev);
	if (rc < 0)
		return rc;
	for (other = atomic_load(&vm->assigned); other; other = other->next)
		if (other->sbdf == dev->sbdf)
			rc = refuse(dev, -EBUSY, "the VM has it already");
	if (rc == 0 && ops->device_test(vm->xen.ctl, dev->sbdf) < 0)
		rc = refuse(dev, -EBUSY, "another domain has it, or Xen does not know it");
	if (rc == 0) {
		dev->command = host_pci_read(&dev->host, PCI_COMMAND, 2);
		wake(dev);
		host_pci_reset(&dev->host);
		if (!can_mask(&dev->host))
			dev->flags &= ~KVM_DEV_ASSIGN_PCI_2_3;
		rc = vm_live(vm) ? take(vm, dev) : 0;
		if (rc < 0)
			host_pci_quiet(dev->sbdf);
	}
	if (rc < 0) {
		host_pci_close(&dev->host);
		return rc;
	}
	dev->next = atomic_load(&vm->assigned);
	atomic_store(&vm->assigned, dev);
	return 0;
}

long assign_pci_device(struct vm *vm, void *user)
{
	struct kvm_assigned_pci_dev arg;
	struct assigned *dev;
	int rc = assign_argument(&arg, user, sizeof arg);

	if (rc < 0)
		return rc;
	if (!(arg.flags & KVM_DEV_ASSIGN_ENABLE_IOMMU) || arg.segnr > SEGMENT_MAX ||
	    arg.busnr > BUS_MAX || arg.devfn > DEVFN_MAX) {
		message_refused("KVM_ASSIGN_PCI_DEVICE: flags %#x, segment %u, bus %u, devfn %#x: "
				"there is no such device, or it is to go without the IOMMU",
				arg.flags, arg.segnr, arg.busnr, arg.devfn);
		return -EINVAL;
	}
	dev = calloc(1, sizeof *dev);
	if (!dev)
		return -ENOMEM;
	dev->id = arg.assigned_dev_id;
	dev->sbdf = SBDF(arg.segnr, arg.busnr, arg.devfn);
	dev->flags = arg.flags;
	pthread_mutex_lock(&vm->lock);
	rc = assign(vm, dev);
	pthread_mutex_unlock(&vm->lock);
	if (rc < 0)
		free(dev);
	return rc;
}

/* vm->lock held; the device is in the list no more. */
static void release(struct vm *vm, struct assigned *dev)
{
	assigned_irqs_forget(vm, dev);
	give_back(vm, dev);
	host_pci_write(&dev->host, PCI_COMMAND, 2, dev->command & ~PCI_COMMAND_MASTER);
	host_pci_close(&dev->host);
	free(dev);
}

static bool take_out(struct vm *vm, struct assigned *dev)
{
	struct assigned *at = atomic_load(&vm->assigned);

	if (at == dev) {
		atomic_store(&vm->assigned, dev->next);
		return true;
	}
	for (; at; at = at->next)
		if (at->next == dev) {
			at->next = dev->next;
			return true;
		}
	return false;
}

long assign_deassign(struct vm *vm, void *user)
{
	struct kvm_assigned_pci_dev arg;
	struct assigned *dev;
	int rc = assign_argument(&arg, user, sizeof arg);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&vm->lock);
	dev = assigned_find(vm, arg.assigned_dev_id);
	if (dev && take_out(vm, dev))
		release(vm, dev);
	pthread_mutex_unlock(&vm->lock);
	if (!dev)
		message_refused("KVM_DEASSIGN_PCI_DEVICE: no device has id %u",
				arg.assigned_dev_id);
	return dev ? 0 : -EINVAL;
}

void assign_destroy(struct vm *vm)
{
	struct assigned *dev;

	while ((dev = atomic_load(&vm->assigned))) {
		take_out(vm, dev);
		release(vm, dev);
	}
}
