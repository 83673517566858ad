/* Interrupt lines, MSIs and NMIs: what arrives wakes a vcpu that halted. */
#define __XEN_TOOLS__
#include "tests/fake/internal.h"

#include <xen/hvm/dm_op.h>

#define NR_ISA_IRQS   16
#define FIRST_PCI_GSI 16
#define MSI_DEST(a)   ((a) >> 12 & 0xff)
#define MSI_MODE(d)   ((d) >> 8 & 7)
#define DEST_ALL      0xff

static void pend(struct vcpu *v, uint8_t vector)
{
	v->irr[vector] = true;
	xen_vcpu_wake(v);
}

/* By destination: the id register of the LAPIC, physical mode. */
static bool addressed(const struct vcpu *v, uint8_t dest)
{
	return dest == DEST_ALL || v->lapic_regs.data[0x23] == dest;
}

#define LAPIC_LVT0    0x350
#define LVT_MASKED    (1u << 16)
#define LVT_MODE(l)   ((l) >> 8 & 7)
#define LVT_EXTINT    7
#define LAPIC_ENABLED (1u << 11)

/* __vlapic_accept_pic_intr: a virtual wire from the PIC to the boot vcpu, if the LAPIC has one. */
static bool accepts_pic(const struct vcpu *v)
{
	uint32_t lvt0;

	memcpy(&lvt0, v->lapic_regs.data + LAPIC_LVT0, sizeof lvt0);
	return v->lapic.apic_base_msr & LAPIC_ENABLED && !(lvt0 & LVT_MASKED) &&
	       LVT_MODE(lvt0) == LVT_EXTINT;
}

static void gsi_edge(struct domain *d, unsigned gsi)
{
	union vioapic_redir_entry *pin = &d->ioapic.redirtbl[gsi == 0 ? 2 : gsi];

	d->gsi_edges[gsi]++;
	if (!pin->fields.mask) {
		if (pin->fields.trig_mode && pin->fields.remote_irr)
			return;
		pin->fields.remote_irr = pin->fields.trig_mode;
		for (unsigned i = 0; i < d->nr_vcpus; i++)
			if (addressed(&d->vcpus[i], pin->fields.dest_id))
				pend(&d->vcpus[i], pin->fields.vector);
	} else if (gsi < NR_ISA_IRQS && accepts_pic(&d->vcpus[0])) {
		const struct hvm_hw_vpic *pic = &d->pic[gsi / 8];

		if (!(pic->imr >> gsi % 8 & 1))
			pend(&d->vcpus[0], pic->irq_base + gsi % 8);
	}
}

static void ioapic_end(struct domain *d, unsigned gsi)
{
	union vioapic_redir_entry *pin = &d->ioapic.redirtbl[gsi];

	if (!pin->fields.remote_irr)
		return;
	pin->fields.remote_irr = 0;
	if (gsi < NR_ISA_IRQS && d->isa_irq.pad[0] >> gsi & 1)
		gsi_edge(d, gsi);
}

int xen_isa_irq_set(struct domain *d, uint8_t irq, bool level)
{
	uint64_t bit = 1ull << irq;

	if (irq >= NR_ISA_IRQS)
		return -EINVAL;
	if (d->emulation != EMULATION_HVM) {
		violation("domain %u: ISA irq %u, but the domain has no PIC", d->domid, irq);
		return -EINVAL;
	}
	if (level && !(d->isa_irq.pad[0] & bit))
		gsi_edge(d, irq);
	d->isa_irq.pad[0] = level ? d->isa_irq.pad[0] | bit : d->isa_irq.pad[0] & ~bit;
	if (d->quick_guest && d->pauses == 0)
		ioapic_end(d, irq);
	return 0;
}

static unsigned gsi_of(unsigned device, unsigned intx)
{
	return FIRST_PCI_GSI + ((4 * device + device / 8 + intx) & 31);
}

int xen_pci_intx_set(struct domain *d, uint8_t device, uint8_t intx, bool level)
{
	unsigned wire = 4u * device + intx;
	uint64_t bit = 1ull << wire % 64, *word = &d->pci_irq.pad[wire / 64 % 2];

	if (device > 31 || intx > 3)
		return -EINVAL;
	if (d->emulation != EMULATION_HVM) {
		violation("domain %u: INTx, but the domain has no IOAPIC", d->domid);
		return -EINVAL;
	}
	if (level && !(*word & bit)) {
		uint8_t link = d->pci_link.route[(device + intx) & 3];

		gsi_edge(d, gsi_of(device, intx));
		if (link)
			gsi_edge(d, link);
	}
	*word = level ? *word | bit : *word & ~bit;
	return 0;
}

int xen_pci_link_route(struct domain *d, uint8_t link, uint8_t irq)
{
	if (link > 3 || irq >= NR_ISA_IRQS)
		return -EINVAL;
	d->pci_link.route[link] = irq;
	return 0;
}

