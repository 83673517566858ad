/*
 * kvmxen run: starts a VMM with the shim preloaded. It becomes the VMM (exec): process id, signals,
 * terminal and exit status are the VMM's own.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "tools/kvmxen.h"
#include "tools/launch.h"

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

int run_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[--] VMM [ARGUMENT...]",
		.doc = "Runs a KVM program on this Xen host: its /dev/kvm is answered with Xen.",
	};
	struct run_options o = {0};
	int status;
	char name[] = "kvmxen run", verbosity[2] = "0";

	argv[0] = name;
	/* argp does not know where the VMM's own options begin unless we stop it there. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (o.verbose) {
		verbosity[0] = o.verbose > 2 ? '2' : '0' + o.verbose;
		setenv("KVMXEN_VERBOSE", verbosity, 1);
	}
	status = launch_prepare();
	return status ? status : launch_exec(&argv[o.first]);
}
