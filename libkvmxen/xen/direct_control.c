/* The direct control plane: opening it, its table, and what is one call on a domain or a vcpu. */
#include "libkvmxen/xen/direct_private.h"

#include <stdlib.h>
#include <string.h>

#include <xen/domctl.h>
#include <xenguest.h>

#include "libkvmxen/xen/direct_version.h"
#include "libkvmxen/xen/xen.h"

enum { DOMAINS_AT_ONCE = 64 };

/* Modes of XEN_DOMCTL_settscinfo, which no public header names. */
enum { TSC_MODE_DEFAULT = 0, TSC_MODE_NEVER_EMULATE = 2 };

static int domain_create(struct control *ctl, const struct domain_config *config, uint16_t *domid)
{
	struct xen_domctl_createdomain create;
	xc_interface *xc = direct_xc(ctl);
	uint32_t id = 0; /* Xen chooses */
	int rc;

	direct_version_createdomain(&create, config);
	rc = direct_result(xc_domain_create(xc, &id, &create));
	if (rc < 0)
		return rc;
	rc = direct_result(xc_domain_max_vcpus(xc, id, config->vcpus));
	if (rc < 0) {
		xc_domain_destroy(xc, id);
		return rc;
	}
	*domid = id;
	return 0;
}

static int domain_raw_info(xc_interface *xc, uint16_t domid, xc_domaininfo_t *info)
{
	int r = direct_result(direct_version_domains(xc, domid, 1, info));

	if (r < 0)
		return r;
	return r == 1 && info->domain == domid ? 0 : -ESRCH;
}

static int domain_destroy(struct control *ctl, uint16_t domid)
{
	xc_interface *xc = direct_xc(ctl);
	xc_domaininfo_t info;
	int r;

	r = domain_raw_info(xc, domid, &info);
	if (r < 0)
		return r;
	/* While the domid cannot be another domain's yet; there may be no name, or no xenstore. */
	direct_domain_set_name(ctl, domid, info.handle, NULL);
	/* Xen's domain_kill frees the monitor's ring but not its MSR bitmap (4.17: two pages for
	 * each domain, lost until Xen's next boot); XEN_VM_EVENT_DISABLE frees both. An error says
	 * that there is no monitor. The guest must not run on without it. */
	xc_domain_pause(xc, domid);
	xc_monitor_disable(xc, domid);
	direct_devices_give_back(ctl, domid);
	do
		r = direct_result(xc_domain_destroy(xc, domid));
	while (r == -EAGAIN || r == -EINTR);
	return r;
}

static int domain_find(struct control *ctl, const uint8_t handle[16], uint16_t *domid)
{
	xc_domaininfo_t info[DOMAINS_AT_ONCE];
	unsigned first = 0;
	int n;

	do {
		n = direct_result(
			direct_version_domains(direct_xc(ctl), first, DOMAINS_AT_ONCE, info));
		for (int i = 0; i < n; i++) {
			/* A destroyed domain lingers while a frame of it is mapped. */
			if (info[i].flags & XEN_DOMINF_dying ||
			    memcmp(info[i].handle, handle, sizeof(info[i].handle)))
				continue;
			*domid = info[i].domain;
			return 0;
		}
		if (n > 0)
			first = info[n - 1].domain + 1;
	} while (n == DOMAINS_AT_ONCE);
	return n < 0 ? n : -ESRCH;
}

static int domain_set_maxmem(struct control *ctl, uint16_t domid, uint64_t kib)
{
	return direct_result(xc_domain_setmaxmem(direct_xc(ctl), domid, kib));
}

static int domain_set_paging_pool(struct control *ctl, uint16_t domid, uint64_t bytes)
{
	return direct_result(xc_set_paging_mempool_size(direct_xc(ctl), domid, bytes));
}

static int domain_pause(struct control *ctl, uint16_t domid)
{
	return direct_result(xc_domain_pause(direct_xc(ctl), domid));
}

static int domain_unpause(struct control *ctl, uint16_t domid)
{
	return direct_result(xc_domain_unpause(direct_xc(ctl), domid));
}

static int domain_resume(struct control *ctl, uint16_t domid)
{
	/* Not the cooperative way: that one changes the guest's registers. */
	return direct_result(xc_domain_resume(direct_xc(ctl), domid, 0));
}

static int domain_info(struct control *ctl, uint16_t domid, struct domain_info *info)
{
	xc_domaininfo_t raw;
	int rc;

	rc = domain_raw_info(direct_xc(ctl), domid, &raw);
	if (rc < 0)
		return rc;
	*info = (struct domain_info){
		.dying = raw.flags & XEN_DOMINF_dying,
		.shutdown = raw.flags & XEN_DOMINF_shutdown,
		.shutdown_reason = raw.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask,
		.paused = raw.flags & XEN_DOMINF_paused,
		.pages = raw.tot_pages,
		.max_pages = raw.max_pages,
		.vcpus = raw.max_vcpu_id + 1,
	};
	return 0;
}

static int domain_subscribe(struct control *ctl, uint16_t domid, uint32_t *port)
{
	xc_interface *xc = direct_xc(ctl);
	int r;

	r = direct_result(xc_evtchn_alloc_unbound(xc, domid, DOMID_SELF));
	if (r < 0)
		return r;
	*port = r;
	return direct_result(xc_domain_subscribe_for_suspend(xc, domid, *port));
}

