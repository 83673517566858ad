/*
 * stub-hostile: a device model in a stub domain that wants more than its target. It stands where
 * kvmxen-dm would, and tries dom0, itself, and the domains that the kernel's command line names
 * (victims=N,N). Prints `ok NAME` or `not ok NAME - result N`, which ends in the log that libxl
 * keeps, and `done`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libkvmxen/xen/privcmd.h"

#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/privcmd.h>
#include <xenstore.h>

#include "libkvmxen/xen/toolstack.h"
#include "libkvmxen/xen/wire_link.h"

#define WAIT_MS     5000
#define VICTIMS_MAX 8
#define CONNECTIONS 8 /* that a stub domain may have */

static void expect(bool good, const char *what, const char *name, int domid, int rc)
{
	if (good)
		printf("ok %s %s %d\n", what, name, domid);
	else
		printf("not ok %s %s %d - result %d\n", what, name, domid, rc);
	fflush(stdout);
}

/* --- the broker --- */

static struct wire_link *connect_broker(uint32_t *sequence)
{
	struct wire_message hello = {.op = WIRE_hello, .sequence = 1, .arg = {WIRE_VERSION}};
	char path[64], version[WIRE_VERSION_MAX];
	static unsigned made;
	struct wire_link *link;
	int rc;

	snprintf(path, sizeof path, WIRE_VCHAN_OFFERS "/hostile-%u", ++made);
	rc = wire_link_offer(0, path, WAIT_MS, &link);
	if (rc < 0)
		return NULL;
	rc = link->ops->send(link, &hello, NULL, -1);
	if (rc == 0)
		rc = link->ops->receive(link, -1, &hello, NULL);
	if (rc == 0)
		rc = link->ops->receive_data(link, -1, version, hello.length);
	if (rc < 0) {
		link->ops->close(link);
		return NULL;
	}
	*sequence = 1;
	return link;
}

static int call(struct wire_link *link, uint32_t *sequence, struct wire_message message)
{
	static char data[1 << 16];
	int rc;

	message.sequence = ++*sequence;
	rc = link->ops->send(link, &message, data, -1);
	if (rc == 0)
		rc = link->ops->receive(link, -1, &message, NULL);
	if (rc == 0 && message.length)
		rc = link->ops->receive_data(link, -1, data, message.length);
	return rc < 0 ? -EPIPE : message.result;
}

/* The least that the table lets pass. */
static bool shape(struct wire_message *message)
{
	for (message->length = 0; message->length < 1 << 14; message->length++)
		if (wire_check_request(message, message->sequence) == 0)
			return true;
	return false;
}

static void ask_about(struct wire_link *link, uint32_t *sequence, uint16_t domid)
{
	for (uint16_t op = 1; op < WIRE_OP_COUNT; op++) {
		struct wire_message message = {.op = op, .domid = domid};
		int rc;

		if (!wire_about_domain(op) || !shape(&message))
			continue;
		rc = call(link, sequence, message);
		expect(rc == -EPERM, "broker", wire_name(op), domid, rc);
	}
}

static void ask_for_too_much(struct wire_link *link, uint32_t *sequence, uint16_t target)
{
	static const struct {
		uint16_t op;
		uint64_t arg[2];
		int refusal;
	} tries[] = {
		{WIRE_domain_destroy, {0}, -EPERM},
		{WIRE_domain_subscribe, {0}, -EPERM},
		{WIRE_evtchn_open, {0}, -EPERM},
		{WIRE_domain_set_maxmem, {1 << 24}, -EDQUOT},
		{WIRE_domain_set_paging_pool, {1 << 30}, -EDQUOT},
		{WIRE_hvm_param_set, {HVM_PARAM_STORE_PFN, 1}, -EPERM},
		{WIRE_hvm_param_set, {HVM_PARAM_IOREQ_PFN, 1}, -EPERM},
		{WIRE_vcpu_info, {128}, -ESRCH},
	};
	struct wire_message create = {.op = WIRE_domain_create, .arg = {1, EMULATION_HVM}};
	int rc = call(link, sequence, create);

	expect(rc == -EPERM, "broker", "domain_create", 0, rc);
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		struct wire_message message = {.op = tries[i].op, .domid = target};

		memcpy(message.arg, tries[i].arg, sizeof tries[i].arg);
		rc = call(link, sequence, message);
		expect(rc == tries[i].refusal, "target", wire_name(message.op), target, rc);
	}
}

static void send_garbage(void)
{
	struct wire_message message = {.op = 9999, .domid = 1};
	uint32_t sequence;
	struct wire_link *link = connect_broker(&sequence);
	int rc = link ? call(link, &sequence, message) : -ENOENT;

	expect(rc == -EPIPE, "broker", "garbage", 0, rc);
	if (link)
		link->ops->close(link);
	link = connect_broker(&sequence);
	message = (struct wire_message){.op = WIRE_domain_info};
	rc = link ? call(link, &sequence, message) : -ENOENT;
	expect(rc == -EPIPE, "broker", "domain_info", 0, rc);
	if (link)
		link->ops->close(link);
}

