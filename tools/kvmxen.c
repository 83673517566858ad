/*
 * kvmxen: the command. Each subcommand is one file, tools/kvmxen-NAME.c.
 */
#include <stdio.h>
#include <string.h>

#include "include/kvmxen/kvmxen.h"
#include "tools/kvmxen.h"

static const struct {
	const char *name, *help;
	int (*main)(int argc, char **argv);
} commands[] = {
	{"run", "run a KVM program on this Xen host", run_main},
	{"caps", "list what KVM_CHECK_EXTENSION and the ioctl table answer, and why", caps_main},
	{"state", "list which fields of a VM's state survive in Xen, and why", state_main},
	{"doctor", "run a KVM program; name what it uses and what of it fails here", doctor_main},
	{"trace", "run a KVM program and log its KVM calls; or make them again", trace_main},
};

static void usage(FILE *out)
{
	size_t i;

	fprintf(out, "kvmxen %s: KVM programs on a Xen host\nusage:\n", kvmxen_version());
	for (i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(out, "  kvmxen %-6s ...  %s\n", commands[i].name, commands[i].help);
	fprintf(out, "`kvmxen COMMAND --help` says more.\n");
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc >= 2) {
		for (i = 0; i < sizeof commands / sizeof *commands; i++)
			if (strcmp(argv[1], commands[i].name) == 0)
				return commands[i].main(argc - 1, argv + 1);
		if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
			usage(stdout);
			return 0;
		}
		if (strcmp(argv[1], "--version") == 0) {
			printf("kvmxen %s\n", kvmxen_version());
			return 0;
		}
		fprintf(stderr, "kvmxen: no command %s\n", argv[1]);
	}
	usage(stderr);
	return 2;
}
