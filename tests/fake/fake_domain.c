/* Domains: life and death, pausing, shutdown. */
#include "tests/fake/internal.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/hvm/params.h>
#include <xen/sched.h>

#define MAX_PAUSES   255
#define DEFAULT_POOL 256 /* pages: what hap_enable allocates by itself */

/* Shared with children made by fork, which may destroy a domain on behalf of a dead parent. */
static uint8_t *destroyed;

struct domain *xen_domain_any(uint16_t domid)
{
	struct domain *d = fake_host.domains;

	while (d && d->domid != domid)
		d = d->next;
	return d;
}

struct domain *xen_domain_find(uint16_t domid)
{
	struct domain *d = xen_domain_any(domid);

	return d && !d->dead && !d->dying ? d : NULL;
}

struct vcpu *xen_vcpu_find(uint16_t domid, unsigned vcpu)
{
	struct domain *d = xen_domain_any(domid);

	return d && vcpu < d->nr_vcpus ? &d->vcpus[vcpu] : NULL;
}

static void params_init(struct domain *d)
{
	d->params[HVM_PARAM_TRIPLE_FAULT_REASON] = SHUTDOWN_reboot;
	d->params[HVM_PARAM_X87_FIP_WIDTH] = 8;
}

int xen_domain_create(const struct domain_config *config, uint16_t *domid)
{
	struct domain *d;

	if (!config->vcpus || config->vcpus > MAX_VCPUS || config->emulation > EMULATION_HVM)
		return -EINVAL;
	d = calloc(1, sizeof *d);
	if (d)
		d->vcpus = calloc(config->vcpus, sizeof *d->vcpus);
	if (!d || !d->vcpus)
		abort();
	d->domid = *domid = fake_host.next_domid++;
	d->pid = getpid();
	memcpy(d->handle, config->handle, sizeof d->handle);
	d->emulation = config->emulation;
	d->iommu = config->iommu;
	d->nr_vcpus = config->vcpus;
	d->pauses = 1;
	d->pool_pages = DEFAULT_POOL;
	d->tsc_khz = HOST_KHZ;
	d->sync_tsc = xen_host_tsc();
	params_init(d);
	xen_cpuid_init(d);
	xen_records_init_domain(d);
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		xen_vcpu_init(&d->vcpus[i], d, i);
	d->next = fake_host.domains;
	fake_host.domains = d;
	return 0;
}

static void bury(struct domain *d)
{
	if (!d->dying || d->pages)
		return;
	d->dying = false;
	d->dead = true;
}

void xen_domain_frame_freed(uint16_t domid)
{
	struct domain *d = xen_domain_any(domid);

	if (!d)
		return;
	d->pages--;
	bury(d);
}

/* Gives the lock away while the vcpus' threads end. */
static void stop_vcpus(struct domain *d)
{
	d->dying = true;
	fake_changed();
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		xen_vcpu_stop(&d->vcpus[i]);
}

int xen_domain_destroy(struct domain *d)
{
	stop_vcpus(d);
	xen_monitor_free(d);
	for (unsigned id = 0; id < MAX_SERVERS; id++)
		if (d->servers[id])
			xen_server_free(d->servers[id]);
	for (unsigned i = 0; i < MAX_PORTS; i++)
		xen_port_free(d->ports[i]);
	xen_memory_free(d);
	xen_passthrough_destroyed(d->domid);
	if (destroyed)
		destroyed[d->domid] = 1;
	bury(d);
	return 0;
}

int xen_domain_set_name(struct domain *d, const char *name)
{
	free(d->name);
	d->name = name ? strdup(name) : NULL;
	return 0;
}

bool xen_domain_runs(const struct domain *d)
{
	return !d->pauses && !d->shut_down && !d->dying && !d->dead;
}

void xen_domain_reschedule(struct domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		d->vcpus[i].resume = true;
}

void xen_domain_invalidate(struct domain *d)
{
	for (unsigned i = 0; d->creation_finished && i < d->nr_vcpus; i++)
		d->vcpus[i].invalidate = true;
}

int xen_domain_pause(struct domain *d)
{
	if (d->pauses == MAX_PAUSES)
		return -EUSERS;
	d->pauses++;
	return 0;
}

int xen_domain_unpause(struct domain *d)
{
	if (!d->pauses)
		return -EINVAL;
	if (--d->pauses)
		return 0;
	d->creation_finished = true;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (!d->vcpus[i].down)
			xen_vcpu_start(&d->vcpus[i]);
	xen_domain_reschedule(d);
	return 0;
}

int xen_domain_resume(struct domain *d)
{
	d->shutting_down = d->shut_down = false;
	xen_domain_reschedule(d);
	return 0;
}

int xen_domain_adopt(struct domain *d, struct domain_config *found)
{
	if (!d->pauses || d->creation_finished)
		return -EBUSY;
	xen_memory_free(d);
	*found = (struct domain_config){.vcpus = d->nr_vcpus, .emulation = d->emulation};
	memcpy(found->handle, d->handle, sizeof found->handle);
	return 0;
}

int xen_domain_subscribe(struct domain *d, uint32_t *port)
{
	struct port *p = xen_port_alloc(d, PORT_SUSPEND, NULL);

	if (!p)
		return -ENOSPC;
	d->suspend_port = p;
	*port = p->number;
	return 0;
}

