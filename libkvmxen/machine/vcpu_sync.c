/*
 * vcpu_sync: KVM_CAP_SYNC_REGS, registers in the vcpu's mapping instead of ioctls. What the VMM
 * reads there costs what the ioctls cost, so nothing is done unless it asks.
 */
#include <errno.h>

#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/hot.h"
#include "libkvmxen/message.h"

static bool known(uint64_t fields)
{
	return !(fields & ~(uint64_t)KVM_SYNC_X86_VALID_FIELDS);
}

/* The page is the VMM's to write at any time: each structure is copied before it is looked at. */
static long set_dirty(struct vcpu *vcpu, uint64_t dirty)
{
	volatile struct kvm_run *page = vcpu->run;
	long rc = 0;

	if (dirty & KVM_SYNC_X86_REGS) {
		struct kvm_regs regs = page->s.regs.regs;

		rc = vcpu_set_regs(vcpu, &regs);
		page->kvm_dirty_regs &= ~(uint64_t)KVM_SYNC_X86_REGS;
	}
	if (rc == 0 && (dirty & KVM_SYNC_X86_SREGS)) {
		struct kvm_sregs sregs = page->s.regs.sregs;

		rc = vcpu_set_sregs(vcpu, &sregs);
		if (rc == 0)
			page->kvm_dirty_regs &= ~(uint64_t)KVM_SYNC_X86_SREGS;
	}
	if (rc == 0 && (dirty & KVM_SYNC_X86_EVENTS)) {
		struct kvm_vcpu_events events = page->s.regs.events;

		rc = vcpu_set_events(vcpu, &events);
		if (rc == 0)
			page->kvm_dirty_regs &= ~(uint64_t)KVM_SYNC_X86_EVENTS;
	}
	return rc;
}

HOT long vcpu_sync_in(struct vcpu *vcpu)
{
	uint64_t valid = vcpu->run->kvm_valid_regs, dirty = vcpu->run->kvm_dirty_regs;

	if (!(valid | dirty))
		return 0;
	if (!known(valid) || !known(dirty)) {
		message_refused(
			"KVM_RUN: vcpu %u: kvm_valid_regs %#llx or kvm_dirty_regs %#llx has "
			"bits that KVM_CAP_SYNC_REGS does not name",
			vcpu->id, (unsigned long long)valid, (unsigned long long)dirty);
		return -EINVAL;
	}
	return dirty ? set_dirty(vcpu, dirty) : 0;
}

void vcpu_sync_out(struct vcpu *vcpu)
{
	uint64_t valid = vcpu->run->kvm_valid_regs;
	struct kvm_sync_regs *to = &vcpu->run->s.regs;

	/* A failure to read has been told; the page then has what is known. */
	if (valid & KVM_SYNC_X86_REGS)
		vcpu_get_regs(vcpu, &to->regs);
	if (valid & KVM_SYNC_X86_SREGS)
		vcpu_get_sregs(vcpu, &to->sregs);
	if (valid & KVM_SYNC_X86_EVENTS)
		vcpu_get_events(vcpu, &to->events);
}
