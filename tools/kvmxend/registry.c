/* Processes, the domains that are theirs, and what a user may have. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xen/sched.h>

#include "tools/kvmxend/kvmxend.h"

#define MAX_CONNECTIONS      256 /* of all users: each has a thread */
#define MAX_STUB_CONNECTIONS 8   /* of one stub domain */

struct registry {
	struct host host;
	const struct config *config;
	pthread_mutex_t lock;
	pthread_cond_t idle; /* a domain is no longer busy */
	struct process *processes;
	struct guest *domains;
};

int registry_new(struct registry **out, const struct host *host, const struct config *config)
{
	struct registry *registry = calloc(1, sizeof *registry);

	if (!registry)
		return -ENOMEM;
	registry->host = *host;
	registry->config = config;
	pthread_mutex_init(&registry->lock, NULL);
	pthread_cond_init(&registry->idle, NULL);
	*out = registry;
	return 0;
}

void registry_free(struct registry *registry)
{
	struct process *process;
	struct guest *domain;

	while ((domain = registry->domains)) {
		registry->domains = domain->next;
		free(domain);
	}
	while ((process = registry->processes)) {
		registry->processes = process->next;
		close(process->pidfd);
		free(process);
	}
	pthread_cond_destroy(&registry->idle);
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}

const struct host *registry_host(const struct registry *registry)
{
	return &registry->host;
}

/* --- processes; lock held unless said otherwise --- */

static struct process *process_find(struct registry *registry, pid_t pid, uint64_t started,
				    uid_t uid)
{
	struct process *process;

	for (process = registry->processes; process; process = process->next)
		if (!process->stub && process->pid == pid && process->started == started &&
		    process->uid == uid)
			return process;
	return NULL;
}

static bool has_room(const struct registry *registry, uid_t uid)
{
	const struct process *process;
	unsigned all = 0, own = 0;

	for (process = registry->processes; process; process = process->next) {
		if (process->stub)
			continue;
		all += process->users;
		if (process->uid == uid)
			own += process->users;
	}
	return all < MAX_CONNECTIONS && own < config_limits(registry->config, uid)->connections;
}

static int process_add(struct registry *registry, pid_t pid, uint64_t started, uid_t uid,
		       struct process **out)
{
	struct process *process = calloc(1, sizeof *process);
	uint64_t again;

	if (!process)
		return -ENOMEM;
	process->pid = pid;
	process->started = started;
	process->uid = uid;
	process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* The number may have become another process' in between. */
	if (process->pidfd < 0 || process_started(pid, &again) < 0 || again != started) {
		if (process->pidfd >= 0)
			close(process->pidfd);
		free(process);
		return -ESRCH;
	}
	process->next = registry->processes;
	registry->processes = process;
	*out = process;
	return 0;
}

int process_enter(struct registry *registry, pid_t pid, uid_t uid, struct process **process)
{
	uint64_t started;
	int rc = process_started(pid, &started);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&registry->lock);
	if (!has_room(registry, uid)) {
		rc = -EDQUOT;
	} else {
		*process = process_find(registry, pid, started, uid);
		if (!*process)
			rc = process_add(registry, pid, started, uid, process);
		if (rc == 0)
			(*process)->users++;
	}
	pthread_mutex_unlock(&registry->lock);
	return rc;
}

static struct guest *guest_of(struct registry *registry, const struct process *process)
{
	struct guest *domain;

	for (domain = registry->domains; domain; domain = domain->next)
		if (domain->owner == process)
			return domain;
	return NULL;
}

void process_leave(struct registry *registry, struct process *process)
{
	struct process **at;
	struct guest *domain;

	pthread_mutex_lock(&registry->lock);
	/* The last one keeps its place until all domains are gone: none can be made meanwhile. */
	while (process->users == 1 && (domain = guest_of(registry, process))) {
		if (domain->busy) {
			pthread_cond_wait(&registry->idle, &registry->lock);
			continue;
		}
		domain->busy = true;
		pthread_mutex_unlock(&registry->lock);
		guest_finish(registry, domain);
		pthread_mutex_lock(&registry->lock);
	}
	if (--process->users == 0) {
		for (at = &registry->processes; *at != process; at = &(*at)->next)
			;
		*at = process->next;
		close(process->pidfd);
		free(process);
	}
	pthread_mutex_unlock(&registry->lock);
}

