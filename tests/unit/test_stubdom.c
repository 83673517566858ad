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
#include <xen/io/ring.h>
#include <xen/sched.h>

#ifndef __XEN_TOOLS__
#define __XEN_TOOLS__
#endif
#include <xen/vm_event.h>

#include "libkvmxen/xen/broker.h"
#include "libkvmxen/xen/wire_link.h"
#include "tests/fake/fake.h"
#include "tests/fake/fake_vchan.h"
#include "tools/kvmxend/kvmxend.h"

void register_stubdom_suite(void);

#define SOON_MS    5000
#define STUB       7
#define TARGET_KIB 4096
#define RING_GFN   0x100
#define DOM0       0
#define PAGE       4096

static struct config config;
static struct registry *registry;
static pthread_t acceptor;
static atomic_bool stop;
static atomic_uint connections;
static uint16_t target;
static char folder[64];

/* A broker that was killed does nothing any more, also where its threads still have to end here. */
static struct control_ops ops;
static struct life {
	struct control ctl;
	atomic_bool dead;
	char records[64];
} lives[2], *life;

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

static bool is_dead(struct control *ctl)
{
	return atomic_load(&((struct life *)ctl)->dead);
}

static int do_pause(struct control *ctl, uint16_t domid)
{
	return is_dead(ctl) ? -EIO : XEN_CTL(domain_pause, domid);
}

static int do_shutdown(struct control *ctl, uint16_t domid, unsigned reason)
{
	return is_dead(ctl) ? -EIO : XEN_CTL(domain_shutdown, domid, reason);
}

static int close_monitor(struct control *ctl, uint16_t domid, void *ring)
{
	return is_dead(ctl) ? -EIO : XEN_CTL(monitor_close, domid, ring);
}

static void broker_up(void)
{
	struct host host = {.xen = *fake_xen()};

	life = life == &lives[0] ? &lives[1] : &lives[0];
	ops = *fake_xen()->ctl->ops;
	ops.domain_pause = do_pause;
	ops.domain_shutdown = do_shutdown;
	ops.monitor_close = close_monitor;
	*life = (struct life){.ctl.ops = &ops};
	strcpy(life->records, folder);
	host.xen.ctl = &life->ctl;
	host.records = life->records;
	CU_ASSERT_EQUAL_FATAL(registry_new(&registry, &host, &config), 0);
}