static int tsc_set(struct control *ctl, uint16_t domid, uint32_t khz)
{
	/* The default mode scales where the processor can and emulates RDTSC where not. */
	uint32_t mode = khz ? TSC_MODE_DEFAULT : TSC_MODE_NEVER_EMULATE;

	return direct_result(xc_domain_set_tsc_info(direct_xc(ctl), domid, mode, 0, khz, 0));
}

static int tsc_get(struct control *ctl, uint16_t domid, uint32_t *khz)
{
	uint32_t mode, incarnation;
	uint64_t elapsed;
	int rc;

	rc = direct_result(
		xc_domain_get_tsc_info(direct_xc(ctl), domid, &mode, &elapsed, khz, &incarnation));
	if (rc < 0 || *khz)
		return rc;
	/* Xen does not name the frequency of a native TSC: it is the host's. */
	return direct_host_tsc_khz(ctl, khz);
}

static int vcpu_info(struct control *ctl, uint16_t domid, uint32_t vcpu,
		     struct vcpu_info_bits *info)
{
	xc_vcpuinfo_t raw;
	int rc;

	rc = direct_result(xc_vcpu_getinfo(direct_xc(ctl), domid, vcpu, &raw));
	if (rc < 0)
		return rc;
	*info = (struct vcpu_info_bits){
		.online = raw.online,
		.blocked = raw.blocked,
		.running = raw.running,
	};
	return 0;
}

static int vcpu_nmi(struct control *ctl, uint16_t domid, uint32_t vcpu)
{
	return direct_result(
		xc_domain_send_trigger(direct_xc(ctl), domid, XEN_DOMCTL_SENDTRIGGER_NMI, vcpu));
}

static const char *version(struct control *ctl)
{
	return ((struct direct_control *)ctl)->version;
}

static void control_close(struct control *ctl)
{
	xc_interface_close(direct_xc(ctl));
	free(ctl);
}

static const struct control_ops direct_control_ops = {
	.domain_create = domain_create,
	.domain_destroy = domain_destroy,
	.domain_find = domain_find,
	.domain_adopt = direct_domain_adopt,
	.domain_ready = direct_domain_ready,
	.domain_shutdown = direct_domain_shutdown,
	.domain_set_name = direct_domain_set_name,
	.domain_set_maxmem = domain_set_maxmem,
	.domain_set_paging_pool = domain_set_paging_pool,
	.domain_pause = domain_pause,
	.domain_unpause = domain_unpause,
	.domain_resume = domain_resume,
	.domain_info = domain_info,
	.domain_subscribe = domain_subscribe,
	.tsc_set = tsc_set,
	.tsc_get = tsc_get,
	.host_tsc_khz = direct_host_tsc_khz,
	.cpuid_host = direct_cpuid_host,
	.cpuid_set = direct_cpuid_set,
	.monitor_open = direct_monitor_open,
	.monitor_debug = direct_monitor_debug,
	.monitor_close = direct_monitor_close,
	.context_get = direct_context_get,
	.context_get_one = direct_context_get_one,
	.context_set = direct_context_set,
	.vcpu_context_get = direct_vcpu_context_get,
	.vcpu_context_set = direct_vcpu_context_set,
	.vcpu_info = vcpu_info,
	.vcpu_nmi = vcpu_nmi,
	.log_dirty = direct_log_dirty,
	.host_iommu = direct_host_iommu,
	.device_test = direct_device_test,
	.device_assign = direct_device_assign,
	.device_deassign = direct_device_deassign,
	.device_map = direct_device_map,
	.device_irq_bind = direct_device_irq_bind,
	.device_irq_unbind = direct_device_irq_unbind,
	.version = version,
	.close = control_close,
};

/* Does Xen let this domain use the control plane, in the version that was built in? */
static int try_control(struct direct_control *direct)
{
	xc_vcpuinfo_t vcpu;
	xc_domaininfo_t domain;
	int rc;

	/* A domctl and a sysctl: each has a version. Whether there is a domain 0 is all the same.
	 */
	rc = direct_result(xc_vcpu_getinfo(direct->xc, 0, 0, &vcpu));
	if (rc >= 0 || rc == -ESRCH)
		rc = direct_result(direct_version_domains(direct->xc, 0, 1, &domain));
	/* Xen's way of refusing another interface version; no permission is EPERM. */
	return rc == -EACCES ? -EPROTO : rc < 0 ? rc : 0;
}

int direct_control_open(struct control **ctl)
{
	struct direct_control *direct;
	int rc;

	direct = calloc(1, sizeof(*direct));
	if (!direct)
		return -ENOMEM;
	rc = direct_xc_open(&direct->xc);
	if (rc)
		goto out_free;
	direct->base.ops = &direct_control_ops;
	rc = direct_result(
		direct_version_running(direct->xc, direct->version, sizeof(direct->version)));
	if (!rc)
		rc = try_control(direct);
	if (rc)
		goto out_close;
	*ctl = &direct->base;
	return 0;

out_close:
	xc_interface_close(direct->xc);
out_free:
	free(direct);
	return rc;
}
