/*
 * fuzz_broker: the broker's side of a connection, fed by libFuzzer.
 *
 * The input is what a client sends, byte for byte, but that the greeting, sequence numbers and
 * lengths are put right for one message in two: else nearly every input would end at the first
 * check. Behind it is a Xen that answers everything with success or failure by a bit of the input.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/kvmxend/kvmxend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DOMID 7

void note(const char *format, ...)
{
}

/* --- a Xen of no substance --- */

static unsigned answers; /* a bit for each call: does it fail? */

static int outcome(void)
{
	int rc = answers & 1 ? -EINVAL : 0;

	answers = answers >> 1 | (answers & 1) << 31;
	return rc;
}

static int create(struct control *c, const struct domain_config *config, uint16_t *domid)
{
	*domid = DOMID;
	return outcome();
}
static int find(struct control *c, const uint8_t handle[16], uint16_t *domid)
{
	return -ESRCH;
}
static int plain(struct control *c, uint16_t domid)
{
	return outcome();
}
static int destroy(struct control *c, uint16_t domid)
{
	return 0;
}
static int name(struct control *c, uint16_t domid, const uint8_t handle[16], const char *text)
{
	return text && strlen(text) > WIRE_NAME_MAX + 16 ? abort(), 0 : outcome();
}
static int wide(struct control *c, uint16_t domid, uint64_t value)
{
	return outcome();
}
static int info(struct control *c, uint16_t domid, struct domain_info *out)
{
	memset(out, 1, sizeof *out);
	return -ESRCH;
}
static int get32(struct control *c, uint16_t domid, uint32_t *value)
{
	*value = 1;
	return outcome();
}
static int set32(struct control *c, uint16_t domid, uint32_t value)
{
	return outcome();
}
static int host32(struct control *c, uint32_t *value)
{
	*value = 1;
	return outcome();
}
static int cpuid_host(struct control *c, struct control_cpuid *leaves, uint32_t *n)
{
	memset(leaves, 1, *n * sizeof *leaves);
	return outcome();
}

/* Reads all that it is given: the sanitizer sees whether it is there. */
static unsigned char sum(const void *data, size_t length)
{
	volatile unsigned char all = 0;

	for (size_t i = 0; i < length; i++)
		all += ((const unsigned char *)data)[i];
	return all;
}

static int cpuid_set(struct control *c, uint16_t domid, const struct control_cpuid *leaves,
		     uint32_t n)
{
	sum(leaves, n * sizeof *leaves);
	return outcome();
}
static int monitor_open(struct control *c, uint16_t domid, uint64_t gfn, void **ring,
			uint32_t *port)
{
	*ring = &answers;
	*port = 1;
	return outcome();
}
static int monitor_close(struct control *c, uint16_t domid, void *ring)
{
	return outcome();
}
static int monitor_debug(struct control *c, uint16_t domid, bool on)
{
	return outcome();
}

static int context_get(struct control *c, uint16_t domid, void *buf, uint32_t *len)
{
	if (buf)
		memset(buf, 1, *len);
	else
		*len = 5000;
	return outcome();
}
static int context_get_one(struct control *c, uint16_t domid, uint16_t typecode, uint16_t instance,
			   void *body, uint32_t len)
{
	memset(body, 1, len);
	return outcome();
}
static int context_set(struct control *c, uint16_t domid, const void *image, uint32_t len)
{
	sum(image, len);
	return outcome();
}
static int vcpu_context_get(struct control *c, uint16_t domid, uint32_t vcpu,
			    struct vcpu_guest_context *context)
{
	memset(context, 1, sizeof *context);
	return outcome();
}
static int vcpu_context_set(struct control *c, uint16_t domid, uint32_t vcpu,
			    const struct vcpu_guest_context *context)
{
	if (context)
		sum(context, sizeof *context);
	return outcome();
}
static int vcpu_info(struct control *c, uint16_t domid, uint32_t vcpu, struct vcpu_info_bits *bits)
{
	memset(bits, 1, sizeof *bits);
	return outcome();
}
static int log_dirty(struct control *c, uint16_t domid, enum log_dirty_op op, uint64_t pages,
		     uint8_t *bitmap)
{
	if (bitmap)
		memset(bitmap, 1, (pages + 7) / 8);
	return outcome();
}
static const char *version(struct control *c)
{
	return "4.17";
}

