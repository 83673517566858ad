/* The messages over a Unix socket. */
#include "libkvmxen/xen/wire_link.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct socket_link {
	struct wire_link base; /* first: a struct wire_link * is a struct socket_link * */
	int stream;
};

static int stream_of(const struct wire_link *link)
{
	return ((const struct socket_link *)link)->stream;
}

static int socket_send(struct wire_link *link, const struct wire_message *message, const void *data,
		       int fd)
{
	return wire_send(stream_of(link), message, data, fd);
}

static int socket_receive(struct wire_link *link, int stop, struct wire_message *message, int *fd)
{
	return wire_receive(stream_of(link), stop, message, fd);
}

static int socket_receive_data(struct wire_link *link, int stop, void *data, size_t length)
{
	return wire_receive_data(stream_of(link), stop, data, length);
}

/* A child's descriptor is its own: closing it leaves the parent's. */
static void socket_close(struct wire_link *link)
{
	close(stream_of(link));
	free(link);
}

int wire_link_socket(int stream, struct wire_link **out)
{
	static const struct wire_link_ops ops = {
		.send = socket_send,
		.receive = socket_receive,
		.receive_data = socket_receive_data,
		.close = socket_close,
		.forget = socket_close,
	};
	struct socket_link *link = malloc(sizeof *link);

	if (!link) {
		close(stream);
		return -ENOMEM;
	}
	*link = (struct socket_link){{&ops}, stream};
	*out = &link->base;
	return 0;
}
