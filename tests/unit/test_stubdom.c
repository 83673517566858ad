/* A stub domain and the broker, over the fake Xen and a fake libxenvchan. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xen/hvm/params.h>
#include <xen/hvm/save.h>
#include <xen/sched.h>

#include "libkvmxen/xen/broker.h"
#include "libkvmxen/xen/wire_link.h"
#include "tests/fake/fake.h"
#include "tests/fake/fake_vchan.h"
#include "tools/kvmxend/kvmxend.h"

void register_stubdom_suite(void);

#define SOON_MS    5000
#define STUB       7
#define TARGET_KIB 4096

static struct config config;
static struct registry *registry;
static pthread_t acceptor;
static atomic_bool stop;
static atomic_uint connections;
static uint16_t target;

#define XEN_CTL(op, ...) fake_xen()->ctl->ops->op(fake_xen()->ctl, ##__VA_ARGS__)
#define CTL(op, ...)     (xen.ctl->ops->op(xen.ctl, ##__VA_ARGS__))
#define DEV(op, ...)     (xen.dev->ops->op(xen.dev, ##__VA_ARGS__))

/* --- a broker in this process; what xenstore would say it is told by the test --- */

struct start {
	struct process *process;
	struct wire_link *link;
};

static void *serve_one(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	connection_serve(registry, start.process, start.link);
	atomic_fetch_sub(&connections, 1);
	return NULL;
}

static void *accept_all(void *arg)
{
	char path[128];
	pthread_t thread;

	while (!atomic_load(&stop)) {
		struct start *start;

		if (!fake_vchan_offered(path, sizeof path, 10))
			continue;
		start = malloc(sizeof *start);
		if (!start)
			abort();
		if (stub_enter(registry, STUB, target, &start->process) < 0) {
			free(start);
			continue;
		}
		if (wire_link_accept(STUB, path, 1000, &start->link) < 0)
			abort();
		atomic_fetch_add(&connections, 1);
		if (pthread_create(&thread, NULL, serve_one, start))
			abort();
		pthread_detach(thread);
	}
	return NULL;
}

static void start(void)
{
	struct host host = {.xen = *fake_xen(), .records = "/nonexistent"};

	fake_install();
	config_default(&config);
	host.xen = *fake_xen();
	target = fake_domain_built(2, true);
	CU_ASSERT_EQUAL(XEN_CTL(domain_set_maxmem, target, TARGET_KIB), 0);
	CU_ASSERT_EQUAL_FATAL(registry_new(&registry, &host, &config), 0);
	atomic_store(&stop, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&acceptor, NULL, accept_all, NULL), 0);
}

static bool wait_until(bool (*true_yet)(void))
{
	for (int i = 0; i < SOON_MS && !true_yet(); i++)
		usleep(1000);
	return true_yet();
}

static bool nobody_connected(void)
{
	return atomic_load(&connections) == 0;
}

static bool target_has_crashed(void)
{
	return fake_domain_shutdown_reason(target) == SHUTDOWN_crash;
}

static void end(void)
{
	const char *found;

	CU_ASSERT(wait_until(nobody_connected));
	atomic_store(&stop, true);
	pthread_join(acceptor, NULL);
	registry_free(registry);
	CU_ASSERT_EQUAL(fake_vchan_open_ends(), 0);
	CU_ASSERT_FALSE(fake_domain_destroyed(target));
	CU_ASSERT_EQUAL(XEN_CTL(domain_destroy, target), 0);
	found = fake_check();
	if (found)
		fprintf(stderr, "%s\n", found);
	CU_ASSERT_PTR_NULL(found);
}

static struct xen stub(void)
{
	struct xen xen = {0};

	CU_ASSERT_EQUAL_FATAL(broker_open(BROKER_VCHAN, &xen), 0);
	broker_set_device(xen.ctl, fake_xen()->dev);
	return xen;
}

static struct xen stub_with_target(void)
{
	struct domain_config found;
	struct xen xen = stub();

	CU_ASSERT_EQUAL(CTL(domain_adopt, target, &found), 0);
	CU_ASSERT_EQUAL(found.vcpus, 2);
	CU_ASSERT_EQUAL(found.emulation, EMULATION_HVM);
	CU_ASSERT_EQUAL(memcmp(found.handle, "built by libxl", 15), 0);
	return xen;
}

/* --- what it can do --- */

static void the_target_is_adopted_once(void)
{
	struct domain_config found;
	struct domain_info info;
	struct xen xen;

	start();
	xen = stub_with_target();
	CU_ASSERT_EQUAL(CTL(domain_adopt, target, &found), -EBUSY);
	CU_ASSERT_EQUAL(CTL(domain_info, target, &info), 0);
	CU_ASSERT_EQUAL(info.pages, 0);
	CU_ASSERT_EQUAL(info.vcpus, 2);
	xen.dev->ops->close(xen.dev);
	end();
}

