/*
 * Stub domains, as xenstore shows them. A stub domain that wants the broker offers a libxenvchan
 * connection in its own folder. Which domain it may have is not its to say: libxl has written that
 * into folders that only dom0 may write to.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenstore.h>

#include "libkvmxen/xen/wire_link.h"
#include "tools/kvmxend/kvmxend.h"

#define DOMAINS    0x7ff0 /* DOMID_FIRST_RESERVED */
#define SEND_MS    10000
#define STACK_SIZE (256 << 10)
#define INTRODUCED "@introduceDomain"
#define RELEASED   "@releaseDomain"
#define TOKEN_NEW  "new"
#define TOKEN_GONE "gone"

struct stubdoms {
	struct registry *registry;
	struct xs_handle *xs;
	bool watched[DOMAINS];
	bool refused[DOMAINS]; /* and it was said */
};

struct start {
	struct registry *registry;
	struct process *process;
	struct wire_link *link;
};

static void *connection_thread(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	connection_serve(start.registry, start.process, start.link);
	return NULL;
}

/* A number in a node that dom0 owns and nobody else writes to; 0: there is none. */
static uint16_t read_domid(struct xs_handle *xs, const char *path)
{
	struct xs_permissions *perms;
	unsigned count, length;
	unsigned long value = 0;
	char *text = NULL, *end;
	bool ours;

	perms = xs_get_permissions(xs, XBT_NULL, path, &count);
	ours = perms && count && perms[0].id == 0 && !(perms[0].perms & XS_PERM_WRITE);
	for (unsigned i = 1; ours && i < count; i++)
		ours = !(perms[i].perms & XS_PERM_WRITE);
	free(perms);
	if (ours)
		text = xs_read(xs, XBT_NULL, path, &length);
	if (text && *text) {
		value = strtoul(text, &end, 10);
		if (*end || value >= DOMAINS)
			value = 0;
	}
	free(text);
	return value;
}

/* Both ends say so, or it is none: 0. */
static uint16_t target_of(struct xs_handle *xs, uint16_t stub)
{
	char path[64];
	uint16_t target;

	snprintf(path, sizeof path, "/local/domain/%u/target", stub);
	target = read_domid(xs, path);
	if (!target || target == stub)
		return 0;
	snprintf(path, sizeof path, "/local/domain/%u/image/device-model-domid", target);
	return read_domid(xs, path) == stub ? target : 0;
}

static int start_connection(struct stubdoms *all, uint16_t stub, uint16_t target, const char *path)
{
	struct start *start = malloc(sizeof *start);
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	if (!start)
		return -ENOMEM;
	start->registry = all->registry;
	rc = stub_enter(all->registry, stub, target, &start->process);
	if (rc < 0)
		goto out_free;
	rc = wire_link_accept(stub, path, SEND_MS, &start->link);
	if (rc < 0)
		goto out_leave;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	rc = -pthread_create(&thread, &attr, connection_thread, start);
	if (rc == 0)
		return 0;
	start->link->ops->close(start->link);
out_leave:
	process_leave(all->registry, start->process);
out_free:
	free(start);
	return rc;
}

/* Is it all there? It is written in one transaction. */
static bool is_offer(struct xs_handle *xs, const char *path)
{
	char node[160], *text;
	unsigned length;

	snprintf(node, sizeof node, "%s/event-channel", path);
	text = xs_read(xs, XBT_NULL, node, &length);
	free(text);
	return text;
}

static void take_offers(struct stubdoms *all, uint16_t stub)
{
	char folder[64], path[128];
	unsigned count = 0;
	char **names;
	int rc;

	snprintf(folder, sizeof folder, "/local/domain/%u/" WIRE_VCHAN_OFFERS, stub);
	names = xs_directory(all->xs, XBT_NULL, folder, &count);
	for (unsigned i = 0; names && i < count; i++) {
		uint16_t target;

		if (snprintf(path, sizeof path, "%s/%s", folder, names[i]) >= (int)sizeof path ||
		    !is_offer(all->xs, path))
			continue;
		target = target_of(all->xs, stub);
		rc = target ? start_connection(all, stub, target, path) : -EPERM;
		if (rc < 0 && !all->refused[stub]) {
			note("domain %u is not connected: %s", stub, strerror(-rc));
			all->refused[stub] = true;
		}
		/* Taken, or refused: once. */
		xs_rm(all->xs, XBT_NULL, path);
	}
	free(names);
}

static void watch_domain(struct stubdoms *all, uint16_t domid, bool on)
{
	char path[64], token[16];

	snprintf(path, sizeof path, "/local/domain/%u/" WIRE_VCHAN_OFFERS, domid);
	snprintf(token, sizeof token, "%u", domid);
	if (on)
		all->watched[domid] = xs_watch(all->xs, path, token);
	else
		xs_unwatch(all->xs, path, token);
	if (!on)
		all->watched[domid] = all->refused[domid] = false;
}

static void look_for_new(struct stubdoms *all)
{
	unsigned count = 0;
	char **names = xs_directory(all->xs, XBT_NULL, "/local/domain", &count);

	for (unsigned i = 0; names && i < count; i++) {
		unsigned long domid = strtoul(names[i], NULL, 10);

		if (domid > 0 && domid < DOMAINS && !all->watched[domid])
			watch_domain(all, domid, true);
	}
	free(names);
}

static void look_for_gone(struct stubdoms *all)
{
	struct control *ctl = registry_host(all->registry)->xen.ctl;
	struct domain_info info;

	for (unsigned domid = 1; domid < DOMAINS; domid++) {
		if (!all->watched[domid])
			continue;
		if (ctl->ops->domain_info(ctl, domid, &info) < 0 || info.dying) {
			watch_domain(all, domid, false);
			stub_gone(all->registry, domid);
		} else if (info.shutdown) {
			stub_gone(all->registry, domid);
		}
	}
}

static void *stubdoms_run(void *arg)
{
	struct stubdoms *all = arg;
	char **event;
	unsigned count;

	while ((event = xs_read_watch(all->xs, &count))) {
		const char *token = event[XS_WATCH_TOKEN];

		if (!strcmp(token, TOKEN_NEW))
			look_for_new(all);
		else if (!strcmp(token, TOKEN_GONE))
			look_for_gone(all);
		else
			take_offers(all, strtoul(token, NULL, 10));
		free(event);
	}
	note("xenstore has gone: stub domains are no longer heard");
	return NULL;
}

static uint16_t living_target_of(void *arg, uint16_t stub)
{
	struct stubdoms *all = arg;
	struct control *ctl = registry_host(all->registry)->xen.ctl;
	struct domain_info info;

	if (ctl->ops->domain_info(ctl, stub, &info) < 0 || info.dying || info.shutdown)
		return 0;
	return target_of(all->xs, stub);
}

int stubdoms_start(struct registry *registry)
{
	struct stubdoms *all = calloc(1, sizeof *all);
	pthread_t thread;
	int rc = -ENOMEM;

	if (!all)
		return rc;
	all->registry = registry;
	errno = 0;
	all->xs = xs_open(0);
	if (!all->xs || !xs_watch(all->xs, INTRODUCED, TOKEN_NEW) ||
	    !xs_watch(all->xs, RELEASED, TOKEN_GONE)) {
		rc = errno ? -errno : -EIO;
		goto out;
	}
	registry_recover_targets(registry, living_target_of, all);
	rc = -pthread_create(&thread, NULL, stubdoms_run, all);
	if (rc == 0) {
		pthread_detach(thread);
		return 0;
	}
out:
	if (all->xs)
		xs_close(all->xs);
	free(all);
	return rc;
}
