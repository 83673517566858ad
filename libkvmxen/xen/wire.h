/*
 * wire: the messages between a VMM without privilege and the broker (kvmxend).
 *
 * A connection is a stream of messages in turn: one request, one reply. Each is a struct
 * wire_message, followed by `length` bytes of data. Both sides are of one build on one machine:
 * integers and structures are as in memory, and wire_version says whether that holds.
 *
 * WIRE_OPS is the one list of what can be asked. A new operation is a row here, a function in
 * broker_control.c or broker_device.c, and one in tools/kvmxend/serve.c: the compiler asks for
 * both.
 *
 * wire_check_request is the whole of decoding a request; it is pure, and believes nothing. What the
 * data of a request means to Xen (context images, names) is checked by tools/kvmxend/check.c.
 */
#ifndef KVMXEN_XEN_WIRE_H
#define KVMXEN_XEN_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libkvmxen/xen/control.h"

#define WIRE_ARGS        4
#define WIRE_NAME_MAX    63
#define WIRE_IMAGE_MAX   (2u << 20)  /* an HVM context: 128 vcpus have about 1 MiB */
#define WIRE_BITMAP_MAX  (16u << 20) /* a log of 512 GiB of guest memory */
#define WIRE_GFNS_MAX    8192        /* in one request */
#define WIRE_CPUID_MAX   1024
#define WIRE_VERSION_MAX 32

struct wire_message {
	uint32_t length;   /* of the data that follows */
	uint16_t op;       /* enum wire_op */
	uint16_t domid;    /* whom it is about; 0 where that is nobody yet */
	uint32_t sequence; /* of the connection: 1, 2, ...; a reply repeats it */
	int32_t result;    /* of a reply: as the operation's; of a request: 0 */
	uint64_t arg[WIRE_ARGS];
};

enum wire_scope { WIRE_HOST, WIRE_DOMAIN };

/*
 *	X(op, scope, args, unit, least, most, reply, fds)
 *
 * args: how many of arg[] a request uses, the rest is 0. Its data: least to most units of so many
 * bytes. reply: bytes of data that a reply may have. fds: descriptors that come with a good reply.
 */
