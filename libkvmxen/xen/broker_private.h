/* broker_private: what the files of the broker's client share. */
#ifndef KVMXEN_XEN_BROKER_PRIVATE_H
#define KVMXEN_XEN_BROKER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* First: Xen's headers say more after xenctrl.h than before. */
#include "libkvmxen/xen/privcmd.h"

#include "libkvmxen/xen/broker.h"
#include "libkvmxen/xen/wire_link.h"

#define BROKER_DOMAINS 64 /* of one process */

struct broker {
	struct privcmd_device dev; /* first: a struct device * is a struct broker * */
	struct control ctl;
	struct device *maps; /* dev, or another one in tests */
	char socket[108];
	bool stub;   /* this is a stub domain, and the broker in dom0 */
	int privcmd; /* then: for its target, or -errno */
	char version[WIRE_VERSION_MAX + 1];
	pthread_mutex_t lock; /* over the connection, and changes of domains */
	struct wire_link *link;
	pid_t process;  /* whose connection it is */
	unsigned links; /* made so far: each has a name */
	uint32_t sequence;
	/* (domid << 32 | descriptor of privcmd) of each domain; 0: none. Read without the lock. */
	atomic_ulong domains[BROKER_DOMAINS];
};

/* One call. request: op, domid, arg and length are the caller's. data may be NULL when length is 0.
 * The reply's data goes to room, whose size is *size; *size gets its length (both may be NULL).
 * fd gets the descriptor of an operation that has one. On success request->arg is the reply's.
 *
 * The result is the operation's; -ECONNABORTED when the broker has gone and may have done it or
 * not, which is for the caller to find out: the connection is up again. -ENOTCONN: there is no
 * broker any more. */
int broker_call(struct broker *broker, struct wire_message *request, const void *data, void *room,
		size_t *size, int *fd);
/* The same for what may be done twice: never -ECONNABORTED. */
int broker_call_again(struct broker *broker, struct wire_message *request, const void *data,
		      void *room, size_t *size, int *fd);

/* lock held. The next call connects anew. */
void broker_disconnect(struct broker *broker);

/* Remembers privcmd's descriptor for a domain (taken over, also on failure), and closes it. */
int broker_domain_add(struct broker *broker, uint16_t domid, int fd);
void broker_domain_remove(struct broker *broker, uint16_t domid);

static inline struct broker *broker_of_control(struct control *ctl)
{
	return (struct broker *)((char *)ctl - offsetof(struct broker, ctl));
}

extern const struct device_ops broker_device_ops;
extern const struct control_ops broker_control_ops;
int broker_device_fd(const struct privcmd_device *dev, uint16_t domid);

#endif