static void start(void)
{
	fake_install();
	config_default(&config);
	strcpy(folder, "/tmp/kvmxen-test-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	target = fake_domain_built(2, true);
	CU_ASSERT_EQUAL(XEN_CTL(domain_set_maxmem, target, TARGET_KIB), 0);
	broker_up();
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

/* Who watches over a stub domain holds the registry until it has ended. */
static bool nobody_known(void)
{
	return registry_idle(registry);
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
	CU_ASSERT(wait_until(nobody_known));
	registry_free(registry);
	/* No record is left. */
	CU_ASSERT_EQUAL(rmdir(folder), 0);
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

/* The stub domain's end of the monitor. */
struct monitor {
	struct event_channels *evtchn;
	int port;
	void *ring;
};

static void open_monitor(struct xen xen, struct monitor *m)
{
	const struct device_ops *dev = fake_xen()->dev->ops;
	uint32_t port;

	CU_ASSERT_EQUAL_FATAL(dev->evtchn_open(fake_xen()->dev, target, &m->evtchn), 0);
	m->port = dev->evtchn_offer(m->evtchn, DOM0);
	CU_ASSERT_FATAL(m->port > 0);
	port = m->port;
	CU_ASSERT_EQUAL(CTL(monitor_open, target, RING_GFN, &m->ring, &port), 0);
}

static void close_monitor_of(struct xen xen, struct monitor *m)
{
	fake_xen()->dev->ops->evtchn_close(m->evtchn);
	CU_ASSERT_EQUAL(CTL(monitor_close, target, m->ring), 0);
}

/* The guest's CPUID is asked, and answered. */
static void a_cpuid_is_answered(const struct monitor *m, int id)
{
	vm_event_sring_t *shared = m->ring;
	vm_event_back_ring_t back;
	vm_event_response_t *response;
	uint32_t out[4] = {0};

	BACK_RING_ATTACH(&back, shared, shared->rsp_prod, PAGE);
	for (int i = 0; i < SOON_MS && !RING_HAS_UNCONSUMED_REQUESTS(&back); i++)
		CU_ASSERT_FATAL(event_at(m->evtchn));
	CU_ASSERT_FATAL(RING_HAS_UNCONSUMED_REQUESTS(&back));
	response = RING_GET_RESPONSE(&back, back.rsp_prod_pvt); /* the request is in its place */
	response->flags = VM_EVENT_FLAG_VCPU_PAUSED | VM_EVENT_FLAG_SET_REGISTERS;
	response->data.regs.x86.rax = 0x1234;
	response->data.regs.x86.rip += 2;
	back.rsp_prod_pvt++;
	__atomic_store_n(&shared->rsp_prod, back.rsp_prod_pvt, __ATOMIC_RELEASE);
	CU_ASSERT_EQUAL(fake_xen()->dev->ops->evtchn_notify(m->evtchn, m->port), 0);
	CU_ASSERT(fake_guest_wait(target, 0, id, SOON_MS));
	fake_guest_data(target, 0, id, out, sizeof out);
	CU_ASSERT_EQUAL(out[0], 0x1234);
}

/* Xen's port is dom0's: the broker stands between. */
static void events_of_the_monitor_are_passed_on(void)
{
	struct monitor monitor;
	uint32_t port = 0;
	struct xen xen;
	void *ring;
	int id;

	start();
	xen = stub_with_target();
	CU_ASSERT_EQUAL(CTL(monitor_open, target, RING_GFN, &ring, &port), -EINVAL);
	open_monitor(xen, &monitor);
	port = monitor.port;
	CU_ASSERT_EQUAL(CTL(monitor_open, target, RING_GFN + 1, &ring, &port), -EBUSY);
	id = fake_guest_cpuid(target, 0, 0x40000000, 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, target), 0);
	a_cpuid_is_answered(&monitor, id);
	close_monitor_of(xen, &monitor);
	xen.dev->ops->close(xen.dev);
	end();
}

/* --- a broker that ends, and its successor --- */

static void broker_killed(void)
{
	atomic_store(&life->dead, true);
	life->records[0] = '\0';
	stub_gone(registry, STUB); /* ends its connections */
	CU_ASSERT(wait_until(nobody_connected));
	registry_free(registry);
}

static uint16_t target_of(void *arg, uint16_t stub)
{
	return stub == STUB && !arg ? target : 0;
}

static void a_guest_outlives_its_broker(void)
{
	struct monitor monitor;
	struct domain_info info;
	struct xen xen;
	int first, second;

	start();
	xen = stub_with_target();
	open_monitor(xen, &monitor);
	first = fake_guest_cpuid(target, 0, 0x40000000, 0);
	CU_ASSERT_EQUAL(CTL(domain_unpause, target), 0);
	a_cpuid_is_answered(&monitor, first);
	broker_killed();
	second = fake_guest_cpuid(target, 0, 0x40000000, 0);
	usleep(20000);
	CU_ASSERT_EQUAL(fake_domain_shutdown_reason(target), -1);
	broker_up();
	registry_recover_targets(registry, target_of, NULL);
	/* Before the stub domain has said anything. */
	a_cpuid_is_answered(&monitor, second);
	CU_ASSERT_EQUAL(CTL(domain_info, target, &info), 0);
	CU_ASSERT_EQUAL(CTL(domain_adopt, target, &(struct domain_config){0}), -EBUSY);
	close_monitor_of(xen, &monitor);
	xen.dev->ops->close(xen.dev);
	/* It may connect again, until it ends. */
	CU_ASSERT(wait_until(nobody_connected));
	usleep(20000);
	CU_ASSERT_EQUAL(fake_domain_shutdown_reason(target), -1);
	stub_gone(registry, STUB);
	CU_ASSERT(wait_until(target_has_crashed));
	end();
}

static void a_stub_that_went_with_the_broker_is_missed(void)
{
	struct monitor monitor;
	struct xen xen;

	start();
	xen = stub_with_target();
	open_monitor(xen, &monitor);
	broker_killed();
	fake_xen()->dev->ops->evtchn_close(monitor.evtchn);
	CU_ASSERT_EQUAL(fake_xen()->dev->ops->mem_unmap(fake_xen()->dev, monitor.ring, 1), 0);
	broker_up();
	registry_recover_targets(registry, target_of, "it has ended");
	CU_ASSERT(wait_until(target_has_crashed));
	xen.dev->ops->close(xen.dev);
	end();
}

static void a_target_that_went_with_the_broker_is_forgotten(void)
{
	struct xen xen;

	start();
	xen = stub_with_target();
	broker_killed();
	xen.dev->ops->close(xen.dev);
	CU_ASSERT_EQUAL(XEN_CTL(domain_destroy, target), 0);
	broker_up();
	registry_recover_targets(registry, target_of, NULL);
	CU_ASSERT_EQUAL(registry_domains(registry), 0);
	target = fake_domain_built(2, true);
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
	TEST(a_guest_outlives_its_broker),
	TEST(a_stub_that_went_with_the_broker_is_missed),
	TEST(a_target_that_went_with_the_broker_is_forgotten),
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
