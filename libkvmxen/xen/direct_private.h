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
#include <pthread.h>

#include <xenctrl.h>
#include <xendevicemodel.h>
#include <xenforeignmemory.h>

#include "libkvmxen/xen/control.h"
#include "libkvmxen/xen/device.h"

struct xentoollog_logger;
struct direct_resource; /* a mapped ioreq page: direct_ioreq.c */

struct direct_device {
	struct device base; /* first: a struct device * is a struct direct_device * */
	xc_interface *xc;
	xendevicemodel_handle *dm;     /* xc's */
	xenforeignmemory_handle *fmem; /* xc's */
	int privcmd;
	pthread_mutex_t lock; /* over resources */
	struct direct_resource *resources;
};

struct direct_control {
	struct control base; /* first, as above */
	xc_interface *xc;
	char version[32];
};

static inline struct direct_device *direct_device(struct device *dev)
{
	return (struct direct_device *)dev;
}

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

/* A dm_op with an optional buffer, which is never empty nor in foreign memory. */
int direct_dm_op(struct direct_device *direct, uint16_t domid, struct xen_dm_op *op, void *buf,
		 size_t size);

/* The operations of the tables that are not in the file of their table. */
int direct_ioreq_server_create(struct device *dev, uint16_t domid, uint16_t *server);
int direct_ioreq_server_destroy(struct device *dev, uint16_t domid, uint16_t server);
int direct_ioreq_server_map(struct device *dev, uint16_t domid, uint16_t server,
			    struct shared_iopage **page);
int direct_ioreq_server_unmap(struct device *dev, struct shared_iopage *page);
int direct_ioreq_server_claim(struct device *dev, uint16_t domid, uint16_t server,
			      enum io_space space, uint64_t start, uint64_t end);
int direct_ioreq_server_enable(struct device *dev, uint16_t domid, uint16_t server, bool on);

int direct_mem_populate(struct device *dev, uint16_t domid, unsigned order, size_t n,
			const uint64_t *gfns);
int direct_mem_release(struct device *dev, uint16_t domid, size_t n, const uint64_t *gfns);
int direct_mem_relocate(struct device *dev, uint16_t domid, uint64_t src, uint64_t dst, uint32_t n);
int direct_mem_set_type(struct device *dev, uint16_t domid, enum mem_type type, uint64_t gfn,
			uint32_t n);
int direct_mem_type_to_server(struct device *dev, uint16_t domid, uint16_t server, bool on);
int direct_mem_modified(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n);
int direct_mem_track_vram(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n,
			  uint8_t *bitmap);
int direct_mem_map(struct device *dev, uint16_t domid, void *addr, int prot, size_t n,
		   const uint64_t *gfns, void **out);
int direct_mem_unmap(struct device *dev, void *addr, size_t n);

int direct_evtchn_open(struct device *dev, struct event_channels **out);
void direct_evtchn_close(struct event_channels *evtchn);
int direct_evtchn_fd(struct event_channels *evtchn);
int direct_evtchn_bind(struct event_channels *evtchn, uint16_t domid, uint32_t remote);
int direct_evtchn_unbind(struct event_channels *evtchn, uint32_t local);
int direct_evtchn_notify(struct event_channels *evtchn, uint32_t local);
int direct_evtchn_take(struct event_channels *evtchn);
int direct_evtchn_unmask(struct event_channels *evtchn, uint32_t local);

int direct_domain_set_name(struct control *ctl, uint16_t domid, const uint8_t handle[16],
			   const char *name);

int direct_host_tsc_khz(struct control *ctl, uint32_t *khz);
int direct_cpuid_host(struct control *ctl, struct control_cpuid *leaves, uint32_t *n);
int direct_cpuid_set(struct control *ctl, uint16_t domid, const struct control_cpuid *leaves,
		     uint32_t n);

int direct_monitor_open(struct control *ctl, uint16_t domid, uint64_t gfn, void **ring,
			uint32_t *port);
int direct_monitor_close(struct control *ctl, uint16_t domid, void *ring);

int direct_context_get(struct control *ctl, uint16_t domid, void *buf, uint32_t *len);
int direct_context_get_one(struct control *ctl, uint16_t domid, uint16_t typecode,
			   uint16_t instance, void *body, uint32_t len);
int direct_context_set(struct control *ctl, uint16_t domid, const void *image, uint32_t len);
int direct_vcpu_context_get(struct control *ctl, uint16_t domid, uint32_t vcpu,
			    struct vcpu_guest_context *context);
int direct_vcpu_context_set(struct control *ctl, uint16_t domid, uint32_t vcpu,
			    const struct vcpu_guest_context *context);

int direct_log_dirty(struct control *ctl, uint16_t domid, enum log_dirty_op op, uint64_t pages,
		     uint8_t *bitmap);

#endif