/* Messages longer than a ring, both ways. */
static void state_and_memory_go_by_messages(void)
{
	static char image[1 << 20];
	uint32_t length = sizeof image;
	uint64_t gfns[200], value;
	struct xen xen;

	start();
	xen = stub_with_target();
	for (unsigned i = 0; i < 200; i++)
		gfns[i] = i;
	CU_ASSERT_EQUAL(DEV(mem_populate, target, 0, 200, gfns), 200);
	CU_ASSERT_EQUAL(fake_mem_type(target, 199), MEM_RAM_RW);
	CU_ASSERT_EQUAL(DEV(mem_release, target, 200, gfns), 0);
	CU_ASSERT_EQUAL(CTL(context_get, target, image, &length), 0);
	CU_ASSERT(length > 1000);
	CU_ASSERT_EQUAL(CTL(context_set, target, image, length), 0);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, target, HVM_PARAM_CALLBACK_IRQ, 1ull << 56), 0);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, target, HVM_PARAM_TIMER_MODE, 1), 0);
	CU_ASSERT_EQUAL(DEV(hvm_param_get, target, HVM_PARAM_TIMER_MODE, &value), 0);
	CU_ASSERT_EQUAL(value, 1);
	CU_ASSERT_EQUAL(CTL(domain_shutdown, target, SHUTDOWN_poweroff), 0);
	CU_ASSERT_EQUAL(fake_domain_shutdown_reason(target), SHUTDOWN_poweroff);
	xen.dev->ops->close(xen.dev);
	end();
}

static bool event_at(struct event_channels *evtchn)
{
	const struct device_ops *ops = fake_xen()->dev->ops;
	int port;

	for (int i = 0; i < SOON_MS; i++) {
		port = ops->evtchn_take(evtchn);
		if (port >= 0)
			return ops->evtchn_unmask(evtchn, port) == 0;
		usleep(1000);
	}
	return false;
}

/* Xen's port is dom0's: the broker stands between. */
static void events_of_the_monitor_are_passed_on(void)
{
	const struct device_ops *ops = fake_xen()->dev->ops;
	struct event_channels *evtchn;
	struct xen xen;
	uint16_t owner;
	uint32_t port;
	void *ring;
	int local;

	start();
	xen = stub_with_target();
	CU_ASSERT_EQUAL(CTL(monitor_open, target, 0x100, &ring, &owner, &port), 0);
	CU_ASSERT_EQUAL(owner, 0);
	CU_ASSERT_EQUAL_FATAL(ops->evtchn_open(fake_xen()->dev, target, &evtchn), 0);
	local = ops->evtchn_bind(evtchn, owner, port);
	CU_ASSERT(local >= 0);
	CU_ASSERT(event_at(evtchn));
	CU_ASSERT_EQUAL(ops->evtchn_notify(evtchn, local), 0);
	ops->evtchn_close(evtchn);
	CU_ASSERT_EQUAL(CTL(monitor_close, target, ring), 0);
	xen.dev->ops->close(xen.dev);
	end();
}

/* --- and what not --- */

static void other_domains_are_out_of_reach(void)
{
	struct domain_config config = {.vcpus = 1, .emulation = EMULATION_HVM, .handle = {1}};
	struct domain_config found;
	struct domain_info info;
	uint16_t other, made;
	uint64_t gfn = 0;
	uint32_t port;
	struct xen xen;

	start();
	CU_ASSERT_EQUAL(XEN_CTL(domain_create, &config, &other), 0);
	xen = stub_with_target();
	CU_ASSERT_EQUAL(CTL(domain_adopt, other, &found), -EPERM);
	CU_ASSERT_EQUAL(CTL(domain_info, other, &info), -EPERM);
	CU_ASSERT_EQUAL(CTL(domain_pause, other), -EPERM);
	CU_ASSERT_EQUAL(CTL(domain_shutdown, other, SHUTDOWN_poweroff), -EPERM);
	CU_ASSERT_EQUAL(CTL(domain_pause, STUB), -EPERM);
	CU_ASSERT_EQUAL(DEV(mem_populate, other, 0, 1, &gfn), -EPERM);
	CU_ASSERT_EQUAL(CTL(domain_create, &config, &made), -EPERM);
	CU_ASSERT_EQUAL(CTL(domain_destroy, target), -EPERM);
	CU_ASSERT_EQUAL(CTL(domain_set_name, target, config.handle, "mine"), -EPERM);
	CU_ASSERT_EQUAL(CTL(domain_subscribe, target, &port), -EPERM);
	CU_ASSERT_EQUAL(DEV(hvm_param_set, target, HVM_PARAM_STORE_PFN, 1), -EPERM);
	xen.dev->ops->close(xen.dev);
	CU_ASSERT_EQUAL(XEN_CTL(domain_destroy, other), 0);
	end();
}

