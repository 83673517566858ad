/*
 * hostile: a client that wants more than it may have, on a real Xen.
 *
 *	hostile touch DOMID   with a domain of its own: everything about domain DOMID and about dom0
 *	hostile garbage       messages that are none, cut off, played again
 *	hostile flood SECONDS requests without end, whose answers are not taken
 *
 * Prints `ok NAME` or `not ok NAME - reason` for each try; DOMID must live, and goes on living.
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
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "libkvmxen/xen/privcmd.h"

#include <xen/memory.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/privcmd.h>

#include "libkvmxen/xen/wire.h"

static int failures;

static void expect(bool good, const char *name, int rc)
{
	if (good)
		printf("ok %s\n", name);
	else
		printf("not ok %s - result %d\n", name, rc);
	failures += !good;
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = WIRE_SOCKET};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		perror(WIRE_SOCKET);
		exit(2);
	}
	return fd;
}

/* The result; -EPIPE when the broker hangs up. */
static int call(int stream, struct wire_message *message, const void *data, int *fd)
{
	static char room[1 << 16];
	struct wire_message reply;
	int got, rc = wire_send(stream, message, data, -1);

	if (rc == 0)
		rc = wire_receive(stream, -1, &reply, &got);
	if (rc == 0 && reply.length)
		rc = wire_receive_data(stream, -1, room, reply.length);
	if (rc < 0)
		return -EPIPE;
	if (fd)
		*fd = got;
	memcpy(message->arg, reply.arg, sizeof reply.arg);
	return reply.result;
}

static int greet(int stream)
{
	struct wire_message hello = {.op = WIRE_hello, .sequence = 1, .arg = {WIRE_VERSION}};

	return call(stream, &hello, NULL, NULL);
}

/* --- another's domain --- */

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
		.num = 1,
		.dom = domid,
		.addr = (uintptr_t)at,
		.arr = &gfn,
		.err = &err,
	};

	if (at == MAP_FAILED)
		return -errno;
	return ioctl(privcmd, IOCTL_PRIVCMD_MMAPBATCH_V2, &map) < 0 ? -errno : err;
}

static int try_resource(int privcmd, uint16_t domid)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, privcmd, 0);
	struct privcmd_mmap_resource map = {
		.dom = domid,
		.type = XENMEM_resource_ioreq_server,
		.idx = XENMEM_resource_ioreq_server_frame_ioreq(0),
		.num = 1,
		.addr = (uintptr_t)at,
	};

	return ioctl(privcmd, IOCTL_PRIVCMD_MMAP_RESOURCE, &map) < 0 ? -errno : 0;
}

static int try_hypercall(int privcmd)
{
	struct privcmd_hypercall version = {.op = __HYPERVISOR_xen_version};

	return ioctl(privcmd, IOCTL_PRIVCMD_HYPERCALL, &version) < 0 ? -errno : 0;
}

static int try_bind(int evtchn, uint16_t domid)
{
	struct ioctl_evtchn_bind_interdomain bind = {.remote_domain = domid, .remote_port = 1};

	return ioctl(evtchn, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind) < 0 ? -errno : 0;
}

static int try_virq(int evtchn)
{
	struct ioctl_evtchn_bind_virq bind = {.virq = VIRQ_DOM_EXC};

	return ioctl(evtchn, IOCTL_EVTCHN_BIND_VIRQ, &bind) < 0 ? -errno : 0;
}

static int try_restrict(int privcmd, uint16_t domid)
{
	domid_t other = domid;

	return ioctl(privcmd, IOCTL_PRIVCMD_RESTRICT, &other) < 0 ? -errno : 0;
}

static void ask_about(int stream, uint32_t *sequence, uint16_t domid, const char *whose)
{
	static char data[sizeof(struct vcpu_guest_context)];
	char name[100];
	int rc;

	for (uint16_t op = 1; op < WIRE_OP_COUNT; op++) {
		struct wire_message message = {.op = op, .domid = domid, .sequence = *sequence};

		if (!wire_about_domain(op))
			continue;
		while (wire_check_request(&message, *sequence) < 0 && message.length < sizeof data)
			message.length++;
		rc = call(stream, &message, data, NULL);
		++*sequence;
		snprintf(name, sizeof name, "broker: %s of %s", wire_name(op), whose);
		expect(rc == -EPERM, name, rc);
	}
}

