/*
 * kvmxen-janitor: destroys the domains of a VMM that has ended.
 *
 * Started by libkvmxen (see machine/janitor.h) with one end of a socket pair as descriptor 3. It
 * leaves the VMM's process tree, session and terminal, learns handles, and waits for the *process*
 * that sent them to end (a pidfd: the socket itself may live on in the VMM's children). Then it
 * destroys every domain that carries one of the handles, and ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libkvmxen/machine/janitor.h"
#include "libkvmxen/xen/xen.h"

/* Where the VMM's pidfd is kept: taken before we leave its process tree, when it surely lives. */
#define PIDFD (JANITOR_FD + 1)

struct handles {
	uint8_t (*list)[16];
	size_t count, capacity;
};

static bool add(struct handles *handles, const uint8_t handle[16])
{
	if (handles->count == handles->capacity) {
		size_t capacity = handles->capacity ? 2 * handles->capacity : 4;
		void *list = realloc(handles->list, capacity * sizeof *handles->list);

		if (!list)
			return false;
		handles->list = list;
		handles->capacity = capacity;
	}
	memcpy(handles->list[handles->count++], handle, 16);
	return true;
}

static void drop(struct handles *handles, const uint8_t handle[16])
{
	size_t i;

	for (i = 0; i < handles->count; i++)
		if (memcmp(handles->list[i], handle, 16) == 0) {
			memmove(handles->list[i], handles->list[handles->count - 1], 16);
			handles->count--;
			return;
		}
}

static void destroy(const struct handles *handles)
{
	struct control *ctl;
	uint16_t domid;
	size_t i;

	if (handles->count == 0 || direct_control_open(&ctl) < 0)
		return;
	for (i = 0; i < handles->count; i++) {
		if (ctl->ops->domain_find(ctl, handles->list[i], &domid) < 0)
			continue;
		ctl->ops->domain_set_name(ctl, domid, handles->list[i], NULL);
		ctl->ops->domain_destroy(ctl, domid);
	}
	ctl->ops->close(ctl);
}

/* False at the end of the socket. */
static bool take_message(struct handles *handles)
{
	struct janitor_message message;
	ssize_t n = recv(JANITOR_FD, &message, sizeof message, 0);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (n == 0)
		return false;
	if (n != sizeof message)
		return true; /* none of ours */
	if (message.verb == JANITOR_WATCH && add(handles, message.handle))
		send(JANITOR_FD, "", 1, MSG_NOSIGNAL);
	else if (message.verb == JANITOR_FORGET)
		drop(handles, message.handle);
	return true;
}

/* The VMM itself, also when other processes hold the socket open. */
static int open_peer(void)
{
	struct ucred peer;
	socklen_t length = sizeof peer;

	if (getsockopt(JANITOR_FD, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return -1;
	return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

static void detach(void)
{
	int fd, null = open("/dev/null", O_RDWR);

	for (fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	close_range(PIDFD + 1, ~0u, 0);
	if (chdir("/") < 0)
		_exit(1);
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	prctl(PR_SET_NAME, "kvmxen-janitor");
}

int main(void)
{
	struct handles handles = {0};
	struct pollfd fds[2];
	int pidfd;

	pidfd = open_peer();
	if (pidfd < 0) {
		fprintf(stderr, "kvmxen-janitor: started by libkvmxen, not by hand\n");
		return 1;
	}
	switch (fork()) {
	case -1:
		return 1;
	case 0:
		break;
	default:
		_exit(0);
	}
	/* Its place must survive detach's closing of all others. */
	if (pidfd != PIDFD)
		dup2(pidfd, PIDFD);
	detach();
	fds[0] = (struct pollfd){.fd = JANITOR_FD, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = PIDFD, .events = POLLIN};
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents && !take_message(&handles)) {
			if (fds[1].fd < 0)
				break;
			fds[0].fd = -1; /* closed: now only the process counts */
		} else if (!fds[0].revents && fds[1].revents) {
			break;
		}
	}
	destroy(&handles);
	return 0;
}
