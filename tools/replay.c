#include "tools/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "include/kvmxen/kvmxen.h"
#include "libkvmxen/ioctl/newer.h"
#include "libkvmxen/ioctl/trace.h"
#include "tools/log.h"

#define DESCRIPTORS   4096 /* of the VMM: higher ones are passed as they are */
#define RUN_SIZE      (3 * 4096)
#define ROOM          65536 /* for what a call writes */
#define NO_DESCRIPTOR 0x7ffffff0

struct replay {
	int fd[DESCRIPTORS]; /* ours for the VMM's; -1 */
	struct kvm_run *run[DESCRIPTORS];
	unsigned long calls, differences, runs;
};

static int mapped(const struct replay *r, int fd)
{
	return fd >= 0 && fd < DESCRIPTORS && r->fd[fd] >= 0 ? r->fd[fd] : NO_DESCRIPTOR;
}

static void enter(struct replay *r, int theirs, int ours)
{
	if (theirs >= 0 && theirs < DESCRIPTORS)
		r->fd[theirs] = ours;
}

/* An eventfd that the VMM made by itself: the call that got it succeeded, so it was one. */
static void put_eventfd(struct replay *r, uint8_t *bytes, size_t at, bool was_good)
{
	int32_t fd;

	memcpy(&fd, bytes + at, sizeof fd);
	if (was_good && fd >= 0 && fd < DESCRIPTORS && r->fd[fd] < 0)
		r->fd[fd] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fd = mapped(r, fd);
	memcpy(bytes + at, &fd, sizeof fd);
}

/* A pointer of the VMM's inside an argument: as much memory of our own. */
static void put_memory(uint8_t *bytes, size_t at, size_t size)
{
	void *memory;
	uint64_t address;

	memcpy(&address, bytes + at, sizeof address);
	if (size == 0 || address < 4096)
		return;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return;
	address = (uintptr_t)memory + (address & 4095) % size;
	memcpy(bytes + at, &address, sizeof address);
}

static void relocate(struct replay *r, const struct log_call *call, uint8_t *bytes)
{
	bool good = call->result >= 0;
	uint64_t size;

	switch (call->request) {
	case KVM_SET_USER_MEMORY_REGION:
	case KVM_SET_USER_MEMORY_REGION2:
		memcpy(&size, bytes + offsetof(struct kvm_userspace_memory_region, memory_size),
		       sizeof size);
		if (good)
			put_memory(bytes,
				   offsetof(struct kvm_userspace_memory_region, userspace_addr),
				   size);
		break;
	case KVM_GET_DIRTY_LOG:
		put_memory(bytes, offsetof(struct kvm_dirty_log, dirty_bitmap), ROOM * 16);
		break;
	case KVM_CLEAR_DIRTY_LOG:
		put_memory(bytes, offsetof(struct kvm_clear_dirty_log, dirty_bitmap), ROOM * 16);
		break;
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		put_memory(bytes, offsetof(struct kvm_device_attr, addr), 4096);
		break;
	case KVM_IRQFD:
		put_eventfd(r, bytes, offsetof(struct kvm_irqfd, fd), good);
		break;
	case KVM_IOEVENTFD:
		put_eventfd(r, bytes, offsetof(struct kvm_ioeventfd, fd), good);
		break;
	}
}

static long run(struct replay *r, const struct log_call *call)
{
	int fd = mapped(r, call->fd);

	if (!r->run[call->fd]) {
		void *page = mmap(NULL, RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (page == MAP_FAILED)
			return -errno;
		r->run[call->fd] = page;
	}
	r->run[call->fd]->immediate_exit = 1;
	return kvmxen_ioctl(fd, KVM_RUN, NULL) < 0 ? -errno : 0;
}

static long make(struct replay *r, const struct log_call *call)
{
	uint8_t *room = NULL;
	void *argument = (void *)call->argument;
	int result;

	if (call->in) {
		room = calloc(1, call->in_size + ROOM);
		if (!room)
			return -ENOMEM;
		memcpy(room, call->in, call->in_size);
		relocate(r, call, room);
		argument = room;
	}
	result = kvmxen_ioctl(mapped(r, call->fd), call->request, argument);
	if (result < 0)
		result = -errno;
	if (call->request == KVM_CREATE_DEVICE && result == 0 && call->out && call->result == 0)
		enter(r, ((const struct kvm_create_device *)call->out)->fd,
		      ((const struct kvm_create_device *)room)->fd);
	free(room);
	return result;
}

static bool makes_descriptor(const struct log_call *call)
{
	return call->request == KVM_CREATE_VM || call->request == KVM_CREATE_VCPU ||
	       call->request == KVM_GET_STATS_FD;
}

static void compare(struct replay *r, const struct log_call *call, long result)
{
	/* Descriptors have their own numbers; a count or a value must be the same. */
	if (result == call->result || (makes_descriptor(call) && result >= 0 && call->result >= 0))
		return;
	r->differences++;
	printf("%s %s:%d %s = %s, now %ld%s%s\n", call->time, call->kind, call->fd, log_name(call),
	       log_result(call), result, result < 0 ? " " : "",
	       result < 0 ? strerrorname_np((int)-result) : "");
}

static void one(struct replay *r, const struct log_call *call)
{
	long result;

	if (strcmp(call->kind, "open") == 0) {
		enter(r, call->fd, kvmxen_open(O_RDWR | O_CLOEXEC));
		return;
	}
	if (strcmp(call->kind, "close") == 0) {
		kvmxen_close(mapped(r, call->fd));
		enter(r, call->fd, -1);
		return;
	}
	if (strcmp(call->kind, "dup") == 0) {
		int copy = dup(mapped(r, call->fd));

		kvmxen_duplicated(mapped(r, call->fd), copy);
		enter(r, (int)call->argument, copy);
		return;
	}
	r->calls++;
	if (call->request == KVM_RUN && strcmp(call->kind, "vcpu") == 0 && call->fd < DESCRIPTORS) {
		r->runs++;
		result = run(r, call);
		if (result != -EINTR)
			compare(r, call, result);
		return;
	}
	result = make(r, call);
	if (makes_descriptor(call) && call->result >= 0 && result >= 0)
		enter(r, (int)call->result, (int)result);
	compare(r, call, result);
}

int replay_log(const char *path)
{
	static struct replay r;
	FILE *in = fopen(path, "re");
	struct log_call call;
	size_t i;

	if (!in) {
		fprintf(stderr, "kvmxen: %s: %s\n", path, strerror(errno));
		return 2;
	}
	for (i = 0; i < DESCRIPTORS; i++)
		r.fd[i] = -1;
	while (log_next(in, &call)) {
		one(&r, &call);
		log_free(&call);
	}
	fclose(in);
	printf("%lu calls, %lu answers differ; %lu KVM_RUN without the guest's memory\n", r.calls,
	       r.differences, r.runs);
	return r.differences ? 1 : 0;
}
