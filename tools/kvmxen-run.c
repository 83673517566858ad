/*
 * kvmxen run: starts a VMM with the shim preloaded. It becomes the VMM (exec): process id, signals,
 * terminal and exit status are the VMM's own.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/kvmxen/kvmxen.h"
#include "tools/kvmxen.h"

#define SHIM "libkvmxen-preload.so"

/* Exit statuses of env(1) and the shell for a command that was not run. */
#define EXIT_NO_XEN        125
#define EXIT_CANNOT_INVOKE 126
#define EXIT_NOT_FOUND     127

static const struct argp_option options[] = {
	{"verbose", 'v', NULL, 0, "Say on stderr what is refused and why; twice: what is done", 0},
	{"name", 'n', "NAME", 0, "The domain's name in xl list (default kvmxen-PID)", 0},
	{"cpuid", 'c', "WHOSE", 0,
	 "vmm: the guest sees exactly the CPUID that the VMM set (default); xen: Xen's own "
	 "answers, "
	 "which cost nothing",
	 0},
	{"stats", 's', "FILE", 0, "Write what the VM did to FILE when it ends", 0},
	{0},
};

struct run_options {
	int verbose;
	int first; /* of argv: the VMM */
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct run_options *o = state->input;

	switch (key) {
	case 'v':
		o->verbose++;
		return 0;
	case 'n':
		return setenv("KVMXEN_NAME", value, 1);
	case 'c':
		if (strcmp(value, "vmm") != 0 && strcmp(value, "xen") != 0)
			argp_error(state, "--cpuid takes vmm or xen, not %s", value);
		return setenv("KVMXEN_CPUID", value, 1);
	case 's':
		return setenv("KVMXEN_STATS", value, 1);
	case ARGP_KEY_ARG:
		/* The VMM and all that follows are its own. */
		o->first = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (o->first == 0)
			argp_error(state, "which VMM?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

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
	int fd = kvmxen_open(0);

	if (fd < 0)
		return -errno;
	kvmxen_close(fd);
	return 0;
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

int run_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[--] VMM [ARGUMENT...]",
		.doc = "Runs a KVM program on this Xen host: its /dev/kvm is answered with Xen.",
	};
	struct run_options o = {0};
	char shim[PATH_MAX];
	char name[] = "kvmxen run", verbosity[2] = "0";

	argv[0] = name;
	/* argp does not know where the VMM's own options begin unless we stop it there. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (o.verbose) {
		verbosity[0] = o.verbose > 2 ? '2' : '0' + o.verbose;
		setenv("KVMXEN_VERBOSE", verbosity, 1);
	}
	if (find_shim(shim, sizeof shim) < 0) {
		fprintf(stderr, "kvmxen: %s is not beside this command\n", SHIM);
		return EXIT_CANNOT_INVOKE;
	}
	if (check_xen() < 0)
		return EXIT_NO_XEN;
	preload(shim);
	execvp(argv[o.first], &argv[o.first]);
	fprintf(stderr, "kvmxen: %s cannot be run: %s\n", argv[o.first], strerror(errno));
	return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_INVOKE;
}
