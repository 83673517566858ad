/* Domains as a whole: creating, finding, naming, destroying them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lab/xen/check.h"
#include "tests/lab/xen/machine.h"
#include "tests/lab/xen/ops.h"

#include <xen/hvm/params.h>

/* How many lines of the command's output hold the text; -1 when the command fails. */
static int lines_with(const char *command, const char *text)
{
	FILE *f = popen(command, "r");
	char line[512];
	int n = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	return pclose(f) ? -1 : n;
}

static int domains(void)
{
	return lines_with("xl list", "") - 1; /* a heading */
}

static int run_xl(const char *verb, const char *name)
{
	char command[128];

	snprintf(command, sizeof(command), "xl %s %s >/dev/null", verb, name);
	return system(command);
}

/* Finds and destroys the domain of a handle in another process with a control plane of its own. */
static int janitor(const uint8_t handle[16])
{
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		struct control *ctl;
		uint16_t domid;
		int rc = direct_control_open(&ctl);

		if (!rc)
			rc = ctl->ops->domain_find(ctl, handle, &domid);
		if (!rc)
			rc = ctl->ops->domain_destroy(ctl, domid);
		_exit(-rc);
	}
	waitpid(child, &status, 0);
	return status;
}

void test_domain_life(void)
{
	struct xen xen = the_xen();
	const struct control_ops *c = xen.ctl->ops;
	struct domain_config config = {.vcpus = 2, .emulation = EMULATION_LAPIC};
	struct domain_info info;
	uint16_t domid, found;

	random_handle(config.handle);
	check_is(c->domain_find(xen.ctl, config.handle, &found), -ESRCH, "no domain to find yet");

	config.vcpus = 129;
	check_is(c->domain_create(xen.ctl, &config, &domid), -EINVAL, "129 vcpus are refused");
	config.vcpus = 0;
	check_is(c->domain_create(xen.ctl, &config, &domid), -EINVAL, "0 vcpus are refused");
	check_is(c->domain_find(xen.ctl, config.handle, &found), -ESRCH, "and leave nothing");

	config.vcpus = 2;
	check_is(c->domain_create(xen.ctl, &config, &domid), 0, "a LAPIC-only domain");
	check_is(c->domain_find(xen.ctl, config.handle, &found), 0, "is found by its handle");
	check_is(found, domid, "as the domain it is");
	check_is(c->domain_info(xen.ctl, domid, &info), 0, "and tells of itself");
	check(info.paused && !info.dying && !info.shutdown && info.pages < 16,
	      "that it is paused and without memory (%lu pages)", info.pages);
	check_is(c->domain_destroy(xen.ctl, domid), 0, "is destroyed");
	check_is(c->domain_find(xen.ctl, config.handle, &found), -ESRCH, "is not found after that");
	check_is(c->domain_info(xen.ctl, domid, &info), -ESRCH, "nor asked");
	check_is(c->domain_destroy(xen.ctl, domid), -ESRCH, "nor destroyed twice");

	config.vcpus = 128;
	config.emulation = EMULATION_HVM;
	check_is(c->domain_create(xen.ctl, &config, &domid), 0, "an HVM domain of 128 vcpus");
	check_is(janitor(config.handle), 0, "is found and destroyed by another process");
	check_is(c->domain_find(xen.ctl, config.handle, &found), -ESRCH, "and gone here");
}

void test_domain_dying(void)
{
	struct machine m;
	struct domain_info info = {0};
	uint16_t found;

	machine_make(&m, EMULATION_LAPIC, 1);
	m.ram[0] = 0x5a;
	check_is(m.c->domain_destroy(m.ctl, m.domid), 0, "a domain is destroyed while mapped");
	check_is(m.c->domain_info(m.ctl, m.domid, &info), 0, "it is still there");
	check(info.dying, "but dying");
	check_is(m.c->domain_find(m.ctl, m.handle, &found), -ESRCH, "and is not found");
	check_is(m.ram[0], 0x5a, "its memory can be read");
	m.d->evtchn_close(m.evtchn);
	check_is(m.d->ioreq_server_unmap(m.dev, m.page), 0, "the ioreq page goes");
	check_is(m.d->mem_unmap(m.dev, m.ram, RAM_FRAMES), 0, "the memory goes");
	for (int i = 0; i < 100 && !m.c->domain_info(m.ctl, m.domid, &info); i++)
		usleep(10000);
	check_is(m.c->domain_info(m.ctl, m.domid, &info), -ESRCH, "and the domain with it");
}

