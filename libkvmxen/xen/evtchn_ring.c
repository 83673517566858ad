#include "libkvmxen/xen/evtchn_ring.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/io_uring.h>
#include <linux/time_types.h>

#include "libkvmxen/gate.h"

#define ENTRIES 4

enum tag { TAG_UNMASK, TAG_READ, TAG_LIMIT, TAG_CANCEL, TAGS };

struct evtchn_ring {
	int fd, evtchn;
	void *queues;
	size_t queues_size, sqes_size;
	unsigned *sq_tail, *cq_head, *cq_tail, sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	/* The kernel's while a request is in flight. */
	uint32_t unmask, port;
	struct __kernel_timespec limit;
	unsigned in_flight; /* bits: 1 << TAG_* */
	int result[TAGS];
};

static bool map(struct evtchn_ring *ring, const struct io_uring_params *p)
{
	uint8_t *queues;
	unsigned *array;

	ring->queues_size = p->cq_off.cqes + p->cq_entries * sizeof *ring->cqes;
	if (ring->queues_size < p->sq_off.array + p->sq_entries * sizeof *array)
		ring->queues_size = p->sq_off.array + p->sq_entries * sizeof *array;
	ring->sqes_size = p->sq_entries * sizeof *ring->sqes;
	ring->queues = mmap(NULL, ring->queues_size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, ring->sqes_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			  ring->fd, IORING_OFF_SQES);
	if (ring->queues == MAP_FAILED || ring->sqes == MAP_FAILED)
		return false;
	queues = ring->queues;
	ring->sq_tail = (unsigned *)(queues + p->sq_off.tail);
	ring->sq_mask = p->sq_entries - 1;
	ring->cq_head = (unsigned *)(queues + p->cq_off.head);
	ring->cq_tail = (unsigned *)(queues + p->cq_off.tail);
	ring->cq_mask = p->cq_entries - 1;
	ring->cqes = (struct io_uring_cqe *)(queues + p->cq_off.cqes);
	array = (unsigned *)(queues + p->sq_off.array);
	for (unsigned i = 0; i < p->sq_entries; i++)
		array[i] = i;
	return true;
}

struct evtchn_ring *evtchn_ring_open(int fd)
{
	struct io_uring_params p = {0};
	const unsigned needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_CQE_SKIP;
	struct evtchn_ring *ring = calloc(1, sizeof *ring);

	if (!ring)
		return NULL;
	ring->evtchn = fd;
	ring->queues = ring->sqes = MAP_FAILED;
	ring->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (ring->fd >= 0 && (p.features & needed) == needed && map(ring, &p))
		return ring;
	evtchn_ring_close(ring);
	return NULL;
}

void evtchn_ring_close(struct evtchn_ring *ring)
{
	if (!ring)
		return;
	if (ring->queues != MAP_FAILED)
		munmap(ring->queues, ring->queues_size);
	if (ring->sqes != MAP_FAILED)
		munmap(ring->sqes, ring->sqes_size);
	if (ring->fd >= 0)
		close(ring->fd);
	free(ring);
}

/* A request, to be taken by the kernel at the next enter. */
static void put(struct evtchn_ring *ring, struct io_uring_sqe sqe)
{
	unsigned tail = *ring->sq_tail;

	ring->sqes[tail & ring->sq_mask] = sqe;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
}

/* Takes what is complete. True when both the read and its time limit are: nothing is in flight. */
static bool reap(struct evtchn_ring *ring)
{
	unsigned head = *ring->cq_head;

	for (; head != __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE); head++) {
		const struct io_uring_cqe *cqe = &ring->cqes[head & ring->cq_mask];

		if (cqe->user_data < TAGS) {
			ring->result[cqe->user_data] = cqe->res;
			ring->in_flight &= ~(1u << cqe->user_data);
		}
	}
	__atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);
	return ring->in_flight == 0;
}

/* Ends a read that is in flight. It may have got an event at the last moment. */
static int cancel(struct evtchn_ring *ring)
{
	unsigned submit = 1;

	put(ring, (struct io_uring_sqe){.opcode = IORING_OP_ASYNC_CANCEL,
					.user_data = TAG_CANCEL,
					.flags = IOSQE_CQE_SKIP_SUCCESS,
					.addr = TAG_READ});
	while (!reap(ring)) {
		long r = syscall(SYS_io_uring_enter, ring->fd, submit, 1, IORING_ENTER_GETEVENTS,
				 NULL, 0);

		if (r > 0)
			submit = 0;
		if (r < 0 && errno != EINTR && errno != EAGAIN && errno != EBUSY)
			return -errno;
	}
	return 0;
}

static unsigned put_all(struct evtchn_ring *ring, uint32_t unmask, unsigned timeout_ms)
{
	struct io_uring_sqe sqe = {.fd = ring->evtchn, .len = sizeof ring->port};

	if (unmask) {
		ring->unmask = unmask;
		sqe.opcode = IORING_OP_WRITE;
		sqe.user_data = TAG_UNMASK;
		sqe.addr = (uintptr_t)&ring->unmask;
		sqe.flags = IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK;
		put(ring, sqe);
	}
	sqe.opcode = IORING_OP_READ;
	sqe.user_data = TAG_READ;
	sqe.addr = (uintptr_t)&ring->port;
	sqe.flags = IOSQE_IO_LINK;
	put(ring, sqe);
	ring->limit.tv_sec = timeout_ms / 1000;
	ring->limit.tv_nsec = timeout_ms % 1000 * 1000000ll;
	put(ring, (struct io_uring_sqe){.opcode = IORING_OP_LINK_TIMEOUT,
					.user_data = TAG_LIMIT,
					.addr = (uintptr_t)&ring->limit,
					.len = 1});
	ring->in_flight = 1u << TAG_READ | 1u << TAG_LIMIT;
	ring->result[TAG_UNMASK] = 0;
	return unmask ? 3 : 2;
}

int evtchn_ring_wait(struct evtchn_ring *ring, uint32_t unmask, const volatile uint8_t *gate,
		     unsigned timeout_ms)
{
	unsigned tail = *ring->sq_tail, n = put_all(ring, unmask, timeout_ms);
	const long arguments[6] = {ring->fd, n, 2, IORING_ENTER_GETEVENTS, 0, 0};
	bool interrupted;
	long r = gate_syscall(gate, SYS_io_uring_enter, arguments);

	if (r < 0) {
		/* None was taken. */
		__atomic_store_n(ring->sq_tail, tail, __ATOMIC_RELEASE);
		return (int)r;
	}
	if (r != n)
		return -EIO; /* the kernel had no memory: what is in flight ends with the ring */
	interrupted = !reap(ring);
	if (interrupted) {
		int rc = cancel(ring);

		if (rc < 0)
			return rc;
	}
	if (ring->result[TAG_READ] == sizeof ring->port)
		return (int)ring->port;
	if (ring->result[TAG_UNMASK] < 0)
		return ring->result[TAG_UNMASK];
	if (ring->result[TAG_READ] != -ECANCELED)
		return ring->result[TAG_READ] < 0 ? ring->result[TAG_READ] : -EIO;
	if (*gate)
		return -ECANCELED;
	return interrupted ? -EINTR : -EAGAIN;
}
