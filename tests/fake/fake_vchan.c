#include "tests/fake/fake_vchan.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <libxenvchan.h>

#define RING 512

struct ring {
	char bytes[RING];
	unsigned length;
};

/* What a real one shares by grants and an event channel. Sides: 0 the server's, 1 the client's. */
struct shared {
	struct shared *next;
	char path[96];
	struct ring to[2]; /* that side reads */
	int fd[2];
	bool taken, live[2];
	unsigned users;
};

struct end {
	struct libxenvchan base; /* first: a struct libxenvchan * is a struct end * */
	struct shared *shared;
	int side;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared *all;

static void wake(struct shared *shared, int side)
{
	eventfd_write(shared->fd[side], 1);
}

static struct libxenvchan *new_end(struct shared *shared, int side)
{
	struct end *end = calloc(1, sizeof *end);

	if (!end)
		abort();
	end->base.is_server = side == 0 ? -1 : 0;
	end->shared = shared;
	end->side = side;
	shared->live[side] = true;
	shared->users++;
	return &end->base;
}

struct libxenvchan *libxenvchan_server_init(struct xentoollog_logger *logger, int domain,
					    const char *path, size_t left, size_t right)
{
	struct shared *shared = calloc(1, sizeof *shared);
	struct libxenvchan *vchan;

	if (!shared)
		abort();
	snprintf(shared->path, sizeof shared->path, "%s", path);
	for (int i = 0; i < 2; i++)
		shared->fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_lock(&lock);
	vchan = new_end(shared, 0);
	shared->next = all;
	all = shared;
	pthread_mutex_unlock(&lock);
	return vchan;
}

struct libxenvchan *libxenvchan_client_init(struct xentoollog_logger *logger, int domain,
					    const char *path)
{
	struct libxenvchan *vchan = NULL;

	pthread_mutex_lock(&lock);
	for (struct shared *shared = all; shared && !vchan; shared = shared->next)
		if (!strcmp(shared->path, path) && !shared->live[1] && shared->live[0]) {
			vchan = new_end(shared, 1);
			wake(shared, 0);
		}
	pthread_mutex_unlock(&lock);
	errno = ENOENT;
	return vchan;
}

void libxenvchan_close(struct libxenvchan *vchan)
{
	struct end *end = (struct end *)vchan;
	struct shared *shared = end->shared, **at;

	pthread_mutex_lock(&lock);
	shared->live[end->side] = false;
	wake(shared, !end->side);
	if (--shared->users == 0) {
		for (at = &all; *at != shared; at = &(*at)->next)
			;
		*at = shared->next;
		close(shared->fd[0]);
		close(shared->fd[1]);
		free(shared);
	}
	pthread_mutex_unlock(&lock);
	free(end);
}

/* 2: to a server that nobody has come to yet. */
static int is_open(const struct end *end)
{
	const struct shared *shared = end->shared;

	if (end->side == 0 && !shared->taken)
		return shared->live[1] ? 1 : 2;
	return shared->live[!end->side];
}

int libxenvchan_is_open(struct libxenvchan *vchan)
{
	struct end *end = (struct end *)vchan;
	int open;

	pthread_mutex_lock(&lock);
	open = is_open(end);
	if (open == 1)
		end->shared->taken = true;
	pthread_mutex_unlock(&lock);
	return open;
}

int libxenvchan_write(struct libxenvchan *vchan, const void *data, size_t size)
{
	struct end *end = (struct end *)vchan;
	struct ring *ring = &end->shared->to[!end->side];
	int n = -1;

	pthread_mutex_lock(&lock);
	if (is_open(end)) {
		n = size < RING - ring->length ? size : RING - ring->length;
		memcpy(ring->bytes + ring->length, data, n);
		ring->length += n;
		if (n)
			wake(end->shared, !end->side);
	}
	pthread_mutex_unlock(&lock);
	return n;
}

int libxenvchan_read(struct libxenvchan *vchan, void *data, size_t size)
{
	struct end *end = (struct end *)vchan;
	struct ring *ring = &end->shared->to[end->side];
	int n;

	pthread_mutex_lock(&lock);
	n = size < ring->length ? size : ring->length;
	memcpy(data, ring->bytes, n);
	ring->length -= n;
	memmove(ring->bytes, ring->bytes + n, ring->length);
	if (n)
		wake(end->shared, !end->side);
	else if (!is_open(end))
		n = -1;
	pthread_mutex_unlock(&lock);
	return n;
}

int libxenvchan_fd_for_select(struct libxenvchan *vchan)
{
	struct end *end = (struct end *)vchan;

	return end->shared->fd[end->side];
}

int libxenvchan_wait(struct libxenvchan *vchan)
{
	struct pollfd fd = {.fd = libxenvchan_fd_for_select(vchan), .events = POLLIN};
	eventfd_t count;

	poll(&fd, 1, -1);
	return eventfd_read(fd.fd, &count);
}

/* --- for tests --- */

static bool find_offer(char *path, size_t size)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (struct shared *shared = all; shared && !found; shared = shared->next) {
		found = shared->live[0] && !shared->live[1] && !shared->taken;
		if (found)
			snprintf(path, size, "%s", shared->path);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

bool fake_vchan_offered(char *path, size_t size, unsigned timeout_ms)
{
	struct timespec ms = {.tv_nsec = 1000000};

	for (unsigned i = 0; i < timeout_ms; i++) {
		if (find_offer(path, size))
			return true;
		nanosleep(&ms, NULL);
	}
	return false;
}

unsigned fake_vchan_open_ends(void)
{
	unsigned n = 0;

	pthread_mutex_lock(&lock);
	for (struct shared *shared = all; shared; shared = shared->next)
		n += shared->users;
	pthread_mutex_unlock(&lock);
	return n;
}
