/* The broker and its client, over the fake Xen. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xen/hvm/params.h>
#include <xen/hvm/save.h>

#include "libkvmxen/xen/broker.h"
#include "tests/fake/fake.h"
#include "tests/unit/unit_machine.h"
#include "tools/kvmxend/kvmxend.h"

void register_kvmxend_suite(void);

#define SOON_MS 5000

static struct config config;
static struct registry *registry;
static char folder[64], path[96];
static int listener;
static pthread_t acceptor;
static atomic_uint connections; /* that run now */
static int streams[64];
static unsigned accepted;
static bool adopted;

/* A broker that was killed does nothing any more, also where its threads still have to end here. */
static struct control_ops ops;
static struct life {
	struct control ctl;
	atomic_bool dead;
	char records[64];
} lives[2], *life;

/* What the guest of the next domain is going to do. */
static void (*script)(uint16_t domid);

static int create(struct control *ctl, const struct domain_config *made, uint16_t *domid)
{
	int rc = fake_xen()->ctl->ops->domain_create(fake_xen()->ctl, made, domid);

	if (rc == 0 && script)
		script(*domid);
	return rc;
}

static int destroy(struct control *ctl, uint16_t domid)
{
	if (((struct life *)ctl)->dead)
		return -EIO;
	return fake_xen()->ctl->ops->domain_destroy(fake_xen()->ctl, domid);
}

static int close_monitor(struct control *ctl, uint16_t domid, void *ring)
{
	if (((struct life *)ctl)->dead)
		return -EIO;
	return fake_xen()->ctl->ops->monitor_close(fake_xen()->ctl, domid, ring);
}

static int set_name(struct control *ctl, uint16_t domid, const uint8_t handle[16], const char *name)
{
	if (((struct life *)ctl)->dead)
		return -EIO;
	return fake_xen()->ctl->ops->domain_set_name(fake_xen()->ctl, domid, handle, name);
}

void note(const char *format, ...)
{
}

/* --- a broker in this process --- */

static int some_fd(uint16_t domid)
{
	return memfd_create("restricted", MFD_CLOEXEC);
}

static void *connection(void *arg)
{
	connection_run(registry, (int)(intptr_t)arg);
	atomic_fetch_sub(&connections, 1);
	return NULL;
}

static void *accept_all(void *arg)
{
	pthread_t thread;
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		atomic_fetch_add(&connections, 1);
		streams[accepted++] = fd;
		if (pthread_create(&thread, NULL, connection, (void *)(intptr_t)fd))
			abort();
		pthread_detach(thread);
	}
	return NULL;
}

static void broker_up(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct host host = {
		.xen = *fake_xen(),
		.open_privcmd = some_fd,
		.open_evtchn = some_fd,
	};

	life = life == &lives[0] ? &lives[1] : &lives[0];
	ops = *fake_xen()->ctl->ops;
	ops.domain_create = create;
	ops.domain_destroy = destroy;
	ops.domain_set_name = set_name;
	ops.monitor_close = close_monitor;
	*life = (struct life){.ctl.ops = &ops};
	strcpy(life->records, folder);
	host.xen.ctl = &life->ctl;
	host.records = life->records;
	accepted = 0;
	CU_ASSERT_EQUAL_FATAL(registry_new(&registry, &host, &config), 0);
	registry_recover(registry);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL_FATAL(listen(listener, 8), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&acceptor, NULL, accept_all, NULL), 0);
}

static bool wait_until(bool (*true_yet)(unsigned), unsigned n)
{
	struct timespec ms = {.tv_nsec = 1000000};

	for (int i = 0; i < SOON_MS && !true_yet(n); i++)
		nanosleep(&ms, NULL);
	return true_yet(n);
}

static bool connections_are(unsigned n)
{
	return atomic_load(&connections) == n;
}

static bool domains_are(unsigned n)
{
	return registry_domains(registry) == n && fake_domains() == n;
}

static void stop_listening(void)
{
	shutdown(listener, SHUT_RDWR);
	close(listener);
	pthread_join(acceptor, NULL);
}

static void broker_down(void)
{
	stop_listening();
	CU_ASSERT(wait_until(connections_are, 0));
	/* Who watches over adopted processes holds it for as long as those live: one is this one.
	 */
	if (!adopted)
		registry_free(registry);
	adopted = false;
}

/* The end without a last word. */
static void broker_killed(void)
{
	stop_listening();
	life->dead = true;
	life->records[0] = '\0';
	for (unsigned i = 0; i < accepted; i++)
		shutdown(streams[i], SHUT_RDWR);
	CU_ASSERT(wait_until(connections_are, 0));
	registry_free(registry);
}

