/* A domain of a toolstack's as a VM's own, and what libxl says to a device model. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/sched.h>

#include "tests/unit/unit_machine.h"
#include "tools/kvmxen-dm/dm.h"

void register_xl_suite(void);

#define CTL(op, ...) fake_xen()->ctl->ops->op(fake_xen()->ctl, ##__VA_ARGS__)

static struct machine m;
static uint16_t domid;

/* A VM, and a domain for it that libxl has built and not let run. */
static void begin(unsigned vcpus, bool irqchip)
{
	char text[8];

	kvm_machine_new(&m, 2, true, NULL);
	domid = fake_domain_built(vcpus, irqchip);
	snprintf(text, sizeof text, "%u", domid);
	setenv("KVMXEN_DOMAIN", text, 1);
}

/* libxl destroys what is its own, and nothing else is left. */
static void end(void)
{
	unsetenv("KVMXEN_DOMAIN");
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	CU_ASSERT_PTR_NULL(fake_check());
}

static bool ready_soon(void)
{
	for (int left = MACHINE_SOON; left > 0 && !fake_domain_ready(domid); left--)
		usleep(1000);
	return fake_domain_ready(domid);
}

/* The guest is the VMM's, runs when the toolstack says so, and is not destroyed with the VM. */
static void is_the_vms_and_lives_on(void)
{
	struct runner r;
	char text[4] = "";
	int op;

	begin(2, true);
	memcpy(m.ram, "VMM", 4);
	op = fake_guest_out(domid, 0, 0x3f8, 1, 0x41);
	runner_start(&r, &m, 0);
	CU_ASSERT(ready_soon());
	CU_ASSERT_EQUAL(fake_last_domain(), domid);
	CU_ASSERT_PTR_NULL(fake_domain_name(domid));
	CU_ASSERT(fake_ram_read(domid, 0, text, sizeof text));
	CU_ASSERT_STRING_EQUAL(text, "VMM");
	CU_ASSERT_EQUAL(fake_mem_type(domid, 0xfeff8), -1);
	usleep(20000);
	CU_ASSERT_FALSE(atomic_load(&r.done));
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	CU_ASSERT(runner_end(&r));
	CU_ASSERT_EQUAL(m.run[0]->exit_reason, KVM_EXIT_IO);
	CU_ASSERT_FALSE(fake_guest_done(domid, 0, op));
	CU_ASSERT_EQUAL(fake_domain_shutdown_reason(domid), -1);
	machine_close(&m);
	CU_ASSERT_FALSE(fake_domain_destroyed(domid));
	CU_ASSERT_EQUAL(fake_mappings(), 0);
	CU_ASSERT_EQUAL(fake_domain_shutdown_reason(domid), SHUTDOWN_crash);
	end();
}

static void on_signal(int number)
{
}

/* A vcpu that left KVM_RUN before the toolstack's unpause executes nothing after it. */
static void stops_before_it_ever_ran(void)
{
	struct sigaction action = {.sa_handler = on_signal}, old;
	struct runner r;
	int op;

	begin(2, true);
	op = fake_guest_out(domid, 0, 0x3f8, 1, 0x41);
	sigaction(SIGUSR1, &action, &old);
	runner_start(&r, &m, 0);
	CU_ASSERT(ready_soon());
	for (int left = MACHINE_SOON; left > 0 && !atomic_load(&r.done); left--) {
		pthread_kill(r.thread, SIGUSR1);
		usleep(1000);
	}
	CU_ASSERT(runner_end(&r));
	sigaction(SIGUSR1, &old, NULL);
	CU_ASSERT_EQUAL(r.rc, -EINTR);
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	usleep(50000);
	CU_ASSERT_NOT_EQUAL(fake_vcpu_state(domid, 0), FAKE_RUNNING);
	CU_ASSERT_FALSE(fake_guest_done(domid, 0, op));
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	machine_close(&m);
	end();
}

