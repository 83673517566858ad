/* CPUID: what Xen offers to HVM guests on this host, and the policy of one domain. */
#include "libkvmxen/xen/direct_private.h"

#include <stdlib.h>

#include <xenguest.h>
#include <xen/arch-x86/cpuid.h>
#include <xen/sysctl.h>

#include "libkvmxen/message.h"

_Static_assert(CONTROL_CPUID_NO_SUBLEAF == XEN_CPUID_NO_SUBLEAF, "the same leaves");

int direct_cpuid_host(struct control *ctl, struct control_cpuid *leaves, uint32_t *n)
{
	xc_interface *xc = direct_xc(ctl);
	xen_cpuid_leaf_t *raw = NULL;
	xc_cpu_policy_t *policy = NULL;
	uint32_t count, msrs;
	int rc;

	rc = direct_result(xc_cpu_policy_get_size(xc, &count, &msrs));
	if (rc < 0)
		return rc;
	raw = calloc(count, sizeof(*raw));
	policy = xc_cpu_policy_init();
	if (!raw || !policy) {
		rc = -ENOMEM;
		goto out;
	}
	rc = direct_result(xc_cpu_policy_get_system(xc, XEN_SYSCTL_cpu_policy_hvm_default, policy));
	if (rc < 0)
		goto out;
	msrs = 0;
	rc = direct_result(xc_cpu_policy_serialise(xc, policy, raw, &count, NULL, &msrs));
	if (rc < 0)
		goto out;
	rc = count > *n ? -ENOBUFS : 0;
	*n = count;
	for (uint32_t i = 0; !rc && i < count; i++)
		leaves[i] = (struct control_cpuid){
			.leaf = raw[i].leaf,
			.subleaf = raw[i].subleaf,
			.eax = raw[i].a,
			.ebx = raw[i].b,
			.ecx = raw[i].c,
			.edx = raw[i].d,
		};
out:
	if (policy)
		xc_cpu_policy_destroy(policy);
	free(raw);
	return rc;
}

int direct_cpuid_set(struct control *ctl, uint16_t domid, const struct control_cpuid *leaves,
		     uint32_t n)
{
	uint32_t leaf = ~0u, subleaf = ~0u, msr = ~0u;
	xen_cpuid_leaf_t *raw;
	int rc;

	raw = calloc(n ? n : 1, sizeof(*raw));
	if (!raw)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		raw[i] = (xen_cpuid_leaf_t){
			.leaf = leaves[i].leaf,
			.subleaf = leaves[i].subleaf,
			.a = leaves[i].eax,
			.b = leaves[i].ebx,
			.c = leaves[i].ecx,
			.d = leaves[i].edx,
		};
	rc = direct_result(xc_set_domain_cpu_policy(direct_xc(ctl), domid, n, raw, 0, NULL, &leaf,
						    &subleaf, &msr));
	if (rc == -ERANGE || rc == -EINVAL)
		message_debug("Xen refuses CPUID leaf %#x, subleaf %#x", leaf, subleaf);
	free(raw);
	return rc;
}