/* --- domains --- */

static void forget(struct registry *registry, struct guest *domain)
{
	struct guest **at;

	for (at = &registry->domains; *at != domain; at = &(*at)->next)
		;
	*at = domain->next;
	free(domain);
}

/* lock held. A destroyed domain keeps its memory, and its charge, while anybody maps it. */
static void sweep(struct registry *registry)
{
	struct control *ctl = registry->host.xen.ctl;
	struct guest *domain, *next;
	struct domain_info info;

	for (domain = registry->domains; domain; domain = next) {
		next = domain->next;
		if (domain->owner || domain->busy)
			continue;
		if (ctl->ops->domain_info(ctl, domain->domid, &info) < 0 || !info.dying)
			forget(registry, domain);
	}
}

/* lock held. Would the user be within his limits with that much more? */
static bool within_limits(struct registry *registry, uid_t uid, unsigned domains, uint64_t vcpus,
			  uint64_t kib)
{
	const struct limits *limits = config_limits(registry->config, uid);
	const struct guest *domain;

	sweep(registry);
	for (domain = registry->domains; domain; domain = domain->next) {
		if (domain->stub || domain->uid != uid)
			continue;
		domains++;
		vcpus += domain->vcpus;
		kib += domain->memory_kib + domain->pool_kib;
	}
	return domains <= limits->domains && vcpus <= limits->vcpus && kib <= limits->memory_kib;
}

static int make_in_xen(struct registry *registry, struct guest *domain,
		       const struct domain_config *config)
{
	struct control *ctl = registry->host.xen.ctl;
	struct domain_config made = *config;
	int rc;

	/* Never the client's choice: a handle that is another domain's would let it be destroyed
	 * in that one's place. */
	if (getrandom(domain->handle, sizeof domain->handle, 0) != sizeof domain->handle)
		return -EIO;
	memcpy(made.handle, domain->handle, sizeof made.handle);
	rc = record_write(registry->host.records, domain);
	if (rc < 0)
		return rc;
	rc = ctl->ops->domain_create(ctl, &made, &domain->domid);
	if (rc < 0)
		record_remove(registry->host.records, domain->handle);
	return rc;
}

int guest_make(struct registry *registry, struct process *process,
	       const struct domain_config *config, struct guest **out)
{
	struct guest *domain = calloc(1, sizeof *domain);
	int rc = 0;

	if (!domain)
		return -ENOMEM;
	domain->owner = process;
	domain->uid = process->uid;
	domain->vcpus = config->vcpus;
	domain->busy = true;
	pthread_mutex_lock(&registry->lock);
	if (!within_limits(registry, process->uid, 1, config->vcpus, 0)) {
		rc = -EDQUOT;
		free(domain);
	} else {
		domain->next = registry->domains;
		registry->domains = domain;
	}
	pthread_mutex_unlock(&registry->lock);
	if (rc < 0)
		return rc;
	rc = make_in_xen(registry, domain, config);
	if (rc < 0) {
		pthread_mutex_lock(&registry->lock);
		forget(registry, domain);
		pthread_cond_broadcast(&registry->idle);
		pthread_mutex_unlock(&registry->lock);
		return rc;
	}
	*out = domain;
	return 0;
}

int guest_take(struct registry *registry, struct process *process, uint16_t domid,
	       struct guest **out)
{
	struct guest *domain;

	pthread_mutex_lock(&registry->lock);
	for (;;) {
		for (domain = registry->domains; domain; domain = domain->next)
			if (domain->owner == process && domain->domid == domid)
				break;
		if (!domain || !domain->busy)
			break;
		pthread_cond_wait(&registry->idle, &registry->lock);
	}
	if (domain)
		domain->busy = true;
	pthread_mutex_unlock(&registry->lock);
	*out = domain;
	return domain ? 0 : -EPERM;
}

