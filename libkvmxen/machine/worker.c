#include "libkvmxen/machine/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "libkvmxen/message.h"

#define WORKER_STACK (256 * 1024)
#define WORKER_BATCH 16 /* events taken from epoll at once */

/* A watch as the worker knows it. It outlives the watch until the worker can hold no event of it
 * any more. */
struct entry {
	struct watch *watch; /* NULL: removed */
	struct entry *next;
};

struct deferred {
	struct timespec due;
	void (*call)(void *);
	void *data;
	struct deferred *next;
};

struct worker {
	pthread_mutex_t lock;
	pthread_cond_t idle; /* `current` has become NULL */
	int epoll;
	int timer; /* the first deferred call is due, or stop */
	pid_t owner;
	pthread_t thread;
	atomic_bool started;
	bool stop, orphan;
	struct entry *entries, *removed;
	struct entry *current;     /* its callback runs now */
	struct deferred *deferred; /* by time */
};

bool worker_is_self(const struct worker *worker)
{
	return worker->started && pthread_equal(worker->thread, pthread_self());
}

static bool before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static void free_entries(struct entry **list)
{
	while (*list) {
		struct entry *entry = *list;

		*list = entry->next;
		free(entry);
	}
}

static void worker_free(struct worker *worker)
{
	free_entries(&worker->entries);
	free_entries(&worker->removed);
	while (worker->deferred) {
		struct deferred *deferred = worker->deferred;

		worker->deferred = deferred->next;
		free(deferred);
	}
	if (worker->timer >= 0)
		close(worker->timer);
	if (worker->epoll >= 0)
		close(worker->epoll);
	pthread_cond_destroy(&worker->idle);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

/* lock held. Sets the timer to the first deferred call, or to now when the thread shall end. */
static void set_timer(struct worker *worker)
{
	struct itimerspec when = {0};

	if (worker->stop)
		when.it_value.tv_nsec = 1;
	else if (worker->deferred)
		when.it_value = worker->deferred->due;
	timerfd_settime(worker->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* lock held; given up around each call. */
static void run_deferred(struct worker *worker)
{
	struct timespec now;
	uint64_t expirations;

	if (read(worker->timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
		message_error("worker: the timer cannot be read: %s", strerror(errno));
	clock_gettime(CLOCK_MONOTONIC, &now);
	while (!worker->stop && worker->deferred && !before(&now, &worker->deferred->due)) {
		struct deferred *deferred = worker->deferred;

		worker->deferred = deferred->next;
		pthread_mutex_unlock(&worker->lock);
		deferred->call(deferred->data);
		free(deferred);
		pthread_mutex_lock(&worker->lock);
	}
	set_timer(worker);
}

/* lock held; given up around the callback. */
static void run_entry(struct worker *worker, struct entry *entry, uint32_t events)
{
	struct watch *watch = entry->watch;

	if (!watch)
		return;
	worker->current = entry;
	pthread_mutex_unlock(&worker->lock);
	watch->ready(watch, events);
	pthread_mutex_lock(&worker->lock);
	worker->current = NULL;
	pthread_cond_broadcast(&worker->idle);
}

static void *worker_main(void *data)
{
	struct worker *worker = data;
	bool orphan;

	pthread_setname_np(pthread_self(), "kvmxen-worker");
	pthread_mutex_lock(&worker->lock);
	while (!worker->stop) {
		struct epoll_event events[WORKER_BATCH];
		int n, i;

		/* No event is held here: what was removed meanwhile can go. */
		free_entries(&worker->removed);
		pthread_mutex_unlock(&worker->lock);
		n = epoll_wait(worker->epoll, events, WORKER_BATCH, -1);
		pthread_mutex_lock(&worker->lock);
		for (i = 0; i < n && !worker->stop; i++) {
			if (events[i].data.ptr)
				run_entry(worker, events[i].data.ptr, events[i].events);
			else
				run_deferred(worker);
		}
		if (n < 0 && errno != EINTR) {
			message_error("worker: epoll_wait: %s", strerror(errno));
			break;
		}
	}
	orphan = worker->orphan;
	pthread_mutex_unlock(&worker->lock);
	if (orphan)
		worker_free(worker);
	return NULL;
}

/* lock held. */
static int start(struct worker *worker)
{
	pthread_attr_t attributes;
	sigset_t all, old;
	int rc;

	if (worker->started)
		return 0;
	rc = pthread_attr_init(&attributes);
	if (rc)
		return -rc;
	pthread_attr_setstacksize(&attributes, WORKER_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&worker->thread, &attributes, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	worker->started = rc == 0;
	return -rc;
}

int worker_create(struct worker **out)
{
	struct worker *worker = calloc(1, sizeof *worker);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	int rc;

	if (!worker)
		return -ENOMEM;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->idle, NULL);
	worker->owner = getpid();
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (worker->epoll < 0 || worker->timer < 0 ||
	    epoll_ctl(worker->epoll, EPOLL_CTL_ADD, worker->timer, &event) < 0) {
		rc = -errno;
		worker_free(worker);
		return rc;
	}
	*out = worker;
	return 0;
}

void worker_destroy(struct worker *worker)
{
	bool started;

	if (!worker)
		return;
	/* The thread does not come along over fork. */
	if (worker->owner != getpid()) {
		worker_free(worker);
		return;
	}
	pthread_mutex_lock(&worker->lock);
	worker->stop = true;
	started = worker->started;
	set_timer(worker);
	if (worker_is_self(worker)) {
		worker->orphan = true;
		pthread_detach(worker->thread);
		pthread_mutex_unlock(&worker->lock);
		return;
	}
	pthread_mutex_unlock(&worker->lock);
	if (started)
		pthread_join(worker->thread, NULL);
	worker_free(worker);
}

int worker_add(struct worker *worker, struct watch *watch)
{
	struct entry *entry = calloc(1, sizeof *entry);
	struct epoll_event event = {.events = watch->events, .data.ptr = entry};
	int rc;

	if (!entry)
		return -ENOMEM;
	entry->watch = watch;
	pthread_mutex_lock(&worker->lock);
	rc = start(worker);
	if (rc == 0 && epoll_ctl(worker->epoll, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		rc = -errno;
	if (rc == 0) {
		entry->next = worker->entries;
		worker->entries = entry;
	}
	pthread_mutex_unlock(&worker->lock);
	if (rc < 0)
		free(entry);
	return rc;
}

void worker_remove(struct worker *worker, struct watch *watch)
{
	struct entry **at, *entry;

	pthread_mutex_lock(&worker->lock);
	for (at = &worker->entries; *at && (*at)->watch != watch; at = &(*at)->next)
		;
	entry = *at;
	if (entry) {
		*at = entry->next;
		epoll_ctl(worker->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
		entry->watch = NULL;
		entry->next = worker->removed;
		worker->removed = entry;
		if (!worker_is_self(worker))
			while (worker->current == entry)
				pthread_cond_wait(&worker->idle, &worker->lock);
	}
	pthread_mutex_unlock(&worker->lock);
}

int worker_defer(struct worker *worker, unsigned delay_ms, void (*call)(void *), void *data)
{
	struct deferred *deferred = calloc(1, sizeof *deferred), **at;
	int rc;

	if (!deferred)
		return -ENOMEM;
	deferred->call = call;
	deferred->data = data;
	clock_gettime(CLOCK_MONOTONIC, &deferred->due);
	deferred->due.tv_sec += delay_ms / 1000;
	deferred->due.tv_nsec += delay_ms % 1000 * 1000000l;
	if (deferred->due.tv_nsec >= 1000000000l) {
		deferred->due.tv_nsec -= 1000000000l;
		deferred->due.tv_sec++;
	}
	pthread_mutex_lock(&worker->lock);
	rc = start(worker);
	if (rc == 0) {
		for (at = &worker->deferred; *at && !before(&deferred->due, &(*at)->due);
		     at = &(*at)->next)
			;
		deferred->next = *at;
		*at = deferred;
		set_timer(worker);
	}
	pthread_mutex_unlock(&worker->lock);
	if (rc < 0)
		free(deferred);
	return rc;
}
