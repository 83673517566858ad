/*
 * kvmxend: the objects of the broker.
 *
 *	main.c        options, the socket, accepting, the end
 *	config.c      /etc/kvmxen/kvmxend.conf
 *	sandbox.c     its own system call filter
 *	connection.c  one thread for each connection: requests in, replies out
 *	serve.c       what each request does
 *	check.c       what the data of a request may be (pure)
 *	registry.c    processes and domains: who may touch which, quotas, the end of both
 *	record.c      what a successor finds after a sudden end
 *	stubdom.c     stub domains that offer a connection, and whose device model each is
 *	relay.c       the events of a monitor, passed on to a stub domain
 *
 * Who a client is, its socket's peer credentials say: process, user. A domain belongs to the
 * process that made it, on whichever connection, and ends with it. Requests about one domain are
 * done one after the other; different domains do not wait for each other.
 *
 * A stub domain as a whole counts as one process, and its target as its domain. That one is of a
 * toolstack: the broker neither makes nor destroys it, and its limits are those it was built with.
 */
#ifndef KVMXEN_TOOLS_KVMXEND_H
#define KVMXEN_TOOLS_KVMXEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "libkvmxen/xen/wire.h"
#include "libkvmxen/xen/xen.h"

/* --- what the broker stands on: Xen, or the fake in unit tests --- */

struct host {
	struct xen xen;
	/* A descriptor restricted to the domain, or -errno. */
	int (*open_privcmd)(uint16_t domid);
	int (*open_evtchn)(uint16_t domid);
	const char *records; /* the folder for record.c */
};
int host_open_privcmd(uint16_t domid);
int host_open_evtchn(uint16_t domid);

/* --- config.c --- */

struct limits {
	uint32_t domains, vcpus, connections;
	uint64_t memory_kib; /* of guests, with what Xen needs for them */
};
struct config {
	struct limits all; /* for users without a line of their own */
	struct user_limits {
		uid_t uid;
		struct limits limits;
	} * users;
	size_t count;
};
/* What holds without a file. */
void config_default(struct config *config);
/* Reads the file's text. 0, or -EINVAL with *line and *why. Users are looked up by their name. */
int config_parse(struct config *config, char *text, unsigned *line, const char **why);
/* A file that is not there is an empty one. Says what is wrong. 0 or -errno. */
int config_load(struct config *config, const char *path);
const struct limits *config_limits(const struct config *config, uid_t uid);
void config_free(struct config *config);

/* --- registry.c --- */

struct process {
	struct process *next;
	pid_t pid;
	uint64_t started; /* field 22 of /proc/PID/stat: a number used again is another process */
	uid_t uid;
	int pidfd;      /* readable when it has ended; of a stub domain, an eventfd */
	uint16_t stub;  /* the number of a stub domain, or 0 */
	unsigned users; /* connections, and the watch over an adopted one */
};

struct guest {
	struct guest *next;
	struct process *owner; /* NULL: destroyed, but not yet gone */
	uid_t uid;
	uint16_t domid;
	uint8_t handle[16];
	uint32_t vcpus;
	uint64_t memory_kib, pool_kib; /* what the user is charged for: the most there ever was */
	void *ring;                    /* of the CPUID monitor, as it is mapped here */
	struct relay *relay;           /* of its events, to a stub domain: */
	uint32_t monitor_port;         /* the domain's, */
	uint32_t stub_port;            /* and the stub domain's; 0 while there is no monitor */
	uint16_t stub;                 /* whose target it is, or 0 */
	bool adopted;                  /* by that stub domain: it cannot go on without */
	unsigned evtchns;              /* descriptors handed out */
	bool named;
	bool busy;
};

struct registry;
int registry_new(struct registry **out, const struct host *host, const struct config *config);
/* Nobody uses it any more. Domains stay. */
void registry_free(struct registry *registry);
const struct host *registry_host(const struct registry *registry);