static void start_broker(void)
{
	config_default(&config);
	strcpy(folder, "/tmp/kvmxend-test-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/../%s.sock", folder, strrchr(folder, '/') + 1);
	broker_up();
}

static void start(void)
{
	fake_install();
	start_broker();
}

static unsigned records(void)
{
	unsigned n = 0;
	char command[128];
	FILE *out;

	snprintf(command, sizeof command, "ls %s | wc -l", folder);
	out = popen(command, "r");
	if (!out || fscanf(out, "%u", &n) != 1)
		n = 99;
	if (out)
		pclose(out);
	return n;
}

static void end(void)
{
	const char *found;

	broker_down();
	found = fake_check();
	if (found)
		fprintf(stderr, "%s\n", found);
	CU_ASSERT_PTR_NULL(found);
	CU_ASSERT_EQUAL(records(), 0);
	unlink(path);
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static struct xen client(void)
{
	struct xen xen = {0};

	CU_ASSERT_EQUAL_FATAL(broker_open(path, &xen), 0);
	broker_set_device(xen.ctl, fake_xen()->dev);
	return xen;
}

#define CTL(op, ...) (xen.ctl->ops->op(xen.ctl, ##__VA_ARGS__))
#define DEV(op, ...) (xen.dev->ops->op(xen.dev, ##__VA_ARGS__))

static uint16_t make_domain(struct xen xen, unsigned vcpus)
{
	struct domain_config made = {.vcpus = vcpus, .emulation = EMULATION_HVM};
	uint16_t domid = 0;

	CU_ASSERT_EQUAL(CTL(domain_create, &made, &domid), 0);
	CU_ASSERT_EQUAL(CTL(domain_set_maxmem, domid, 4096), 0);
	return domid;
}

/* --- a client of our own making: what a hostile one could say --- */

static int raw_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -1;
	return fd;
}

/* The result, or -EPIPE when the broker hangs up instead. */
static int raw_reply(int fd, struct wire_message *message)
{
	struct wire_message reply;
	char room[4096];
	int got, rc = wire_receive(fd, -1, &reply, &got);

	if (rc < 0)
		return -EPIPE;
	if (got >= 0)
		close(got);
	if (reply.length && wire_receive_data(fd, -1, room, reply.length) < 0)
		return -EPIPE;
	memcpy(message->arg, reply.arg, sizeof reply.arg);
	return reply.result;
}

static int raw_call(int fd, struct wire_message *message, const void *data)
{
	return wire_send(fd, message, data, -1) < 0 ? -EPIPE : raw_reply(fd, message);
}

static int raw_hello(int fd)
{
	struct wire_message hello = {.op = WIRE_hello, .sequence = 1, .arg = {WIRE_VERSION}};

	return raw_call(fd, &hello, NULL);
}

/* --- what is asked and answered --- */

static void domains_are_made_and_used(void)
{
	uint64_t gfns[] = {0, 1, 2}, value;
	struct xen xen;
	struct domain_info info;
	struct vcpu_info_bits bits;
	uint32_t khz, khz2;
	uint16_t domid;

	start();
	xen = client();
	CU_ASSERT_STRING_EQUAL(CTL(version), fake_xen()->ctl->ops->version(fake_xen()->ctl));
	CU_ASSERT(xen.ctl->watches);
	domid = make_domain(xen, 2);
	CU_ASSERT_EQUAL(domid, fake_last_domain());
	CU_ASSERT_EQUAL(CTL(domain_set_name, domid, (uint8_t[16]){0}, "web"), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_domain_name(domid), ":web"));
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 3, gfns), 3);
	CU_ASSERT_EQUAL(fake_mem_type(domid, 1), MEM_RAM_RW);
	CU_ASSERT_EQUAL(DEV(mem_release, domid, 1, gfns + 1), 0);
	CU_ASSERT_EQUAL(fake_mem_type(domid, 1), -1);
	CU_ASSERT_EQUAL(DEV(mem_release, domid, 1, gfns + 1), -EINVAL);
	fake_forgive();
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	CU_ASSERT(info.paused && info.pages == 2);
	CU_ASSERT_EQUAL(CTL(vcpu_info, domid, 1, &bits), 0);
	CU_ASSERT(!bits.online);
	CU_ASSERT_EQUAL(CTL(vcpu_info, domid, 2, &bits), -ESRCH);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_PARAM_TIMER_MODE, 1), 0);
	CU_ASSERT_EQUAL(DEV(hvm_param_get, domid, HVM_PARAM_TIMER_MODE, &value), 0);
	CU_ASSERT_EQUAL(value, 1);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, domid, HVM_PARAM_STORE_PFN, 1), -EPERM);
	CU_ASSERT_EQUAL(CTL(host_tsc_khz, &khz), 0);
	CU_ASSERT_EQUAL(fake_xen()->ctl->ops->host_tsc_khz(fake_xen()->ctl, &khz2), 0);
	CU_ASSERT_EQUAL(khz, khz2);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), -EPERM);
	xen.dev->ops->close(xen.dev);
	end();
}

