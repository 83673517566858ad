#include "libkvmxen/machine/janitor.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libkvmxen/ioctl/fd.h"
#include "libkvmxen/message.h"

#define JANITOR_NAME "kvmxen-janitor"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int janitor_socket = -1;
static unsigned janitor_owner; /* fd_process() of the process that started it */

/* Beside the library in a build tree, in a folder of its own where it is installed. */
static int find_janitor(char *path, size_t size)
{
	static const char *const places[] = {"", "kvmxen/"};
	const char *given = getenv("KVMXEN_JANITOR"), *slash;
	Dl_info info;
	size_t i;

	if (given && *given) {
		snprintf(path, size, "%s", given);
		return access(path, X_OK) == 0 ? 0 : -errno;
	}
	if (!dladdr((void *)(uintptr_t)janitor_watch, &info) || !info.dli_fname)
		return -ENOENT;
	slash = strrchr(info.dli_fname, '/');
	for (i = 0; slash && i < sizeof places / sizeof *places; i++) {
		snprintf(path, size, "%.*s/%s%s", (int)(slash - info.dli_fname), info.dli_fname,
			 places[i], JANITOR_NAME);
		if (access(path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

struct spawning {
	const char *path;
	int theirs;
	int error;
};

/* In the child, which shares our memory until it execs: system calls only. */
static int child(void *data)
{
	struct spawning *s = data;
	char *argv[] = {(char *)(uintptr_t)JANITOR_NAME, NULL};
	/* Without our preloaded shim. */
	char *environment[] = {(char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};

	if (syscall(SYS_dup3, s->theirs, JANITOR_FD, 0) == JANITOR_FD)
		execve(s->path, argv, environment);
	s->error = -errno;
	_exit(127);
}

/* As vfork and exec do, but with no signal to the VMM when the child ends: a SIGCHLD that it did
 * not ask for would end its KVM_RUN. The child proper leaves the janitor to init and ends at
 * once. All signals are blocked meanwhile: a handler of the VMM must not run in the child. */
static int spawn(const char *path, int theirs)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	struct spawning s = {.path = path, .theirs = theirs};
	sigset_t all, old;
	pid_t pid;
	int status;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = clone(child, stack + sizeof stack, CLONE_VM | CLONE_VFORK, &s);
	if (pid < 0)
		s.error = -errno;
	else
		while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return s.error;
}

/* lock held. */
static int start(void)
{
	char path[PATH_MAX] = JANITOR_NAME;
	int pair[2] = {-1, -1}, rc;

	rc = find_janitor(path, sizeof path);
	if (rc == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		rc = -errno;
	if (rc == 0 && pair[1] == JANITOR_FD) {
		/* dup2 onto itself would leave it close-on-exec. */
		int moved = fcntl(pair[1], F_DUPFD_CLOEXEC, JANITOR_FD + 1);

		close(pair[1]);
		pair[1] = moved;
	}
	if (rc == 0)
		rc = spawn(path, pair[1]);
	if (pair[1] >= 0)
		close(pair[1]);
	if (rc < 0) {
		if (pair[0] >= 0)
			close(pair[0]);
		message_error("the janitor %s, which destroys domains that a VMM leaves behind, "
			      "cannot be started: %s",
			      path, strerror(-rc));
		return rc;
	}
	janitor_socket = pair[0];
	janitor_owner = fd_process();
	return 0;
}

static int say(uint32_t verb, const uint8_t handle[16])
{
	struct janitor_message message = {.verb = verb};

	memcpy(message.handle, handle, sizeof message.handle);
	if (send(janitor_socket, &message, sizeof message, MSG_NOSIGNAL) != sizeof message)
		return -errno;
	return 0;
}

int janitor_watch(const uint8_t handle[16])
{
	char word;
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (janitor_socket >= 0 && janitor_owner != fd_process()) {
		close(janitor_socket); /* our parent's */
		janitor_socket = -1;
	}
	if (janitor_socket < 0)
		rc = start();
	if (rc == 0)
		rc = say(JANITOR_WATCH, handle);
	if (rc == 0) {
		ssize_t n;

		while ((n = recv(janitor_socket, &word, 1, 0)) < 0 && errno == EINTR)
			;
		if (n != 1) {
			rc = n < 0 ? -errno : -EPIPE;
			message_error("the janitor does not answer: %s", strerror(-rc));
			close(janitor_socket);
			janitor_socket = -1;
		}
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

void janitor_forget(const uint8_t handle[16])
{
	pthread_mutex_lock(&lock);
	if (janitor_socket >= 0 && janitor_owner == fd_process())
		say(JANITOR_FORGET, handle);
	pthread_mutex_unlock(&lock);
}