/* How the guest ended is said first, and stays: the VM's end answers what was waited for. */
static void first_reason_stays(void)
{
	struct runner r;

	begin(2, true);
	fake_guest_out(domid, 0, 0x604, 2, 0x2000);
	runner_start(&r, &m, 0);
	CU_ASSERT(ready_soon());
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	CU_ASSERT(runner_end(&r));
	CU_ASSERT_EQUAL(CTL(domain_shutdown, domid, SHUTDOWN_reboot), 0);
	/* Xen waits for the answer. */
	CU_ASSERT_EQUAL(fake_domain_shutdown_reason(domid), -1);
	machine_close(&m);
	for (int left = MACHINE_SOON; left > 0 && fake_domain_shutdown_reason(domid) < 0; left--)
		usleep(1000);
	CU_ASSERT_EQUAL(fake_domain_shutdown_reason(domid), SHUTDOWN_reboot);
	end();
}

/* A triple fault is a reset, to the VMM and to the toolstack. */
static void triple_fault_is_a_reset(void)
{
	struct runner r;

	begin(2, true);
	machine_executes_at(&m, 0, 0x1000);
	fake_guest_triple_fault(domid, 0);
	runner_start(&r, &m, 0);
	CU_ASSERT(ready_soon());
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	CU_ASSERT(runner_end(&r));
	CU_ASSERT_EQUAL(r.rc, 0);
	CU_ASSERT_EQUAL(m.run[0]->exit_reason, KVM_EXIT_SHUTDOWN);
	CU_ASSERT_EQUAL(fake_domain_shutdown_reason(domid), SHUTDOWN_reboot);
	machine_close(&m);
	CU_ASSERT_EQUAL(fake_domain_shutdown_reason(domid), SHUTDOWN_reboot);
	end();
}

/* What does not fit is refused, and the domain is not touched otherwise. */
static void refused(unsigned vcpus, bool irqchip, const char *which, int error)
{
	begin(vcpus, irqchip);
	if (which)
		setenv("KVMXEN_DOMAIN", which, 1);
	quiet_begin();
	CU_ASSERT_EQUAL(machine_run(&m, 0), error);
	quiet_end();
	CU_ASSERT_FALSE(fake_domain_ready(domid));
	CU_ASSERT_EQUAL(fake_last_domain(), domid);
	machine_close(&m);
	CU_ASSERT_FALSE(fake_domain_destroyed(domid));
	end();
}

static void misfits_are_refused(void)
{
	refused(1, true, NULL, -EINVAL);
	refused(2, false, NULL, -EINVAL);
	refused(2, true, "0", -EINVAL);
	refused(2, true, "one", -EINVAL);
	refused(2, true, "99", -ESRCH);
}

/* Nobody's guest is taken from it. */
static void running_is_refused(void)
{
	begin(2, true);
	CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	CU_ASSERT_EQUAL(CTL(domain_pause, domid), 0);
	quiet_begin();
	CU_ASSERT_EQUAL(machine_run(&m, 0), -EBUSY);
	quiet_end();
	CU_ASSERT(fake_ram_read(domid, 0xfeff8000, &(char){0}, 1));
	machine_close(&m);
	end();
}

/* The first KVM_RUN, and the toolstack's unpause when it is told. */
static long run_adopted(bool *failed)
{
	struct runner r;

	fake_guest_out(domid, 0, 0x3f8, 1, 0x41);
	runner_start(&r, &m, 0);
	while (!atomic_load(&r.done) && !fake_domain_ready(domid))
		usleep(200);
	*failed = fake_failed();
	fake_fail_clear();
	if (fake_domain_ready(domid))
		CU_ASSERT_EQUAL(CTL(domain_unpause, domid), 0);
	CU_ASSERT(runner_end(&r));
	return r.rc;
}

/* Each call to Xen fails in turn: the domain stays the toolstack's, which does not hear that it is
 * ready, and nothing else is left. */