static void large_answers_are_those_of_xen(void)
{
	struct control *direct = fake_xen()->ctl;
	static char through[1 << 20], at_once[1 << 20];
	static struct control_cpuid a[512], b[512];
	uint32_t length = 0, n = 512, m = 512, port;
	uint64_t gfn = 0x100, gfns[16];
	uint8_t bitmap[2] = {0}, body[sizeof(struct hvm_hw_cpu)];
	struct xen xen;
	uint16_t domid;
	void *ring;

	start();
	xen = client();
	domid = make_domain(xen, 1);
	CU_ASSERT_EQUAL(CTL(context_get, domid, NULL, &length), 0);
	CU_ASSERT(length > 1000);
	CU_ASSERT_EQUAL(CTL(context_get, domid, through, &length), 0);
	CU_ASSERT_EQUAL(direct->ops->context_get(direct, domid, at_once, &length), 0);
	CU_ASSERT_EQUAL(memcmp(through, at_once, length), 0);
	CU_ASSERT_EQUAL(CTL(context_set, domid, through, length), 0);
	length /= 2;
	CU_ASSERT_EQUAL(CTL(context_get, domid, through, &length), -ENOSPC);
	CU_ASSERT_EQUAL(CTL(context_set, domid, through, length), -EINVAL);
	CU_ASSERT_EQUAL(CTL(context_get_one, domid, HVM_SAVE_CODE(CPU), 0, body, sizeof body),
			-ENODATA);
	CU_ASSERT_EQUAL(CTL(cpuid_host, a, &n), 0);
	CU_ASSERT_EQUAL(direct->ops->cpuid_host(direct, b, &m), 0);
	CU_ASSERT(n == m && !memcmp(a, b, n * sizeof *a));
	n = 1;
	CU_ASSERT_EQUAL(CTL(cpuid_host, a, &n), -ENOBUFS);
	for (unsigned i = 0; i < 16; i++)
		gfns[i] = i;
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 16, gfns), 16);
	CU_ASSERT_EQUAL(CTL(domain_set_paging_pool, domid, 1 << 20), 0);
	CU_ASSERT_EQUAL(CTL(log_dirty, domid, LOG_DIRTY_ENABLE, 0, NULL), 0);
	fake_xen()->dev->ops->mem_modified(fake_xen()->dev, domid, 9, 1);
	CU_ASSERT_EQUAL(CTL(log_dirty, domid, LOG_DIRTY_CLEAN, 16, bitmap), 0);
	CU_ASSERT(bitmap[0] == 0 && bitmap[1] == 2);
	CU_ASSERT_EQUAL(CTL(log_dirty, domid, LOG_DIRTY_OFF, 0, NULL), 0);
	/* The ring is mapped here before it is taken from the guest. */
	CU_ASSERT_EQUAL(CTL(monitor_open, domid, gfn, &ring, &port), 0);
	CU_ASSERT_EQUAL(fake_mem_type(domid, gfn), -1);
	CU_ASSERT(ring != NULL && port != 0);
	CU_ASSERT_EQUAL(CTL(monitor_close, domid, ring), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	xen.dev->ops->close(xen.dev);
	end();
}

