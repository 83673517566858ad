#include "tests/bench/samples.h"

#include <stdlib.h>

#define SAMPLES_MAX 4096

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

struct summary times(struct json_object *all, const char *row, const char *worker)
{
	static double values[SAMPLES_MAX];

	return summarize(values, samples(all, row, worker, values));
}

static struct summary divide(struct json_object *all, const char *row, const char *worker,
			     const char *base_row, const char *base_worker)
{
	static double a[SAMPLES_MAX], b[SAMPLES_MAX];
	size_t n = samples(all, row, worker, a), m = samples(all, base_row, base_worker, b), i;

	for (i = 0; i < n && i < m; i++)
		a[i] /= b[i];
	return summarize(a, i);
}

struct summary ratio(struct json_object *all, const char *row, const char *worker, const char *base)
{
	return divide(all, row, worker, row, base);
}

struct summary ratio_of_rows(struct json_object *all, const char *worker, const char *row,
			     const char *base)
{
	return divide(all, row, worker, base, worker);
}

double ratio_of_boots(struct summary ours, struct summary base)
{
	return ours.n && base.n ? ours.median / base.median : 0;
}
