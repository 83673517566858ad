/*
 * Hold: the VMM's other threads wait while memory that they touch is being replaced.
 *
 * The pages are moved aside, and what stays at their address is empty memory under a userfaultfd
 * that nobody reads: who touches it sleeps in the kernel, system calls as well, until hold_end has
 * the access tried again. Where there is no such thing (a mapped file of a disk, an old kernel, no
 * permission) nobody waits there.
 *
 * A foreign mapping is made by one system call and filled by the next: an access between the two is
 * a SIGBUS. So for the time of a hold this signal has a handler that waits for hold_end too; what
 * is none of ours goes to the VMM's own. A thread that blocks SIGBUS dies all the same, and a
 * system call that comes in between says EFAULT.
 */
#include "libkvmxen/machine/memory_private.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

/* Memory of a memfd is still in its file after its pages have been moved aside: "minor" faults. */
#define FEATURES (UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM)

#define LOOK_AGAIN_NS 50000

/* One hold at a time in this process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uintptr_t start, end;
static atomic_bool held;
static struct sigaction before; /* the VMM's handler */

/* --- SIGBUS --- */

static void pass_on(int number, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(number, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(number);
	} else {
		struct sigaction fatal = {.sa_handler = SIG_DFL};

		/* The access comes again, and ends the program as it would have. */
		sigaction(number, &fatal, NULL);
	}
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	const struct timespec moment = {.tv_nsec = LOOK_AGAIN_NS};
	uintptr_t at = (uintptr_t)info->si_addr;

	/* Of the last hold too: by the time that the signal is here it may be over. */
	if (info->si_code != BUS_ADRERR || at < atomic_load(&start) || at >= atomic_load(&end)) {
		pass_on(number, info, context);
		return;
	}
	while (atomic_load(&held) && at >= atomic_load(&start) && at < atomic_load(&end))
		nanosleep(&moment, NULL);
}

static void handler_install(void)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &before);
}

static void handler_remove(void)
{
	struct sigaction now;

	/* The VMM may have set another one meanwhile. */
	if (!sigaction(SIGBUS, NULL, &now) && (now.sa_flags & SA_SIGINFO) &&
	    now.sa_sigaction == on_sigbus)
		sigaction(SIGBUS, &before, NULL);
}

/* --- the hold --- */

static int register_range(uintptr_t hva, size_t length, bool anonymous)
{
	struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};
	struct uffdio_register range = {
		.range = {.start = hva, .len = length},
		.mode = UFFDIO_REGISTER_MODE_MISSING | (anonymous ? 0 : UFFDIO_REGISTER_MODE_MINOR),
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int hold_begin(uintptr_t hva, size_t length, bool anonymous)
{
	pthread_mutex_lock(&lock);
	atomic_store(&start, hva);
	atomic_store(&end, hva + length);
	atomic_store(&held, true);
	handler_install();
	return register_range(hva, length, anonymous);
}

void hold_end(int hold)
{
	/* Whoever waits is woken, and what is still registered is forgotten. */
	if (hold >= 0)
		close(hold);
	handler_remove();
	atomic_store(&held, false);
	pthread_mutex_unlock(&lock);
}
