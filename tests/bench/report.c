/*
 * report: from the samples of measure to docs/performance.md's tables and a picture.
 *
 *   report DIR       DIR/xen.json, DIR/kvm.json, DIR/scale.json, DIR/syscalls: what is there
 *
 * Writes DIR/performance.md, DIR/performance.json (all samples) and DIR/exits.svg. A ratio is the
 * median, over the rounds, of the ratio within a round: what slowed a round slowed both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#define SAMPLES_MAX 4096

struct summary {
	size_t n;
	double low, median, high; /* 10th, 50th, 90th percentile */
};

static const char *directory;

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct summary summarize(double *values, size_t n)
{
	if (n == 0)
		return (struct summary){0};
	qsort(values, n, sizeof *values, compare);
	return (struct summary){n, values[n / 10], values[n / 2], values[n - 1 - n / 10]};
}

/* The samples of a worker in a row; n 0: none. */
static size_t samples(struct json_object *all, const char *row, const char *worker, double *values)
{
	struct json_object *by_worker, *list;
	size_t n = 0;

	if (!all || !json_object_object_get_ex(all, row, &by_worker) ||
	    !json_object_object_get_ex(by_worker, worker, &list))
		return 0;
	for (; n < json_object_array_length(list) && n < SAMPLES_MAX; n++)
		values[n] = json_object_get_double(json_object_array_get_idx(list, n));
	return n;
}

static struct summary times(struct json_object *all, const char *row, const char *worker)
{
	static double values[SAMPLES_MAX];

	return summarize(values, samples(all, row, worker, values));
}

static struct summary ratio(struct json_object *all, const char *row, const char *worker,
			    const char *base)
{
	static double a[SAMPLES_MAX], b[SAMPLES_MAX];
	size_t n = samples(all, row, worker, a), m = samples(all, row, base, b), i;

	for (i = 0; i < n && i < m; i++)
		a[i] /= b[i];
	return summarize(a, i);
}

static void put_ratio(FILE *out, struct summary s)
{
	if (s.n)
		fprintf(out, " %.2f (%.2f to %.2f) |", s.median, s.low, s.high);
	else
		fprintf(out, " |");
}

static void put_us(FILE *out, struct summary s)
{
	if (s.n)
		fprintf(out, " %.1f (%.1f to %.1f) |", s.median / 1000, s.low / 1000,
			s.high / 1000);
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

static void put_ratios(FILE *out, struct json_object *xen, struct json_object *kvm)
{
	static const char *const columns[] = {"direct, sleeping / floor, sleeping",
					      "direct / floor, polling", "preload / floor, polling",
					      "preload / direct", "preload / real KVM"};

	header(out, columns, sizeof columns / sizeof *columns);
	json_object_object_foreach(xen, row, unused)
	{
		struct summary ours = times(xen, row, "preload"), real = times(kvm, row, "kvm");

		(void)unused;
		fprintf(out, "| %s |", row);
		put_ratio(out, ratio(xen, row, "direct-sleeping", "floor-sleeping"));
		put_ratio(out, ratio(xen, row, "direct", "floor-polling"));
		put_ratio(out, ratio(xen, row, "preload", "floor-polling"));
		put_ratio(out, ratio(xen, row, "preload", "direct"));
		if (ours.n && real.n)
			fprintf(out, " %.2f |\n", ours.median / real.median);
		else
			fprintf(out, " |\n");
	}
}

static const char *const workers[] = {"floor-sleeping",  "floor-ring", "floor-polling",
				      "direct-sleeping", "direct",     "preload"};
#define WORKERS (sizeof workers / sizeof *workers)

static void put_times(FILE *out, struct json_object *xen, struct json_object *kvm)
{
	static const char *const columns[] = {"floor, sleeping",  "floor, ring", "floor, polling",
					      "direct, sleeping", "direct",      "preload",
					      "real KVM"};

	header(out, columns, sizeof columns / sizeof *columns);
	json_object_object_foreach(xen, row, unused)
	{
		(void)unused;
		fprintf(out, "| %s |", row);
		for (size_t w = 0; w < WORKERS; w++)
			put_us(out, times(xen, row, workers[w]));
		put_us(out, times(kvm, row, "kvm"));
		fputc('\n', out);
	}
}

/* How an exit's cost grows with what no exit touches: everything divided by "plain". */
static void put_scale(FILE *out, struct json_object *scale)
{
	struct json_object *first = NULL;

	json_object_object_foreach(scale, name, value)
	{
		(void)name;
		first = first ? first : value;
	}
	fprintf(out, "| |");
	json_object_object_foreach(first, column, unused) if (strcmp(column, "plain"))
	{
		(void)unused;
		fprintf(out, " %s |", column);
	}
	fprintf(out, "\n|---|");
	for (int i = json_object_object_length(first) - 1; i > 0; i--)
		fprintf(out, "---|");
	fputc('\n', out);
	json_object_object_foreach(scale, row, by_worker)
	{
		fprintf(out, "| %s |", row);
		json_object_object_foreach(by_worker, worker, list) if (strcmp(worker, "plain"))
		{
			(void)list;
			put_ratio(out, ratio(scale, row, worker, "plain"));
		}
		fputc('\n', out);
	}
}

static FILE *open_in(const char *name, const char *mode)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, mode);
	if (!file && *mode == 'w') {
		perror(path);
		exit(1);
	}
	return file;
}

