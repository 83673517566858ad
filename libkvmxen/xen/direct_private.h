/*
 * direct_private: what the files of the direct implementation share.
 *
 * Both connections hold a libxenctrl handle of their own; libxenctrl's handles may be used by any
 * thread. Xen's libraries report an error as -1 with errno: direct_result turns that into the
 * ops tables' convention.
 *
 * Include it first: Xen's headers say more after xenctrl.h than before.
 */
#ifndef KVMXEN_XEN_DIRECT_PRIVATE_H
#define KVMXEN_XEN_DIRECT_PRIVATE_H

#include <errno.h>

#include <xenctrl.h>
#include <xenforeignmemory.h>

#include "libkvmxen/xen/control.h"

struct xentoollog_logger;

struct direct_control {
	struct control base; /* first: a struct control * is a struct direct_control * */
	xc_interface *xc;
	char version[32];
};

static inline xc_interface *direct_xc(struct control *ctl)
{
	return ((struct direct_control *)ctl)->xc;
}

/* The result of a call that reports -1 and errno. */
static inline int direct_result(int r)
{
	if (r >= 0)
		return r;
	return errno ? -errno : -EIO;
}

/* Xen's libraries log through it to message_debug. */
struct xentoollog_logger *direct_logger(void);

/* A libxenctrl handle that reports through message_debug only: 0, or -errno. */
int direct_xc_open(xc_interface **xc);

/* The operations of the control table that are not in the file of their table. */
int direct_domain_set_name(struct control *ctl, uint16_t domid, const uint8_t handle[16],
			   const char *name);

int direct_domain_adopt(struct control *ctl, uint16_t domid, struct domain_config *found);
int direct_domain_ready(struct control *ctl, uint16_t domid);
int direct_domain_shutdown(struct control *ctl, uint16_t domid, unsigned reason);

int direct_host_tsc_khz(struct control *ctl, uint32_t *khz);
int direct_cpuid_host(struct control *ctl, struct control_cpuid *leaves, uint32_t *n);
int direct_cpuid_set(struct control *ctl, uint16_t domid, const struct control_cpuid *leaves,
		     uint32_t n);

int direct_monitor_open(struct control *ctl, uint16_t domid, uint64_t gfn, void **ring,
			uint32_t *port);
int direct_monitor_debug(struct control *ctl, uint16_t domid, bool on);
int direct_monitor_close(struct control *ctl, uint16_t domid, void *ring);

int direct_context_get(struct control *ctl, uint16_t domid, void *buf, uint32_t *len);
int direct_context_get_one(struct control *ctl, uint16_t domid, uint16_t typecode,
			   uint16_t instance, void *body, uint32_t len);
int direct_context_set(struct control *ctl, uint16_t domid, const void *image, uint32_t len);
int direct_vcpu_context_get(struct control *ctl, uint16_t domid, uint32_t vcpu,
			    struct vcpu_guest_context *context);
int direct_vcpu_context_set(struct control *ctl, uint16_t domid, uint32_t vcpu,
			    const struct vcpu_guest_context *context);

int direct_host_iommu(struct control *ctl);
int direct_device_test(struct control *ctl, uint32_t sbdf);
int direct_device_assign(struct control *ctl, uint16_t domid, uint32_t sbdf);
int direct_device_deassign(struct control *ctl, uint16_t domid, uint32_t sbdf, bool aside);
int direct_device_map(struct control *ctl, uint16_t domid, uint64_t gfn, uint64_t mfn,
		      uint64_t pages, bool on);
int direct_device_irq_bind(struct control *ctl, uint16_t domid, struct device_irq *irq);
int direct_device_irq_unbind(struct control *ctl, uint16_t domid, struct device_irq *irq);
/* Before the domain is destroyed: what it still has. */
void direct_devices_give_back(struct control *ctl, uint16_t domid);

int direct_log_dirty(struct control *ctl, uint16_t domid, enum log_dirty_op op, uint64_t pages,
		     uint8_t *bitmap);

#endif