static const struct control_ops control_ops = {
	.domain_create = create,
	.domain_destroy = destroy,
	.domain_find = find,
	.domain_set_name = name,
	.domain_set_maxmem = wide,
	.domain_set_paging_pool = wide,
	.domain_pause = plain,
	.domain_unpause = plain,
	.domain_resume = plain,
	.domain_info = info,
	.domain_subscribe = get32,
	.tsc_set = set32,
	.tsc_get = get32,
	.host_tsc_khz = host32,
	.cpuid_host = cpuid_host,
	.cpuid_set = cpuid_set,
	.monitor_open = monitor_open,
	.monitor_close = monitor_close,
	.monitor_debug = monitor_debug,
	.context_get = context_get,
	.context_get_one = context_get_one,
	.context_set = context_set,
	.vcpu_context_get = vcpu_context_get,
	.vcpu_context_set = vcpu_context_set,
	.vcpu_info = vcpu_info,
	.vcpu_nmi = set32,
	.log_dirty = log_dirty,
	.version = version,
};

static int populate(struct device *dev, uint16_t domid, unsigned order, size_t n,
		    const uint64_t *gfns)
{
	sum(gfns, n * sizeof *gfns);
	return outcome();
}
static int release(struct device *dev, uint16_t domid, size_t n, const uint64_t *gfns)
{
	sum(gfns, n * sizeof *gfns);
	return outcome();
}
static int param_set(struct device *dev, uint16_t domid, uint32_t param, uint64_t value)
{
	return outcome();
}
static int param_get(struct device *dev, uint16_t domid, uint32_t param, uint64_t *value)
{
	*value = 1;
	return outcome();
}

static const struct device_ops device_ops = {
	.mem_populate = populate,
	.mem_release = release,
	.hvm_param_set = param_set,
	.hvm_param_get = param_get,
};

static int some_fd(uint16_t domid)
{
	int fd = dup(0);

	return fd < 0 ? -errno : fd;
}

/* --- what is sent --- */

/* Copies the messages of the input to out, half of them made plausible. */
static size_t compose(const uint8_t *data, size_t size, uint8_t *out, size_t room)
{
	struct wire_message message = {.op = WIRE_hello, .sequence = 1, .arg = {WIRE_VERSION}};
	uint32_t sequence = 2;
	size_t done = 0;

	memcpy(out, &message, sizeof message);
	done += sizeof message;
	message = (struct wire_message){
		.op = WIRE_domain_create, .sequence = sequence++, .arg = {2, 1}};
	memcpy(out + done, &message, sizeof message);
	done += sizeof message;
	while (size > sizeof message && done + sizeof message < room) {
		bool plausible = *data & 1;
		size_t length;

		memcpy(&message, data + 1, sizeof message);
		data += 1 + sizeof message;
		size -= 1 + sizeof message;
		if (plausible) {
			message.op = 1 + message.op % (WIRE_OP_COUNT - 1);
			message.sequence = sequence++;
			message.result = 0;
			message.domid = wire_about_domain(message.op) ? DOMID : 0;
			for (int i = WIRE_ARGS - 1; i >= 0; i--) {
				if (wire_check_request(&message, sequence - 1) == 0)
					break;
				message.arg[i] = 0;
			}
			for (message.length &= 0x3fff; message.length; message.length--)
				if (wire_check_request(&message, sequence - 1) == 0)
					break;
		}
		memcpy(out + done, &message, sizeof message);
		done += sizeof message;
		length = message.length;
		if (length > room - done)
			length = room - done;
		memset(out + done, 0, length);
		memcpy(out + done, data, length < size ? length : size);
		done += length;
		data += length < size ? length : size;
		size -= length < size ? length : size;
	}
	return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct control control = {.ops = &control_ops};
	static struct device device = {.ops = &device_ops};
	static uint8_t out[128 << 10];
	struct host host = {
		.xen = {.dev = &device, .ctl = &control},
		.open_privcmd = some_fd,
		.open_evtchn = some_fd,
	};
	struct config config;
	struct registry *registry;
	int pair[2], room = 32 << 20;
	size_t length;

	if (size < sizeof answers)
		return 0;
	memcpy(&answers, data, sizeof answers);
	length = compose(data + sizeof answers, size - sizeof answers, out, sizeof out);
	config_default(&config);
	if (registry_new(&registry, &host, &config) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	/* All is sent before anything is read; answers that do not fit are dropped by a time-out
	 * of none. */
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
	setsockopt(pair[1], SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_usec = 1000},
		   sizeof(struct timeval));
	if (send(pair[0], out, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		abort();
	shutdown(pair[0], SHUT_WR);
	connection_run(registry, pair[1]);
	close(pair[0]);
	if (registry_domains(registry) != 0)
		abort();
	registry_free(registry);
	return 0;
}