static void names_are_marked_with_their_user(void)
{
	static const char *const bad[] = {"../x", "a b", "-v", ".", "a/b", "name:1", "\n"};
	char long_name[100];
	struct xen xen;
	uint16_t domid;

	start();
	xen = client();
	domid = make_domain(xen, 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CU_ASSERT_EQUAL(CTL(domain_set_name, domid, NULL, bad[i]), -EINVAL);
	CU_ASSERT_PTR_NULL(fake_domain_name(domid));
	memset(long_name, 'a', sizeof long_name);
	long_name[99] = 0;
	CU_ASSERT_EQUAL(CTL(domain_set_name, domid, NULL, long_name), 0);
	CU_ASSERT_EQUAL(CTL(domain_set_name, domid, NULL, NULL), 0);
	CU_ASSERT_PTR_NULL(fake_domain_name(domid));
	xen.dev->ops->close(xen.dev);
	CU_ASSERT(wait_until(domains_are, 0));
	end();
}

/* --- who may do what --- */

/* In a child: another process. Its exit status says how many of the tries were not refused. */
static void be_a_stranger(uint16_t domid)
{
	int fd = raw_connect(), allowed = 0;
	uint32_t sequence = 2;

	if (fd < 0 || raw_hello(fd) != 0)
		_exit(100);
	for (uint16_t op = 1; op < WIRE_OP_COUNT; op++) {
		struct wire_message message = {.op = op, .domid = domid, .sequence = sequence};
		static char data[sizeof(struct vcpu_guest_context)];

		if (!wire_about_domain(op))
			continue;
		for (message.length = 0; message.length <= sizeof data; message.length++)
			if (wire_check_request(&message, sequence) == 0)
				break;
		allowed += raw_call(fd, &message, data) != -EPERM;
		sequence++;
	}
	_exit(allowed);
}

static void domains_of_others_are_out_of_reach(void)
{
	struct domain_config direct = {.vcpus = 1, .handle = {1}};
	struct control *ctl = fake_xen()->ctl;
	struct domain_info info;
	struct xen xen;
	uint16_t domid, foreign;
	int status;
	pid_t child;

	start();
	xen = client();
	domid = make_domain(xen, 1);
	child = fork();
	if (child == 0)
		be_a_stranger(domid);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	/* Nor one that is not of the broker's making. */
	CU_ASSERT_EQUAL(ctl->ops->domain_create(ctl, &direct, &foreign), 0);
	CU_ASSERT_EQUAL(CTL(domain_pause, foreign), -EPERM);
	CU_ASSERT_EQUAL(CTL(domain_destroy, foreign), -EPERM);
	CU_ASSERT_EQUAL(CTL(domain_info, 1000, &info), -EPERM);
	CU_ASSERT_EQUAL(ctl->ops->domain_destroy(ctl, foreign), 0);
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	xen.dev->ops->close(xen.dev);
	end();
}

static void quotas_hold(void)
{
	struct domain_config one = {.vcpus = 1}, many = {.vcpus = 5};
	struct device *dev = fake_xen()->dev;
	uint64_t gfn = 0;
	uint16_t a, b, c;
	struct xen xen;
	void *page;

	start();
	config.all =
		(struct limits){.domains = 2, .vcpus = 4, .connections = 2, .memory_kib = 8192};
	xen = client();
	CU_ASSERT_EQUAL(CTL(domain_create, &many, &a), -EDQUOT);
	a = make_domain(xen, 1);
	b = make_domain(xen, 1);
	CU_ASSERT_EQUAL(CTL(domain_create, &one, &c), -EDQUOT);
	CU_ASSERT_EQUAL(CTL(domain_set_maxmem, a, 4097), -EDQUOT);
	CU_ASSERT_EQUAL(CTL(domain_set_maxmem, a, ~0ull), -EDQUOT);
	CU_ASSERT_EQUAL(CTL(domain_set_paging_pool, a, 1), -EDQUOT);
	/* Less is allowed, and stays charged: memory may still be there. */
	CU_ASSERT_EQUAL(CTL(domain_set_maxmem, a, 1024), 0);
	CU_ASSERT_EQUAL(CTL(domain_set_paging_pool, b, 4096), -EDQUOT);
	/* A destroyed domain counts for as long as somebody maps its memory. */
	CU_ASSERT_EQUAL(DEV(mem_populate, a, 0, 1, &gfn), 1);
	CU_ASSERT_EQUAL(dev->ops->mem_map(dev, a, NULL, PROT_READ, 1, &gfn, &page), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, a), 0);
	CU_ASSERT_EQUAL(CTL(domain_create, &one, &c), -EDQUOT);
	CU_ASSERT_EQUAL(dev->ops->mem_unmap(dev, page, 1), 0);
	CU_ASSERT_EQUAL(CTL(domain_create, &one, &c), 0);
	xen.dev->ops->close(xen.dev);
	CU_ASSERT(wait_until(domains_are, 0));
	end();
}

static void connections_are_limited(void)
{
	struct xen xen, second, third;

	start();
	config.all.connections = 2;
	xen = client();
	second = client();
	CU_ASSERT_EQUAL(broker_open(path, &third), -EDQUOT);
	second.dev->ops->close(second.dev);
	CU_ASSERT(wait_until(connections_are, 1));
	CU_ASSERT_EQUAL(broker_open(path, &second), 0);
	second.dev->ops->close(second.dev);
	xen.dev->ops->close(xen.dev);
	end();
}

/* --- bad clients --- */

/* The broker hangs up on that, as the second message of a connection: its head alone says enough.
 */
static bool is_refused(struct wire_message message)
{
	int fd = raw_connect(), rc = raw_hello(fd);

	if (rc == 0)
		rc = send(fd, &message, sizeof message, MSG_NOSIGNAL) == sizeof message
			     ? raw_reply(fd, &message)
			     : -EPIPE;
	close(fd);
	return rc == -EPIPE;
}