#define WIRE_OPS(X)                                                                                \
	/* arg 0: WIRE_VERSION. Reply: Xen's version. Comes first and once. */                     \
	X(hello, WIRE_HOST, 1, 1, 0, 0, WIRE_VERSION_MAX, 0)                                       \
	/* vcpus, emulation. Reply: arg 0 the domid; a descriptor of privcmd for it alone. */      \
	X(domain_create, WIRE_HOST, 2, 1, 0, 0, 0, 1)                                              \
	X(domain_destroy, WIRE_DOMAIN, 0, 1, 0, 0, 0, 0)                                           \
	/* data: the name, or nothing to take it away. */                                          \
	X(domain_set_name, WIRE_DOMAIN, 0, 1, 0, WIRE_NAME_MAX, 0, 0)                              \
	X(domain_set_maxmem, WIRE_DOMAIN, 1, 1, 0, 0, 0, 0)                                        \
	X(domain_set_paging_pool, WIRE_DOMAIN, 1, 1, 0, 0, 0, 0)                                   \
	X(domain_pause, WIRE_DOMAIN, 0, 1, 0, 0, 0, 0)                                             \
	X(domain_unpause, WIRE_DOMAIN, 0, 1, 0, 0, 0, 0)                                           \
	X(domain_resume, WIRE_DOMAIN, 0, 1, 0, 0, 0, 0)                                            \
	X(domain_info, WIRE_DOMAIN, 0, 1, 0, 0, sizeof(struct domain_info), 0)                     \
	/* Reply: arg 0 the port. */                                                               \
	X(domain_subscribe, WIRE_DOMAIN, 0, 1, 0, 0, 0, 0)                                         \
	X(tsc_set, WIRE_DOMAIN, 1, 1, 0, 0, 0, 0)                                                  \
	/* Reply: arg 0 kHz, of both. */                                                           \
	X(tsc_get, WIRE_DOMAIN, 0, 1, 0, 0, 0, 0)                                                  \
	X(host_tsc_khz, WIRE_HOST, 0, 1, 0, 0, 0, 0)                                               \
	/* arg 0: room for so many leaves. */                                                      \
	X(cpuid_host, WIRE_HOST, 1, 1, 0, 0, WIRE_CPUID_MAX * sizeof(struct control_cpuid), 0)     \
	X(cpuid_set, WIRE_DOMAIN, 0, sizeof(struct control_cpuid), 0, WIRE_CPUID_MAX, 0, 0)        \
	/* arg 0: the gfn of a populated frame, which the client has mapped; arg 1: a stub         \
	 * domain's port that it has offered to dom0, else 0. Reply: arg 0 the domain's port, for  \
	 * who is no stub domain. */                                                               \
	X(monitor_open, WIRE_DOMAIN, 2, 1, 0, 0, 0, 0)                                             \
	X(monitor_close, WIRE_DOMAIN, 0, 1, 0, 0, 0, 0)                                            \
	/* arg 0: on. */                                                                           \
	X(monitor_debug, WIRE_DOMAIN, 1, 1, 0, 0, 0, 0)                                            \
	/* arg 0: room; 0 asks for the length alone. Reply: arg 0 the length. */                   \
	X(context_get, WIRE_DOMAIN, 1, 1, 0, 0, WIRE_IMAGE_MAX, 0)                                 \
	/* typecode, instance, length. */                                                          \
	X(context_get_one, WIRE_DOMAIN, 3, 1, 0, 0, WIRE_IMAGE_MAX, 0)                             \
	X(context_set, WIRE_DOMAIN, 0, 1, 1, WIRE_IMAGE_MAX, 0, 0)                                 \
	/* arg 0: the vcpu, of all that follow. */                                                 \
	X(vcpu_context_get, WIRE_DOMAIN, 1, 1, 0, 0, sizeof(struct vcpu_guest_context), 0)         \
	/* data: none for NULL. */                                                                 \
	X(vcpu_context_set, WIRE_DOMAIN, 1, sizeof(struct vcpu_guest_context), 0, 1, 0, 0)         \
	X(vcpu_info, WIRE_DOMAIN, 1, 1, 0, 0, sizeof(struct vcpu_info_bits), 0)                    \
	X(vcpu_nmi, WIRE_DOMAIN, 1, 1, 0, 0, 0, 0)                                                 \
	/* op, pages. */                                                                           \
	X(log_dirty, WIRE_DOMAIN, 2, 1, 0, 0, WIRE_BITMAP_MAX, 0)                                  \
	/* Of the device plane, what a restricted privcmd refuses. arg 0: order. */                \
	X(mem_populate, WIRE_DOMAIN, 1, sizeof(uint64_t), 1, WIRE_GFNS_MAX, 0, 0)                  \
	X(mem_release, WIRE_DOMAIN, 0, sizeof(uint64_t), 1, WIRE_GFNS_MAX, 0, 0)                   \
	/* param, value. */                                                                        \
	X(hvm_param_set, WIRE_DOMAIN, 2, 1, 0, 0, 0, 0)                                            \
	/* Reply: arg 0 the value. */                                                              \
	X(hvm_param_get, WIRE_DOMAIN, 1, 1, 0, 0, 0, 0)                                            \
	/* Reply: a descriptor of evtchn for the domain alone. */                                  \
	X(evtchn_open, WIRE_DOMAIN, 0, 1, 0, 0, 0, 1)                                              \
	/* A stub domain's target. Reply: vcpus, emulation; the handle. */                         \
	X(domain_adopt, WIRE_DOMAIN, 0, 1, 0, 0, 16, 0)                                            \
	/* reason. */                                                                              \
	X(domain_shutdown, WIRE_DOMAIN, 1, 1, 0, 0, 0, 0)

enum wire_op {
	WIRE_NONE,
#define X(op, ...) WIRE_##op,
	WIRE_OPS(X)
#undef X
		WIRE_OP_COUNT
};

/* What both sides must agree on: changes with the table's length and the structures' sizes. The
 * first number is for what these do not show. */
#define WIRE_VERSION                                                                               \
	(2ull << 56 | (uint64_t)WIRE_OP_COUNT << 40 | sizeof(struct wire_message) << 32 |          \
	 (sizeof(struct vcpu_guest_context) + sizeof(struct domain_info) +                         \
	  sizeof(struct vcpu_info_bits) + sizeof(struct control_cpuid)))

#define WIRE_SOCKET "/run/kvmxen/kvmxend.sock"

/* Below a domain's own folder of xenstore: where a stub domain offers libxenvchan connections. */
#define WIRE_VCHAN_OFFERS "data/kvmxen"

/* Of an operation: its name, the most data that a reply may have, and its descriptors. */
const char *wire_name(uint16_t op);
size_t wire_reply_max(uint16_t op);
unsigned wire_fds(uint16_t op);
bool wire_about_domain(uint16_t op);

/* Is that a request that a well-behaved client could send? 0 or -EPROTO. */
int wire_check_request(const struct wire_message *request, uint32_t sequence);
/* Is that the reply to the request, with at most room bytes of data? 0 or -EPROTO. */
int wire_check_reply(const struct wire_message *reply, const struct wire_message *request,
		     size_t room);

/* --- the stream: blocking, whole messages, signals or not; wire_stream.c --- */

/* fd: one that goes with the message, or -1. 0 or -errno; the peer's end is -EPIPE. */
int wire_send(int stream, const struct wire_message *message, const void *data, int fd);
/* stop: a descriptor that ends the wait when it is readable, or -1 (-ECANCELED). fd may be NULL:
 * descriptors that come are dropped. -EPIPE at the end of the stream, -EPROTO inside a message. */
int wire_receive(int stream, int stop, struct wire_message *message, int *fd);
int wire_receive_data(int stream, int stop, void *data, size_t length);

#endif
