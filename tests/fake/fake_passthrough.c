/* Devices of the host: whose they are, what of them the guests see, where their interrupts go. */
#include "tests/fake/internal.h"

#define MAX_DEVICES 8
#define MAX_BARS    16
#define MAX_PIRQS   32
#define FIRST_PIRQ  48

static struct {
	bool iommu;
	unsigned count;
	struct {
		uint32_t sbdf;
		uint16_t owner; /* FAKE_DOM0, FAKE_ASIDE, or a domain */
	} devices[MAX_DEVICES];
	struct {
		uint16_t domid;
		uint64_t gfn, mfn, pages;
	} bars[MAX_BARS];
	struct {
		uint16_t domid; /* 0: free */
		struct device_irq irq;
		unsigned binds;
	} pirqs[MAX_PIRQS];
} host;

void xen_passthrough_reset(void)
{
	memset(&host, 0, sizeof host);
}

void fake_host_iommu(bool there)
{
	fake_lock();
	host.iommu = there;
	fake_unlock();
}

void fake_device_add(uint32_t sbdf, bool aside)
{
	fake_lock();
	host.devices[host.count].sbdf = sbdf;
	host.devices[host.count++].owner = aside ? FAKE_ASIDE : FAKE_DOM0;
	fake_unlock();
}

static int find(uint32_t sbdf)
{
	for (unsigned i = 0; i < host.count; i++)
		if (host.devices[i].sbdf == sbdf)
			return i;
	return -ENODEV;
}

int fake_device_owner(uint32_t sbdf)
{
	int i;

	fake_lock();
	i = find(sbdf);
	i = i < 0 ? i : host.devices[i].owner;
	fake_unlock();
	return i;
}

bool fake_device_mapped(uint16_t domid, uint64_t gfn, uint64_t *mfn)
{
	bool found = false;

	fake_lock();
	for (unsigned i = 0; i < MAX_BARS && !found; i++) {
		if (host.bars[i].domid != domid || !host.bars[i].pages || gfn < host.bars[i].gfn ||
		    gfn >= host.bars[i].gfn + host.bars[i].pages)
			continue;
		*mfn = host.bars[i].mfn + (gfn - host.bars[i].gfn);
		found = true;
	}
	fake_unlock();
	return found;
}

unsigned fake_device_irqs(uint16_t domid, struct device_irq *last, unsigned *binds)
{
	unsigned n = 0;

	fake_lock();
	for (unsigned i = 0; i < MAX_PIRQS; i++) {
		if (host.pirqs[i].domid != domid)
			continue;
		n++;
		*last = host.pirqs[i].irq;
		*binds = host.pirqs[i].binds;
	}
	fake_unlock();
	return n;
}

int xen_host_iommu(void)
{
	return host.iommu;
}

int xen_device_test(uint32_t sbdf)
{
	int i = find(sbdf);

	if (i < 0)
		return i;
	return host.devices[i].owner == FAKE_DOM0 || host.devices[i].owner == FAKE_ASIDE ? 0
											 : -EINVAL;
}

int xen_device_assign(struct domain *d, uint32_t sbdf)
{
	int i = find(sbdf);
	bool aside;

	if (!host.iommu || !d->iommu)
		return -EOPNOTSUPP;
	if (i < 0)
		return i;
	aside = host.devices[i].owner == FAKE_ASIDE;
	if (!aside && host.devices[i].owner != FAKE_DOM0)
		return -EBUSY;
	if (d->log_dirty)
		return -EXDEV;
	host.devices[i].owner = d->domid;
	return aside;
}

static bool has_pirqs(uint16_t domid, uint32_t sbdf)
{
	for (unsigned i = 0; i < MAX_PIRQS; i++)
		if (host.pirqs[i].domid == domid && host.pirqs[i].irq.sbdf == sbdf)
			return true;
	return false;
}

int xen_device_deassign(uint16_t domid, uint32_t sbdf, bool aside)
{
	int i = find(sbdf);

	if (i < 0)
		return i;
	if (host.devices[i].owner != domid)
		return -EINVAL;
	if (has_pirqs(domid, sbdf))
		violation("domain %u: device %#x taken away with its interrupts", domid, sbdf);
	host.devices[i].owner = aside ? FAKE_ASIDE : FAKE_DOM0;
	return 0;
}

