#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/cpuid.h"
#include "libkvmxen/message.h"

#define MAX_CPUID_ENTRIES 256 /* KVM_MAX_CPUID_ENTRIES */

/* Takes over entries (malloc'ed). */
static long install(struct vcpu *vcpu, struct kvm_cpuid_entry2 *entries, uint32_t n)
{
	struct vm *vm = vcpu->vm;
	long rc = cpuid_check(entries, n);

	pthread_mutex_lock(&vm->lock);
	if (rc == 0 && vcpu->phase != VCPU_NEW) {
		/* The CPUID monitor reads the table; KVM refuses a change after KVM_RUN as well. */
		if (!cpuid_same(vcpu->cpuid, vcpu->cpuid_count, entries, n)) {
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
	size_t size = vcpu->cpuid_count * sizeof *vcpu->cpuid;

	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	if (head.nent < vcpu->cpuid_count)
		return -E2BIG;
	head.nent = vcpu->cpuid_count;
	if (copy_out((char *)user + sizeof head, vcpu->cpuid, size) ||
	    copy_out(user, &head, sizeof head))
		return -EFAULT;
	return 0;
}
