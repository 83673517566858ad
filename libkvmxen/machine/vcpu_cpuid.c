#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/cpuid.h"
#include "libkvmxen/machine/load.h"
#include "libkvmxen/message.h"

#define MAX_CPUID_ENTRIES 256 /* KVM_MAX_CPUID_ENTRIES */
#define APICBASE_ENABLE   (1u << 11)

/* What a table's dynamic bits follow. 0 or -errno. */
static long dynamic_of(struct vcpu *vcpu, struct cpuid_dynamic *dynamic)
{
	const struct vcpu_state *state = &vcpu->state;
	long rc = load_read(vcpu, STATE_SREGS | STATE_XSAVE | STATE_LAPIC);

	*dynamic = (struct cpuid_dynamic){
		.cr4 = state->sregs.cr4,
		.xcr0 = state->xcr0,
		.apic_enabled = state->sregs.apic_base & APICBASE_ENABLE,
	};
	return rc;
}

/* The vcpu's table as the guest sees it now, malloc'ed. */
static struct kvm_cpuid_entry2 *seen(const struct vcpu *vcpu, const struct cpuid_dynamic *dynamic)
{
	struct kvm_cpuid_entry2 *entries = calloc(vcpu->cpuid_count + 1, sizeof *entries);

	if (!entries)
		return NULL;
	if (vcpu->cpuid_count)
		memcpy(entries, vcpu->cpuid, vcpu->cpuid_count * sizeof *entries);
	cpuid_follow(entries, vcpu->cpuid_count, dynamic);
	return entries;
}

/* Is it the table that the vcpu has? Makes it as the guest would see it. */
static bool is_same(const struct vcpu *vcpu, const struct cpuid_dynamic *dynamic,
		    struct kvm_cpuid_entry2 *entries, uint32_t n)
{
	struct kvm_cpuid_entry2 *now = seen(vcpu, dynamic);
	bool same;

	cpuid_follow(entries, n, dynamic);
	same = now && cpuid_same(now, vcpu->cpuid_count, entries, n);
	free(now);
	return same;
}

/* Takes over entries (malloc'ed). */
static long install(struct vcpu *vcpu, struct kvm_cpuid_entry2 *entries, uint32_t n)
{
	struct vm *vm = vcpu->vm;
	struct cpuid_dynamic dynamic = {0};
	long rc = cpuid_check(entries, n);

	if (rc == 0 && vcpu->phase != VCPU_NEW)
		rc = dynamic_of(vcpu, &dynamic);
	pthread_mutex_lock(&vm->lock);
	if (rc == 0 && vcpu->phase != VCPU_NEW) {
		/* The CPUID monitor reads the table; KVM refuses a change after KVM_RUN as well. */
		if (!is_same(vcpu, &dynamic, entries, n)) {
			message_refused("KVM_SET_CPUID2: vcpu %u: another table after the first "
					"KVM_RUN",
					vcpu->id);
			rc = -EINVAL;
		}
		free(entries);
	} else if (rc == 0) {
		free(vcpu->cpuid);
		vcpu->cpuid = entries;
		vcpu->cpuid_count = n;
	} else {
		free(entries);
	}
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

long vcpu_set_cpuid2(struct vcpu *vcpu, void *user)
{
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 *entries;

	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	if (head.nent > MAX_CPUID_ENTRIES)
		return -E2BIG;
	entries = calloc(head.nent + 1, sizeof *entries);
	if (!entries)
		return -ENOMEM;
	if (copy_in(entries, (char *)user + sizeof head, head.nent * sizeof *entries)) {
		free(entries);
		return -EFAULT;
	}
	return install(vcpu, entries, head.nent);
}

long vcpu_set_cpuid(struct vcpu *vcpu, void *user)
{
	struct kvm_cpuid head;
	struct kvm_cpuid_entry *old;
	struct kvm_cpuid_entry2 *entries;
	uint32_t i;

	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	if (head.nent > MAX_CPUID_ENTRIES)
		return -E2BIG;
	old = calloc(head.nent + 1, sizeof *old);
	entries = calloc(head.nent + 1, sizeof *entries);
	if (!old || !entries || copy_in(old, (char *)user + sizeof head, head.nent * sizeof *old)) {
		long rc = old && entries ? -EFAULT : -ENOMEM;

		free(old);
		free(entries);
		return rc;
	}
	for (i = 0; i < head.nent; i++) {
		entries[i].function = old[i].function;
		entries[i].eax = old[i].eax;
		entries[i].ebx = old[i].ebx;
		entries[i].ecx = old[i].ecx;
		entries[i].edx = old[i].edx;
	}
	free(old);
	return install(vcpu, entries, head.nent);
}

long vcpu_get_cpuid2(struct vcpu *vcpu, void *user)
{
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 *entries;
	struct cpuid_dynamic dynamic;
	long rc;

	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	if (head.nent < vcpu->cpuid_count)
		return -E2BIG;
	rc = dynamic_of(vcpu, &dynamic);
	if (rc < 0)
		return rc;
	entries = seen(vcpu, &dynamic);
	if (!entries)
		return -ENOMEM;
	head.nent = vcpu->cpuid_count;
	if (copy_out((char *)user + sizeof head, entries, head.nent * sizeof *entries) ||
	    copy_out(user, &head, sizeof head))
		rc = -EFAULT;
	free(entries);
	return rc;
}
