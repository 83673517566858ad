#include "libkvmxen/interrupts/interrupts_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/kcmp.h>

#include "libkvmxen/message.h"

int eventfd_check(int fd)
{
	static const char want[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof want + 1];
	struct stat status;
	ssize_t length;

	if (fstat(fd, &status) < 0)
		return -EBADF;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof target);
	if (length >= 0)
		return length == sizeof want - 1 && !memcmp(target, want, length) ? 0 : -EINVAL;
	/* In a jail without /proc: at least none of the files with a type. */
	return (status.st_mode & S_IFMT) == 0 ? 0 : -EINVAL;
}

struct eventfd *eventfd_get(struct interrupts_private *p, int fd, int *rc)
{
	struct eventfd *eventfd;

	*rc = eventfd_check(fd);
	if (*rc < 0)
		return NULL;
	for (eventfd = p->eventfds; eventfd; eventfd = eventfd->next) {
		if (eventfd->number == fd && eventfd_is(eventfd, fd)) {
			eventfd->refs++;
			return eventfd;
		}
	}
	*rc = -ENOMEM;
	eventfd = calloc(1, sizeof *eventfd);
	if (!eventfd)
		return NULL;
	eventfd->number = fd;
	eventfd->refs = 1;
	eventfd->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (eventfd->fd < 0) {
		*rc = -errno;
		message_error("no descriptor is left to keep eventfd %d: %s", fd, strerror(errno));
		free(eventfd);
		return NULL;
	}
	eventfd->next = p->eventfds;
	p->eventfds = eventfd;
	*rc = 0;
	return eventfd;
}

void eventfd_put(struct interrupts_private *p, struct eventfd *eventfd)
{
	struct eventfd **at;

	if (--eventfd->refs)
		return;
	for (at = &p->eventfds; *at != eventfd; at = &(*at)->next)
		;
	*at = eventfd->next;
	close(eventfd->fd);
	free(eventfd);
}

bool eventfd_is(const struct eventfd *eventfd, int fd)
{
	pid_t self = getpid();
	long order = syscall(SYS_kcmp, self, self, KCMP_FILE, eventfd->fd, fd);

	return order < 0 ? eventfd->number == fd : order == 0;
}

bool eventfd_take(const struct eventfd *eventfd)
{
	uint64_t count;
	struct iovec iov = {&count, sizeof count};
	struct pollfd ready = {.fd = eventfd->fd, .events = POLLIN};
	ssize_t length = preadv2(eventfd->fd, &iov, 1, -1, RWF_NOWAIT);

	/* Kernels before 5.8 cannot. The VMM may still read it first: then this waits for more. */
	if (length < 0 && errno == EOPNOTSUPP && poll(&ready, 1, 0) == 1)
		length = read(eventfd->fd, &count, sizeof count);
	return length == sizeof count;
}

void eventfd_signal(const struct eventfd *eventfd)
{
	static const uint64_t one = 1;

	/* EAGAIN: the count is at its limit, and the eventfd is as readable as it can be. */
	if (write(eventfd->fd, &one, sizeof one) < 0 && errno != EAGAIN)
		message_error("an eventfd cannot be signalled: %s", strerror(errno));
}
