#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/convert/image.h"
#include "libkvmxen/convert/loss.h"
#include "libkvmxen/message.h"

#define ISA_WIRES 0xffff

int chips_record_get(struct vm *vm, uint16_t typecode, uint16_t instance, void *body,
		     uint32_t length)
{
	int rc = vm->xen.ctl->ops->context_get_one(vm->xen.ctl, vm->domid, typecode, instance, body,
						   length);

	if (rc < 0)
		message_error("Xen's record %u.%u of domain %u cannot be read: %s", typecode,
			      instance, vm->domid, strerror(-rc));
	return rc;
}

long interrupts_create_irqchip(struct vm *vm)
{
	int rc = 0;

	pthread_mutex_lock(&vm->lock);
	if (vm->interrupts.lapic)
		rc = -EEXIST;
	else if (atomic_load(&vm->vcpu_count))
		rc = -EINVAL;
	if (rc == 0) {
		vm->interrupts.irqchip = true;
		rc = routing_set_default(vm);
		vm->interrupts.irqchip = vm->interrupts.lapic = rc == 0;
	}
	pthread_mutex_unlock(&vm->lock);
	if (rc < 0)
		message_refused("KVM_CREATE_IRQCHIP: %s",
				rc == -EEXIST ? "there is one" : "a vcpu was created before");
	return rc;
}

static int check(const struct vm *vm, const char *name, uint32_t chip)
{
	if (!vm->interrupts.irqchip) {
		message_refused("%s: without KVM_CREATE_IRQCHIP", name);
		return -ENXIO;
	}
	if (chip > KVM_IRQCHIP_IOAPIC) {
		message_refused("%s: there is no chip %u", name, chip);
		return -EINVAL;
	}
	return 0;
}

static int get_pic(struct vm *vm, struct kvm_irqchip *chip, uint32_t wires)
{
	struct hvm_hw_vpic record;
	int rc = chips_record_get(vm, HVM_SAVE_CODE(PIC), chip->chip_id, &record, sizeof record);

	if (rc == 0)
		pic_record_to_kvm(&chip->chip.pic, &record, chip->chip_id, wires);
	return rc;
}

static int get_ioapic(struct vm *vm, struct kvm_irqchip *chip, uint32_t levels)
{
	struct hvm_hw_vioapic record;
	int rc = chips_record_get(vm, HVM_SAVE_CODE(IOAPIC), 0, &record, sizeof record);

	if (rc == 0)
		ioapic_record_to_kvm(&chip->chip.ioapic, &record, levels);
	return rc;
}

long interrupts_get_irqchip(struct vm *vm, struct kvm_irqchip *chip)
{
	struct interrupts_private *p = vm->interrupts.private;
	int rc = check(vm, "KVM_GET_IRQCHIP", chip->chip_id);
	uint32_t wires, levels;
	bool ours;

	if (rc < 0)
		return rc;
	interrupts_settle(vm);
	pthread_mutex_lock(&p->lock);
	ours = !interrupts_live(vm) || (p->chips.dirty & (DIRTY_PIC0 << chip->chip_id));
	wires = p->wires & ISA_WIRES;
	levels = line_ioapic_levels(p);
	if (ours && chip->chip_id == KVM_IRQCHIP_IOAPIC) {
		chip->chip.ioapic = p->chips.ioapic;
		chip->chip.ioapic.irr &= ~p->chips.ioapic_delivered;
	} else if (ours) {
		chip->chip.pic = p->chips.pic[chip->chip_id];
	}
	pthread_mutex_unlock(&p->lock);
	if (ours)
		return 0;
	return chip->chip_id == KVM_IRQCHIP_IOAPIC ? get_ioapic(vm, chip, levels)
						   : get_pic(vm, chip, wires);
}

long interrupts_set_irqchip(struct vm *vm, const struct kvm_irqchip *chip)
{
	struct interrupts_private *p = vm->interrupts.private;
	int rc = check(vm, "KVM_SET_IRQCHIP", chip->chip_id);

	if (rc < 0)
		return rc;
	interrupts_settle(vm);
	pthread_mutex_lock(&p->lock);
	p->chips.dirty |= DIRTY_PIC0 << chip->chip_id;
	if (chip->chip_id == KVM_IRQCHIP_IOAPIC)
		chips_ioapic_load(vm, &chip->chip.ioapic);
	else
		p->chips.pic[chip->chip_id] = chip->chip.pic;
	pthread_mutex_unlock(&p->lock);
	atomic_fetch_or(&vm->work, VM_WORK_INTERRUPTS);
	return 0;
}

/* What the VMM's structure has no word for stays as Xen has it. */
static int add_pic(struct vm *vm, struct image *image, unsigned chip)
{
	const struct chips *chips = &vm->interrupts.private->chips;
	struct hvm_hw_vpic record;
	int rc = chips_record_get(vm, HVM_SAVE_CODE(PIC), chip, &record, sizeof record);

	if (rc < 0)
		return rc;
	pic_record_from_kvm(&record, &chips->pic[chip], chip);
	if (message_verbose())
		loss_pic(&chips->pic[chip], chip, loss_tell, NULL);
	image_add(image, HVM_SAVE_CODE(PIC), chip, &record, sizeof record);
	return 0;
}

static int add_ioapic(struct vm *vm, struct image *image)
{
	struct hvm_hw_vioapic record;
	int rc = chips_record_get(vm, HVM_SAVE_CODE(IOAPIC), 0, &record, sizeof record);

	if (rc < 0)
		return rc;
	ioapic_record_from_kvm(&record, &vm->interrupts.private->chips.ioapic);
	if (message_verbose())
		loss_ioapic(&vm->interrupts.private->chips.ioapic, loss_tell, NULL);
	image_add(image, HVM_SAVE_CODE(IOAPIC), 0, &record, sizeof record);
	return 0;
}