static void malformed_requests_end_the_connection(void)
{
	const struct wire_message good = {.op = WIRE_host_tsc_khz, .sequence = 2};
	struct wire_message bad;
	struct domain_info info;
	struct xen xen;
	uint16_t domid;
	int fd;

	start();
	xen = client();
	domid = make_domain(xen, 1);
	CU_ASSERT_FALSE(is_refused(good));
#define REFUSED(change)                                                                            \
	do {                                                                                       \
		bad = good;                                                                        \
		change;                                                                            \
		CU_ASSERT(is_refused(bad));                                                        \
	} while (0)
	REFUSED(bad.op = WIRE_NONE);
	REFUSED(bad.op = WIRE_OP_COUNT);
	REFUSED(bad.op = 0xffff);
	REFUSED(bad.op = WIRE_hello);
	REFUSED(bad.sequence = 1); /* played again */
	REFUSED(bad.sequence = 3);
	REFUSED(bad.result = 1);
	REFUSED(bad.domid = domid);
	REFUSED(bad.arg[0] = 1);
	REFUSED(bad.arg[3] = 1);
	REFUSED(bad.length = 1);
	REFUSED(bad.length = 0xffffffff);
	REFUSED(bad.op = WIRE_domain_pause); /* of whom? */
	REFUSED((bad.op = WIRE_mem_populate, bad.domid = domid, bad.length = 12));
	REFUSED((bad.op = WIRE_mem_populate, bad.domid = domid, bad.length = 0));
	REFUSED((bad.op = WIRE_mem_populate, bad.domid = domid,
		 bad.length = 8 * (WIRE_GFNS_MAX + 1)));
#undef REFUSED
	/* Not greeted; greeted in another version. */
	fd = raw_connect();
	bad = good;
	bad.sequence = 1;
	CU_ASSERT_EQUAL(raw_call(fd, &bad, NULL), -EPIPE);
	close(fd);
	fd = raw_connect();
	bad = (struct wire_message){.op = WIRE_hello, .sequence = 1, .arg = {WIRE_VERSION + 1}};
	CU_ASSERT_EQUAL(raw_call(fd, &bad, NULL), -EPROTO);
	close(fd);
	/* Ended in the middle of a message. */
	for (size_t n = 0; n < sizeof bad; n += 7) {
		fd = raw_connect();
		CU_ASSERT_EQUAL(raw_hello(fd), 0);
		CU_ASSERT_EQUAL(write(fd, &good, n), (ssize_t)n);
		close(fd);
	}
	/* Nobody else has noticed. */
	CU_ASSERT(wait_until(connections_are, 1));
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	xen.dev->ops->close(xen.dev);
	CU_ASSERT(wait_until(domains_are, 0));
	end();
}

static void values_are_checked(void)
{
	struct domain_config none = {.vcpus = 0}, lots = {.vcpus = 129},
			     odd = {.vcpus = 1, .emulation = 7};
	struct control_cpuid leaf = {0};
	uint64_t far = 1ull << 40;
	struct xen xen;
	uint16_t domid;
	uint8_t bits;

	start();
	config.all.vcpus = 1000;
	xen = client();
	CU_ASSERT_EQUAL(CTL(domain_create, &none, &domid), -EINVAL);
	CU_ASSERT_EQUAL(CTL(domain_create, &lots, &domid), -EINVAL);
	CU_ASSERT_EQUAL(CTL(domain_create, &odd, &domid), -EINVAL);
	domid = make_domain(xen, 1);
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, &far), -EINVAL);
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 10, 1, &far), -EINVAL);
	CU_ASSERT_EQUAL(CTL(log_dirty, domid, 7, 8, &bits), -EINVAL);
	CU_ASSERT_EQUAL(CTL(tsc_set, domid, 5), -EINVAL);
	CU_ASSERT_EQUAL(CTL(vcpu_nmi, domid, 1), -ESRCH);
	CU_ASSERT_EQUAL(CTL(context_set, domid, &leaf, sizeof leaf), -EINVAL);
	CU_ASSERT_EQUAL(fake_calls("context_set"), 0); /* Xen has not seen it */
	xen.dev->ops->close(xen.dev);
	CU_ASSERT(wait_until(domains_are, 0));
	end();
}

