/*
 * report: from the samples of measure to docs/performance.md and its pictures.
 *
 *   report DIR                    DIR/SIDE-PART.json, SIDE xen or kvm, and *.md: what is there
 *   report --ratios FILE ROW [OTHER...]
 *                                 prints "WORKER/BASE MEDIAN" for each pair of the ratios table,
 * and "OTHER/ROW MEDIAN" of the direct worker
 *
 * Writes DIR/performance.md, DIR/performance.json (all samples) and DIR/PART.svg.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/picture.h"
#include "tests/bench/samples.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *directory;

/* --- files --- */

static const char *path_of(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static void copy_lines(FILE *out, const char *path)
{
	FILE *in = fopen(path, "r");
	char line[4096];

	while (in && fgets(line, sizeof line, in))
		fputs(line, out);
	if (in)
		fclose(in);
}

/* --- the parts of the measurement --- */

enum part {
	EXITS,
	GROWTH,
	STATE,
	INTERRUPTS,
	MEMORY,
	MEMORY_LARGE,
	MEMORY_GROWTH,
	MACHINES,
	GUESTS,
	PARTS
};
static const char *const part_names[PARTS] = {"exits",         "growth",   "state",
					      "interrupts",    "memory",   "memory-large",
					      "memory-growth", "machines", "guests"};
static struct json_object *xen[PARTS], *kvm[PARTS];

static struct json_object *part_load(const char *side, const char *part, struct json_object *into)
{
	char name[64];
	struct json_object *object;

	snprintf(name, sizeof name, "%s-%s.json", side, part);
	object = json_object_from_file(path_of(name));
	if (object) {
		snprintf(name, sizeof name, "%s %s", side, part);
		json_object_object_add(into, name, object);
	}
	return object;
}

/* --- tables --- */

static void put_ratio(FILE *out, struct summary s)
{
	if (s.n)
		fprintf(out, " %.2f (%.2f to %.2f) |", s.median, s.low, s.high);
	else
		fprintf(out, " |");
}

static void put_one_ratio(FILE *out, double ratio)
{
	if (ratio > 0)
		fprintf(out, ratio < 10 ? " %.2f |" : " %.0f |", ratio);
	else
		fprintf(out, " |");
}

static void put_us(FILE *out, struct summary s)
{
	int digits = s.median < 1e6 ? 1 : 0;

	if (s.n)
		fprintf(out, " %.*f (%.*f to %.*f) |", digits, s.median / 1000, digits,
			s.low / 1000, digits, s.high / 1000);
	else
		fprintf(out, " |");
}

static void header(FILE *out, const char *const *columns, size_t n)
{
	fprintf(out, "| |");
	for (size_t i = 0; i < n; i++)
		fprintf(out, " %s |", columns[i]);
	fprintf(out, "\n|---|");
	for (size_t i = 0; i < n; i++)
		fprintf(out, "---|");
	fputc('\n', out);
}

/* The names of the first row's workers, at most max. */
static size_t workers_of(struct json_object *all, const char **names, size_t max)
{
	size_t n = 0;

	json_object_object_foreach(all, row, by_worker)
	{
		(void)row;
		json_object_object_foreach(by_worker, name, list)
		{
			(void)list;
			if (n < max)
				names[n++] = name;
		}
		break;
	}
	return n;
}

/* --- exits --- */

static const struct pair {
	const char *title, *worker, *base;
} pairs[] = {
	{"direct / floor, sleeping", "direct-sleeping", "floor-sleeping"},
	{"direct / floor, ring", "direct-sleeping", "floor-ring"},
	{"preload / floor, sleeping", "preload-sleeping", "floor-sleeping"},
	{"direct / floor, polling", "direct", "floor-polling"},
	{"preload / floor, polling", "preload", "floor-polling"},
};

static void put_exit_ratios(FILE *out)
{
	const char *columns[COUNT(pairs) + 1];

	for (size_t i = 0; i < COUNT(pairs); i++)
		columns[i] = pairs[i].title;
	columns[COUNT(pairs)] = "preload / real KVM";
	header(out, columns, COUNT(columns));
	json_object_object_foreach(xen[EXITS], row, unused)
	{
		(void)unused;
		fprintf(out, "| %s |", row);
		for (size_t i = 0; i < COUNT(pairs); i++)
			put_ratio(out, ratio(xen[EXITS], row, pairs[i].worker, pairs[i].base));
		put_one_ratio(out, ratio_of_boots(times(xen[EXITS], row, "preload"),
						  times(kvm[EXITS], row, "kvm")));
		fputc('\n', out);
	}
}

static void put_exit_times(FILE *out)
{
	const char *columns[16];
	size_t n = workers_of(xen[EXITS], columns, COUNT(columns) - 1);

	columns[n] = "real KVM";
	header(out, columns, n + 1);
	json_object_object_foreach(xen[EXITS], row, unused)
	{
		(void)unused;
		fprintf(out, "| %s |", row);
		for (size_t w = 0; w < n; w++)
			put_us(out, times(xen[EXITS], row, columns[w]));
		put_us(out, times(kvm[EXITS], row, "kvm"));
		fputc('\n', out);
	}
}

/* --- promises --- */

/* noise: what the same thing measured twice differs by, as a ratio of at least 1. */
static void put_promise(FILE *out, const char *text, double most, double noise, struct summary s)
{
	const char *verdict = s.median <= most           ? "yes"
			      : s.median <= most * noise ? "within the noise"
							 : "no";

	if (!s.n)
		return;
	fprintf(out, "| %s | %.2f |", text, most);
	put_ratio(out, s);
	fprintf(out, " %.2f | %s |\n", noise, verdict);
}

static double noise_of(struct json_object *all, const char *row, const char *again,
		       const char *base)
{
	struct summary s = ratio(all, row, again, base);

	if (!s.n)
		return 1;
	return s.median < 1 ? 1 / s.median : s.median;
}

static const struct row_promise {
	const char *text, *row, *base;
} row_promises[] = {
	{"ioeventfd hit, port, beside the plain exit", "portio-wildcard-eventfd",
	 "portio-no-eventfd"},
	{"ioeventfd hit, MMIO, beside the plain exit", "mmio-wildcard-eventfd",
	 "mmio-no-eventfd:write"},
	{"coalesced write, port, beside the plain exit", "coalesced-pio", "portio-no-eventfd"},
	{"coalesced write, MMIO, beside the plain exit", "coalesced-mmio", "mmio-no-eventfd:write"},
};

static void put_promises(FILE *out)
{
	static const char *const columns[] = {"at most", "measured", "noise", "holds"};
	const double sleeping =
		noise_of(xen[EXITS], "portio-no-eventfd", "floor-sleeping-again", "floor-sleeping");
	const double polling =
		noise_of(xen[EXITS], "portio-no-eventfd", "floor-polling-again", "floor-polling");
	const char *crowds[16];
	size_t n = xen[GROWTH] ? workers_of(xen[GROWTH], crowds, COUNT(crowds)) : 0;
	char text[128];

	header(out, columns, COUNT(columns));
	for (size_t i = 0; i < COUNT(pairs); i++) {
		snprintf(text, sizeof text, "port write, %s", pairs[i].title);
		put_promise(out, text, !strncmp(pairs[i].worker, "preload", 7) ? 1.15 : 1.10,
			    strstr(pairs[i].base, "polling") ? polling : sleeping,
			    ratio(xen[EXITS], "portio-no-eventfd", pairs[i].worker, pairs[i].base));
	}
	for (size_t i = 0; i < COUNT(row_promises); i++) {
		const struct row_promise *p = &row_promises[i];

		snprintf(text, sizeof text, "%s, sleeping", p->text);
		put_promise(out, text, 1.0, sleeping,
			    ratio_of_rows(xen[EXITS], "direct-sleeping", p->row, p->base));
		snprintf(text, sizeof text, "%s, polling", p->text);
		put_promise(out, text, 1.0, polling,
			    ratio_of_rows(xen[EXITS], "direct", p->row, p->base));
	}
	for (size_t i = 1; i < n; i++) {
		snprintf(text, sizeof text, "port write, %s beside a VM without", crowds[i]);
		put_promise(out, text, 1.0,
			    noise_of(xen[GROWTH], "portio-no-eventfd", "again", crowds[0]),
			    ratio(xen[GROWTH], "portio-no-eventfd", crowds[i], crowds[0]));
	}
	if (xen[GUESTS])
		put_promise(out, "time to init, QEMU over kvmxen / xl create with Xen's QEMU", 1.05,
			    noise_of(xen[GUESTS], "time to init", "xl create again", "xl create"),
			    ratio(xen[GUESTS], "time to init", "QEMU over kvmxen", "xl create"));
}

/* --- other parts --- */

/* Everything divided by the first worker. */
static void put_growth(FILE *out, struct json_object *all)
{
	const char *names[16];
	size_t n = workers_of(all, names, COUNT(names));

	header(out, names + 1, n - 1);
	json_object_object_foreach(all, row, unused)
	{
		(void)unused;
		fprintf(out, "| %s |", row);
		for (size_t w = 1; w < n; w++)
			put_ratio(out, ratio(all, row, names[w], names[0]));
		fputc('\n', out);
	}
}

/* One worker on each side; or on Xen a floor, too. */
static void put_beside(FILE *out, enum part part)
{
	const char *names[8], *columns[10];
	char beside_floor[64];
	size_t n = workers_of(xen[part], names, COUNT(names)), c = 0;
	bool floor = n > 1;

	snprintf(beside_floor, sizeof beside_floor, "kvmxen / %s", n ? names[0] : "");
	if (floor)
		columns[c++] = beside_floor;
	columns[c++] = "kvmxen / real KVM";
	for (size_t w = 0; w < n; w++)
		columns[c++] = names[w];
	columns[c++] = "real KVM";
	header(out, columns, c);
	json_object_object_foreach(xen[part], row, unused)
	{
		(void)unused;
		fprintf(out, "| %s |", row);
		if (floor)
			put_ratio(out, ratio(xen[part], row, names[n - 1], names[0]));
		put_one_ratio(out, ratio_of_boots(times(xen[part], row, names[n - 1]),
						  times(kvm[part], row, "kvm")));
		for (size_t w = 0; w < n; w++)
			put_us(out, times(xen[part], row, names[w]));
		put_us(out, times(kvm[part], row, "kvm"));
		fputc('\n', out);
	}
}

static void put_part(FILE *out, enum part part, const char *title, const char *text)
{
	if (!xen[part])
		return;
	fprintf(out, "\n## %s\n\n%s\n\n", title, text);
	put_beside(out, part);
}

static void put_page(FILE *out)
{
	copy_lines(out, path_of("head.md"));
	fprintf(out, "\n## What was promised\n\n");
	put_promises(out);
	copy_lines(out, "tests/bench/notes.md");
	fprintf(out,
		"\n## Ratios of exits\n\nMedian over the rounds (10th to 90th percentile).\n\n");
	put_exit_ratios(out);
	fprintf(out, "\n## System calls for each exit\n\n");
	copy_lines(out, path_of("syscalls.md"));
	if (xen[GROWTH]) {
		fprintf(out,
			"\n## Growth of an exit\n\nAn exit's time beside that of a VM without the "
			"crowd; the noise is what \"again\" differs by: it is the same VM "
			"twice.\n\n");
		put_growth(out, xen[GROWTH]);
	}
	put_part(out, STATE, "State",
		 "Each ioctl is the first after an exit. `+run` is with the KVM_RUN in which the "
		 "state reaches the guest, up to its next exit; `run` is that without a change. "
		 "Microseconds.");
	put_part(out, INTERRUPTS, "Interrupts",
		 "Up to the guest's handler, which ends a HLT. The first rows begin with an exit, "
		 "in which the VMM sends the interrupt: `exit` is that alone. Microseconds.");
	put_part(
		out, MEMORY, "Memory",
		"A change of a slot with the KVM_RUN after it, up to the guest's next exit. KVM "
		"gives "
		"a guest its pages when they are first touched, Xen when the slot is made: look at "
		"`create` and `guest-writes-all` together. `log-` rows for 1 GiB, measured with "
		"256 "
		"MiB. Microseconds.");
	if (xen[MEMORY_LARGE]) {
		fprintf(out, "\n");
		put_beside(out, MEMORY_LARGE);
	}
	if (xen[MEMORY_GROWTH]) {
		fprintf(out, "\nThe first row beside that of a VM with two slots and one vcpu; the "
			     "other vcpus are in HLT:\n\n");
		put_growth(out, xen[MEMORY_GROWTH]);
	}
	put_part(out, MACHINES, "A minimal VM",
		 "From open to the first exit, and its end: one slot of 640 KiB, one vcpu. The "
		 "floor is "
		 "the same domain made with libxenctrl alone. Microseconds.");
	copy_lines(out, path_of("resident.md"));
	put_part(out, GUESTS, "Whole machines",
		 "From the command to the first line of a Linux guest's init, the same kernel and "
		 "initramfs: `xl create` with Xen's own QEMU, QEMU over kvmxen, QEMU on real KVM. "
		 "Microseconds.");
	fprintf(out, "\n## Times of exits, in microseconds of the emulated machine\n\n");
	put_exit_times(out);
}

static void put_pictures(void)
{
	struct bar bars[16];
	const char *names[15];
	char name[64];

	for (enum part part = 0; part < PARTS; part++) {
		size_t n = 0;

		if (!xen[part] || part == GROWTH || part == MEMORY_GROWTH)
			continue;
		for (size_t w = workers_of(xen[part], names, COUNT(names)); n < w; n++)
			bars[n] = (struct bar){xen[part], names[n], names[n]};
		if (kvm[part])
			bars[n++] = (struct bar){kvm[part], "kvm", "real KVM"};
		snprintf(name, sizeof name, "%s.svg", part_names[part]);
		if (picture_write(path_of(name), bars, n))
			perror(name);
	}
}

static int print_ratios(const char *path, const char *row, char *const *others)
{
	struct json_object *all = json_object_from_file(path);

	if (!all)
		return fprintf(stderr, "report: %s: %s\n", path, json_util_get_last_err()), 1;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct summary s = ratio(all, row, pairs[i].worker, pairs[i].base);

		if (s.n)
			printf("%s/%s %.3f\n", pairs[i].worker, pairs[i].base, s.median);
	}
	for (; *others; others++) {
		struct summary s = ratio_of_rows(all, "direct", *others, row);

		if (s.n)
			printf("%s/%s %.3f\n", *others, row, s.median);
	}
	json_object_put(all);
	return 0;
}

int main(int argc, char **argv)
{
	struct json_object *all = json_object_new_object();
	FILE *out;

	if (argc >= 4 && !strcmp(argv[1], "--ratios"))
		return print_ratios(argv[2], argv[3], argv + 4);
	if (argc != 2)
		return fprintf(stderr, "usage: report DIR | report --ratios FILE ROW [OTHER...]\n"),
		       2;
	directory = argv[1];
	for (enum part part = 0; part < PARTS; part++) {
		xen[part] = part_load("xen", part_names[part], all);
		kvm[part] = part_load("kvm", part_names[part], all);
	}
	if (!xen[EXITS])
		return fprintf(stderr, "report: no %s\n", path_of("xen-exits.json")), 1;
	out = fopen(path_of("performance.md"), "w");
	if (!out)
		return perror(path_of("performance.md")), 1;
	put_page(out);
	fclose(out);
	put_pictures();
	json_object_to_file_ext(path_of("performance.json"), all, JSON_C_TO_STRING_PLAIN);
	json_object_put(all);
	return 0;
}