static int add_pit(struct vm *vm, struct image *image)
{
	struct hvm_hw_pit record;
	int rc = chips_record_get(vm, HVM_SAVE_CODE(PIT), 0, &record, sizeof record);

	if (rc < 0)
		return rc;
	pit_record_from_kvm(&record, &vm->interrupts.private->chips.pit);
	image_add(image, HVM_SAVE_CODE(PIT), 0, &record, sizeof record);
	return 0;
}

/* lock held. */
static int add_dirty(struct vm *vm, struct image *image)
{
	unsigned dirty = vm->interrupts.private->chips.dirty;
	int rc = 0;

	if (dirty & DIRTY_PIC0)
		rc = add_pic(vm, image, 0);
	if (rc == 0 && (dirty & DIRTY_PIC1))
		rc = add_pic(vm, image, 1);
	if (rc == 0 && (dirty & DIRTY_IOAPIC))
		rc = add_ioapic(vm, image);
	if (rc == 0 && (dirty & DIRTY_PIT))
		rc = add_pit(vm, image);
	return rc;
}

/* The wires as they are, without an edge: the chips' records say which of their edges were taken.
 * The three go together, in this order: each adds to what the one before it counted. lock held. */
static void add_wires(struct vm *vm, struct image *image)
{
	struct interrupts_private *p = vm->interrupts.private;
	struct hvm_hw_pci_irqs pci = {0};
	struct hvm_hw_isa_irqs isa = {0};
	struct hvm_hw_pci_link links = {0};

	p->wires = line_levels(p);
	/* The wires of pins 16 and up are INTx 0-3 of device 0 and 1: bit 4 * device + INTx. */
	pci.pad[0] = p->wires >> ISA_IRQS;
	isa.pad[0] = p->wires & ISA_WIRES;
	image_add(image, HVM_SAVE_CODE(PCI_IRQ), 0, &pci, sizeof pci);
	image_add(image, HVM_SAVE_CODE(ISA_IRQ), 0, &isa, sizeof isa);
	image_add(image, HVM_SAVE_CODE(PCI_LINK), 0, &links, sizeof links);
	p->loaded_irr[0] = p->chips.pic[0].irr;
	p->loaded_irr[1] = p->chips.pic[1].irr;
}

int interrupts_records(struct vm *vm, struct image *image)
{
	struct interrupts_private *p = vm->interrupts.private;
	bool first;
	int rc = 0;

	if (!vm->interrupts.lapic)
		return 0;
	pthread_mutex_lock(&p->lock);
	/* Another domain than the one that we know: that one could not be started. */
	if (atomic_load(&p->live) && p->domid != vm->domid)
		atomic_store(&p->live, false);
	first = !atomic_load(&p->live);
	atomic_store(&p->loading, true);
	if (first && vm->interrupts.irqchip) {
		p->chips.dirty |= DIRTY_PIC0 | DIRTY_PIC1 | DIRTY_IOAPIC;
		add_wires(vm, image);
	}
	if (vm->interrupts.irqchip)
		rc = add_dirty(vm, image);
	if (rc == 0 && !first)
		p->chips.dirty = 0;
	pthread_mutex_unlock(&p->lock);
	return rc;
}

void interrupts_loaded(struct vm *vm)
{
	struct interrupts_private *p = vm->interrupts.private;

	if (!vm->interrupts.lapic)
		return;
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->loading, false);
	line_repeat(vm);
	msi_send_late(vm);
	pthread_mutex_unlock(&p->lock);
}

/* Edges that the library's PIC saw after the image was built, of lines that are low again. */
static void repeat_late_edges(struct vm *vm)
{
	struct interrupts_private *p = vm->interrupts.private;
	const struct device_ops *ops = vm->xen.dev->ops;
	unsigned irq;

	for (irq = 0; irq < ISA_IRQS; irq++) {
		unsigned chip = irq / PIC_PINS, bit = 1u << irq % PIC_PINS;

		if ((p->wires & (1u << irq)) || irq == PIC_CASCADE ||
		    !(p->chips.pic[chip].irr & ~p->loaded_irr[chip] & bit))
			continue;
		ops->isa_irq_set(vm->xen.dev, vm->domid, irq, true);
		ops->isa_irq_set(vm->xen.dev, vm->domid, irq, false);
	}
}

/* What only Xen's own chips need before the domain runs. */
static int start_chips(struct vm *vm)
{
	const struct device_ops *ops = vm->xen.dev->ops;
	unsigned link;
	int rc = 0;

	/* The wires of pins 16 and up must not reach ISA irqs as well. */
	for (link = 0; link < PCI_LINKS && rc == 0; link++)
		rc = ops->pci_link_route(vm->xen.dev, vm->domid, link, 0);
	if (rc == 0 && !vm->interrupts.private->chips.pit_reinject)
		rc = pit_set_timer_mode(vm);
	return rc;
}

int interrupts_materialise(struct vm *vm)
{
	struct interrupts_private *p = vm->interrupts.private;
	int rc = vm->interrupts.irqchip ? start_chips(vm) : 0;

	if (rc < 0 || !vm->interrupts.lapic)
		return rc;
	pthread_mutex_lock(&p->lock);
	if (vm->interrupts.irqchip) {
		line_sync(vm);
		if (atomic_load(&p->loading)) {
			repeat_late_edges(vm);
			p->chips.dirty = 0;
		}
	}
	p->domid = vm->domid;
	atomic_store(&p->live, true);
	atomic_store(&p->loading, false);
	p->risen = 0;
	msi_send_late(vm);
	pthread_mutex_unlock(&p->lock);
	return 0;
}
