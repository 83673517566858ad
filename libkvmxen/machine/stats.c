#include "libkvmxen/machine/stats.h"

#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>

#include "libkvmxen/machine/vm.h"

static const struct {
	unsigned reason;
	const char *name;
} exit_names[] = {
	{KVM_EXIT_IO, "io"},
	{KVM_EXIT_MMIO, "mmio"},
	{KVM_EXIT_HLT, "hlt"},
	{KVM_EXIT_SHUTDOWN, "shutdown"},
	{KVM_EXIT_FAIL_ENTRY, "fail_entry"},
	{KVM_EXIT_INTERNAL_ERROR, "internal_error"},
	{KVM_EXIT_IRQ_WINDOW_OPEN, "irq_window_open"},
	{KVM_EXIT_DEBUG, "debug"},
};

void stats_write(const struct vm *vm)
{
	const struct stats *s = &vm->stats;
	const char *path = getenv("KVMXEN_STATS");
	FILE *out;
	size_t i;

	/* A VM that never ran has nothing to say, and would hide one that did. */
	if (!path || !*path || vm->domid == 0)
		return;
	out = fopen(path, "we");
	if (!out)
		return;
	fprintf(out, "domid %u\nname %s\n", vm->domid, vm->name);
	for (i = 0; i < sizeof exit_names / sizeof *exit_names; i++)
		fprintf(out, "exits.%s %lu\n", exit_names[i].name,
			atomic_load(&s->exits[exit_names[i].reason]));
	fprintf(out, "exits.intr %lu\n", atomic_load(&s->eintr));
	fprintf(out,
		"ioeventfds %lu\ncoalesced %lu\ncpuids %lu\ninvalidates %lu\nkicks %lu\nloads "
		"%lu\n",
		atomic_load(&s->ioeventfds), atomic_load(&s->coalesced), atomic_load(&s->cpuids),
		atomic_load(&s->invalidates), atomic_load(&s->kicks), atomic_load(&s->loads));
	fclose(out);
}