/* What a predecessor has left: domains whose process lives are its again, others are destroyed. */
void registry_recover(struct registry *registry);
/* The same for targets of stub domains. target_of: whose device model that one is now; 0: nobody's.
 * Targets whose stub domain has gone are shut down as crashed. */
void registry_recover_targets(struct registry *registry,
			      uint16_t (*target_of)(void *arg, uint16_t stub), void *arg);

/* One more connection of a process. 0, or -errno: -EDQUOT, -ESRCH when it is gone. */
int process_enter(struct registry *registry, pid_t pid, uid_t uid, struct process **process);
/* One connection less; the last one takes the domains along. */
void process_leave(struct registry *registry, struct process *process);

/* One more connection of a stub domain, to the domain that it is the device model of: left with
 * process_leave. The caller knows that it is. 0 or -errno. */
int stub_enter(struct registry *registry, uint16_t stub, uint16_t target, struct process **process);
/* It is no more: its connections end. */
void stub_gone(struct registry *registry, uint16_t stub);

/* A new domain, within the quota, taken. 0 or -errno. */
int guest_make(struct registry *registry, struct process *process,
	       const struct domain_config *config, struct guest **domain);
/* A domain of this process for one request: given back, or ended. -EPERM: not of this process. */
int guest_take(struct registry *registry, struct process *process, uint16_t domid,
	       struct guest **domain);
void guest_give(struct registry *registry, struct guest *domain);
/* Destroys a domain that was taken. */
int guest_finish(struct registry *registry, struct guest *domain);
/* Charges the owner for that much (no less than before). 0 or -EDQUOT. */
int guest_charge(struct registry *registry, struct guest *domain, uint64_t memory_kib,
		 uint64_t pool_kib);
/* Domains that are not gone: for tests. */
unsigned registry_domains(struct registry *registry);
/* Nobody is connected or watched over: for tests. */
bool registry_idle(struct registry *registry);

/* --- record.c --- */

/* Written before a domain is made, and removed after it is destroyed; of a target, from when it is
 * adopted. 0 or -errno. */
int record_write(const char *folder, const struct guest *domain);
void record_remove(const char *folder, const uint8_t handle[16]);
/* Calls found for each record; the domain and its owner live for the call only. What is not a
 * record is removed. */
void record_each(const char *folder, void (*found)(void *arg, const struct guest *domain),
		 void *arg);

/* When the process started. 0 or -ESRCH. */
int process_started(pid_t pid, uint64_t *started);

/* --- check.c --- */

bool check_name(const char *name, size_t length);
/* A context image for a domain with so many vcpus: records that exist, of their length, once. */
bool check_image(const void *image, size_t length, uint32_t vcpus);
/* May a client read, or write, that HVM parameter? */
bool check_param(uint32_t param, bool write);

/* --- serve.c --- */

struct request {
	struct registry *registry;
	struct process *process;
	struct guest *domain;        /* taken, for requests about one; NULL when it was ended */
	struct wire_message message; /* arg: in, and out */
	const void *data;
	void *reply; /* allocated */
	size_t reply_length;
	int fd; /* for the client, or -1 */
};
/* Does the request, which wire_check_request has accepted. The result is for the reply. */
int serve(struct request *request);

/* --- connection.c --- */

/* Serves a connection until it ends; closes stream. */
void connection_run(struct registry *registry, int stream);
/* The same for one whose process is known: leaves process, closes link. */
struct wire_link;
void connection_serve(struct registry *registry, struct process *process, struct wire_link *link);

/* --- stubdom.c --- */

/* From here on offers of stub domains are taken, by a thread of its own. 0 or -errno. */
int stubdoms_start(struct registry *registry);

/* --- relay.c --- */

struct relay;
/* Between domain->monitor_port and domain->stub_port; sets domain->relay. 0 or -errno. */
int relay_open(struct device *dev, struct guest *domain);
void relay_close(struct relay *relay);

/* --- sandbox.c --- */

/* From here on the process can do nothing but what a broker does. 0 or -errno. */
int sandbox_enter(void);

/* One line on stderr, which is the journal's. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