void guest_give(struct registry *registry, struct guest *domain)
{
	pthread_mutex_lock(&registry->lock);
	domain->busy = false;
	pthread_cond_broadcast(&registry->idle);
	pthread_mutex_unlock(&registry->lock);
}

/* A stub domain's target is its toolstack's to destroy. Without its device model it cannot go on.
 */
static int finish_target(struct registry *registry, struct guest *domain)
{
	struct control *ctl = registry->host.xen.ctl;
	bool paused = domain->adopted && ctl->ops->domain_pause(ctl, domain->domid) == 0;

	/* As in the library: Xen 4.17 loses two pages with a domain that dies with a monitor. */
	if (domain->monitor_port)
		ctl->ops->monitor_close(ctl, domain->domid, domain->ring);
	relay_close(domain->relay);
	if (domain->adopted)
		ctl->ops->domain_shutdown(ctl, domain->domid, SHUTDOWN_crash);
	if (paused)
		ctl->ops->domain_unpause(ctl, domain->domid);
	if (domain->adopted)
		record_remove(registry->host.records, domain->handle);
	pthread_mutex_lock(&registry->lock);
	forget(registry, domain);
	pthread_cond_broadcast(&registry->idle);
	pthread_mutex_unlock(&registry->lock);
	return 0;
}

int guest_finish(struct registry *registry, struct guest *domain)
{
	struct control *ctl = registry->host.xen.ctl;
	int rc;

	if (domain->stub)
		return finish_target(registry, domain);
	if (domain->ring)
		ctl->ops->monitor_close(ctl, domain->domid, domain->ring);
	domain->ring = NULL;
	if (domain->named)
		ctl->ops->domain_set_name(ctl, domain->domid, domain->handle, NULL);
	rc = ctl->ops->domain_destroy(ctl, domain->domid);
	if (rc < 0 && rc != -ESRCH)
		note("domain %u of user %u cannot be destroyed: %s", domain->domid, domain->uid,
		     strerror(-rc));
	record_remove(registry->host.records, domain->handle);
	pthread_mutex_lock(&registry->lock);
	domain->owner = NULL;
	domain->busy = false;
	sweep(registry);
	pthread_cond_broadcast(&registry->idle);
	pthread_mutex_unlock(&registry->lock);
	return rc;
}

int guest_charge(struct registry *registry, struct guest *domain, uint64_t memory_kib,
		 uint64_t pool_kib)
{
	uint64_t more = 0;
	int rc = 0;

	if (memory_kib > domain->memory_kib)
		more += memory_kib - domain->memory_kib;
	if (pool_kib > domain->pool_kib)
		more += pool_kib - domain->pool_kib;
	if (!more)
		return 0;
	/* What its toolstack gave it is the limit. */
	if (domain->stub) {
		note("domain %u wants %llu KiB more than it was built with for stub domain %u",
		     domain->domid, (unsigned long long)more, domain->stub);
		return -EDQUOT;
	}
	pthread_mutex_lock(&registry->lock);
	if (!within_limits(registry, domain->uid, 0, 0, more)) {
		rc = -EDQUOT;
	} else {
		if (memory_kib > domain->memory_kib)
			domain->memory_kib = memory_kib;
		if (pool_kib > domain->pool_kib)
			domain->pool_kib = pool_kib;
	}
	pthread_mutex_unlock(&registry->lock);
	return rc ? rc : record_write(registry->host.records, domain);
}

unsigned registry_domains(struct registry *registry)
{
	struct guest *domain;
	unsigned n = 0;

	pthread_mutex_lock(&registry->lock);
	sweep(registry);
	for (domain = registry->domains; domain; domain = domain->next)
		n++;
	pthread_mutex_unlock(&registry->lock);
	return n;
}

bool registry_idle(struct registry *registry)
{
	bool idle;

	pthread_mutex_lock(&registry->lock);
	idle = !registry->processes;
	pthread_mutex_unlock(&registry->lock);
	return idle;
}

