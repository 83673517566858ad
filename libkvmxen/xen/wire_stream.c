/* Messages on a Unix stream socket. */
#include "libkvmxen/xen/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int send_all(int stream, struct iovec *iov, int count, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};

	if (fd >= 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof control;
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
	}
	while (msg.msg_iovlen) {
		ssize_t n = sendmsg(stream, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ECONNRESET ? -EPIPE : -errno;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
		while (msg.msg_iovlen && (size_t)n >= msg.msg_iov->iov_len) {
			n -= msg.msg_iov->iov_len;
			msg.msg_iov++;
			msg.msg_iovlen--;
		}
		if (msg.msg_iovlen) {
			msg.msg_iov->iov_base = (char *)msg.msg_iov->iov_base + n;
			msg.msg_iov->iov_len -= n;
		}
	}
	return 0;
}

int wire_send(int stream, const struct wire_message *message, const void *data, int fd)
{
	struct iovec iov[] = {
		{.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof *message},
		{.iov_base = (void *)(uintptr_t)data, .iov_len = message->length},
	};

	return send_all(stream, iov, message->length ? 2 : 1, fd);
}

/* 0 when there is something to read. */
static int wait_for(int stream, int stop)
{
	struct pollfd fds[] = {
		{.fd = stream, .events = POLLIN},
		{.fd = stop, .events = POLLIN},
	};

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return fds[1].revents ? -ECANCELED : 0;
}

static void take_fd(struct msghdr *msg, int *fd)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);

	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(sizeof(int)) && *fd < 0)
		memcpy(fd, CMSG_DATA(cmsg), sizeof *fd);
}

static int receive_all(int stream, int stop, void *data, size_t length, int *fd)
{
	size_t done = 0;

	while (done < length) {
		union {
			struct cmsghdr align;
			char space[CMSG_SPACE(sizeof(int))];
		} control;
		struct iovec iov = {.iov_base = (char *)data + done, .iov_len = length - done};
		struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
		int flags = MSG_CMSG_CLOEXEC, rc;
		ssize_t n;

		if (stop >= 0) {
			rc = wait_for(stream, stop);
			if (rc < 0)
				return rc;
			flags |= MSG_DONTWAIT;
		}
		if (fd) {
			msg.msg_control = &control;
			msg.msg_controllen = sizeof control;
		}
		n = recvmsg(stream, &msg, flags);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return errno == ECONNRESET ? -EPIPE : -errno;
		if (n == 0)
			return done ? -EPROTO : -EPIPE;
		if (fd)
			take_fd(&msg, fd);
		done += n;
	}
	return 0;
}

int wire_receive(int stream, int stop, struct wire_message *message, int *fd)
{
	if (fd)
		*fd = -1;
	return receive_all(stream, stop, message, sizeof *message, fd);
}

int wire_receive_data(int stream, int stop, void *data, size_t length)
{
	int rc = receive_all(stream, stop, data, length, NULL);

	/* The message had begun. */
	return rc == -EPIPE ? -EPROTO : rc;
}
