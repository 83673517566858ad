/*
 * wire_link: a connection that carries the messages of wire.h, whichever way they go: a Unix socket
 * within dom0, or libxenvchan between a stub domain and dom0.
 *
 * A link belongs to one thread at a time. What is opened is given back with close.
 */
#ifndef KVMXEN_XEN_WIRE_LINK_H
#define KVMXEN_XEN_WIRE_LINK_H

#include "libkvmxen/xen/wire.h"

struct wire_link;

struct wire_link_ops {
	/* As wire_send, wire_receive and wire_receive_data. Descriptors go over sockets only. */
	int (*send)(struct wire_link *link, const struct wire_message *message, const void *data,
		    int fd);
	int (*receive)(struct wire_link *link, int stop, struct wire_message *message, int *fd);
	int (*receive_data)(struct wire_link *link, int stop, void *data, size_t length);
	void (*close)(struct wire_link *link);
	/* In a child of fork, of its parent's: the parent goes on with it. */
	void (*forget)(struct wire_link *link);
};

struct wire_link {
	const struct wire_link_ops *ops;
};

/* On a connected socket, which the link owns, also on failure. 0 or -errno. */
int wire_link_socket(int stream, struct wire_link **out);

/*
 * libxenvchan, at a path of xenstore. The one who offers grants the memory and waits at most so
 * long for the other (-ETIMEDOUT); it is who is less trusted, as the other maps what it is given
 * and finds out whether that is what it should be.
 *
 * send_ms: a peer that takes nothing for so long is -ETIMEDOUT; 0: without limit.
 */
int wire_link_offer(uint16_t domid, const char *path, unsigned wait_ms, struct wire_link **out);
int wire_link_accept(uint16_t domid, const char *path, unsigned send_ms, struct wire_link **out);

#endif