bool xen_domain_has_devices(const struct domain *d)
{
	for (unsigned i = 0; i < host.count; i++)
		if (host.devices[i].owner == d->domid)
			return true;
	return false;
}

void xen_passthrough_destroyed(uint16_t domid)
{
	for (unsigned i = 0; i < host.count; i++)
		if (host.devices[i].owner == domid)
			host.devices[i].owner = FAKE_DOM0;
	for (unsigned i = 0; i < MAX_BARS; i++)
		if (host.bars[i].domid == domid)
			host.bars[i].pages = 0;
	for (unsigned i = 0; i < MAX_PIRQS; i++)
		if (host.pirqs[i].domid == domid)
			host.pirqs[i].domid = 0;
}

static int map(struct domain *d, uint64_t gfn, uint64_t mfn, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		if (xen_p2m_find(&d->p2m, gfn + i) && xen_p2m_find(&d->p2m, gfn + i)->frame)
			violation("domain %u: a device's memory over a frame at %#llx", d->domid,
				  (unsigned long long)(gfn + i));
	for (unsigned i = 0; i < MAX_BARS; i++) {
		if (host.bars[i].pages)
			continue;
		host.bars[i].domid = d->domid;
		host.bars[i].gfn = gfn;
		host.bars[i].mfn = mfn;
		host.bars[i].pages = pages;
		return 0;
	}
	return -ENOMEM;
}

int xen_device_map(struct domain *d, uint64_t gfn, uint64_t mfn, uint64_t pages, bool on)
{
	if (on)
		return map(d, gfn, mfn, pages);
	for (unsigned i = 0; i < MAX_BARS; i++)
		if (host.bars[i].domid == d->domid && host.bars[i].pages == pages &&
		    host.bars[i].gfn == gfn && host.bars[i].mfn == mfn) {
			host.bars[i].pages = 0;
			return 0;
		}
	violation("domain %u: no device's memory to take away at %#llx", d->domid,
		  (unsigned long long)gfn);
	return -EINVAL;
}

static int free_pirq(void)
{
	for (int i = 0; i < MAX_PIRQS; i++)
		if (!host.pirqs[i].domid)
			return i;
	return -ENOSPC;
}

static unsigned link_of(const struct device_irq *irq)
{
	return (irq->device + irq->intx) & 3;
}

static bool link_has_devices(uint16_t domid, unsigned link)
{
	for (unsigned i = 0; i < MAX_PIRQS; i++)
		if (host.pirqs[i].domid == domid && host.pirqs[i].irq.kind == DEVICE_INTX &&
		    link_of(&host.pirqs[i].irq) == link)
			return true;
	return false;
}

int xen_device_irq_bind(struct domain *d, struct device_irq *irq)
{
	int dev = find(irq->sbdf), i = irq->pirq < 0 ? free_pirq() : irq->pirq - FIRST_PIRQ;

	if (dev < 0 || host.devices[dev].owner != d->domid) {
		violation("domain %u: an interrupt of device %#x, which it does not have", d->domid,
			  irq->sbdf);
		return -ESRCH;
	}
	if (i < 0)
		return i;
	if (irq->pirq >= 0 && host.pirqs[i].domid != d->domid)
		return -EINVAL;
	if (irq->pirq >= 0 && irq->kind == DEVICE_INTX)
		return -EEXIST;
	/* Xen's isairq_map is made when a link is led somewhere. */
	if (irq->kind == DEVICE_INTX && d->pci_link.route[link_of(irq)] &&
	    !link_has_devices(d->domid, link_of(irq)))
		violation("domain %u: link %u was led to an ISA irq before a device was bound",
			  d->domid, link_of(irq));
	if (irq->pirq < 0)
		host.pirqs[i].binds = 0;
	irq->pirq = FIRST_PIRQ + i;
	host.pirqs[i].domid = d->domid;
	host.pirqs[i].irq = *irq;
	host.pirqs[i].binds++;
	return 0;
}

int xen_device_irq_unbind(struct domain *d, struct device_irq *irq)
{
	int i = irq->pirq - FIRST_PIRQ;

	if (i < 0 || i >= MAX_PIRQS || host.pirqs[i].domid != d->domid) {
		violation("domain %u: pirq %d is not its", d->domid, irq->pirq);
		return -EINVAL;
	}
	host.pirqs[i].domid = 0;
	irq->pirq = -1;
	return 0;
}