/* A client that sends and sends, and takes no answer. */
static void a_flood_stops_at_its_own_connection(void)
{
	struct wire_message message = {.op = WIRE_host_tsc_khz};
	struct timespec began, now;
	struct domain_info info;
	struct xen xen;
	uint16_t domid;
	int fd, sent = 0;

	start();
	xen = client();
	domid = make_domain(xen, 1);
	fd = raw_connect();
	CU_ASSERT_EQUAL(raw_hello(fd), 0);
	for (message.sequence = 2;; message.sequence++, sent++)
		if (send(fd, &message, sizeof message, MSG_DONTWAIT) != sizeof message) {
			usleep(1000);
			if (send(fd, &message, sizeof message, MSG_DONTWAIT) != sizeof message)
				break;
		}
	CU_ASSERT(sent > 10);
	clock_gettime(CLOCK_MONOTONIC, &began);
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	CU_ASSERT(now.tv_sec - began.tv_sec < 5);
	close(fd);
	xen.dev->ops->close(xen.dev);
	CU_ASSERT(wait_until(domains_are, 0));
	end();
}

/* --- the end of a client, and of the broker --- */

/* In a child: makes a domain, says so, and waits for its end. */
static pid_t child_with_domain(void)
{
	struct wire_message create = {.op = WIRE_domain_create, .sequence = 2, .arg = {1, 0}};
	int fds[2], fd;
	char said = 0;
	pid_t child;

	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		fd = raw_connect();
		if (raw_hello(fd) != 0 || raw_call(fd, &create, NULL) != 0 ||
		    write(fds[1], "!", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	CU_ASSERT_EQUAL(read(fds[0], &said, 1), 1);
	close(fds[0]);
	return child;
}

static void a_killed_client_leaves_nothing(void)
{
	struct domain_info info;
	struct xen xen;
	uint16_t domid;
	pid_t child;

	start();
	xen = client();
	domid = make_domain(xen, 1);
	child = child_with_domain();
	CU_ASSERT_EQUAL(fake_domains(), 2);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CU_ASSERT(wait_until(domains_are, 1));
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	CU_ASSERT_EQUAL(records(), 1);
	xen.dev->ops->close(xen.dev);
	CU_ASSERT(wait_until(domains_are, 0));
	end();
}

static void a_successor_knows_whose_domains_live(void)
{
	struct domain_info info;
	uint16_t domid, second;
	struct xen xen;
	pid_t child, killed;

	start();
	xen = client();
	domid = make_domain(xen, 1);
	CU_ASSERT_EQUAL(CTL(domain_set_name, domid, NULL, "keeps"), 0);
	child = child_with_domain();
	killed = child_with_domain();
	CU_ASSERT_EQUAL(fake_domains(), 3);
	broker_killed();
	CU_ASSERT_EQUAL(fake_domains(), 3);
	kill(killed, SIGKILL);
	waitpid(killed, NULL, 0);
	broker_up();
	adopted = true;
	CU_ASSERT(wait_until(domains_are, 2));
	second = make_domain(xen, 1);
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	CU_ASSERT_NOT_EQUAL(second, domid);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, second), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	CU_ASSERT(wait_until(domains_are, 0));
	xen.dev->ops->close(xen.dev);
	end();
}

/* --- a machine --- */

static struct xen through;

static int populate(struct device *dev, uint16_t domid, unsigned order, size_t n,
		    const uint64_t *gfns)
{
	return through.dev->ops->mem_populate(through.dev, domid, order, n, gfns);
}

static int release(struct device *dev, uint16_t domid, size_t n, const uint64_t *gfns)
{
	return through.dev->ops->mem_release(through.dev, domid, n, gfns);
}

static int param_set(struct device *dev, uint16_t domid, uint32_t param, uint64_t value)
{
	return through.dev->ops->hvm_param_set(through.dev, domid, param, value);
}

static int cpuid_op;

static void outs_around_a_cpuid(uint16_t domid)
{
	fake_guest_out(domid, 0, 0x10, 1, 1);
	cpuid_op = fake_guest_cpuid(domid, 0, 0x40000000, 0);
	fake_guest_out(domid, 0, 0x10, 1, 2);
	fake_guest_out(domid, 0, 0x10, 1, 3);
}

static bool out_of(struct machine *m, uint8_t value)
{
	return machine_exits(m, 0, KVM_EXIT_IO) && m->run[0]->io.port == 0x10 &&
	       ((uint8_t *)m->run[0])[m->run[0]->io.data_offset] == value;
}

/* The device plane is the fake's, but for what goes by the broker. */
static void a_machine_outlives_its_broker(void)
{
	static struct device_ops mixed;
	struct device device = {.ops = &mixed};
	struct kvm_regs regs;
	struct machine m;

	kvm_machine_new(&m, 1, true, NULL);
	start_broker();
	script = outs_around_a_cpuid;
	through = client();
	mixed = *fake_xen()->dev->ops;
	mixed.mem_populate = populate;
	mixed.mem_release = release;
	mixed.hvm_param_set = param_set;
	machine_vm(&m)->xen = (struct xen){.dev = &device, .ctl = through.ctl};
	CU_ASSERT(out_of(&m, 1));
	CU_ASSERT_EQUAL(registry_domains(registry), 1);
	CU_ASSERT(fake_domain_name(fake_last_domain()) &&
		  strstr(fake_domain_name(fake_last_domain()), ":kvmxen-"));
	broker_killed();
	/* The exit path has no use for it. */
	CU_ASSERT(out_of(&m, 2));
	CU_ASSERT(fake_guest_wait(fake_last_domain(), 0, cpuid_op, SOON_MS));
	broker_up();
	adopted = true;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
	regs.rbx = 0x77;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_REGS, &regs), 0);
	CU_ASSERT(out_of(&m, 3));
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_REGS, &regs), 0);
	CU_ASSERT_EQUAL(regs.rbx, 0x77);
	kvm_machine_free(&m);
	script = NULL;
	through.dev->ops->close(through.dev);
	CU_ASSERT(wait_until(domains_are, 0));
	end();
}

