/*
 * The control plane by messages. What may be done twice is repeated when the broker goes away in
 * the middle of it; for the rest it is said here what happens instead.
 */
#include "libkvmxen/xen/broker_private.h"
#include "libkvmxen/xen/toolstack.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#define OP(name, id, ...)                                                                          \
	((struct wire_message){.op = WIRE_##name, .domid = (id), .arg = {__VA_ARGS__}})

/* Nothing but arguments and a result. */
static int call(struct control *ctl, struct wire_message request)
{
	return broker_call_again(broker_of_control(ctl), &request, NULL, NULL, NULL, NULL);
}

/* A value comes back. */
static int call_value(struct control *ctl, struct wire_message request, uint32_t *value)
{
	int rc = broker_call_again(broker_of_control(ctl), &request, NULL, NULL, NULL, NULL);

	if (rc >= 0)
		*value = request.arg[0];
	return rc;
}

/* A structure of that size comes back, or nothing. */
static int call_struct(struct control *ctl, struct wire_message request, void *out, size_t size)
{
	size_t got = size;
	int rc = broker_call_again(broker_of_control(ctl), &request, NULL, out, &got, NULL);

	return rc >= 0 && got != size ? -EPROTO : rc;
}

static int call_data(struct control *ctl, struct wire_message request, const void *data,
		     size_t length)
{
	request.length = length;
	return broker_call_again(broker_of_control(ctl), &request, data, NULL, NULL, NULL);
}

/* A domain whose making was not answered has no owner that knows it: it goes with this process. */
static int domain_create(struct control *ctl, const struct domain_config *config, uint16_t *domid)
{
	struct broker *broker = broker_of_control(ctl);
	struct wire_message request = OP(domain_create, 0, config->vcpus, config->emulation);
	int fd, rc = broker_call(broker, &request, NULL, NULL, NULL, &fd);

	if (rc < 0)
		return rc;
	if (fd < 0)
		return -EPROTO;
	rc = broker_domain_add(broker, request.arg[0], fd);
	if (rc < 0) {
		call(ctl, OP(domain_destroy, request.arg[0]));
		return rc;
	}
	*domid = request.arg[0];
	return 0;
}

static int domain_destroy(struct control *ctl, uint16_t domid)
{
	broker_domain_remove(broker_of_control(ctl), domid);
	return call(ctl, OP(domain_destroy, domid));
}

/* The broker itself looks after what is left behind. */
static int domain_find(struct control *ctl, const uint8_t handle[16], uint16_t *domid)
{
	return -EPERM;
}

/* Whose device model a stub domain is, its toolstack says. Another process without privilege is
 * none. */
static int domain_adopt(struct control *ctl, uint16_t domid, struct domain_config *found)
{
	struct broker *broker = broker_of_control(ctl);
	struct wire_message request = OP(domain_adopt, domid);
	size_t size = sizeof found->handle;
	int rc;

	if (!broker->stub)
		return -EPERM;
	/* Not repeated: what has been adopted cannot be again. */
	rc = broker_call(broker, &request, NULL, found->handle, &size, NULL);
	if (rc < 0)
		return rc;
	if (size != sizeof found->handle)
		return -EPROTO;
	found->vcpus = request.arg[0];
	found->emulation = request.arg[1];
	return 0;
}

static int domain_ready(struct control *ctl, uint16_t domid)
{
	return broker_of_control(ctl)->stub ? toolstack_ready(domid) : -EPERM;
}

static int domain_shutdown(struct control *ctl, uint16_t domid, unsigned reason)
{
	return call(ctl, OP(domain_shutdown, domid, reason));
}

static int domain_set_name(struct control *ctl, uint16_t domid, const uint8_t handle[16],
			   const char *name)
{
	size_t length = name ? strlen(name) : 0;

	if (length > WIRE_NAME_MAX)
		length = WIRE_NAME_MAX;
	return call_data(ctl, OP(domain_set_name, domid), name, length);
}

static int domain_set_maxmem(struct control *ctl, uint16_t domid, uint64_t kib)
{
	return call(ctl, OP(domain_set_maxmem, domid, kib));
}

static int domain_set_paging_pool(struct control *ctl, uint16_t domid, uint64_t bytes)
{
	return call(ctl, OP(domain_set_paging_pool, domid, bytes));
}

static int domain_info(struct control *ctl, uint16_t domid, struct domain_info *info)
{
	return call_struct(ctl, OP(domain_info, domid), info, sizeof *info);
}

/* Xen counts pauses: one that may have happened must not be repeated blindly. */
static int switch_running(struct control *ctl, struct wire_message request, bool pause)
{
	struct domain_info info;
	int rc, tries;

	for (tries = 0; tries < 5; tries++) {
		struct wire_message copy = request;

		rc = broker_call(broker_of_control(ctl), &copy, NULL, NULL, NULL, NULL);
		if (rc != -ECONNABORTED)
			return rc;
		rc = domain_info(ctl, request.domid, &info);
		if (rc < 0 || info.paused == pause)
			return rc;
	}
	return -EIO;
}

static int domain_pause(struct control *ctl, uint16_t domid)
{
	return switch_running(ctl, OP(domain_pause, domid), true);
}

static int domain_unpause(struct control *ctl, uint16_t domid)
{
	return switch_running(ctl, OP(domain_unpause, domid), false);
}

static int domain_resume(struct control *ctl, uint16_t domid)
{
	return call(ctl, OP(domain_resume, domid));
}

static int domain_subscribe(struct control *ctl, uint16_t domid, uint32_t *port)
{
	return call_value(ctl, OP(domain_subscribe, domid), port);
}

static int tsc_set(struct control *ctl, uint16_t domid, uint32_t khz)
{
	return call(ctl, OP(tsc_set, domid, khz));
}

static int tsc_get(struct control *ctl, uint16_t domid, uint32_t *khz)
{
	return call_value(ctl, OP(tsc_get, domid), khz);
}

static int host_tsc_khz(struct control *ctl, uint32_t *khz)
{
	return call_value(ctl, OP(host_tsc_khz, 0), khz);
}

static int cpuid_host(struct control *ctl, struct control_cpuid *leaves, uint32_t *n)
{
	struct wire_message request = OP(cpuid_host, 0, *n < WIRE_CPUID_MAX ? *n : WIRE_CPUID_MAX);
	size_t size = *n * sizeof *leaves;
	int rc = broker_call_again(broker_of_control(ctl), &request, NULL, leaves, &size, NULL);

	if (rc >= 0)
		*n = size / sizeof *leaves;
	return rc;
}

static int cpuid_set(struct control *ctl, uint16_t domid, const struct control_cpuid *leaves,
		     uint32_t n)
{
	if (n > WIRE_CPUID_MAX)
		return -E2BIG;
	return call_data(ctl, OP(cpuid_set, domid), leaves, n * sizeof *leaves);
}

/* The ring's frame has to be mapped here before Xen takes it out of the guest's reach: so it is
 * populated and mapped first, and the broker finds it there. */
static int monitor_open(struct control *ctl, uint16_t domid, uint64_t gfn, void **ring,
			uint32_t *port)
{
	struct broker *broker = broker_of_control(ctl);
	struct device *dev = &broker->dev.base, *maps = broker->maps;
	struct wire_message request = OP(monitor_open, domid, gfn, ctl->relayed ? *port : 0);
	int rc = dev->ops->mem_populate(dev, domid, 0, 1, &gfn);

	if (rc != 1)
		return rc < 0 ? rc : -ENOMEM;
	rc = maps->ops->mem_map(maps, domid, NULL, PROT_READ | PROT_WRITE, 1, &gfn, ring);
	if (rc < 0)
		goto out_release;
	rc = broker_call(broker, &request, NULL, NULL, NULL, NULL);
	if (rc >= 0) {
		if (!ctl->relayed)
			*port = request.arg[0];
		return 0;
	}
	maps->ops->mem_unmap(maps, *ring, 1);
out_release:
	dev->ops->mem_release(dev, domid, 1, &gfn);
	return rc;
}

static int monitor_debug(struct control *ctl, uint16_t domid, bool on)
{
	return call(ctl, OP(monitor_debug, domid, on));
}

static int monitor_close(struct control *ctl, uint16_t domid, void *ring)
{
	struct device *maps = broker_of_control(ctl)->maps;
	int rc = call(ctl, OP(monitor_close, domid));

	if (ring)
		maps->ops->mem_unmap(maps, ring, 1);
	return rc;
}

static int context_get(struct control *ctl, uint16_t domid, void *buf, uint32_t *len)
{
	struct wire_message request = OP(context_get, domid, buf ? *len : 0);
	size_t size = buf ? *len : 0;
	int rc;

	if (buf && !size)
		return -ENOSPC;
	rc = broker_call_again(broker_of_control(ctl), &request, NULL, buf, &size, NULL);
	if (rc >= 0)
		*len = request.arg[0];
	return rc;
}

static int context_get_one(struct control *ctl, uint16_t domid, uint16_t typecode,
			   uint16_t instance, void *body, uint32_t len)
{
	return call_struct(ctl, OP(context_get_one, domid, typecode, instance, len), body, len);
}

static int context_set(struct control *ctl, uint16_t domid, const void *image, uint32_t len)
{
	return call_data(ctl, OP(context_set, domid), image, len);
}

static int vcpu_context_get(struct control *ctl, uint16_t domid, uint32_t vcpu,
			    struct vcpu_guest_context *context)
{
	return call_struct(ctl, OP(vcpu_context_get, domid, vcpu), context, sizeof *context);
}

static int vcpu_context_set(struct control *ctl, uint16_t domid, uint32_t vcpu,
			    const struct vcpu_guest_context *context)
{
	return call_data(ctl, OP(vcpu_context_set, domid, vcpu), context,
			 context ? sizeof *context : 0);
}

static int vcpu_info(struct control *ctl, uint16_t domid, uint32_t vcpu,
		     struct vcpu_info_bits *info)
{
	return call_struct(ctl, OP(vcpu_info, domid, vcpu), info, sizeof *info);
}

/* A second NMI merges with one that was not taken yet. */
static int vcpu_nmi(struct control *ctl, uint16_t domid, uint32_t vcpu)
{
	return call(ctl, OP(vcpu_nmi, domid, vcpu));
}

/* Reading the log empties it: when the answer is lost, everything counts as written. */
static int log_dirty(struct control *ctl, uint16_t domid, enum log_dirty_op op, uint64_t pages,
		     uint8_t *bitmap)
{
	struct wire_message request = OP(log_dirty, domid, op, bitmap ? pages : 0);
	size_t bytes = bitmap ? (pages + 7) / 8 : 0, size = bytes;
	int rc;

	if (bytes > WIRE_BITMAP_MAX)
		return -E2BIG;
	if (op != LOG_DIRTY_CLEAN)
		rc = broker_call_again(broker_of_control(ctl), &request, NULL, bitmap, &size, NULL);
	else
		rc = broker_call(broker_of_control(ctl), &request, NULL, bitmap, &size, NULL);
	if (rc == -ECONNABORTED) {
		memset(bitmap, 0xff, bytes);
		if (pages % 8)
			bitmap[bytes - 1] = (1u << pages % 8) - 1;
		return 0;
	}
	return rc >= 0 && size != bytes ? -EPROTO : rc;
}

/* Who gives hardware to a guest gives it the host's interrupts, and DMA: that takes root. */
static int host_iommu(struct control *ctl)
{
	return -EPERM;
}

static int device_test(struct control *ctl, uint32_t sbdf)
{
	return -EPERM;
}

static int device_assign(struct control *ctl, uint16_t domid, uint32_t sbdf)
{
	return -EPERM;
}

static int device_deassign(struct control *ctl, uint16_t domid, uint32_t sbdf, bool aside)
{
	return -EPERM;
}

static int device_map(struct control *ctl, uint16_t domid, uint64_t gfn, uint64_t mfn,
		      uint64_t pages, bool on)
{
	return -EPERM;
}

static int device_irq_bind(struct control *ctl, uint16_t domid, struct device_irq *irq)
{
	return -EPERM;
}

static int device_irq_unbind(struct control *ctl, uint16_t domid, struct device_irq *irq)
{
	return -EPERM;
}

static const char *version(struct control *ctl)
{
	return broker_of_control(ctl)->version;
}

/* The device plane is the same object, and closes after it (broker_device.c). */
static void control_close(struct control *ctl)
{
	struct broker *broker = broker_of_control(ctl);

	pthread_mutex_lock(&broker->lock);
	broker_disconnect(broker);
	pthread_mutex_unlock(&broker->lock);
}

#define CONTROL_OPS(X)                                                                             \
	X(domain_create)                                                                           \
	X(domain_destroy)                                                                          \
	X(domain_find)                                                                             \
	X(domain_adopt)                                                                            \
	X(domain_ready)                                                                            \
	X(domain_shutdown)                                                                         \
	X(domain_set_name)                                                                         \
	X(domain_set_maxmem)                                                                       \
	X(domain_set_paging_pool)                                                                  \
	X(domain_pause)                                                                            \
	X(domain_unpause)                                                                          \
	X(domain_resume)                                                                           \
	X(domain_info)                                                                             \
	X(domain_subscribe)                                                                        \
	X(tsc_set)                                                                                 \
	X(tsc_get)                                                                                 \
	X(host_tsc_khz)                                                                            \
	X(cpuid_host)                                                                              \
	X(cpuid_set)                                                                               \
	X(monitor_open)                                                                            \
	X(monitor_debug)                                                                           \
	X(monitor_close)                                                                           \
	X(context_get)                                                                             \
	X(context_get_one)                                                                         \
	X(context_set)                                                                             \
	X(vcpu_context_get)                                                                        \
	X(vcpu_context_set)                                                                        \
	X(vcpu_info)                                                                               \
	X(vcpu_nmi)                                                                                \
	X(log_dirty)                                                                               \
	X(host_iommu)                                                                              \
	X(device_test)                                                                             \
	X(device_assign)                                                                           \
	X(device_deassign)                                                                         \
	X(device_map)                                                                              \
	X(device_irq_bind)                                                                         \
	X(device_irq_unbind)                                                                       \
	X(version)

const struct control_ops broker_control_ops = {
#define X(op) .op = op,
	CONTROL_OPS(X)
#undef X
		.close = control_close,
};

#define X(op) +1
_Static_assert(sizeof(struct control_ops) == (1 CONTROL_OPS(X)) * sizeof(void (*)(void)),
	       "a new control operation: a row in wire.h, a function here and in kvmxend");
#undef X
