/*
 * eoi: a split irqchip (KVM_CAP_SPLIT_IRQCHIP): the LAPICs are Xen's, PIC, IOAPIC and PIT the
 * VMM's.
 *
 * The pins of the VMM's IOAPIC are messages. An IOAPIC must hear of the end of a level interrupt
 * (KVM_EXIT_IOAPIC_EOI); but Xen, whose LAPIC takes the guest's EOI, tells no device model. So a
 * vcpu that such a message was sent to asks from time to time, until the vector is neither
 * requested nor in service any more in any LAPIC.
 */
#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "libkvmxen/hot.h"
#include "libkvmxen/message.h"

#define LAPIC_ISR     0x100
#define LAPIC_IRR     0x200
#define VECTOR_STRIDE 16 /* bytes from one word of ISR or IRR to the next */

long interrupts_split_irqchip(struct vm *vm, const struct kvm_enable_cap *cap)
{
	int rc = 0;

	if (cap->args[0] > GSI_LIMIT) {
		message_refused("KVM_CAP_SPLIT_IRQCHIP: %llu pins, at most %d",
				(unsigned long long)cap->args[0], GSI_LIMIT);
		return -EINVAL;
	}
	pthread_mutex_lock(&vm->lock);
	if (vm->interrupts.lapic || atomic_load(&vm->vcpu_count))
		rc = -EEXIST;
	if (rc == 0)
		rc = routing_set_empty(vm);
	if (rc == 0) {
		vm->interrupts.split = cap->args[0];
		vm->interrupts.lapic = true;
	}
	pthread_mutex_unlock(&vm->lock);
	if (rc < 0)
		message_refused("KVM_CAP_SPLIT_IRQCHIP: there is an irqchip or a vcpu");
	return rc;
}

void eoi_expect(struct vm *vm, const struct kvm_msi *msi)
{
	unsigned vector = msi->data & 0xff;
	struct vcpu *vcpu;
	uint64_t one = 1;

	if (!(msi->data & MSI_DATA_LEVEL))
		return;
	vcpu = msi_target(vm, msi);
	if (!vcpu)
		return;
	atomic_fetch_or(&vcpu->eoi[vector / 32], 1u << vector % 32);
	if (write(vcpu->wake_fd, &one, sizeof one) != sizeof one)
		message_debug("vcpu %u is not woken: %s", vcpu->id, strerror(errno));
}

HOT bool interrupts_expect_eoi(struct vcpu *vcpu)
{
	unsigned word;

	if (vcpu->wake_fd < 0)
		return false;
	for (word = 0; word < VECTOR_WORDS; word++)
		if (atomic_load_explicit(&vcpu->eoi[word], memory_order_relaxed))
			return true;
	return false;
}

/* Adds the vectors that are on their way through a vcpu's LAPIC. */
static bool add_busy(struct vcpu *vcpu, uint32_t busy[VECTOR_WORDS])
{
	struct vm *vm = vcpu->vm;
	struct hvm_hw_lapic_regs regs;
	unsigned word;

	if (vm->xen.ctl->ops->context_get_one(vm->xen.ctl, vm->domid, HVM_SAVE_CODE(LAPIC_REGS),
					      vcpu->index, &regs, sizeof regs) < 0)
		return false;
	for (word = 0; word < VECTOR_WORDS; word++) {
		uint32_t isr, irr;

		memcpy(&isr, regs.data + LAPIC_ISR + VECTOR_STRIDE * word, sizeof isr);
		memcpy(&irr, regs.data + LAPIC_IRR + VECTOR_STRIDE * word, sizeof irr);
		busy[word] |= isr | irr;
	}
	return true;
}

bool lapics_busy(struct vm *vm, uint32_t busy[VECTOR_WORDS])
{
	unsigned count = atomic_load(&vm->vcpu_count), i;

	for (i = 0; i < count; i++)
		if (!add_busy(vm->vcpus[i], busy))
			return false;
	return true;
}

int interrupts_ended(struct vcpu *vcpu)
{
	unsigned word;
	uint32_t expected[VECTOR_WORDS], busy[VECTOR_WORDS] = {0};

	/* What is expected is read first: its message was sent before. */
	for (word = 0; word < VECTOR_WORDS; word++)
		expected[word] = atomic_load(&vcpu->eoi[word]);
	/* A lowest-priority or logical message may have gone to any of them. */
	if (!lapics_busy(vcpu->vm, busy))
		return -1;
	for (word = 0; word < VECTOR_WORDS; word++) {
		uint32_t ended = expected[word] & ~busy[word];
		unsigned bit;

		if (!ended)
			continue;
		bit = __builtin_ctz(ended);
		atomic_fetch_and(&vcpu->eoi[word], ~(1u << bit));
		return word * 32 + bit;
	}
	return -1;
}