/* --- a broker that dies while it is asked --- */

/* Answers as the broker would, but for the first request after the greeting, which it takes and
 * then ends. */
static void *broker_that_dies(void *arg)
{
	int paused = *(int *)arg, lives_left = 2, asked = 0;

	while (lives_left--) {
		int fd = accept(listener, NULL, NULL);
		struct wire_message message;
		struct domain_info info = {.paused = paused};

		while (wire_receive(fd, -1, &message, NULL) == 0) {
			bool about_info = message.op == WIRE_domain_info;

			asked += message.op == WIRE_domain_pause;
			if (message.op != WIRE_hello && lives_left)
				break;
			message.length = about_info ? sizeof info : 0;
			message.result = 0;
			wire_send(fd, &message, &info, -1);
		}
		close(fd);
	}
	*(int *)arg = asked;
	return NULL;
}

static void listen_for_dying(pthread_t *thread, int *arg)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(path, sizeof path, "/tmp/kvmxend-test-%d.sock", getpid());
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL_FATAL(listen(listener, 8), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(thread, NULL, broker_that_dies, arg), 0);
}

static void lost_answers_are_made_up_for(void)
{
	uint8_t bitmap[2] = {0};
	uint64_t gfn = 0;
	pthread_t thread;
	struct xen xen;
	int state;

	/* It had paused: once. */
	state = 1;
	listen_for_dying(&thread, &state);
	CU_ASSERT_EQUAL_FATAL(broker_open(path, &xen), 0);
	CU_ASSERT_EQUAL(CTL(domain_pause, 1), 0);
	xen.dev->ops->close(xen.dev);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(state, 1);
	/* It had not: again. */
	state = 0;
	close(listener);
	listen_for_dying(&thread, &state);
	CU_ASSERT_EQUAL_FATAL(broker_open(path, &xen), 0);
	CU_ASSERT_EQUAL(CTL(domain_pause, 1), 0);
	xen.dev->ops->close(xen.dev);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(state, 2);
	/* A log that was read and lost: all was written. */
	close(listener);
	listen_for_dying(&thread, &state);
	CU_ASSERT_EQUAL_FATAL(broker_open(path, &xen), 0);
	CU_ASSERT_EQUAL(CTL(log_dirty, 1, LOG_DIRTY_CLEAN, 12, bitmap), 0);
	CU_ASSERT(bitmap[0] == 0xff && bitmap[1] == 0x0f);
	xen.dev->ops->close(xen.dev);
	pthread_join(thread, NULL);
	/* Frames are never asked for twice. */
	close(listener);
	listen_for_dying(&thread, &state);
	CU_ASSERT_EQUAL_FATAL(broker_open(path, &xen), 0);
	CU_ASSERT(DEV(mem_populate, 1, 0, 1, &gfn) < 0);
	xen.dev->ops->close(xen.dev);
	pthread_join(thread, NULL);
	close(listener);
	unlink(path);
}

/* --- the pure parts --- */

static int parse(const char *text, unsigned *line)
{
	const char *why = NULL;
	char copy[512];

	config_free(&config);
	config_default(&config);
	snprintf(copy, sizeof copy, "%s", text);
	return config_parse(&config, copy, line, &why);
}

