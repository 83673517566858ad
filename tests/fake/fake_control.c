/* struct control_ops: each member counts, may be made to fail, and finds its domain. */
#include "tests/fake/internal.h"

#define CALL(op, expression)                                                                       \
	int rc = fake_call_begin(OP_##op);                                                         \
	return fake_call_end(rc ? rc : (expression))

#define CALL_DOMAIN(op, expression)                                                                \
	int rc = fake_call_begin(OP_##op);                                                         \
	struct domain *d = xen_domain_find(domid);                                                 \
	return fake_call_end(rc ? rc : d ? (expression) : -ESRCH)

#define CALL_VCPU(op, expression)                                                                  \
	int rc = fake_call_begin(OP_##op);                                                         \
	struct vcpu *v = xen_domain_find(domid) ? xen_vcpu_find(domid, vcpu) : NULL;               \
	return fake_call_end(rc ? rc : v ? (expression) : xen_domain_find(domid) ? -EINVAL : -ESRCH)

static int op_create(struct control *ctl, const struct domain_config *config, uint16_t *domid)
{
	CALL(domain_create, xen_domain_create(config, domid));
}

static int op_destroy(struct control *ctl, uint16_t domid)
{
	CALL_DOMAIN(domain_destroy, xen_domain_destroy(d));
}

static int find(const uint8_t handle[16], uint16_t *domid)
{
	for (struct domain *d = fake_host.domains; d; d = d->next) {
		if (d->dead || memcmp(d->handle, handle, sizeof d->handle))
			continue;
		*domid = d->domid;
		return 0;
	}
	return -ESRCH;
}

static int op_find(struct control *ctl, const uint8_t handle[16], uint16_t *domid)
{
	CALL(domain_find, find(handle, domid));
}

static int op_adopt(struct control *ctl, uint16_t domid, struct domain_config *found)
{
	CALL_DOMAIN(domain_adopt, xen_domain_adopt(d, found));
}

static int op_ready(struct control *ctl, uint16_t domid)
{
	CALL_DOMAIN(domain_ready, (d->ready = true, 0));
}

static int op_shutdown(struct control *ctl, uint16_t domid, unsigned reason)
{
	CALL_DOMAIN(domain_shutdown, (xen_domain_shutdown(d, reason), 0));
}

/* xenstore does not know whether the domain lives. */
static int op_set_name(struct control *ctl, uint16_t domid, const uint8_t handle[16],
		       const char *name)
{
	int rc = fake_call_begin(OP_domain_set_name);
	struct domain *d = xen_domain_any(domid);

	return fake_call_end(rc ? rc : d ? xen_domain_set_name(d, name) : -ESRCH);
}

static int set_maxmem(struct domain *d, uint64_t kib)
{
	if (kib / 4 < d->pages)
		violation("domain %u: maxmem below what it has", d->domid);
	d->max_pages = kib / 4;
	return 0;
}

static int op_set_maxmem(struct control *ctl, uint16_t domid, uint64_t kib)
{
	CALL_DOMAIN(domain_set_maxmem, set_maxmem(d, kib));
}

static int set_pool(struct domain *d, uint64_t bytes)
{
	if (bytes % PAGE_SIZE)
		return -EINVAL;
	if (bytes / PAGE_SIZE < d->p2m.nodes)
		return -ENOMEM;
	d->pool_pages = bytes / PAGE_SIZE;
	return 0;
}

static int op_set_pool(struct control *ctl, uint16_t domid, uint64_t bytes)
{
	CALL_DOMAIN(domain_set_paging_pool, set_pool(d, bytes));
}

static int op_pause(struct control *ctl, uint16_t domid)
{
	CALL_DOMAIN(domain_pause, xen_domain_pause(d));
}

static int op_unpause(struct control *ctl, uint16_t domid)
{
	CALL_DOMAIN(domain_unpause, xen_domain_unpause(d));
}

static int op_resume(struct control *ctl, uint16_t domid)
{
	CALL_DOMAIN(domain_resume, xen_domain_resume(d));
}

static int info(const struct domain *d, struct domain_info *info)
{
	*info = (struct domain_info){
		.dying = d->dying,
		.shutdown = d->shut_down,
		.shutdown_reason = d->shut_down ? d->shutdown_reason : 0,
		.paused = d->pauses > 0,
		.pages = d->pages,
		.max_pages = d->max_pages,
		.vcpus = d->nr_vcpus,
	};
	return 0;
}

static int op_info(struct control *ctl, uint16_t domid, struct domain_info *out)
{
	int rc = fake_call_begin(OP_domain_info);
	struct domain *d = xen_domain_any(domid);

	return fake_call_end(rc ? rc : d && !d->dead ? info(d, out) : -ESRCH);
}

static int op_subscribe(struct control *ctl, uint16_t domid, uint32_t *port)
{
	CALL_DOMAIN(domain_subscribe, xen_domain_subscribe(d, port));
}

static int tsc_set(struct domain *d, uint32_t khz)
{
	if (khz)
		d->tsc_khz = khz;
	return 0;
}

static int op_tsc_set(struct control *ctl, uint16_t domid, uint32_t khz)
{
	CALL_DOMAIN(tsc_set, tsc_set(d, khz));
}

static int op_tsc_get(struct control *ctl, uint16_t domid, uint32_t *khz)
{
	CALL_DOMAIN(tsc_get, (*khz = d->tsc_khz, 0));
}

static int op_host_tsc_khz(struct control *ctl, uint32_t *khz)
{
	int rc = fake_call_begin(OP_host_tsc_khz);

	if (!rc)
		*khz = HOST_KHZ;
	return fake_call_end(rc);
}

static int op_cpuid_host(struct control *ctl, struct control_cpuid *leaves, uint32_t *n)
{
	CALL(cpuid_host, xen_cpuid_host(leaves, n));
}

static int op_cpuid_set(struct control *ctl, uint16_t domid, const struct control_cpuid *leaves,
			uint32_t n)
{
	CALL_DOMAIN(cpuid_set, xen_cpuid_set(d, leaves, n));
}

static int op_monitor_open(struct control *ctl, uint16_t domid, uint64_t gfn, void **ring,
			   uint32_t *port)
{
	CALL_DOMAIN(monitor_open, xen_monitor_open(d, gfn, ring, port));
}

static int op_monitor_debug(struct control *ctl, uint16_t domid, bool on)
{
	CALL_DOMAIN(monitor_debug, xen_monitor_debug(d, on));
}

static int op_monitor_close(struct control *ctl, uint16_t domid, void *ring)
{
	/* The page is the caller's also when the domain is gone. */
	int rc = fake_call_begin(OP_monitor_close);
	struct domain *d = xen_domain_any(domid);

	return fake_call_end(rc ? rc : d ? xen_monitor_close(d, ring) : -ESRCH);
}

static int op_context_get(struct control *ctl, uint16_t domid, void *buf, uint32_t *len)
{
	CALL_DOMAIN(context_get, xen_context_get(d, buf, len));
}

static int op_context_get_one(struct control *ctl, uint16_t domid, uint16_t typecode,
			      uint16_t instance, void *body, uint32_t len)
{
	CALL_DOMAIN(context_get_one, xen_context_get_one(d, typecode, instance, body, len));
}

static int op_context_set(struct control *ctl, uint16_t domid, const void *image, uint32_t len)
{
	CALL_DOMAIN(context_set, xen_context_set(d, image, len));
}

static int op_vcpu_context_get(struct control *ctl, uint16_t domid, uint32_t vcpu,
			       struct vcpu_guest_context *context)
{
	CALL_VCPU(vcpu_context_get, xen_vcpu_context_get(v, context));
}

static int op_vcpu_context_set(struct control *ctl, uint16_t domid, uint32_t vcpu,
			       const struct vcpu_guest_context *context)
{
	CALL_VCPU(vcpu_context_set, xen_vcpu_context_set(v, context));
}

static int vcpu_info_get(const struct vcpu *v, struct vcpu_info_bits *info)
{
	*info = (struct vcpu_info_bits){
		.online = !v->down,
		.blocked = v->blocked,
		.running = xen_vcpu_runnable(v),
	};
	return 0;
}

static int op_vcpu_info(struct control *ctl, uint16_t domid, uint32_t vcpu,
			struct vcpu_info_bits *info)
{
	CALL_VCPU(vcpu_info, vcpu_info_get(v, info));
}

static int op_vcpu_nmi(struct control *ctl, uint16_t domid, uint32_t vcpu)
{
	CALL_VCPU(vcpu_nmi, xen_vcpu_nmi(v));
}

static int op_log_dirty(struct control *ctl, uint16_t domid, enum log_dirty_op op, uint64_t pages,
			uint8_t *bitmap)
{
	CALL_DOMAIN(log_dirty, xen_dirty_log(d, op, pages, bitmap));
}

static int op_host_iommu(struct control *ctl)
{
	CALL(host_iommu, xen_host_iommu());
}

static int op_device_test(struct control *ctl, uint32_t sbdf)
{
	CALL(device_test, xen_device_test(sbdf));
}

static int op_device_assign(struct control *ctl, uint16_t domid, uint32_t sbdf)
{
	CALL_DOMAIN(device_assign, xen_device_assign(d, sbdf));
}

static int op_device_deassign(struct control *ctl, uint16_t domid, uint32_t sbdf, bool aside)
{
	CALL(device_deassign, xen_device_deassign(domid, sbdf, aside));
}

static int op_device_map(struct control *ctl, uint16_t domid, uint64_t gfn, uint64_t mfn,
			 uint64_t pages, bool on)
{
	CALL_DOMAIN(device_map, xen_device_map(d, gfn, mfn, pages, on));
}

static int op_device_irq_bind(struct control *ctl, uint16_t domid, struct device_irq *irq)
{
	CALL_DOMAIN(device_irq_bind, xen_device_irq_bind(d, irq));
}

static int op_device_irq_unbind(struct control *ctl, uint16_t domid, struct device_irq *irq)
{
	CALL_DOMAIN(device_irq_unbind, xen_device_irq_unbind(d, irq));
}

static const char *op_version(struct control *ctl)
{
	fake_call_begin(OP_version);
	fake_call_end(0);
	return fake_host.version;
}

static void op_close(struct control *ctl)
{
	fake_call_begin(OP_control_close);
	fake_call_end(0);
}

const struct control_ops fake_control_ops = {
	.domain_create = op_create,
	.domain_destroy = op_destroy,
	.domain_find = op_find,
	.domain_adopt = op_adopt,
	.domain_ready = op_ready,
	.domain_shutdown = op_shutdown,
	.domain_set_name = op_set_name,
	.domain_set_maxmem = op_set_maxmem,
	.domain_set_paging_pool = op_set_pool,
	.domain_pause = op_pause,
	.domain_unpause = op_unpause,
	.domain_resume = op_resume,
	.domain_info = op_info,
	.domain_subscribe = op_subscribe,
	.tsc_set = op_tsc_set,
	.tsc_get = op_tsc_get,
	.host_tsc_khz = op_host_tsc_khz,
	.cpuid_host = op_cpuid_host,
	.cpuid_set = op_cpuid_set,
	.monitor_open = op_monitor_open,
	.monitor_close = op_monitor_close,
	.monitor_debug = op_monitor_debug,
	.context_get = op_context_get,
	.context_get_one = op_context_get_one,
	.context_set = op_context_set,
	.vcpu_context_get = op_vcpu_context_get,
	.vcpu_context_set = op_vcpu_context_set,
	.vcpu_info = op_vcpu_info,
	.vcpu_nmi = op_vcpu_nmi,
	.log_dirty = op_log_dirty,
	.host_iommu = op_host_iommu,
	.device_test = op_device_test,
	.device_assign = op_device_assign,
	.device_deassign = op_device_deassign,
	.device_map = op_device_map,
	.device_irq_bind = op_device_irq_bind,
	.device_irq_unbind = op_device_irq_unbind,
	.version = op_version,
	.close = op_close,
};
