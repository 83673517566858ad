/* filters: KVM_X86_SET_MSR_FILTER (KVM API 4.97) and KVM_SET_PMU_EVENT_FILTER (4.120). */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/message.h"

#define MSR_FILTER_FLAGS      KVM_MSR_FILTER_DEFAULT_DENY
#define MSR_FILTER_BITMAP_MAX 0x600 /* bytes: KVM's own */
#define PMU_EVENTS_MAX        300   /* KVM's own */

/* 1: every MSR of the range is allowed; 0: some is not; or -errno. */
static long range_allows_all(const struct kvm_msr_filter_range *range)
{
	const uint32_t known = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE;
	uint8_t bitmap[MSR_FILTER_BITMAP_MAX];
	size_t size = ((size_t)range->nmsrs + 63) / 64 * 8;
	uint32_t i;

	if (!range->nmsrs)
		return 1;
	if (!range->flags || (range->flags & ~known) || size > sizeof bitmap)
		return -EINVAL;
	if (copy_in(bitmap, range->bitmap, size))
		return -EFAULT;
	for (i = 0; i < range->nmsrs; i++)
		if (!(bitmap[i / 8] >> i % 8 & 1))
			return 0;
	return 1;
}

/* A filter that allows everything is what Xen does anyway; any other cannot be. */
long vm_set_msr_filter(struct vm *vm, const struct kvm_msr_filter *filter)
{
	bool empty = true, all = true;
	unsigned i;

	if (filter->flags & ~(uint32_t)MSR_FILTER_FLAGS)
		return -EINVAL;
	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++)
		empty &= !filter->ranges[i].nmsrs;
	if (empty && (filter->flags & KVM_MSR_FILTER_DEFAULT_DENY))
		return -EINVAL;
	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		long rc = range_allows_all(&filter->ranges[i]);

		if (rc < 0)
			return rc;
		all &= rc;
	}
	if (all && !(filter->flags & KVM_MSR_FILTER_DEFAULT_DENY))
		return 0;
	message_error("KVM_X86_SET_MSR_FILTER: no MSR can be denied: Xen tells no device model of "
		      "MSR accesses");
	return -EINVAL;
}

/* The guest has no PMU (Xen's vpmu is off for it), so whatever is filtered out of it is. */
long vm_set_pmu_event_filter(struct vm *vm, void *user)
{
	struct kvm_pmu_event_filter head;
	uint64_t events[PMU_EVENTS_MAX];

	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	if (head.action != KVM_PMU_EVENT_ALLOW && head.action != KVM_PMU_EVENT_DENY)
		return -EINVAL;
	if (head.flags)
		return -EINVAL;
	if (head.nevents > PMU_EVENTS_MAX)
		return -E2BIG;
	return copy_in(events, (char *)user + sizeof head, head.nevents * sizeof *events);
}
