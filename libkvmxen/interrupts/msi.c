#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

#include "libkvmxen/message.h"

/* The message: Intel SDM 3A, 11.11. KVM looks at the destination alone, not at the upper bits. */
#define ADDRESS_DEST(lo)  (((lo) >> 12) & 0xff)
#define ADDRESS_LOGICAL   (1u << 2)
#define DATA_VECTOR(data) ((data)&0xff)
#define DATA_MODE(data)   (((data) >> 8) & 7)
#define DATA_LEVEL        MSI_DATA_LEVEL
#define MODE_FIXED        0
#define MODE_LOWEST       1
#define MODE_SMI          2
#define MODE_EXTINT       7
#define DEST_ALL          0xff

/* The registers of an xAPIC page. */
#define LAPIC_ID        0x20
#define LAPIC_LDR       0xd0
#define LAPIC_DFR       0xe0
#define LAPIC_SPIV      0xf0
#define LAPIC_TMR       0x180
#define LAPIC_IRR       0x200
#define SPIV_ENABLED    0x100
#define DFR_FLAT        0xf /* in the top four bits */
#define APICBASE_ENABLE (1u << 11)

/* IRR and TMR are set with atomic operations: the vcpu's own thread may read them meanwhile. */
_Static_assert(offsetof(struct vcpu_state, lapic) % sizeof(uint32_t) == 0,
	       "LAPIC registers are aligned");

static uint32_t *lapic_reg(struct vcpu *vcpu, unsigned offset)
{
	return (uint32_t *)(void *)(vcpu->state.lapic.regs + offset);
}

static uint32_t lapic_get(struct vcpu *vcpu, unsigned offset)
{
	return __atomic_load_n(lapic_reg(vcpu, offset), __ATOMIC_RELAXED);
}

/* The library's LAPIC is what the vcpu will run with. */
static bool lapic_is_ours(const struct vcpu *vcpu)
{
	return !interrupts_live(vcpu->vm) ||
	       (__atomic_load_n(&vcpu->state.dirty, __ATOMIC_RELAXED) & STATE_LAPIC);
}

static bool lapic_enabled(struct vcpu *vcpu)
{
	return (vcpu->state.sregs.apic_base & APICBASE_ENABLE) &&
	       (lapic_get(vcpu, LAPIC_SPIV) & SPIV_ENABLED);
}

static bool lapic_matches(struct vcpu *vcpu, bool ours, const struct kvm_msi *msi)
{
	uint32_t dest = ADDRESS_DEST(msi->address_lo);
	uint32_t id = ours ? lapic_get(vcpu, LAPIC_ID) >> 24 : vcpu->id, ldr;

	if (dest == DEST_ALL)
		return true;
	if (!(msi->address_lo & ADDRESS_LOGICAL))
		return dest == id;
	/* The guest has set its logical ids up inside Xen: somebody will match. */
	if (!ours)
		return true;
	ldr = lapic_get(vcpu, LAPIC_LDR) >> 24;
	if (lapic_get(vcpu, LAPIC_DFR) >> 28 == DFR_FLAT)
		return ldr & dest;
	return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
}

/* Xen's LAPIC tells only when it is asked, which stops the vcpu for a moment: so until it has been
 * seen switched on, and not for each message. */
static bool lapic_seen_on(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct hvm_hw_lapic record;

	if (atomic_load_explicit(&vcpu->lapic_on, memory_order_relaxed))
		return true;
	if (vm->xen.ctl->ops->context_get_one(vm->xen.ctl, vm->domid, HVM_SAVE_CODE(LAPIC),
					      vcpu->index, &record, sizeof record) < 0)
		return true;
	if (!record.disabled)
		atomic_store_explicit(&vcpu->lapic_on, true, memory_order_relaxed);
	return !record.disabled;
}

/* Does it count as delivered? KVM's __apic_accept_irq. */
static bool lapic_takes(struct vcpu *vcpu, bool ours, unsigned mode)
{
	switch (mode) {
	case MODE_FIXED:
	case MODE_LOWEST:
		return ours ? lapic_enabled(vcpu) : lapic_seen_on(vcpu);
	case MODE_SMI:
	case MODE_EXTINT:
		return false;
	default:
		return true;
	}
}

