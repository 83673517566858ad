/*
 * ops: every operation of the two direct ops tables, on a real Xen.
 *
 *   ops                    as root in dom0: all of it
 *   ops without-xen        on a machine without Xen: what xen_open says there
 *   ops NAME...            these tests only
 */
#include "tests/lab/xen/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lab/xen/check.h"

#define TESTS(X)                                                                                   \
	X(without_permission)                                                                      \
	X(without_files)                                                                           \
	X(other_version)                                                                           \
	X(opening)                                                                                 \
	X(domain_life)                                                                             \
	X(domain_dying)                                                                            \
	X(domain_name)                                                                             \
	X(tsc)                                                                                     \
	X(params)                                                                                  \
	X(cpuid)                                                                                   \
	X(populate)                                                                                \
	X(relocate_large)                                                                          \
	X(map)                                                                                     \
	X(ports)                                                                                   \
	X(pci_and_mmio)                                                                            \
	X(kick)                                                                                    \
	X(mem_types)                                                                               \
	X(log_dirty)                                                                               \
	X(track_vram)                                                                              \
	X(lines)                                                                                   \
	X(msi)                                                                                     \
	X(nmi)                                                                                     \
	X(context)                                                                                 \
	X(vcpu_context)                                                                            \
	X(triple_fault)                                                                            \
	X(monitor)                                                                                 \
	X(monitor_left)                                                                            \
	X(evtchn)                                                                                  \
	X(threads)                                                                                 \
	X(nothing_left)

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
#define X(name) {#name, test_##name},
	TESTS(X)
#undef X
};

static void run(unsigned i)
{
	printf("# %s\n", tests[i].name);
	messages_reset();
	tests[i].run();
	check(messages.errors == 0, "%s: nothing is said on stderr", tests[i].name);
	if (messages.debug[0] && getenv("OPS_DEBUG"))
		printf("# said for debugging:\n%s", messages.debug);
}

int main(int argc, char **argv)
{
	const unsigned n = sizeof(tests) / sizeof(*tests);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && strcmp(argv[1], "without-xen") == 0) {
		test_without_xen();
		return check_finish();
	}
	for (unsigned i = 0; argc == 1 && i < n; i++)
		run(i);
	for (int a = 1; a < argc; a++)
		for (unsigned i = 0; i < n; i++)
			if (strcmp(argv[a], tests[i].name) == 0)
				run(i);
	return check_finish();
}
