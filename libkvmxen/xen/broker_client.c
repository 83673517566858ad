/* The connection to the broker. */
#include "libkvmxen/xen/broker_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "libkvmxen/message.h"

/* How long a broker may be away (an upgrade) before its clients give it up. */
#define AWAY_MS  10000
#define DOM0     0
#define RETRY_MS 20

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int stream, rc;

	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (stream < 0)
		return -errno;
	while (connect(stream, (struct sockaddr *)&address, sizeof address) < 0) {
		if (errno == EINTR)
			continue;
		rc = -errno;
		close(stream);
		return rc;
	}
	return stream;
}

/* Never the descriptor of a standard stream: a VMM that closes them must not close this. */
static int move_up(int stream)
{
	int moved;

	if (stream < 0 || stream > STDERR_FILENO)
		return stream;
	moved = fcntl(stream, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(stream);
	return moved < 0 ? -errno : moved;
}

void broker_disconnect(struct broker *broker)
{
	if (broker->link)
		broker->link->ops->close(broker->link);
	broker->link = NULL;
}

/* lock held. One message there, one back. -EPIPE: the connection is gone, -ESHUTDOWN: it was gone
 * before, and the broker has not got the request as a whole. */
static int exchange(struct broker *broker, struct wire_message *request, const void *data,
		    void *room, size_t *size, int *fd)
{
	struct wire_link *link = broker->link;
	struct wire_message reply;
	size_t most = wire_reply_max(request->op);
	int got = -1, sent, rc;

	request->sequence = ++broker->sequence;
	request->result = 0;
	sent = rc = link->ops->send(link, request, data, -1);
	/* Who is turned away hears why before he is heard. */
	if (rc == 0 || rc == -EPIPE)
		rc = link->ops->receive(link, -1, &reply, &got);
	if (rc == 0)
		rc = wire_check_reply(&reply, request,
				      size && *size < most ? *size
				      : size               ? most
							   : 0);
	if (rc == 0 && reply.length)
		rc = link->ops->receive_data(link, -1, room, reply.length);
	if (rc < 0) {
		if (got >= 0)
			close(got);
		broker_disconnect(broker);
		return sent < 0 ? -ESHUTDOWN : rc == -EPROTO ? -EPIPE : rc;
	}
	if (size)
		*size = reply.length;
	if (got >= 0 && (!fd || reply.result < 0)) {
		close(got);
		got = -1;
	}
	if (fd)
		*fd = got;
	if (reply.result >= 0)
		memcpy(request->arg, reply.arg, sizeof request->arg);
	return reply.result;
}

/* Where the broker looks for offers of a domain: a path of the domain's own. */
static int offer_to(struct broker *broker)
{
	char path[64];

	snprintf(path, sizeof path, WIRE_VCHAN_OFFERS "/%d-%u", (int)getpid(), ++broker->links);
	return wire_link_offer(DOM0, path, AWAY_MS, &broker->link);
}

static int make_link(struct broker *broker)
{
	int stream;

	if (broker->stub)
		return offer_to(broker);
	stream = move_up(connect_to(broker->socket));
	return stream < 0 ? stream : wire_link_socket(stream, &broker->link);
}

/* lock held. */
static int greet(struct broker *broker)
{
	struct wire_message hello = {.op = WIRE_hello, .arg = {WIRE_VERSION}};
	size_t size = WIRE_VERSION_MAX;
	int rc = make_link(broker);

	if (rc < 0)
		return rc;
	broker->process = getpid();
	broker->sequence = 0;
	rc = exchange(broker, &hello, NULL, broker->version, &size, NULL);
	if (rc < 0) {
		broker_disconnect(broker);
		return rc == -EPIPE || rc == -ESHUTDOWN ? -EACCES : rc;
	}
	broker->version[size] = '\0';
	return 0;
}

static void wait_ms(long ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* lock held: a connection of this process. A broker that restarts is waited for. */
static int be_connected(struct broker *broker)
{
	int waited, rc;

	if (broker->process != getpid()) {
		/* The parent's connection and domains. */
		if (broker->link)
			broker->link->ops->forget(broker->link);
		broker->link = NULL;
		for (unsigned i = 0; i < BROKER_DOMAINS; i++)
			atomic_store(&broker->domains[i], 0);
		return greet(broker);
	}
	if (broker->link)
		return 0;
	for (waited = 0;; waited += RETRY_MS) {
		rc = greet(broker);
		if (rc == 0) {
			message_debug("connected to the broker again");
			return 0;
		}
		if (waited >= AWAY_MS)
			break;
		wait_ms(RETRY_MS);
	}
	message_error("the broker at %s has gone: %s", broker->socket, strerror(-rc));
	return -ENOTCONN;
}

int broker_call(struct broker *broker, struct wire_message *request, const void *data, void *room,
		size_t *size, int *fd)
{
	int rc;

	pthread_mutex_lock(&broker->lock);
	do {
		rc = be_connected(broker);
		if (rc == 0)
			rc = exchange(broker, request, data, room, size, fd);
	} while (rc == -ESHUTDOWN);
	if (rc == -EPIPE) {
		rc = be_connected(broker);
		if (rc == 0)
			rc = -ECONNABORTED;
	}
	pthread_mutex_unlock(&broker->lock);
	return rc;
}

int broker_call_again(struct broker *broker, struct wire_message *request, const void *data,
		      void *room, size_t *size, int *fd)
{
	struct wire_message copy;
	size_t room_size = size ? *size : 0;
	int rc, tries = 0;

	do {
		copy = *request;
		if (size)
			*size = room_size;
		rc = broker_call(broker, &copy, data, room, size, fd);
		/* A request that the broker refuses to answer would be refused for ever. */
	} while (rc == -ECONNABORTED && ++tries < 5);
	memcpy(request->arg, copy.arg, sizeof request->arg);
	return rc == -ECONNABORTED ? -EIO : rc;
}

int broker_domain_add(struct broker *broker, uint16_t domid, int fd)
{
	unsigned i;

	pthread_mutex_lock(&broker->lock);
	for (i = 0; i < BROKER_DOMAINS; i++)
		if (!atomic_load(&broker->domains[i])) {
			atomic_store(&broker->domains[i],
				     (unsigned long)domid << 32 | (unsigned)fd);
			break;
		}
	pthread_mutex_unlock(&broker->lock);
	if (i < BROKER_DOMAINS)
		return 0;
	close(fd);
	return -EMFILE;
}

void broker_domain_remove(struct broker *broker, uint16_t domid)
{
	unsigned long entry;

	pthread_mutex_lock(&broker->lock);
	for (unsigned i = 0; i < BROKER_DOMAINS; i++) {
		entry = atomic_load(&broker->domains[i]);
		if (!entry || entry >> 32 != domid)
			continue;
		atomic_store(&broker->domains[i], 0);
		close((int)(entry & 0xffffffff));
	}
	pthread_mutex_unlock(&broker->lock);
}

int broker_device_fd(const struct privcmd_device *dev, uint16_t domid)
{
	const struct broker *broker = (const struct broker *)dev;
	unsigned long entry;

	if (broker->stub)
		return broker->privcmd;
	for (unsigned i = 0; i < BROKER_DOMAINS; i++) {
		entry = atomic_load_explicit(&broker->domains[i], memory_order_acquire);
		if (entry && entry >> 32 == domid)
			return (int)(entry & 0xffffffff);
	}
	return -ESRCH;
}

int broker_open(const char *socket, struct xen *xen)
{
	struct broker *broker = calloc(1, sizeof *broker);
	int rc;

	if (!broker)
		return -ENOMEM;
	snprintf(broker->socket, sizeof broker->socket, "%s", socket ? socket : WIRE_SOCKET);
	broker->stub = !strcmp(broker->socket, BROKER_VCHAN);
	broker->privcmd = -ENOENT;
	if (broker->stub) {
		broker->privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
		if (broker->privcmd < 0)
			broker->privcmd = -errno;
	}
	pthread_mutex_init(&broker->lock, NULL);
	broker->dev.base.ops = &broker_device_ops;
	broker->dev.fd = broker_device_fd;
	broker->ctl.ops = &broker_control_ops;
	broker->ctl.watches = true;
	broker->ctl.relayed = broker->stub;
	broker->maps = &broker->dev.base;
	rc = greet(broker);
	if (rc < 0) {
		if (broker->privcmd >= 0)
			close(broker->privcmd);
		pthread_mutex_destroy(&broker->lock);
		free(broker);
		return rc;
	}
	xen->dev = &broker->dev.base;
	xen->ctl = &broker->ctl;
	return 0;
}

void broker_set_device(struct control *ctl, struct device *dev)
{
	broker_of_control(ctl)->maps = dev;
}