/* --- stub domains --- */

/* What the library may need beyond what libxl has reckoned for its own device model: its firmware
 * and the page tables of frames that it moves. */
#define MEMORY_SLACK_KIB 2048
#define POOL_SLACK_KIB   8192
#define KIB_PER_PAGE     4
#define POOL_PER_VCPU    1024 /* libxl's rule: 1 MiB a vcpu, 4 KiB a MiB of memory */
#define POOL_PER_MIB     4

static int target_add(struct registry *registry, struct process *process, uint16_t target)
{
	struct control *ctl = registry->host.xen.ctl;
	struct guest *domain = calloc(1, sizeof *domain);
	struct domain_info info;
	int rc;

	if (!domain)
		return -ENOMEM;
	rc = ctl->ops->domain_info(ctl, target, &info);
	if (rc < 0) {
		free(domain);
		return rc;
	}
	domain->owner = process;
	domain->domid = target;
	domain->stub = process->stub;
	domain->vcpus = info.vcpus;
	domain->memory_kib = info.max_pages * KIB_PER_PAGE + MEMORY_SLACK_KIB;
	domain->pool_kib = (uint64_t)info.vcpus * POOL_PER_VCPU +
			   (domain->memory_kib / 1024 + 1) * POOL_PER_MIB + POOL_SLACK_KIB;
	domain->next = registry->domains;
	registry->domains = domain;
	return 0;
}

static int stub_add(struct registry *registry, uint16_t stub, uint16_t target, struct process **out)
{
	struct process *process = calloc(1, sizeof *process);
	int rc;

	if (!process)
		return -ENOMEM;
	process->stub = stub;
	process->pidfd = eventfd(0, EFD_CLOEXEC);
	rc = process->pidfd < 0 ? -errno : target_add(registry, process, target);
	if (rc < 0) {
		if (process->pidfd >= 0)
			close(process->pidfd);
		free(process);
		return rc;
	}
	process->next = registry->processes;
	registry->processes = process;
	*out = process;
	return 0;
}

/* lock held. Of two by the same number the older has ended. */
static struct process *stub_find(struct registry *registry, uint16_t stub)
{
	struct pollfd fd = {.events = POLLIN};
	struct process *process;

	for (process = registry->processes; process; process = process->next) {
		fd.fd = process->pidfd;
		if (process->stub == stub && poll(&fd, 1, 0) == 0)
			return process;
	}
	return NULL;
}

int stub_enter(struct registry *registry, uint16_t stub, uint16_t target, struct process **out)
{
	int rc = 0;

	pthread_mutex_lock(&registry->lock);
	*out = stub_find(registry, stub);
	if (!*out)
		rc = stub_add(registry, stub, target, out);
	else if ((*out)->users >= MAX_STUB_CONNECTIONS)
		rc = -EDQUOT;
	if (rc == 0)
		(*out)->users++;
	pthread_mutex_unlock(&registry->lock);
	return rc;
}

void stub_gone(struct registry *registry, uint16_t stub)
{
	struct process *process;

	pthread_mutex_lock(&registry->lock);
	process = stub_find(registry, stub);
	if (process)
		eventfd_write(process->pidfd, 1);
	pthread_mutex_unlock(&registry->lock);
}

/* --- after a predecessor's sudden end --- */

struct watch {
	struct registry *registry;
	struct process *process;
};

/* Until the process ends, whether it connects again or not. */
static void *watch_process(void *arg)
{
	struct watch *watch = arg;
	struct pollfd fd = {.fd = watch->process->pidfd, .events = POLLIN};

	while (poll(&fd, 1, -1) < 0 && errno == EINTR)
		;
	process_leave(watch->registry, watch->process);
	free(watch);
	return NULL;
}

/* lock held. One user more, which leaves when the process has ended. */
static void watch_over(struct registry *registry, struct process *process)
{
	struct watch *watch = malloc(sizeof *watch);
	pthread_t thread;

	if (!watch)
		abort();
	process->users++;
	*watch = (struct watch){registry, process};
	if (pthread_create(&thread, NULL, watch_process, watch) != 0)
		abort();
	pthread_detach(thread);
}