void test_domain_name(void)
{
	static const char name[] = "ops-named";
	struct xen xen = the_xen();
	const struct control_ops *c = xen.ctl->ops;
	struct domain_config config = {.vcpus = 1, .emulation = EMULATION_HVM};
	struct domain_info info;
	char uuid[16], node[32];
	uint16_t domid;
	int before;

	random_handle(config.handle);
	/* The first name of a system makes /vm and /libxl themselves. */
	c->domain_set_name(xen.ctl, 999, config.handle, name);
	c->domain_set_name(xen.ctl, 999, config.handle, NULL);
	before = lines_with("xenstore-ls -f", "");
	snprintf(uuid, sizeof(uuid), "%02x%02x%02x%02x-%02x%02x", config.handle[0],
		 config.handle[1], config.handle[2], config.handle[3], config.handle[4],
		 config.handle[5]);
	check_is(c->domain_create(xen.ctl, &config, &domid), 0, "a domain");
	check_is(c->domain_set_name(xen.ctl, domid, config.handle, name), 0, "is named");
	check_is(lines_with("xl list", name), 1, "xl list shows the name");
	check_is(run_xl("domid", name), 0, "xl domid knows it");
	check_is(run_xl("unpause", name), 0, "xl unpause takes it");
	c->domain_info(xen.ctl, domid, &info);
	check(!info.paused, "and the domain is no longer paused");
	check_is(run_xl("pause", name), 0, "xl pause takes it");
	c->domain_info(xen.ctl, domid, &info);
	check(info.paused, "and the domain is paused");
	check_is(c->domain_set_name(xen.ctl, domid, config.handle, "ops-renamed"), 0, "renamed");
	check_is(lines_with("xl list", "ops-renamed"), 1, "xl list shows the new name");
	check(lines_with("xl list -v", uuid) == 1, "and the UUID %s", uuid);
	snprintf(node, sizeof(node), "/local/domain/%u", domid);
	check(lines_with("xenstore-ls -fp", node) > 3, "there are entries in xenstore");
	check_is(lines_with("xenstore-ls -fp | grep ops-renamed | grep -v '(n0)'", ""), -1,
		 "that only dom0 may read");
	check_is(c->domain_set_name(xen.ctl, domid, config.handle, NULL), 0, "the name goes");
	check_is(lines_with("xenstore-ls -f", ""), before, "and every entry with it");
	check_is(c->domain_set_name(xen.ctl, domid, config.handle, NULL), 0, "twice is fine");

	check_is(c->domain_set_name(xen.ctl, domid, config.handle, name), 0, "named again");
	check_is(run_xl("destroy", name), 0, "xl destroy takes it");
	check_is(c->domain_info(xen.ctl, domid, &info), -ESRCH, "the domain is gone");
	check_is(lines_with("xenstore-ls -f", ""), before, "and xenstore as before");

	check_is(c->domain_create(xen.ctl, &config, &domid), 0, "another domain");
	check_is(c->domain_set_name(xen.ctl, domid, config.handle, name), 0, "is named");
	check_is(janitor(config.handle), 0, "and destroyed without a word about its name");
	check_is(lines_with("xenstore-ls -f", ""), before, "which is gone all the same");
}

void test_tsc(void)
{
	struct machine m;
	uint32_t host = 0, khz = 0;

	machine_make(&m, EMULATION_LAPIC, 1);
	check_is(m.c->tsc_get(m.ctl, m.domid, &host), 0, "a new domain's TSC");
	check_is(m.c->host_tsc_khz(m.ctl, &khz), 0, "the host's TSC");
	check(host > 100000 && khz == host, "have one frequency: %u kHz", host);
	check_is(m.c->tsc_set(m.ctl, m.domid, 0), 0, "a native TSC");
	check_is(m.c->tsc_get(m.ctl, m.domid, &khz), 0, "can be asked for");
	check_is(khz, host, "and is the host's");
	check_is(m.c->tsc_set(m.ctl, m.domid, 1000000), 0, "a TSC of 1 GHz");
	check_is(m.c->tsc_get(m.ctl, m.domid, &khz), 0, "can be asked for");
	check_is(khz, 1000000, "and is that");
	machine_end(&m);
}

void test_params(void)
{
	struct machine m;
	uint64_t value = 0;

	machine_make(&m, EMULATION_HVM, 1);
	check_is(m.d->hvm_param_set(m.dev, m.domid, HVM_PARAM_TIMER_MODE, 1), 0, "a parameter");
	check_is(m.d->hvm_param_get(m.dev, m.domid, HVM_PARAM_TIMER_MODE, &value), 0, "is read");
	check_is(value, 1, "as it was set");
	check_is(m.d->hvm_param_set(m.dev, m.domid, HVM_PARAM_TIMER_MODE, 99), -EINVAL,
		 "a bad value is refused");
	check_is(m.d->hvm_param_set(m.dev, m.domid, HVM_NR_PARAMS, 0), -EINVAL,
		 "a bad parameter is refused");
	machine_end(&m);
}

void test_nothing_left(void)
{
	check_is(domains(), 1, "xl list shows Domain-0 only");
	check_is(lines_with("xl list", "Domain-0"), 1, "which is Domain-0");
}
