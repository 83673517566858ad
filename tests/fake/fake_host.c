#include "tests/fake/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

struct fake_host fake_host = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.next_domid = 1,
	.version = "4.17.7",
};

/* Absent while the library is not linked in. */
#pragma weak xen_override

static struct device device = {&fake_device_ops};
static struct control control = {.ops = &fake_control_ops};
static const struct xen pair = {&device, &control};

/* Findings: a growing text, one line each. */
struct findings {
	char text[32768];
	size_t length;
	unsigned count;
};
static struct findings broken, left;

/* A child made by fork in the middle of another thread's call finds the lock free. */
static void unlock_child(void)
{
	pthread_mutex_init(&fake_host.lock, NULL);
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&fake_host.cond, &attr);
	pthread_condattr_destroy(&attr);
}

static void setup(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&fake_host.cond, &attr);
	pthread_condattr_destroy(&attr);
	pthread_atfork(fake_lock, fake_unlock, unlock_child);
}

void fake_lock(void)
{
	pthread_mutex_lock(&fake_host.lock);
}

void fake_unlock(void)
{
	pthread_mutex_unlock(&fake_host.lock);
}

void fake_changed(void)
{
	pthread_cond_broadcast(&fake_host.cond);
}

struct timespec fake_deadline(int milliseconds)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += milliseconds / 1000;
	t.tv_nsec += milliseconds % 1000 * 1000000l;
	if (t.tv_nsec >= 1000000000l) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000l;
	}
	return t;
}

bool fake_wait(const struct timespec *deadline)
{
	if (!deadline)
		return pthread_cond_wait(&fake_host.cond, &fake_host.lock) == 0;
	return pthread_cond_timedwait(&fake_host.cond, &fake_host.lock, deadline) == 0;
}

bool xen_is_420(void)
{
	unsigned major = 0, minor = 0;

	sscanf(fake_host.version, "%u.%u", &major, &minor);
	return major > 4 || (major == 4 && minor >= 20);
}

static void note(struct findings *f, const char *kind, const char *format, va_list args)
{
	size_t room = sizeof f->text - f->length;
	int n = snprintf(f->text + f->length, room, "%s", kind);

	f->count++;
	if (n > 0 && (size_t)n < room) {
		int m = vsnprintf(f->text + f->length + n, room - n, format, args);

		if (m > 0 && (size_t)(n + m) + 1 < room) {
			f->length += n + m;
			f->text[f->length++] = '\n';
			f->text[f->length] = 0;
			return;
		}
	}
	f->text[f->length] = 0; /* full: what matters came first */
}

void violation(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(&broken, "violation: ", format, args);
	va_end(args);
}

void leak(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(&left, "left: ", format, args);
	va_end(args);
}

void violations_forget(void)
{
	broken.length = broken.count = 0;
	broken.text[0] = 0;
}

const char *fake_check(void)
{
	static char all[sizeof broken.text + sizeof left.text];
	const char *result = NULL;

	fake_lock();
	left.length = left.count = 0;
	left.text[0] = 0;
	xen_maps_check();
	xen_orphans_check();
	xen_domains_check();
	xen_evtchns_check();
	if (broken.count || left.count) {
		snprintf(all, sizeof all, "%s%s", broken.text, left.text);
		result = all;
	}
	fake_unlock();
	return result;
}

unsigned fake_violations(void)
{
	unsigned n;

	fake_lock();
	n = broken.count;
	fake_unlock();
	return n;
}

bool fake_violated(const char *text)
{
	bool found;

	fake_lock();
	found = strstr(broken.text, text) != NULL;
	fake_unlock();
	return found;
}

void fake_forgive(void)
{
	fake_lock();
	violations_forget();
	fake_unlock();
}

void fake_reset(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, setup);
	xen_domains_reset();
	fake_lock();
	xen_evtchns_reset();
	xen_maps_reset();
	xen_orphans_reset();
	xen_frames_reset();
	xen_passthrough_reset();
	fake_calls_reset();
	violations_forget();
	fake_host.manual = false;
	strcpy(fake_host.version, "4.17.7");
	fake_unlock();
}

void fake_install(void)
{
	fake_reset();
	if (xen_override)
		xen_override(&pair);
}

const struct xen *fake_xen(void)
{
	return &pair;
}

void fake_version(const char *version)
{
	fake_lock();
	snprintf(fake_host.version, sizeof fake_host.version, "%s", version);
	fake_unlock();
}

void fake_manual(bool manual)
{
	fake_lock();
	fake_host.manual = manual;
	fake_unlock();
}
