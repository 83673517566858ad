/* The messages over libxenvchan. Its own blocking is of no use: nothing but the peer ends it. */
#include "libkvmxen/xen/wire_link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include <libxenvchan.h>

/* Of each ring. Most messages are short; a long one passes through in pieces. */
#define RING_SIZE (32u << 10)

struct vchan_link {
	struct wire_link base; /* first: a struct wire_link * is a struct vchan_link * */
	struct libxenvchan *vchan;
	unsigned send_ms;
};

static struct vchan_link *vchan_of(struct wire_link *link)
{
	return (struct vchan_link *)link;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* Until the peer has done something. limit: by now_ms, or 0. */
static int wait_for_peer(struct libxenvchan *vchan, int stop, int64_t limit)
{
	struct pollfd fds[] = {
		{.fd = libxenvchan_fd_for_select(vchan), .events = POLLIN},
		{.fd = stop, .events = POLLIN},
	};
	int64_t left = -1;

	if (limit) {
		left = limit - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
	}
	if (poll(fds, 2, (int)left) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents)
		return -ECANCELED;
	if (fds[0].revents)
		libxenvchan_wait(vchan);
	return 0;
}

static int send_all(struct vchan_link *link, const void *data, size_t length)
{
	const char *at = data;

	while (length) {
		int64_t limit = link->send_ms ? now_ms() + link->send_ms : 0;
		size_t want = length < RING_SIZE ? length : RING_SIZE;
		int n = libxenvchan_write(link->vchan, at, want), rc;

		if (n < 0)
			return -EPIPE;
		at += n;
		length -= n;
		if (n)
			continue;
		rc = wait_for_peer(link->vchan, -1, limit);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int receive_all(struct vchan_link *link, int stop, void *data, size_t length)
{
	char *at = data;
	size_t left = length;

	while (left) {
		size_t want = left < RING_SIZE ? left : RING_SIZE;
		/* Looked at first: what was sent before the end is read. */
		int open = libxenvchan_is_open(link->vchan);
		int n = libxenvchan_read(link->vchan, at, want), rc;

		if (n < 0 || (n == 0 && !open))
			return left == length ? -EPIPE : -EPROTO;
		at += n;
		left -= n;
		if (n)
			continue;
		rc = wait_for_peer(link->vchan, stop, 0);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int vchan_send(struct wire_link *link, const struct wire_message *message, const void *data,
		      int fd)
{
	int rc;

	if (fd >= 0)
		return -EINVAL;
	rc = send_all(vchan_of(link), message, sizeof *message);
	return rc == 0 && message->length ? send_all(vchan_of(link), data, message->length) : rc;
}

static int vchan_receive(struct wire_link *link, int stop, struct wire_message *message, int *fd)
{
	if (fd)
		*fd = -1;
	return receive_all(vchan_of(link), stop, message, sizeof *message);
}

static int vchan_receive_data(struct wire_link *link, int stop, void *data, size_t length)
{
	int rc = receive_all(vchan_of(link), stop, data, length);

	/* The message had begun. */
	return rc == -EPIPE ? -EPROTO : rc;
}

static void vchan_close(struct wire_link *link)
{
	libxenvchan_close(vchan_of(link)->vchan);
	free(link);
}

/* The shared page says to the peer that it ends: not ours to say. The child has not got the
 * mappings anyway. */
static void vchan_forget(struct wire_link *link)
{
	free(link);
}

static int new_link(struct libxenvchan *vchan, unsigned send_ms, struct wire_link **out)
{
	static const struct wire_link_ops ops = {
		.send = vchan_send,
		.receive = vchan_receive,
		.receive_data = vchan_receive_data,
		.close = vchan_close,
		.forget = vchan_forget,
	};
	struct vchan_link *link = malloc(sizeof *link);

	if (!link) {
		libxenvchan_close(vchan);
		return -ENOMEM;
	}
	vchan->blocking = 0;
	*link = (struct vchan_link){{&ops}, vchan, send_ms};
	*out = &link->base;
	return 0;
}

int wire_link_offer(uint16_t domid, const char *path, unsigned wait_ms, struct wire_link **out)
{
	int64_t limit = now_ms() + wait_ms;
	struct libxenvchan *vchan;
	int rc = 0;

	errno = 0;
	vchan = libxenvchan_server_init(NULL, domid, path, RING_SIZE, RING_SIZE);
	if (!vchan)
		return errno ? -errno : -EIO;
	while (rc == 0 && libxenvchan_is_open(vchan) == 2)
		rc = wait_for_peer(vchan, -1, limit);
	if (rc < 0) {
		libxenvchan_close(vchan);
		return rc;
	}
	return new_link(vchan, 0, out);
}

int wire_link_accept(uint16_t domid, const char *path, unsigned send_ms, struct wire_link **out)
{
	struct libxenvchan *vchan;

	errno = 0;
	vchan = libxenvchan_client_init(NULL, domid, path);
	if (!vchan)
		return errno ? -errno : -EIO;
	return new_link(vchan, send_ms, out);
}