static void touch(uint16_t foreign)
{
	struct wire_message create = {.op = WIRE_domain_create, .sequence = 2, .arg = {1, 1}};
	struct wire_message open_evtchn = {.op = WIRE_evtchn_open, .sequence = 3};
	int stream = dial(), privcmd = -1, evtchn = -1, rc = greet(stream);
	uint32_t sequence = 4;
	uint16_t own;

	if (rc == 0)
		rc = call(stream, &create, NULL, &privcmd);
	own = open_evtchn.domid = create.arg[0];
	if (rc == 0)
		rc = call(stream, &open_evtchn, NULL, &evtchn);
	expect(rc == 0 && privcmd >= 0 && evtchn >= 0, "a domain of its own", rc);
	if (rc)
		return;
#define REFUSED(name, errors, try)                                                                 \
	do {                                                                                       \
		rc = (try);                                                                        \
		expect(errors, name, rc);                                                          \
	} while (0)
	REFUSED("dm_op on its own domain", rc == 0, try_dm_op(privcmd, own));
	REFUSED("dm_op on another's", rc == -EPERM, try_dm_op(privcmd, foreign));
	REFUSED("memory of another's", rc == -EPERM, try_map(privcmd, foreign));
	REFUSED("ioreq page of another's", rc == -EPERM, try_resource(privcmd, foreign));
	REFUSED("dom0's memory", rc == -EPERM, try_map(privcmd, 0));
	REFUSED("dom0's memory as its own", rc == -EPERM, try_map(privcmd, DOMID_SELF));
	REFUSED("a plain hypercall", rc == -EPERM, try_hypercall(privcmd));
	REFUSED("restricting to another", rc == -EINVAL, try_restrict(privcmd, foreign));
	REFUSED("an event channel of another's", rc == -EACCES || rc == -EPERM,
		try_bind(evtchn, foreign));
	REFUSED("a virq", rc == -EACCES || rc == -EPERM, try_virq(evtchn));
	REFUSED("opening privcmd", rc == -EACCES,
		open("/dev/xen/privcmd", O_RDWR) < 0 ? -errno : 0);
	REFUSED("opening evtchn", rc == -EACCES, open("/dev/xen/evtchn", O_RDWR) < 0 ? -errno : 0);
	ask_about(stream, &sequence, foreign, "another's");
	ask_about(stream, &sequence, own + 1000, "nobody's");
	close(stream);
}

/* --- bad messages --- */

static void garbage(void)
{
	const struct wire_message good = {.op = WIRE_host_tsc_khz, .sequence = 2};
	struct wire_message again = good;
	unsigned char noise[4096];
	int stream, rc, refused = 0;

	srand(1);
	for (unsigned round = 0; round < 200; round++) {
		stream = dial();
		if (round % 2)
			greet(stream);
		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = rand();
		send(stream, noise, 1 + rand() % sizeof noise, MSG_NOSIGNAL);
		shutdown(stream, SHUT_WR);
		while ((rc = recv(stream, noise, sizeof noise, 0)) > 0)
			;
		refused += rc <= 0;
		close(stream);
	}
	expect(refused == 200, "noise ends the connection", refused);
	for (size_t n = 0; n < sizeof good; n++) {
		stream = dial();
		greet(stream);
		send(stream, &good, n, MSG_NOSIGNAL);
		close(stream);
	}
	stream = dial();
	greet(stream);
	rc = call(stream, &again, NULL, NULL);
	expect(rc == 0, "a good message", rc);
	again = good;
	rc = call(stream, &again, NULL, NULL);
	expect(rc == -EPIPE, "the same once more", rc);
	close(stream);
}

static void flood(int seconds)
{
	struct wire_message message = {.op = WIRE_host_tsc_khz};
	time_t end = time(NULL) + seconds;
	unsigned long sent = 0;
	int stream = dial();

	greet(stream);
	for (message.sequence = 2; time(NULL) < end; message.sequence++, sent++)
		if (send(stream, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT) !=
		    sizeof message) {
			/* Full, or thrown out: come again. */
			close(stream);
			stream = dial();
			if (greet(stream) < 0)
				usleep(1000);
			message.sequence = 1;
		}
	expect(sent > 0, "flooding", (int)sent);
	close(stream);
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "touch") == 0)
		touch(atoi(argv[2]));
	else if (argc > 1 && strcmp(argv[1], "garbage") == 0)
		garbage();
	else if (argc > 2 && strcmp(argv[1], "flood") == 0)
		flood(atoi(argv[2]));
	else
		return 2;
	return failures != 0;
}