/* Taken when the vcpu resumes; only exceptions, see xen/device.h. */
int xen_event_inject(struct domain *d, uint32_t vcpu, uint8_t vector, uint8_t type)
{
	if (vcpu >= d->nr_vcpus)
		return -EINVAL;
	if (type != XEN_DMOP_EVENT_hw_exc && type != XEN_DMOP_EVENT_sw_exc &&
	    type != XEN_DMOP_EVENT_pri_sw_exc) {
		violation("domain %u: event of type %u injected: this crashes a guest on AMD",
			  d->domid, type);
		return -EINVAL;
	}
	if (d->vcpus[vcpu].injected)
		return -EBUSY;
	d->vcpus[vcpu].injected = 1u << 31 | (uint32_t)type << 8 | vector;
	return 0;
}

int xen_msi_inject(struct domain *d, uint64_t address, uint32_t data)
{
	uint8_t vector = data;

	d->msis = realloc(d->msis, (d->nr_msis + 1) * sizeof *d->msis);
	if (!d->msis)
		abort();
	d->msis[d->nr_msis++] = (struct msi){address, data};
	if (!vector) { /* Xen takes it for a pirq and allocates one */
		violation("domain %u: MSI with vector 0", d->domid);
		return 0;
	}
	if (MSI_MODE(data) > 1)
		return -EINVAL;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (addressed(&d->vcpus[i], MSI_DEST(address)))
			pend(&d->vcpus[i], vector);
	return 0;
}

int xen_vcpu_nmi(struct vcpu *v)
{
	v->nmis++;
	v->nmi = true;
	xen_vcpu_wake(v);
	return 0;
}

bool fake_isa_level(uint16_t domid, uint8_t irq)
{
	struct domain *d;
	bool level;

	fake_lock();
	d = xen_domain_any(domid);
	level = d && irq < NR_ISA_IRQS && d->isa_irq.pad[0] >> irq & 1;
	fake_unlock();
	return level;
}

bool fake_intx_level(uint16_t domid, uint8_t device, uint8_t intx)
{
	unsigned wire = 4u * device + intx;
	struct domain *d;
	bool level;

	fake_lock();
	d = xen_domain_any(domid);
	level = d && wire < 128 && d->pci_irq.pad[wire / 64] >> wire % 64 & 1;
	fake_unlock();
	return level;
}

unsigned fake_gsi_edges(uint16_t domid, unsigned gsi)
{
	struct domain *d;
	unsigned n;

	fake_lock();
	d = xen_domain_any(domid);
	n = d && gsi < NR_GSIS ? d->gsi_edges[gsi] : 0;
	fake_unlock();
	return n;
}

void fake_ioapic_end(uint16_t domid, unsigned gsi)
{
	fake_lock();
	ioapic_end(xen_domain_any(domid), gsi);
	fake_unlock();
}

void fake_quick_guest(uint16_t domid)
{
	fake_lock();
	xen_domain_any(domid)->quick_guest = true;
	fake_unlock();
}

void fake_ioapic_unmask(uint16_t domid, unsigned gsi)
{
	struct domain *d;

	fake_lock();
	d = xen_domain_any(domid);
	d->ioapic.redirtbl[gsi].fields.mask = 0;
	if (d->ioapic.redirtbl[gsi].fields.trig_mode && gsi < NR_ISA_IRQS &&
	    d->isa_irq.pad[0] >> gsi & 1)
		gsi_edge(d, gsi);
	fake_unlock();
}

void fake_pic_serve(uint16_t domid, unsigned irq, bool in_service)
{
	struct domain *d;
	struct hvm_hw_vpic *pic;

	fake_lock();
	d = xen_domain_any(domid);
	pic = &d->pic[irq / 8];
	pic->isr = in_service ? pic->isr | 1u << irq % 8 : pic->isr & ~(1u << irq % 8);
	fake_unlock();
}

unsigned fake_msis(uint16_t domid)
{
	struct domain *d;
	unsigned n;

	fake_lock();
	d = xen_domain_any(domid);
	n = d ? d->nr_msis : 0;
	fake_unlock();
	return n;
}

bool fake_msi(uint16_t domid, unsigned n, uint64_t *address, uint32_t *data)
{
	struct domain *d;
	bool ok;

	fake_lock();
	d = xen_domain_any(domid);
	ok = d && n < d->nr_msis;
	if (ok) {
		*address = d->msis[n].address;
		*data = d->msis[n].data;
	}
	fake_unlock();
	return ok;
}

unsigned fake_nmis(uint16_t domid, unsigned vcpu)
{
	struct vcpu *v;
	unsigned n;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	n = v ? v->nmis : 0;
	fake_unlock();
	return n;
}
