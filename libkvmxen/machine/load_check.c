/* load_check: states that KVM takes and Xen would refuse, found and named before they are loaded.
 */
#include <errno.h>
#include <stdlib.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/convert/refusal.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/load.h"
#include "libkvmxen/message.h"

#define XSAVE_RECORD_MAX (sizeof(struct hvm_hw_cpu_xsave) + sizeof(struct kvm_xsave))

/* 1: refused; 0; -errno. */
static int look(const struct vcpu_state *state, struct refusal *refusal)
{
	const struct control_cpuid *host;
	struct hvm_hw_cpu cpu = {0};
	uint8_t *area;
	size_t length;
	uint32_t n;
	int rc = system_host_leaves(&host, &n);

	if (rc < 0)
		return rc;
	cpu_record_from_state(&cpu, state);
	if (cpu_record_refused(&cpu, host, n, refusal))
		return 1;
	if (!system_has_xsave())
		return 0;
	area = calloc(1, XSAVE_RECORD_MAX);
	if (!area)
		return -ENOMEM;
	length = xsave_record_from_state(area, XSAVE_RECORD_MAX, state);
	rc = xsave_record_refused(area, length, host, n, refusal);
	free(area);
	return rc;
}

int load_check(const struct vcpu *vcpu, const struct vcpu_state *state)
{
	struct refusal refusal;
	int rc = look(state, &refusal);

	if (rc <= 0)
		return rc;
	message_error("KVM_RUN: vcpu %u: Xen takes no %s of %#llx: its guests on this host cannot "
		      "have the bits %#llx",
		      vcpu->id, refusal.field, (unsigned long long)refusal.value,
		      (unsigned long long)refusal.bits);
	return -EINVAL;
}

int load_check_first(struct vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;
	int rc = 0;

	for (i = 0; i < count && rc == 0; i++)
		rc = load_check(vm->vcpus[i], &vm->vcpus[i]->state);
	return rc;
}