static void configurations_are_read(void)
{
	unsigned line;

	CU_ASSERT_EQUAL(parse("", &line), 0);
	CU_ASSERT_EQUAL(config_limits(&config, 5)->domains, 4);
	CU_ASSERT_EQUAL(parse("# all of them\n\n all domains=7 memory=10 # MiB\n"
			      "user 12 vcpus=3\nuser root domains=1\n",
			      &line),
			0);
	CU_ASSERT_EQUAL(config_limits(&config, 5)->domains, 7);
	CU_ASSERT_EQUAL(config_limits(&config, 5)->memory_kib, 10240);
	CU_ASSERT_EQUAL(config_limits(&config, 12)->domains, 7);
	CU_ASSERT_EQUAL(config_limits(&config, 12)->vcpus, 3);
	CU_ASSERT_EQUAL(config_limits(&config, 0)->domains, 1);
	CU_ASSERT_EQUAL(parse("all domains=1\nall domains\n", &line), -EINVAL);
	CU_ASSERT_EQUAL(line, 2);
	CU_ASSERT_EQUAL(parse("all domains=-1", &line), -EINVAL);
	CU_ASSERT_EQUAL(parse("all domains=1x", &line), -EINVAL);
	CU_ASSERT_EQUAL(parse("all domains=99999999999", &line), -EINVAL);
	CU_ASSERT_EQUAL(parse("all domain=1", &line), -EINVAL);
	CU_ASSERT_EQUAL(parse("everyone domains=1", &line), -EINVAL);
	CU_ASSERT_EQUAL(parse("user nobody-of-that-name domains=1", &line), -EINVAL);
	CU_ASSERT_EQUAL(parse("user 1\nall domains=1", &line), -EINVAL);
	config_free(&config);
}

static size_t add(char *image, size_t at, uint16_t code, uint16_t instance, uint32_t length)
{
	struct hvm_save_descriptor d = {code, instance, length};

	memcpy(image + at, &d, sizeof d);
	memset(image + at + sizeof d, 0, length);
	return at + sizeof d + length;
}

static void images_are_checked(void)
{
	enum {
		HEADER = HVM_SAVE_LENGTH(HEADER),
		CPU = HVM_SAVE_LENGTH(CPU),
	};
	static char image[8192];
	size_t n, head = add(image, 0, HVM_SAVE_CODE(HEADER), 0, HEADER);

	n = add(image, head, HVM_SAVE_CODE(END), 0, 0);
	CU_ASSERT(check_image(image, n, 1));
	CU_ASSERT_FALSE(check_image(image, n - 1, 1));
	CU_ASSERT_FALSE(check_image(image, n + 1, 1));
	CU_ASSERT_FALSE(check_image(image, head, 1));
	CU_ASSERT_FALSE(check_image(image, 0, 1));
	n = add(image, head, HVM_SAVE_CODE(CPU), 0, CPU);
	n = add(image, n, HVM_SAVE_CODE(CPU), 1, CPU);
	n = add(image, n, HVM_SAVE_CODE(END), 0, 0);
	CU_ASSERT(check_image(image, n, 2));
	CU_ASSERT_FALSE(check_image(image, n, 1)); /* no vcpu 1 */
	n = add(image, head, HVM_SAVE_CODE(CPU), 0, CPU - 1);
	n = add(image, n, HVM_SAVE_CODE(END), 0, 0);
	CU_ASSERT_FALSE(check_image(image, n, 1));
	n = add(image, head, 99, 0, 8); /* no such record */
	n = add(image, n, HVM_SAVE_CODE(END), 0, 0);
	CU_ASSERT_FALSE(check_image(image, n, 1));
	n = add(image, 0, HVM_SAVE_CODE(END), 0, 0); /* no header */
	CU_ASSERT_FALSE(check_image(image, n, 1));
	n = add(image, head, HVM_SAVE_CODE(CPU), 0, CPU);
	((struct hvm_save_descriptor *)(image + head))->length = 0xfffffff0;
	CU_ASSERT_FALSE(check_image(image, n, 1));
}

static CU_TestInfo tests[] = {
#define TEST(name)                                                                                 \
	{                                                                                          \
#name, name                                                                        \
	}
	TEST(domains_are_made_and_used),
	TEST(large_answers_are_those_of_xen),
	TEST(names_are_marked_with_their_user),
	TEST(domains_of_others_are_out_of_reach),
	TEST(quotas_hold),
	TEST(connections_are_limited),
	TEST(malformed_requests_end_the_connection),
	TEST(values_are_checked),
	TEST(a_flood_stops_at_its_own_connection),
	TEST(a_killed_client_leaves_nothing),
	TEST(a_successor_knows_whose_domains_live),
	TEST(a_machine_outlives_its_broker),
	TEST(lost_answers_are_made_up_for),
	TEST(configurations_are_read),
	TEST(images_are_checked),
	CU_TEST_INFO_NULL,
#undef TEST
};

void register_kvmxend_suite(void)
{
	CU_SuiteInfo suites[] = {
		{"broker", NULL, NULL, NULL, NULL, tests},
		CU_SUITE_INFO_NULL,
	};

	if (CU_register_suites(suites) != CUE_SUCCESS)
		abort();
}