static void lapic_accept(struct vcpu *vcpu, const struct kvm_msi *msi)
{
	unsigned vector = DATA_VECTOR(msi->data), word = vector / 32 * 16;
	uint32_t bit = 1u << vector % 32;

	if (msi->data & DATA_LEVEL)
		__atomic_fetch_or(lapic_reg(vcpu, LAPIC_TMR + word), bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(lapic_reg(vcpu, LAPIC_TMR + word), ~bit, __ATOMIC_RELAXED);
	__atomic_fetch_or(lapic_reg(vcpu, LAPIC_IRR + word), bit, __ATOMIC_RELAXED);
}

/* What Xen's inject_msi takes: other modes are refused with a line in its log, and vector 0 would
 * make it allocate a pirq. */
static bool msi_is_plain(const struct kvm_msi *msi)
{
	unsigned mode = DATA_MODE(msi->data);

	return (mode == MODE_FIXED || mode == MODE_LOWEST) && DATA_VECTOR(msi->data) != 0;
}

/* Without an IOAPIC of its own Xen has nobody to tell of the end of a level interrupt, and must not
 * try: the vcpu gets an edge. */
static void msi_inject(struct vm *vm, const struct kvm_msi *msi)
{
	uint64_t address = (uint64_t)msi->address_hi << 32 | msi->address_lo;
	uint32_t data = vm->interrupts.irqchip ? msi->data : msi->data & ~DATA_LEVEL;
	int rc = vm->xen.dev->ops->msi_inject(vm->xen.dev, vm->domid, address, data);

	atomic_fetch_add(&vm->interrupts.private->given, 1);
	if (rc < 0)
		message_debug("MSI %#llx %#x: Xen does not take it: %s",
			      (unsigned long long)address, msi->data, strerror(-rc));
}

/* The image with the LAPICs may be on its way already: given to Xen again once it is loaded, and
 * setting a bit of an IRR twice is setting it once. `lock` held. */
static void msi_remember(struct interrupts_private *p, const struct kvm_msi *msi)
{
	struct kvm_msi *late = realloc(p->late, (p->late_count + 1) * sizeof *late);

	if (!late)
		return;
	p->late = late;
	late[p->late_count++] = *msi;
}

/* To a domain that is there. What an image that is being made does not have yet was given to Xen
 * either before `loading` was set, and then the image's LAPIC has the bit, or is remembered. */
static void msi_give(struct vm *vm, const struct kvm_msi *msi, bool locked)
{
	struct interrupts_private *p = vm->interrupts.private;

	msi_inject(vm, msi);
	if (!atomic_load(&p->loading))
		return;
	if (!locked)
		pthread_mutex_lock(&p->lock);
	if (atomic_load(&p->loading))
		msi_remember(p, msi);
	else
		msi_inject(vm, msi);
	if (!locked)
		pthread_mutex_unlock(&p->lock);
}

struct vcpu *msi_target(struct vm *vm, const struct kvm_msi *msi)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;

	for (i = 0; i < count; i++)
		if (lapic_matches(vm->vcpus[i], lapic_is_ours(vm->vcpus[i]), msi))
			return vm->vcpus[i];
	return NULL;
}

static int msi_deliver(struct vm *vm, const struct kvm_msi *msi, bool locked)
{
	struct interrupts_private *p = vm->interrupts.private;
	unsigned count = atomic_load(&vm->vcpu_count), i;
	bool plain = msi_is_plain(msi);
	int taken = 0;

	for (i = 0; i < count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];
		bool ours = lapic_is_ours(vcpu);

		if (!lapic_matches(vcpu, ours, msi) ||
		    !lapic_takes(vcpu, ours, DATA_MODE(msi->data)))
			continue;
		taken++;
		if (ours && plain)
			lapic_accept(vcpu, msi);
		if (DATA_MODE(msi->data) == MODE_LOWEST)
			break;
	}
	if (!plain)
		message_debug("MSI %#x %#x: only fixed and lowest-priority vectors from 1 reach "
			      "a guest of Xen",
			      msi->address_lo, msi->data);
	else if (interrupts_live(vm))
		msi_give(vm, msi, locked);
	else if (atomic_load(&p->loading))
		msi_remember(p, msi);
	return taken;
}

int msi_send(struct vm *vm, const struct kvm_msi *msi, bool locked)
{
	struct interrupts_private *p = vm->interrupts.private;
	int taken;

	/* Live for good: the common case needs no lock. */
	if (locked || interrupts_live(vm))
		return msi_deliver(vm, msi, locked);
	pthread_mutex_lock(&p->lock);
	taken = msi_deliver(vm, msi, true);
	pthread_mutex_unlock(&p->lock);
	return taken;
}

void msi_send_late(struct vm *vm)
{
	struct interrupts_private *p = vm->interrupts.private;
	unsigned i;

	for (i = 0; i < p->late_count; i++)
		msi_inject(vm, &p->late[i]);
	free(p->late);
	p->late = NULL;
	p->late_count = 0;
}

long interrupts_signal_msi(struct vm *vm, const struct kvm_msi *msi)
{
	if (!vm->interrupts.lapic) {
		message_refused("KVM_SIGNAL_MSI: without KVM_CREATE_IRQCHIP");
		return -EINVAL;
	}
	if (msi->flags & ~KVM_MSI_VALID_DEVID) {
		message_refused("KVM_SIGNAL_MSI: unknown flags %#x", msi->flags);
		return -EINVAL;
	}
	/* KVM's "nobody there", which comes out of the ioctl as an errno. */
	if (atomic_load(&vm->vcpu_count) == 0)
		return -EPERM;
	return msi_send(vm, msi, false);
}