static void any_call_may_fail(void)
{
	unsigned n, failures = 0;
	bool failed = true;

	for (n = 1; failed && n < 500; n++) {
		begin(2, true);
		quiet_begin();
		fake_fail_nth(n, ENOMEM);
		if (run_adopted(&failed) < 0) {
			CU_ASSERT_FALSE(fake_domain_ready(domid));
			failures++;
		}
		quiet_end();
		machine_close(&m);
		CU_ASSERT_FALSE(fake_domain_destroyed(domid));
		end();
	}
	CU_ASSERT_FALSE(failed);
	CU_ASSERT(failures > 20);
}

/* --- libxl's words --- */

/* The words after the first, in one line. */
static const char *translated(char **argv, struct arguments *out)
{
	static char line[1024];

	line[0] = '\0';
	if (arguments_translate(argv, "qemu", 7, out) < 0)
		return NULL;
	for (char **word = out->argv; *word; word++) {
		strcat(line, *word);
		strcat(line, " ");
	}
	arguments_free(out);
	return line;
}

#define WORDS(...) ((char *[]){(char *)(uintptr_t) "kvmxen-dm", ##__VA_ARGS__, NULL})
#define W(text)    ((char *)(uintptr_t)text)

#define TAIL                                                                                       \
	"-cpu host -no-reboot -chardev socket,id=kvmxen-dm,fd=7 -mon "                             \
	"chardev=kvmxen-dm,mode=control "

static void words_of_libxl(void)
{
	struct arguments a;

	CU_ASSERT_STRING_EQUAL(
		translated(WORDS(W("-xen-domid"), W("12"), W("-no-shutdown"), W("-name"), W("g"),
				 W("-machine"), W("xenfv,suppress-vmdesc=on"), W("-m"), W("64")),
			   &a),
		"qemu -accel kvm -no-shutdown -name g -machine pc,suppress-vmdesc=on -m 64 " TAIL);
	CU_ASSERT_EQUAL(a.domid, 12);
	CU_ASSERT_STRING_EQUAL(translated(WORDS(W("-xen-domid"), W("1"), W("-device"),
						W("xen-pvdevice,device-id=0xc000"), W("-device"),
						W("virtio-rng-pci"), W("-machine"),
						W("pc,accel=xen,max-ram-below-4g=1")),
					  &a),
			       "qemu -accel kvm -device virtio-rng-pci -machine "
			       "pc,max-ram-below-4g=1 " TAIL);
	/* The user's own, by device_model_args. */
	CU_ASSERT_PTR_NOT_NULL(strstr(
		translated(WORDS(W("-xen-domid"), W("1"), W("-cpu"), W("qemu64")), &a), "qemu64"));
	CU_ASSERT_PTR_NULL(strstr(
		translated(WORDS(W("-xen-domid"), W("1"), W("-cpu"), W("qemu64")), &a), "host"));
}

static void words_refused(void)
{
	struct arguments a;

	quiet_begin();
	CU_ASSERT_PTR_NULL(translated(WORDS(), &a));
	CU_ASSERT_PTR_NULL(translated(WORDS(W("-xen-domid"), W("0")), &a));
	CU_ASSERT_PTR_NULL(translated(WORDS(W("-xen-domid"), W("x")), &a));
	CU_ASSERT_PTR_NULL(translated(WORDS(W("-xen-domid"), W("1"), W("-xen-attach")), &a));
	CU_ASSERT_PTR_NULL(
		translated(WORDS(W("-xen-domid"), W("1"), W("-incoming"), W("fd:3")), &a));
	quiet_end();
}

void register_xl_suite(void)
{
	CU_pSuite suite = CU_add_suite("xl", NULL, NULL);

	CU_ADD_TEST(suite, is_the_vms_and_lives_on);
	CU_ADD_TEST(suite, stops_before_it_ever_ran);
	CU_ADD_TEST(suite, first_reason_stays);
	CU_ADD_TEST(suite, triple_fault_is_a_reset);
	CU_ADD_TEST(suite, misfits_are_refused);
	CU_ADD_TEST(suite, running_is_refused);
	CU_ADD_TEST(suite, any_call_may_fail);
	CU_ADD_TEST(suite, words_of_libxl);
	CU_ADD_TEST(suite, words_refused);
}
