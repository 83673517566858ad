#include "tools/launch.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libkvmxen/xen/xen.h"

#define SHIM "libkvmxen-preload.so"

/* As the shell's; no Xen is neither. */
#define EXIT_NO_XEN        125
#define EXIT_CANNOT_INVOKE 126
#define EXIT_NOT_FOUND     127

/* The shim lies beside this command in a build tree, in ../lib of an installed one. */
static int find_shim(char *path, size_t size)
{
	static const char *const places[] = {KVMXEN_SHIM_PLACES};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	size_t i;

	if (n < 0)
		return -errno;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (i = 0; i < sizeof places / sizeof *places; i++) {
		if (snprintf(path, size, "%s/%s/%s", self, places[i], SHIM) >= (int)size)
			continue;
		if (access(path, R_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

/* A VMM that is to run without Xen shall hear why before it has done anything. */
static int check_xen(void)
{
	const char *verbose = getenv("KVMXEN_VERBOSE");
	struct xen xen;
	int rc = xen_open(&xen);

	if (rc == 0 && verbose && atoi(verbose) > 0)
		fprintf(stderr, "kvmxen: on Xen %s, %s\n", xen.ctl->ops->version(xen.ctl),
			xen.ctl->watches ? "by way of the broker" : "directly");
	return rc;
}

static void preload(const char *shim)
{
	const char *old = getenv("LD_PRELOAD");
	char *both;

	if (!old || !*old) {
		setenv("LD_PRELOAD", shim, 1);
		return;
	}
	if (asprintf(&both, "%s:%s", shim, old) >= 0) {
		setenv("LD_PRELOAD", both, 1);
		free(both);
	}
}

int launch_prepare(void)
{
	char shim[PATH_MAX];

	if (find_shim(shim, sizeof shim) < 0) {
		fprintf(stderr, "kvmxen: %s is not beside this command\n", SHIM);
		return EXIT_CANNOT_INVOKE;
	}
	if (check_xen() < 0)
		return EXIT_NO_XEN;
	preload(shim);
	return 0;
}

int launch_exec(char **argv)
{
	execvp(argv[0], argv);
	fprintf(stderr, "kvmxen: %s cannot be run: %s\n", argv[0], strerror(errno));
	return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_INVOKE;
}

int launch_wait(char **argv)
{
	pid_t child;
	int status;

	/* What is typed at the terminal is for the VMM; we end when it does. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	child = fork();
	if (child < 0) {
		fprintf(stderr, "kvmxen: fork: %s\n", strerror(errno));
		return EXIT_CANNOT_INVOKE;
	}
	if (child == 0) {
		signal(SIGINT, SIG_DFL);
		signal(SIGQUIT, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		_exit(launch_exec(argv));
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_CANNOT_INVOKE;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
