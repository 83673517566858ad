#include <errno.h>
#include <unistd.h>
#include <string.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/inject.h"
#include "libkvmxen/machine/load.h"
#include "libkvmxen/machine/msr.h"
#include "libkvmxen/machine/window.h"
#include "libkvmxen/message.h"

#define KERNEL_SIGSET      8 /* the kernel's sigset_t */
#define MCG_CTL_P          (1ull << 8)
#define MCG_SER_P          (1ull << 24)
#define MCI_STATUS_VAL     (1ull << 63)
#define MCI_STATUS_OVER    (1ull << 62)
#define MCI_STATUS_UC      (1ull << 61)
#define MCG_STATUS_MCIP    (1ull << 2)
#define CR4_MCE            (1ull << 6)
#define VECTOR_MC          18
#define MCE_BANK_REGISTERS 4

static void forget_signal_mask(struct vcpu *vcpu)
{
	if (vcpu->sigfd >= 0)
		close(vcpu->sigfd);
	vcpu->sigfd = -1;
	vcpu->has_sigmask = false;
}

long vcpu_set_signal_mask(struct vcpu *vcpu, void *user)
{
	struct kvm_signal_mask head;
	uint64_t bits;
	int i;

	if (!user) {
		forget_signal_mask(vcpu);
		return 0;
	}
	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	if (head.len != KERNEL_SIGSET)
		return -EINVAL;
	if (copy_in(&bits, (char *)user + sizeof head, sizeof bits))
		return -EFAULT;
	forget_signal_mask(vcpu);
	sigemptyset(&vcpu->sigmask);
	for (i = 1; i < NSIG; i++)
		if (bits >> (i - 1) & 1)
			sigaddset(&vcpu->sigmask, i);
	vcpu->has_sigmask = true;
	return 0;
}

long vcpu_interrupt(struct vcpu *vcpu, const struct kvm_interrupt *irq)
{
	if (irq->irq >= 256)
		return -EINVAL;
	if (vcpu->vm->interrupts.irqchip)
		return -ENXIO;
	/* With a LAPIC in the kernel it is the vector of a PIC that waits for its turn. */
	if (vcpu->vm->interrupts.lapic && vcpu->injecting != INJECT_NONE)
		return -EEXIST;
	vcpu->injecting = irq->irq;
	if (vcpu->state.known & STATE_EVENTS)
		inject_show(vcpu);
	vcpu->window_looks = WINDOW_FOLLOWED;
	return 0;
}

long vcpu_nmi(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	if (vm_live(vm) && vcpu->phase != VCPU_NEW)
		return vm->xen.ctl->ops->vcpu_nmi(vm->xen.ctl, vm->domid, vcpu->index);
	vcpu->state.events.nmi.injected = 1;
	vcpu->state.dirty |= STATE_EVENTS;
	return 0;
}

long vcpu_get_tsc_khz(struct vcpu *vcpu)
{
	return vm_get_tsc_khz(vcpu->vm);
}

long vcpu_set_tsc_khz(struct vcpu *vcpu, unsigned long khz)
{
	return vm_set_tsc_khz(vcpu->vm, khz);
}

/* Accepted as KVM does with a LAPIC in the kernel: what they ask for never happens there either. */
long vcpu_set_vapic_addr(struct vcpu *vcpu, void *user)
{
	struct kvm_vapic_addr at;

	if (!vcpu->vm->interrupts.lapic)
		return -EINVAL;
	if (copy_in(&at, user, sizeof at))
		return -EFAULT;
	if (at.vapic_addr && !memory_at(vcpu->vm, at.vapic_addr, sizeof(uint32_t), NULL))
		return -EINVAL;
	return 0;
}

long vcpu_tpr_access_reporting(struct vcpu *vcpu, struct kvm_tpr_access_ctl *ctl)
{
	return ctl->flags ? -EINVAL : 0;
}

static unsigned mce_banks(const struct vcpu *vcpu)
{
	return vcpu->state.msrs[MSR_ROW_MCG_CAP] & 0xff;
}

long vcpu_setup_mce(struct vcpu *vcpu, const uint64_t *mcg_cap)
{
	unsigned banks = *mcg_cap & 0xff, i;

	if (banks == 0 || banks > MSR_MCE_BANKS)
		return -EINVAL;
	if (*mcg_cap & ~(MCG_CTL_P | MCG_SER_P | 0xff | 0xff0000))
		return -EINVAL;
	vcpu->state.msrs[MSR_ROW_MCG_CAP] = *mcg_cap;
	if (*mcg_cap & MCG_CTL_P)
		vcpu->state.msrs[MSR_ROW_MCG_CTL] = ~0ull;
	for (i = 0; i < banks; i++)
		vcpu->state.msrs[MSR_ROW_MC0_CTL + i * MCE_BANK_REGISTERS] = ~0ull;
	return 0;
}

/* The banks are the library's: Xen's own machine check MSRs are what the guest reads. The exception
 * of an uncorrected error does reach it. */
long vcpu_set_mce(struct vcpu *vcpu, const struct kvm_x86_mce *mce)
{
	uint64_t *bank;
	long rc;

	if (mce->bank >= mce_banks(vcpu) || !(mce->status & MCI_STATUS_VAL))
		return -EINVAL;
	rc = load_read(vcpu, STATE_ALL);
	if (rc < 0)
		return rc;
	bank = &vcpu->state.msrs[MSR_ROW_MC0_CTL + mce->bank * MCE_BANK_REGISTERS];
	if (bank[0] != ~0ull)
		return 0;
	if (!(mce->status & MCI_STATUS_UC)) {
		bank[1] = mce->status | (bank[1] & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0);
	} else {
		if (vcpu->state.msrs[MSR_ROW_MCG_CTL] != ~0ull &&
		    (vcpu->state.msrs[MSR_ROW_MCG_CAP] & MCG_CTL_P))
			return 0;
		bank[1] = mce->status;
		vcpu->state.msrs[MSR_ROW_MCG_STATUS] = mce->mcg_status;
		if (vcpu->state.sregs.cr4 & CR4_MCE) {
			vcpu->state.events.exception.injected = 1;
			vcpu->state.events.exception.nr = VECTOR_MC;
			vcpu->state.dirty |= STATE_EVENTS;
		}
	}
	bank[2] = mce->addr;
	bank[3] = mce->misc;
	vcpu->state.dirty |= STATE_MSRS;
	return 0;
}