static void the_toolstacks_limits_hold(void)
{
	struct xen xen;

	start();
	xen = stub_with_target();
	CU_ASSERT_EQUAL(CTL(domain_set_maxmem, target, TARGET_KIB + 1024), 0);
	CU_ASSERT_EQUAL(CTL(domain_set_maxmem, target, 2 * TARGET_KIB), -EDQUOT);
	CU_ASSERT_EQUAL(CTL(domain_set_paging_pool, target, 6 << 20), 0);
	CU_ASSERT_EQUAL(CTL(domain_set_paging_pool, target, 64 << 20), -EDQUOT);
	xen.dev->ops->close(xen.dev);
	end();
}

/* In a child its parent's connection is not its own to end. */
static void a_child_connects_anew(void)
{
	struct domain_info info;
	struct xen xen;
	int status;
	pid_t child;

	start();
	xen = stub_with_target();
	child = fork();
	if (child == 0) {
		/* Nobody takes offers of another process here: it gives up. */
		_exit(CTL(domain_info, target, &info) < 0 ? 0 : 1);
	}
	CU_ASSERT_EQUAL(CTL(domain_info, target, &info), 0);
	CU_ASSERT_EQUAL(kill(child, SIGKILL), 0);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_EQUAL(CTL(domain_info, target, &info), 0);
	xen.dev->ops->close(xen.dev);
	end();
}

static void malformed_requests_end_the_connection(void)
{
	struct wire_message message = {.op = WIRE_hello, .sequence = 1, .arg = {WIRE_VERSION}};
	char version[WIRE_VERSION_MAX];
	struct wire_link *link;

	start();
	CU_ASSERT_EQUAL_FATAL(wire_link_offer(0, WIRE_VCHAN_OFFERS "/raw", SOON_MS, &link), 0);
	CU_ASSERT_EQUAL(link->ops->send(link, &message, NULL, -1), 0);
	CU_ASSERT_EQUAL(link->ops->receive(link, -1, &message, NULL), 0);
	CU_ASSERT_EQUAL(message.result, 0);
	CU_ASSERT_EQUAL(link->ops->receive_data(link, -1, version, message.length), 0);
	message = (struct wire_message){.op = WIRE_OP_COUNT, .sequence = 2};
	CU_ASSERT_EQUAL(link->ops->send(link, &message, NULL, -1), 0);
	CU_ASSERT_EQUAL(link->ops->receive(link, -1, &message, NULL), -EPIPE);
	link->ops->close(link);
	/* It was not adopted: its toolstack may give it to another. */
	CU_ASSERT(wait_until(nobody_connected));
	CU_ASSERT_EQUAL(fake_domain_shutdown_reason(target), -1);
	end();
}

/* --- its end --- */

static void a_target_without_its_stub_is_shut_down(void)
{
	struct xen xen;

	start();
	xen = stub_with_target();
	CU_ASSERT_EQUAL(fake_domain_shutdown_reason(target), -1);
	xen.dev->ops->close(xen.dev);
	CU_ASSERT(wait_until(target_has_crashed));
	end();
}

static void a_stub_that_is_gone_is_not_waited_for(void)
{
	struct xen xen;

	start();
	xen = stub_with_target();
	stub_gone(registry, STUB + 1);
	usleep(20000);
	CU_ASSERT_EQUAL(atomic_load(&connections), 1);
	stub_gone(registry, STUB);
	CU_ASSERT(wait_until(nobody_connected));
	CU_ASSERT(wait_until(target_has_crashed));
	xen.dev->ops->close(xen.dev);
	end();
}

static CU_TestInfo tests[] = {
#define TEST(name)                                                                                 \
	{                                                                                          \
#name, name                                                                        \
	}
	TEST(the_target_is_adopted_once),
	TEST(state_and_memory_go_by_messages),
	TEST(events_of_the_monitor_are_passed_on),
	TEST(other_domains_are_out_of_reach),
	TEST(the_toolstacks_limits_hold),
	TEST(a_child_connects_anew),
	TEST(malformed_requests_end_the_connection),
	TEST(a_target_without_its_stub_is_shut_down),
	TEST(a_stub_that_is_gone_is_not_waited_for),
	CU_TEST_INFO_NULL,
#undef TEST
};

void register_stubdom_suite(void)
{
	CU_SuiteInfo suites[] = {
		{"stubdom", NULL, NULL, NULL, NULL, tests},
		CU_SUITE_INFO_NULL,
	};

	if (CU_register_suites(suites) != CUE_SUCCESS)
		abort();
}