static struct json_object *load(const char *name)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return json_object_from_file(path);
}

static void copy_lines(FILE *out, const char *name)
{
	FILE *in = open_in(name, "r");
	char line[512];

	while (in && fgets(line, sizeof line, in))
		fputs(line, out);
	if (in)
		fclose(in);
}

/* Bars: the median of each worker in each row, in microseconds, on a scale up to the greatest. */
static void picture(struct json_object *xen)
{
	enum { LEFT = 220, WIDTH = 560, BAR = 11, GAP = 10, TOP = 40 };
	static const char *const colours[WORKERS] = {"#9aa5b1", "#7b8794", "#52606d",
						     "#f0b429", "#2680c2", "#0f609b"};
	FILE *out = open_in("exits.svg", "w");
	double most = 1;
	int y = TOP, rows = json_object_object_length(xen);

	json_object_object_foreach(xen, r, unused)
	{
		(void)unused;
		for (size_t w = 0; w < WORKERS; w++)
			if (times(xen, r, workers[w]).median > most)
				most = times(xen, r, workers[w]).median;
	}
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"11\">\n",
		LEFT + WIDTH + 80, TOP + rows * (int)(WORKERS * BAR + GAP));
	for (size_t w = 0; w < WORKERS; w++)
		fprintf(out,
			"<rect x=\"%zu\" y=\"8\" width=\"10\" height=\"10\" fill=\"%s\"/>"
			"<text x=\"%zu\" y=\"17\">%s</text>\n",
			10 + w * 140, colours[w], 24 + w * 140, workers[w]);
	json_object_object_foreach(xen, row, unused2)
	{
		(void)unused2;
		fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LEFT - 8,
			y + (int)(WORKERS * BAR) / 2 + 4, row);
		for (size_t w = 0; w < WORKERS; w++, y += BAR) {
			struct summary s = times(xen, row, workers[w]);

			if (s.n)
				fprintf(out,
					"<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" "
					"fill=\"%s\"/><text x=\"%.1f\" y=\"%d\" "
					"font-size=\"9\">%.1f us</text>\n",
					LEFT, y, s.median / most * WIDTH, BAR - 1, colours[w],
					LEFT + s.median / most * WIDTH + 4, y + 8, s.median / 1000);
		}
		y += GAP;
	}
	fprintf(out, "</svg>\n");
	fclose(out);
}

int main(int argc, char **argv)
{
	struct json_object *xen, *kvm, *scale, *all = json_object_new_object();
	char path[4096];
	FILE *out;

	if (argc != 2)
		return fprintf(stderr, "usage: report DIR\n"), 2;
	directory = argv[1];
	xen = load("xen.json");
	kvm = load("kvm.json");
	scale = load("scale.json");
	if (!xen)
		return fprintf(stderr, "report: no %s/xen.json\n", directory), 1;
	out = open_in("performance.md", "w");
	copy_lines(out, "head.md");
	fprintf(out, "\n## Ratios\n\nMedian over the rounds (10th to 90th percentile).\n\n");
	put_ratios(out, xen, kvm);
	fprintf(out, "\n## System calls for each exit\n\n");
	copy_lines(out, "syscalls.md");
	if (scale) {
		fprintf(out,
			"\n## Growth\n\nAn exit's time beside that of a VM without the crowd; "
			"the noise is what \"again\" differs by: it is the same VM twice.\n\n");
		put_scale(out, scale);
	}
	fprintf(out, "\n## Times, in microseconds of the emulated machine\n\n");
	put_times(out, xen, kvm);
	fclose(out);
	picture(xen);
	json_object_object_add(all, "xen", xen);
	json_object_object_add(all, "kvm", kvm);
	json_object_object_add(all, "scale", scale);
	snprintf(path, sizeof path, "%s/performance.json", directory);
	json_object_to_file_ext(path, all, JSON_C_TO_STRING_PLAIN);
	json_object_put(all);
	return 0;
}