/* lock held. The living owner of a domain that was found, watched; or NULL. */
static struct process *adopt_process(struct registry *registry, const struct process *found)
{
	struct process *process = process_find(registry, found->pid, found->started, found->uid);
	uint64_t started;

	if (process)
		return process;
	if (process_started(found->pid, &started) < 0 || started != found->started ||
	    process_add(registry, found->pid, started, found->uid, &process) < 0)
		return NULL;
	watch_over(registry, process);
	return process;
}

static void recover(void *arg, const struct guest *found)
{
	struct registry *registry = arg;
	struct control *ctl = registry->host.xen.ctl;
	struct guest *domain;
	uint16_t domid;

	if (found->stub)
		return;
	if (ctl->ops->domain_find(ctl, found->handle, &domid) < 0) {
		record_remove(registry->host.records, found->handle);
		return;
	}
	domain = malloc(sizeof *domain);
	if (!domain)
		abort();
	*domain = *found;
	domain->domid = domid;
	domain->busy = true;
	pthread_mutex_lock(&registry->lock);
	domain->owner = adopt_process(registry, found->owner);
	domain->next = registry->domains;
	registry->domains = domain;
	pthread_mutex_unlock(&registry->lock);
	if (domain->owner) {
		note("domain %u of process %d is looked after again", domid, domain->owner->pid);
		guest_give(registry, domain);
	} else {
		note("domain %u, whose process %d has ended, is destroyed", domid,
		     found->owner->pid);
		guest_finish(registry, domain);
	}
}

void registry_recover(struct registry *registry)
{
	record_each(registry->host.records, recover, registry);
}

struct targets {
	struct registry *registry;
	uint16_t (*target_of)(void *arg, uint16_t stub);
	void *arg;
};

/* The target and its stub domain are known again, watched, and nobody's but ours for now. */
static struct guest *adopt_target(struct registry *registry, const struct guest *found,
				  uint16_t target)
{
	struct guest *domain = NULL;
	struct process *process;
	int rc;

	pthread_mutex_lock(&registry->lock);
	rc = stub_add(registry, found->stub, target, &process);
	if (rc == 0) {
		watch_over(registry, process);
		domain = guest_of(registry, process);
		domain->busy = domain->adopted = true;
		memcpy(domain->handle, found->handle, sizeof domain->handle);
		domain->monitor_port = found->monitor_port;
		domain->stub_port = found->stub_port;
	}
	pthread_mutex_unlock(&registry->lock);
	if (rc < 0)
		note("domain %u of stub domain %u is not looked after again: %s", target,
		     found->stub, strerror(-rc));
	return domain;
}

static void recover_target(void *arg, const struct guest *found)
{
	const struct targets *targets = arg;
	struct registry *registry = targets->registry;
	struct control *ctl = registry->host.xen.ctl;
	struct guest *domain;
	uint16_t target;
	int rc = 0;

	if (!found->stub)
		return;
	if (ctl->ops->domain_find(ctl, found->handle, &target) < 0) {
		record_remove(registry->host.records, found->handle);
		return;
	}
	domain = adopt_target(registry, found, target);
	if (!domain)
		return;
	if (targets->target_of(targets->arg, found->stub) != target)
		rc = -ESRCH;
	else if (domain->monitor_port)
		rc = relay_open(registry->host.xen.dev, domain);
	if (rc == 0) {
		note("domain %u of stub domain %u is looked after again", target, found->stub);
		guest_give(registry, domain);
		return;
	}
	note("domain %u, whose stub domain %u is lost, is shut down: %s", target, found->stub,
	     strerror(-rc));
	stub_gone(registry, found->stub);
	guest_give(registry, domain);
}

void registry_recover_targets(struct registry *registry,
			      uint16_t (*target_of)(void *arg, uint16_t stub), void *arg)
{
	struct targets targets = {registry, target_of, arg};

	record_each(registry->host.records, recover_target, &targets);
}
