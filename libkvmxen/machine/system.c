/* system: the ioctls of /dev/kvm itself that answer from tables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/check.h"
#include "libkvmxen/machine/cpuid.h"
#include "libkvmxen/machine/msr.h"

#define MAX_CPUID_ENTRIES 256
#define MAX_IO_MSRS       256
#define CPUID1_ECX_XSAVE  (1u << 26)
#define MCG_CTL_P         (1ull << 8)
#define MCG_SER_P         (1ull << 24)

/* The count goes out in any case: a VMM learns from it how much room it needs. */
static long msr_list(void *user, uint32_t (*list)(uint32_t *, uint32_t))
{
	struct kvm_msr_list head;
	uint32_t room, indices[MAX_IO_MSRS];

	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	room = head.nmsrs;
	head.nmsrs = list(indices, MAX_IO_MSRS);
	if (copy_out(user, &head, sizeof head))
		return -EFAULT;
	if (room < head.nmsrs)
		return -E2BIG;
	return copy_out((char *)user + sizeof head, indices, head.nmsrs * sizeof *indices);
}

long system_get_msr_index_list(void *user)
{
	return msr_list(user, msr_index_list);
}

long system_get_msr_feature_index_list(void *user)
{
	return msr_list(user, msr_feature_list);
}

long system_get_msrs(void *user)
{
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
	char *at = (char *)user + sizeof head;
	uint32_t i;

	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	if (head.nmsrs >= MAX_IO_MSRS)
		return -E2BIG;
	for (i = 0; i < head.nmsrs; i++, at += sizeof entry) {
		uint64_t value;

		if (copy_in(&entry, at, sizeof entry))
			return -EFAULT;
		if (msr_feature_get(entry.index, &value) < 0)
			break;
		entry.data = value;
		if (copy_out(at, &entry, sizeof entry))
			return -EFAULT;
	}
	return i;
}

/* Xen's leaves do not change while we run: asked once. */
long system_host_leaves(const struct control_cpuid **leaves, uint32_t *n)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct control_cpuid kept[512];
	static uint32_t count;
	struct xen xen;
	long rc = 0;

	pthread_mutex_lock(&lock);
	if (count == 0) {
		uint32_t room = sizeof kept / sizeof *kept;

		rc = xen_open(&xen);
		if (rc == 0)
			rc = xen.ctl->ops->cpuid_host(xen.ctl, kept, &room);
		if (rc == 0) {
			xsave_layout_learn(kept, room);
			count = room;
		}
	}
	*leaves = kept;
	*n = count;
	pthread_mutex_unlock(&lock);
	return rc;
}

long system_get_supported_cpuid(void *user)
{
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 *entries;
	const struct control_cpuid *host;
	uint32_t n, room;
	long rc;

	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	rc = system_host_leaves(&host, &n);
	if (rc < 0)
		return rc;
	room = head.nent < MAX_CPUID_ENTRIES ? head.nent : MAX_CPUID_ENTRIES;
	entries = calloc(room + 1, sizeof *entries);
	if (!entries)
		return -ENOMEM;
	rc = cpuid_supported(host, n, entries, &room);
	if (rc == 0) {
		head.nent = room;
		if (copy_out((char *)user + sizeof head, entries, room * sizeof *entries) ||
		    copy_out(user, &head, sizeof head))
			rc = -EFAULT;
	}
	free(entries);
	return rc;
}

static int supported(struct kvm_cpuid_entry2 *entries, uint32_t *count)
{
	const struct control_cpuid *host;
	uint32_t n;

	return system_host_leaves(&host, &n) < 0 ? -EIO : cpuid_supported(host, n, entries, count);
}

uint64_t system_xcr0(void)
{
	struct kvm_cpuid_entry2 entries[MAX_CPUID_ENTRIES];
	uint32_t count = MAX_CPUID_ENTRIES;

	if (supported(entries, &count) < 0)
		return STATE_XSTATE_FP | STATE_XSTATE_SSE;
	return cpuid_xcr0(entries, count) | STATE_XSTATE_FP | STATE_XSTATE_SSE;
}

uint64_t system_cr4(void)
{
	struct kvm_cpuid_entry2 entries[MAX_CPUID_ENTRIES];
	uint32_t count = MAX_CPUID_ENTRIES;

	return supported(entries, &count) < 0 ? ~0ull : cr4_of_cpuid(entries, count);
}

bool system_has_xsave(void)
{
	const struct control_cpuid *host;
	uint32_t n, i;

	if (system_host_leaves(&host, &n) < 0)
		return false;
	for (i = 0; i < n; i++)
		if (host[i].leaf == 1)
			return host[i].ecx & CPUID1_ECX_XSAVE;
	return false;
}

/* KVM promises to find uses for the padding here, and so refuses what is in it. */
static long padding_is_zero(const char *entries, uint32_t n)
{
	struct kvm_cpuid_entry2 entry;
	uint32_t i;

	for (i = 0; i < n && i < MAX_CPUID_ENTRIES; i++) {
		if (copy_in(&entry, entries + i * sizeof entry, sizeof entry))
			return -EFAULT;
		if (entry.padding[0] || entry.padding[1] || entry.padding[2])
			return -EINVAL;
	}
	return 0;
}

/* Nothing is emulated that is not supported; but KVM always names these, with no feature in them.
 */
long system_get_emulated_cpuid(void *user)
{
	static const struct kvm_cpuid_entry2 entries[] = {
		{.function = 0, .eax = 7},
		{.function = 1, .ecx = 1u << 22}, /* MOVBE */
		{.function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX},
	};
	const uint32_t n = sizeof entries / sizeof *entries;
	struct kvm_cpuid2 head;
	long rc;

	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	if (head.nent < n)
		return -E2BIG;
	rc = padding_is_zero((char *)user + sizeof head, head.nent);
	if (rc < 0)
		return rc;
	head.nent = n;
	if (copy_out((char *)user + sizeof head, entries, sizeof entries) ||
	    copy_out(user, &head, sizeof head))
		return -EFAULT;
	return 0;
}

long system_get_mce_cap(uint64_t *mcg_cap)
{
	*mcg_cap = MCG_CTL_P | MCG_SER_P;
	return 0;
}
