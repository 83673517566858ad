/* attributes: KVM_{GET,SET,HAS}_DEVICE_ATTR on /dev/kvm and on vcpus (KVM API 4.79 to 4.81; what
 * they mean there: 4.34 of the vcpu devices page, KVM_VCPU_TSC_CTRL). */
#include <errno.h>
#include <stdint.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/load.h"
#include "libkvmxen/machine/tsc.h"

/* The one there is: the XSAVE components that a guest may be permitted (group 0, attribute 0). */
static bool is_xcomp(const struct kvm_device_attr *attr)
{
	return attr->group == 0 && attr->attr == KVM_X86_XCOMP_GUEST_SUPP;
}

long system_has_attr(const struct kvm_device_attr *attr)
{
	return is_xcomp(attr) ? 0 : -ENXIO;
}

long system_get_attr(const struct kvm_device_attr *attr)
{
	uint64_t xcr0;

	if (!is_xcomp(attr))
		return -ENXIO;
	xcr0 = system_has_xsave() ? system_xcr0() : 0;
	return copy_out((void *)(uintptr_t)attr->addr, &xcr0, sizeof xcr0);
}

static bool is_tsc_offset(const struct kvm_device_attr *attr)
{
	return attr->group == KVM_VCPU_TSC_CTRL && attr->attr == KVM_VCPU_TSC_OFFSET;
}

long vcpu_has_attr(struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	return is_tsc_offset(attr) ? 0 : -ENXIO;
}

/* What the guest's TSC is ahead of the host's. */
long vcpu_get_attr(struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	uint64_t offset;
	long rc;

	if (!is_tsc_offset(attr))
		return -ENXIO;
	rc = load_read(vcpu, STATE_TSC);
	if (rc < 0)
		return rc;
	offset = tsc_offset(vcpu);
	return copy_out((void *)(uintptr_t)attr->addr, &offset, sizeof offset);
}

long vcpu_set_attr(struct vcpu *vcpu, const struct kvm_device_attr *attr)
{
	uint64_t offset;
	long rc;

	if (!is_tsc_offset(attr))
		return -ENXIO;
	if (copy_in(&offset, (void *)(uintptr_t)attr->addr, sizeof offset))
		return -EFAULT;
	rc = load_read(vcpu, STATE_TSC);
	if (rc < 0)
		return rc;
	tsc_offset_set(vcpu, offset);
	return 0;
}
