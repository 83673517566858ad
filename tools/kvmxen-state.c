/*
 * kvmxen state: the table of what survives between KVM's structures and Xen's records, as
 * Markdown: docs/state.md is its output. Needs no Xen.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "libkvmxen/convert/fields.h"
#include "libkvmxen/machine/msr.h"
#include "tools/kvmxen.h"

static const char head[] =
	"<!-- made by `make docs` from libkvmxen/convert/fields.c and libkvmxen/machine/msr.h -->\n"
	"# State: what survives between KVM and Xen\n"
	"\n"
	"Every field of every structure that KVM's GET and SET ioctls carry.\n"
	"\n"
	"- **exact**: every value that KVM takes goes to Xen and comes back.\n"
	"- **converted**: it has another form in Xen. A value that has no place there is named, "
	"with\n"
	"  the value and what becomes of it, by the loss report: once for each field on standard\n"
	"  error under `kvmxen run -v`, and to programs by `kvmxen_losses` (kvmxen/kvmxen.h).\n"
	"- **lost**: Xen has no word for it. The loss report names it when it is not as after a "
	"reset.\n"
	"\n"
	"A SET changes the library's copy alone; what is dirty is loaded in one batch, for all "
	"vcpus\n"
	"together, before the vcpu runs again. A value that KVM refuses is refused with KVM's "
	"errno\n"
	"before anything is changed.\n";

static void row(const char *name, enum fidelity fidelity, const char *xen, const char *note)
{
	printf("| %s | %s | %s | %s |\n", name, fidelity_name(fidelity), xen, note);
}

static void titles(void)
{
	printf("| field | | Xen | |\n|---|---|---|---|\n");
}

static void show_structure(const struct structure *s)
{
	static const char cs[] = "cs.";

	printf("\n## struct %s\n\n%s\n\n", s->name, s->ioctls);
	titles();
	for (size_t i = 0; i < s->count; i++) {
		const struct field *f = &s->fields[i];
		char name[80];

		if (f->repeated)
			continue;
		if (strncmp(f->name, cs, strlen(cs)) == 0)
			snprintf(name, sizeof name, "cs, ds, es, fs, gs, ss, tr, ldt: %s",
				 f->name + strlen(cs));
		else
			snprintf(name, sizeof name, "%s", f->name);
		row(name, f->fidelity, f->xen, f->note);
	}
}

static bool same(const struct field *a, const struct field *b)
{
	return a->fidelity == b->fidelity && strcmp(a->xen, b->xen) == 0 &&
	       strcmp(a->note, b->note) == 0;
}

/* Registers that follow each other and fare alike share a row. */
static void show_msrs(void)
{
	int at = 0;

	printf("\n## Model specific registers\n\nKVM_GET_MSRS, KVM_SET_MSRS; the registers that "
	       "KVM answers with a constant are answered with the same constant.\n\n");
	titles();
	while (at < MSR_TABLE_SIZE) {
		struct field first, next;
		int last = at;
		char name[80];

		msr_field(at, &first);
		while (last + 1 < MSR_TABLE_SIZE) {
			msr_field(last + 1, &next);
			if (!same(&first, &next))
				break;
			last++;
		}
		/* A few are named each; long series by their ends. */
		if (last - at >= 4) {
			snprintf(name, sizeof name, "%s (%#x) ... %s (%#x)", msr_table[at].name,
				 msr_table[at].number, msr_table[last].name,
				 msr_table[last].number);
			row(name, first.fidelity, first.xen, first.note);
		} else {
			for (int i = at; i <= last; i++) {
				snprintf(name, sizeof name, "%s (%#x)", msr_table[i].name,
					 msr_table[i].number);
				row(name, first.fidelity, first.xen, first.note);
			}
		}
		at = last + 1;
	}
}

int state_main(int argc, char **argv)
{
	size_t count;
	const struct structure *s = structures(&count);

	if (argc > 1) {
		fprintf(stderr, "usage: kvmxen state\n");
		return 2;
	}
	fputs(head, stdout);
	for (size_t i = 0; i < count; i++)
		show_structure(&s[i]);
	show_msrs();
	printf("\n## The TSC's frequency\n\nKVM_SET_TSC_KHZ, KVM_GET_TSC_KHZ\n\n");
	titles();
	row("frequency", CONVERTED, "settscinfo",
	    "one for all vcpus, fixed when the domain is made (the first KVM_RUN); where the "
	    "processor cannot scale its TSC, Xen emulates RDTSC");
	return 0;
}
