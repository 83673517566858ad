#include "libkvmxen/xen/direct_version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What a domain without Xen's own PV drivers needs of the grant tables: less is refused. */
enum { GRANT_FRAMES = 1, GRANT_TABLE_VERSION = 1 };

/* One port for each vcpu, the ring of the CPUID monitor, the shutdown notice; as libxl sets it. */
enum { MAX_EVTCHN_PORT = 1023 };

const char *direct_version_built_for(void)
{
#if XEN_DOMCTL_INTERFACE_VERSION == 0x15
	return "4.17";
#elif XEN_DOMCTL_INTERFACE_VERSION == 0x16
	return "4.18";
#elif XEN_DOMCTL_INTERFACE_VERSION == 0x17
	return "4.19 to 4.21";
#elif XEN_DOMCTL_INTERFACE_VERSION == 0x18
	return "4.22";
#else
	return "another version";
#endif
}

int direct_version_running(xc_interface *xc, char *text, size_t size)
{
	xen_extraversion_t extra = "";
	int v;

	v = xc_version(xc, XENVER_version, NULL);
	if (v < 0)
		return v;
	if (xc_version(xc, XENVER_extraversion, extra) < 0)
		extra[0] = '\0';
	snprintf(text, size, "%d.%d%.*s", v >> 16, v & 0xffff, (int)sizeof(extra), extra);
	return 0;
}

/* Xen accepts a few sets only; these two exist in every release. */
static uint32_t emulation_flags(enum emulation emulation)
{
	switch (emulation) {
	case EMULATION_LAPIC:
		return XEN_X86_EMU_LAPIC;
	case EMULATION_HVM:
		break;
	}
	return XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI;
}

int direct_version_config(const xc_domaininfo_t *info, struct domain_config *config)
{
	uint32_t devices = info->arch_config.emulation_flags;

	if (!(info->flags & XEN_DOMINF_hvm_guest) || !(info->flags & XEN_DOMINF_hap))
		return -EOPNOTSUPP;
	if (devices == emulation_flags(EMULATION_HVM))
		config->emulation = EMULATION_HVM;
	else if (devices == emulation_flags(EMULATION_LAPIC))
		config->emulation = EMULATION_LAPIC;
	else
		return -EOPNOTSUPP;
	config->vcpus = info->max_vcpu_id + 1;
	memcpy(config->handle, info->handle, sizeof(config->handle));
	return 0;
}

void direct_version_createdomain(struct xen_domctl_createdomain *create,
				 const struct domain_config *config)
{
	*create = (struct xen_domctl_createdomain){
		.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap |
			 (config->iommu ? XEN_DOMCTL_CDF_iommu : 0),
		.max_vcpus = config->vcpus,
		.max_evtchn_port = MAX_EVTCHN_PORT,
		.max_grant_frames = GRANT_FRAMES,
		.max_maptrack_frames = 0,
		.grant_opts = XEN_DOMCTL_GRANT_version(GRANT_TABLE_VERSION),
		.arch.emulation_flags = emulation_flags(config->emulation),
	};
	_Static_assert(sizeof(create->handle) == sizeof(config->handle), "a UUID");
	memcpy(create->handle, config->handle, sizeof(create->handle));
}

/* xc_domain_getinfo is gone after 4.17 and xc_domain_getinfo_single new: the list is in all. */
int direct_version_domains(xc_interface *xc, uint16_t first, unsigned n, xc_domaininfo_t *info)
{
	return xc_domain_getinfolist(xc, first, n, info);
}
