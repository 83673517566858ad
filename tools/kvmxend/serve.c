/* What each request does. Its form was checked against the table of wire.h; what it means is
 * checked here, before Xen sees it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenctrl.h>

#include <xen/hvm/params.h>

#include "tools/kvmxend/kvmxend.h"

#define ORDER_MAX    9 /* 2 MiB */
#define GFN_MAX      (1ull << 36)
#define VCPUS_MAX    128
#define RECORD_MAX   (64u << 10) /* a single context record */
#define KHZ_LEAST    1000
#define EVTCHNS_MORE 8 /* descriptors of evtchn beyond one for each vcpu */
#define BYTES_MAX    (1ull << 46)

#define ARG(n) (request->message.arg[n])

static struct control *control_of(const struct request *request)
{
	return registry_host(request->registry)->xen.ctl;
}

static struct device *device_of(const struct request *request)
{
	return registry_host(request->registry)->xen.dev;
}

#define CONTROL(op, ...)                                                                           \
	(control_of(request)->ops->op(control_of(request), request->domain->domid, ##__VA_ARGS__))
#define DEVICE(op, ...)                                                                            \
	(device_of(request)->ops->op(device_of(request), request->domain->domid, ##__VA_ARGS__))

/* Room for a reply's data, zeroed: nothing of ours leaks. */
static void *reply_room(struct request *request, size_t length)
{
	request->reply = calloc(1, length ? length : 1);
	request->reply_length = request->reply ? length : 0;
	return request->reply;
}

static bool is_vcpu(const struct request *request, uint64_t vcpu)
{
	return vcpu < request->domain->vcpus;
}

static int serve_hello(struct request *request)
{
	const char *version = control_of(request)->ops->version(control_of(request));
	size_t length = strlen(version);

	if (ARG(0) != WIRE_VERSION)
		return -EPROTO;
	if (length > WIRE_VERSION_MAX)
		length = WIRE_VERSION_MAX;
	if (!reply_room(request, length))
		return -ENOMEM;
	memcpy(request->reply, version, length);
	return 0;
}

static int serve_domain_create(struct request *request)
{
	struct domain_config config = {.vcpus = ARG(0), .emulation = ARG(1)};
	struct guest *domain;
	int rc;

	/* It has one already. */
	if (request->process->stub)
		return -EPERM;
	if (ARG(0) < 1 || ARG(0) > VCPUS_MAX || ARG(1) > EMULATION_HVM)
		return -EINVAL;
	rc = guest_make(request->registry, request->process, &config, &domain);
	if (rc < 0)
		return rc;
	rc = registry_host(request->registry)->open_privcmd(domain->domid);
	if (rc < 0) {
		guest_finish(request->registry, domain);
		return rc;
	}
	request->fd = rc;
	ARG(0) = domain->domid;
	guest_give(request->registry, domain);
	return 0;
}

/* The toolstack's domain becomes the stub domain's; once. */
static int serve_domain_adopt(struct request *request)
{
	struct guest *domain = request->domain;
	struct domain_config found;
	int rc;

	if (!domain->stub)
		return -EPERM;
	if (domain->adopted)
		return -EBUSY;
	if (!reply_room(request, sizeof found.handle))
		return -ENOMEM;
	rc = CONTROL(domain_adopt, &found);
	if (rc < 0)
		return rc;
	domain->adopted = true;
	memcpy(domain->handle, found.handle, sizeof domain->handle);
	rc = record_write(registry_host(request->registry)->records, domain);
	if (rc < 0)
		return rc;
	memcpy(request->reply, found.handle, sizeof found.handle);
	ARG(0) = found.vcpus;
	ARG(1) = found.emulation;
	return 0;
}

static int serve_domain_shutdown(struct request *request)
{
	if (!request->domain->stub)
		return -EPERM;
	return ARG(0) > UINT8_MAX ? -EINVAL : CONTROL(domain_shutdown, ARG(0));
}

static int serve_domain_destroy(struct request *request)
{
	int rc;

	if (request->domain->stub)
		return -EPERM;
	rc = guest_finish(request->registry, request->domain);
	request->domain = NULL;
	return rc;
}

/* In xl's list it carries its user's number: nobody's domain can look like another's. */
static int serve_domain_set_name(struct request *request)
{
	struct guest *domain = request->domain;
	char name[WIRE_NAME_MAX + 16];
	int rc;

	if (domain->stub)
		return -EPERM;
	if (!request->message.length) {
		domain->named = false;
		return CONTROL(domain_set_name, domain->handle, NULL);
	}
	if (!check_name(request->data, request->message.length))
		return -EINVAL;
	snprintf(name, sizeof name, "%u:%.*s", domain->uid, (int)request->message.length,
		 (const char *)request->data);
	/* First said, then done: a successor takes the name away with the domain. */
	domain->named = true;
	rc = record_write(registry_host(request->registry)->records, domain);
	return rc < 0 ? rc : CONTROL(domain_set_name, domain->handle, name);
}

static int serve_domain_set_maxmem(struct request *request)
{
	int rc;

	if (ARG(0) > BYTES_MAX >> 10)
		return -EDQUOT;
	rc = guest_charge(request->registry, request->domain, ARG(0), 0);
	return rc < 0 ? rc : CONTROL(domain_set_maxmem, ARG(0));
}

static int serve_domain_set_paging_pool(struct request *request)
{
	int rc;

	if (ARG(0) > BYTES_MAX)
		return -EDQUOT;
	rc = guest_charge(request->registry, request->domain, 0, (ARG(0) + 1023) >> 10);
	return rc < 0 ? rc : CONTROL(domain_set_paging_pool, ARG(0));
}

static int serve_domain_pause(struct request *request)
{
	return CONTROL(domain_pause);
}

static int serve_domain_unpause(struct request *request)
{
	return CONTROL(domain_unpause);
}

static int serve_domain_resume(struct request *request)
{
	return CONTROL(domain_resume);
}

static int serve_domain_info(struct request *request)
{
	struct domain_info *info = reply_room(request, sizeof *info);

	return info ? CONTROL(domain_info, info) : -ENOMEM;
}

/* What an operation answers by a pointer to 32 bits. */
#define SERVE_VALUE(call)                                                                          \
	do {                                                                                       \
		uint32_t value = 0;                                                                \
		int rc = (call);                                                                   \
		ARG(0) = value;                                                                    \
		return rc;                                                                         \
	} while (0)

/* The port is for dom0: a stub domain could not bind to it. */
static int serve_domain_subscribe(struct request *request)
{
	if (request->domain->stub)
		return -EPERM;
	SERVE_VALUE(CONTROL(domain_subscribe, &value));
}

static int serve_tsc_set(struct request *request)
{
	if (ARG(0) > UINT32_MAX || (ARG(0) && ARG(0) < KHZ_LEAST))
		return -EINVAL;
	return CONTROL(tsc_set, ARG(0));
}

static int serve_tsc_get(struct request *request)
{
	SERVE_VALUE(CONTROL(tsc_get, &value));
}

static int serve_host_tsc_khz(struct request *request)
{
	SERVE_VALUE(control_of(request)->ops->host_tsc_khz(control_of(request), &value));
}

static int serve_cpuid_host(struct request *request)
{
	uint32_t n = ARG(0);
	struct control_cpuid *leaves;
	int rc;

	if (ARG(0) > WIRE_CPUID_MAX)
		return -EINVAL;
	leaves = reply_room(request, n * sizeof *leaves);
	if (!leaves)
		return -ENOMEM;
	rc = control_of(request)->ops->cpuid_host(control_of(request), leaves, &n);
	if (rc >= 0 && n <= ARG(0))
		request->reply_length = n * sizeof *leaves;
	return rc;
}

static int serve_cpuid_set(struct request *request)
{
	return CONTROL(cpuid_set, request->data,
		       request->message.length / sizeof(struct control_cpuid));
}

/* Xen's port is dom0's: what comes there is passed on. */
static int relay_monitor(struct request *request, uint32_t port, uint32_t offered)
{
	struct guest *domain = request->domain;
	int rc;

	domain->monitor_port = port;
	domain->stub_port = offered;
	rc = relay_open(device_of(request), domain);
	if (rc == 0)
		rc = record_write(registry_host(request->registry)->records, domain);
	if (rc == 0)
		return 0;
	relay_close(domain->relay);
	domain->relay = NULL;
	domain->monitor_port = domain->stub_port = 0;
	CONTROL(monitor_close, domain->ring);
	return rc;
}

static int serve_monitor_open(struct request *request)
{
	struct guest *domain = request->domain;
	uint32_t port = 0;
	int rc;

	if (ARG(0) >= GFN_MAX || ARG(1) > UINT32_MAX || !ARG(1) != !domain->stub)
		return -EINVAL;
	if (domain->ring || domain->relay)
		return -EBUSY;
	rc = CONTROL(monitor_open, ARG(0), &domain->ring, &port);
	if (rc == 0 && domain->stub)
		rc = relay_monitor(request, port, ARG(1));
	if (rc < 0)
		domain->ring = NULL;
	ARG(0) = domain->stub ? 0 : port;
	return rc;
}

static int serve_monitor_debug(struct request *request)
{
	return CONTROL(monitor_debug, ARG(0) != 0);
}

/* A predecessor may have opened it: then there is nothing to unmap. */
static int serve_monitor_close(struct request *request)
{
	struct guest *domain = request->domain;
	void *ring = domain->ring;

	domain->ring = NULL;
	relay_close(domain->relay);
	domain->relay = NULL;
	if (domain->stub) {
		domain->monitor_port = domain->stub_port = 0;
		record_write(registry_host(request->registry)->records, domain);
	}
	return CONTROL(monitor_close, ring);
}

static int serve_context_get(struct request *request)
{
	uint32_t length = ARG(0) < WIRE_IMAGE_MAX ? ARG(0) : WIRE_IMAGE_MAX;
	int rc;

	if (length && !reply_room(request, length))
		return -ENOMEM;
	rc = CONTROL(context_get, request->reply, &length);
	if (request->reply && length < request->reply_length)
		request->reply_length = length;
	ARG(0) = length;
	return rc;
}

static int serve_context_get_one(struct request *request)
{
	if (ARG(0) > UINT16_MAX || ARG(1) > UINT16_MAX || ARG(2) > RECORD_MAX)
		return -EINVAL;
	if (!reply_room(request, ARG(2)))
		return -ENOMEM;
	return CONTROL(context_get_one, ARG(0), ARG(1), request->reply, ARG(2));
}

static int serve_context_set(struct request *request)
{
	if (!check_image(request->data, request->message.length, request->domain->vcpus))
		return -EINVAL;
	return CONTROL(context_set, request->data, request->message.length);
}

static int serve_vcpu_context_get(struct request *request)
{
	struct vcpu_guest_context *context;

	if (!is_vcpu(request, ARG(0)))
		return -ESRCH;
	context = reply_room(request, sizeof *context);
	return context ? CONTROL(vcpu_context_get, ARG(0), context) : -ENOMEM;
}

static int serve_vcpu_context_set(struct request *request)
{
	if (!is_vcpu(request, ARG(0)))
		return -ESRCH;
	return CONTROL(vcpu_context_set, ARG(0), request->message.length ? request->data : NULL);
}

static int serve_vcpu_info(struct request *request)
{
	struct vcpu_info_bits *info;

	if (!is_vcpu(request, ARG(0)))
		return -ESRCH;
	info = reply_room(request, sizeof *info);
	return info ? CONTROL(vcpu_info, ARG(0), info) : -ENOMEM;
}

static int serve_vcpu_nmi(struct request *request)
{
	if (!is_vcpu(request, ARG(0)))
		return -ESRCH;
	return CONTROL(vcpu_nmi, ARG(0));
}

static int serve_log_dirty(struct request *request)
{
	uint64_t pages = ARG(1);

	switch (ARG(0)) {
	case LOG_DIRTY_ENABLE:
	case LOG_DIRTY_OFF:
		return pages ? -EINVAL : CONTROL(log_dirty, ARG(0), 0, NULL);
	case LOG_DIRTY_CLEAN:
	case LOG_DIRTY_PEEK:
		break;
	default:
		return -EINVAL;
	}
	if (!pages || pages > 8ull * WIRE_BITMAP_MAX)
		return -EINVAL;
	if (!reply_room(request, (pages + 7) / 8))
		return -ENOMEM;
	return CONTROL(log_dirty, ARG(0), pages, request->reply);
}

static bool check_gfns(const struct request *request, size_t *n)
{
	const uint64_t *gfns = request->data;

	*n = request->message.length / sizeof *gfns;
	for (size_t i = 0; i < *n; i++)
		if (gfns[i] >= GFN_MAX)
			return false;
	return true;
}

static int serve_mem_populate(struct request *request)
{
	size_t n;

	if (ARG(0) > ORDER_MAX || !check_gfns(request, &n))
		return -EINVAL;
	return DEVICE(mem_populate, ARG(0), n, request->data);
}

static int serve_mem_release(struct request *request)
{
	size_t n;

	if (!check_gfns(request, &n))
		return -EINVAL;
	return DEVICE(mem_release, n, request->data);
}

static int serve_hvm_param_set(struct request *request)
{
	bool own = request->domain->stub && ARG(0) == HVM_PARAM_CALLBACK_IRQ;

	if (ARG(0) > UINT32_MAX || !(own || check_param(ARG(0), true)))
		return -EPERM;
	return DEVICE(hvm_param_set, ARG(0), ARG(1));
}

static int serve_hvm_param_get(struct request *request)
{
	uint64_t value = 0;
	int rc;

	if (ARG(0) > UINT32_MAX || !check_param(ARG(0), false))
		return -EPERM;
	rc = DEVICE(hvm_param_get, ARG(0), &value);
	ARG(0) = value;
	return rc;
}

static int serve_evtchn_open(struct request *request)
{
	struct guest *domain = request->domain;
	int rc;

	/* It opens its own. */
	if (domain->stub)
		return -EPERM;
	if (domain->evtchns >= domain->vcpus + EVTCHNS_MORE)
		return -EMFILE;
	rc = registry_host(request->registry)->open_evtchn(domain->domid);
	if (rc < 0)
		return rc;
	domain->evtchns++;
	request->fd = rc;
	return 0;
}

int serve(struct request *request)
{
	static int (*const handlers[])(struct request *) = {
#define X(op, ...) [WIRE_##op] = serve_##op,
		WIRE_OPS(X)
#undef X
	};

	return handlers[request->message.op](request);
}