static void connect_too_often(void)
{
	struct wire_link *links[CONNECTIONS + 1];
	uint32_t sequence;
	int n;

	/* Until those that were sent away have gone. */
	usleep(500000);
	for (n = 0; n <= CONNECTIONS; n++)
		if (!(links[n] = connect_broker(&sequence)))
			break;
	/* One is the caller's. */
	expect(n == CONNECTIONS - 1, "broker", "connections", n, n);
	while (n-- > 0)
		links[n]->ops->close(links[n]);
}

/* --- Xen, by what the kernel lets through --- */

static int try_dm_op(int privcmd, uint16_t domid)
{
	struct xen_dm_op op = {.op = XEN_DMOP_nr_vcpus};
	struct privcmd_dm_op_buf buf = {.uptr = &op, .size = sizeof op};
	struct privcmd_dm_op dm = {.dom = domid, .num = 1, .ubufs = &buf};

	return ioctl(privcmd, IOCTL_PRIVCMD_DM_OP, &dm) < 0 ? -errno : 0;
}

static int try_map(int privcmd, uint16_t domid)
{
	void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, privcmd, 0);
	xen_pfn_t gfn = 0;
	int err = 0;
	struct privcmd_mmapbatch_v2 map = {
		.num = 1, .dom = domid, .addr = (uintptr_t)at, .arr = &gfn, .err = &err};

	if (at == MAP_FAILED)
		return -errno;
	return ioctl(privcmd, IOCTL_PRIVCMD_MMAPBATCH_V2, &map) < 0 ? -errno : err;
}

static int try_bind(int evtchn, uint16_t domid, unsigned port)
{
	struct ioctl_evtchn_bind_interdomain bind = {.remote_domain = domid, .remote_port = port};

	return ioctl(evtchn, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind) < 0 ? -errno : 0;
}

static void reach_out(uint16_t domid)
{
	int privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	int evtchn = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC), rc;

	rc = try_dm_op(privcmd, domid);
	expect(rc == -EPERM, "xen", "dm_op", domid, rc);
	rc = try_map(privcmd, domid);
	expect(rc < 0, "xen", "map", domid, rc);
	for (unsigned port = 1; port < 200; port++) {
		rc = try_bind(evtchn, domid, port);
		if (rc >= 0)
			break;
	}
	expect(rc < 0, "xen", "bind", domid, rc);
	close(privcmd);
	close(evtchn);
}

static void call_xen(void)
{
	struct privcmd_hypercall version = {.op = __HYPERVISOR_xen_version};
	int privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC), rc;

	rc = ioctl(privcmd, IOCTL_PRIVCMD_HYPERCALL, &version) < 0 ? -errno : 0;
	expect(rc == -EPERM, "xen", "hypercall", 0, rc);
	close(privcmd);
}

/* --- xenstore --- */

static void write_node(struct xs_handle *xs, const char *format, uint16_t domid)
{
	char path[96];
	bool done;

	snprintf(path, sizeof path, format, domid);
	done = xs_write(xs, XBT_NULL, path, "1", 1);
	expect(!done && errno == EACCES, "xenstore", path, domid, done ? 0 : -errno);
}

static unsigned read_victims(uint16_t *victims)
{
	char line[4096] = "", *at;
	FILE *file = fopen("/proc/cmdline", "re");
	unsigned n = 0;

	if (!file || !fgets(line, sizeof line, file) || !(at = strstr(line, "victims=")))
		return 0;
	for (at += strlen("victims="); n < VICTIMS_MAX && *at >= '0' && *at <= '9'; at++) {
		victims[n++] = strtoul(at, &at, 10);
		if (*at != ',')
			break;
	}
	return n;
}

static uint16_t own_number(struct xs_handle *xs, const char *node)
{
	char *text = xs_read(xs, XBT_NULL, node, NULL);
	uint16_t number = text ? strtoul(text, NULL, 10) : 0;

	free(text);
	return number;
}

int main(void)
{
	struct xs_handle *xs = xs_open(0);
	uint16_t victims[VICTIMS_MAX + 1], self = own_number(xs, "domid"),
					   target = own_number(xs, "target");
	unsigned n = read_victims(victims);
	uint32_t sequence;
	struct wire_link *link = connect_broker(&sequence);

	expect(n > 0, "victims", "named", n, n);
	if (!link) {
		expect(false, "broker", "connection", 0, -ENOENT);
		return 1;
	}
	victims[n++] = self;
	for (unsigned i = 0; i < n; i++)
		ask_about(link, &sequence, victims[i]);
	ask_for_too_much(link, &sequence, target);
	send_garbage();
	connect_too_often();
	reach_out(0);
	for (unsigned i = 0; i + 1 < n; i++) {
		reach_out(victims[i]);
		write_node(xs, "/local/domain/%u/target", victims[i]);
		write_node(xs, "/local/domain/%u/image/device-model-domid", victims[i]);
		write_node(xs, "/local/domain/%u/data/kvmxen/x/event-channel", victims[i]);
	}
	call_xen();
	write_node(xs, "/local/domain/%u/target", self);
	write_node(xs, "/local/domain/%u/image/device-model-domid", target);
	/* It is heard as before. */
	expect(call(link, &sequence,
		    (struct wire_message){.op = WIRE_domain_info, .domid = target}) == 0,
	       "broker", "domain_info", target, 0);
	puts("done");
	fflush(stdout);
	toolstack_ready(target);
	link->ops->close(link);
	return 0;
}