void xen_domain_check_shutdown(struct domain *d)
{
	if (!d->shutting_down || d->shut_down)
		return;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (d->vcpus[i].deferring)
			return;
	d->shut_down = true;
	/* Only a suspend is told on the port; the others are a virq that xenstored holds. */
	if (d->shutdown_reason == SHUTDOWN_suspend)
		xen_port_send(d->suspend_port);
}

void xen_domain_shutdown(struct domain *d, unsigned reason)
{
	if (d->shutting_down)
		return;
	d->shutting_down = true;
	d->shutdown_reason = reason;
	for (unsigned i = 0; reason == SHUTDOWN_crash && i < d->nr_vcpus; i++)
		d->vcpus[i].deferring = false;
	xen_domain_check_shutdown(d);
}

void xen_domain_crash(struct domain *d, const char *why)
{
	violation("domain %u crashed: %s", d->domid, why);
	xen_domain_shutdown(d, SHUTDOWN_crash);
}

void xen_domains_check(void)
{
	for (struct domain *d = fake_host.domains; d; d = d->next) {
		if (d->name)
			leak("xenstore name %s of domain %u", d->name, d->domid);
		if (d->dying)
			leak("domain %u: destroyed, but %llu of its pages are mapped", d->domid,
			     (unsigned long long)d->pages);
		else if (!d->dead)
			leak("domain %u", d->domid);
		xen_servers_check(d);
		if (d->monitor.theirs)
			leak("monitor ring of domain %u", d->domid);
	}
}

static void domain_release(struct domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		fake_script_free(&d->vcpus[i]);
		free(d->vcpus[i].events);
	}
	free(d->vcpus);
	free(d->msis);
	free(d->name);
	free(d);
}

void xen_domains_reset(void)
{
	fake_lock();
	if (!destroyed)
		destroyed = mmap(NULL, UINT16_MAX + 1, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (destroyed == MAP_FAILED)
		abort();
	memset(destroyed, 0, UINT16_MAX + 1);
	for (struct domain *d = fake_host.domains; d; d = d->next)
		if (!d->dead && !d->dying)
			xen_domain_destroy(d);
	xen_maps_reset();
	for (struct domain *d = fake_host.domains; d; d = d->next)
		xen_monitor_reset(d);
	while (fake_host.domains) {
		struct domain *d = fake_host.domains;

		fake_host.domains = d->next;
		domain_release(d);
	}
	fake_host.next_domid = 1;
	fake_unlock();
}

uint16_t fake_last_domain(void)
{
	uint16_t domid;

	fake_lock();
	domid = fake_host.domains ? fake_host.domains->domid : 0;
	fake_unlock();
	return domid;
}

unsigned fake_domains(void)
{
	unsigned n = 0;

	fake_lock();
	for (struct domain *d = fake_host.domains; d; d = d->next)
		n += !d->dead;
	fake_unlock();
	return n;
}

bool fake_domain_destroyed(uint16_t domid)
{
	bool result;

	fake_lock();
	result = destroyed && destroyed[domid];
	fake_unlock();
	return result;
}

const char *fake_domain_name(uint16_t domid)
{
	struct domain *d;
	const char *name;

	fake_lock();
	d = xen_domain_any(domid);
	name = d ? d->name : NULL;
	fake_unlock();
	return name;
}

/* As libxl leaves it: built, with the first vcpu at its firmware's entry, and never unpaused. */
uint16_t fake_domain_built(unsigned vcpus, bool irqchip)
{
	struct domain_config config = {
		.vcpus = vcpus,
		.emulation = irqchip ? EMULATION_HVM : EMULATION_LAPIC,
		.handle = "built by libxl",
	};
	uint64_t gfns[] = {0, 1, 2, 0xfeff8};
	struct domain *d;
	uint16_t domid;

	fake_lock();
	if (xen_domain_create(&config, &domid))
		abort();
	d = xen_domain_find(domid);
	d->max_pages = sizeof gfns / sizeof *gfns;
	if (xen_memory_populate(d, 0, d->max_pages, gfns) != (int)d->max_pages)
		abort();
	xen_memory_write(d, 0, "of the firmware", 16);
	d->vcpus[0].down = false;
	d->vcpus[0].initialised = true;
	fake_unlock();
	return domid;
}

bool fake_domain_ready(uint16_t domid)
{
	struct domain *d;
	bool ready;

	fake_lock();
	d = xen_domain_any(domid);
	ready = d && d->ready;
	fake_unlock();
	return ready;
}

/* SHUTDOWN_*, or -1 when it is not shut down. */
int fake_domain_shutdown_reason(uint16_t domid)
{
	struct domain *d;
	int reason;

	fake_lock();
	d = xen_domain_any(domid);
	reason = d && d->shut_down ? (int)d->shutdown_reason : -1;
	fake_unlock();
	return reason;
}

void fake_domain_shutdown(uint16_t domid, unsigned reason)
{
	struct domain *d;

	fake_lock();
	d = xen_domain_find(domid);
	if (d)
		xen_domain_shutdown(d, reason);
	fake_changed();
	fake_unlock();
}
