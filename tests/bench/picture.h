/*
 * picture: bars of medians, one group for each row, one bar for each worker, on a logarithmic
 * scale.
 */
#ifndef KVMXEN_TESTS_BENCH_PICTURE_H
#define KVMXEN_TESTS_BENCH_PICTURE_H

#include <stddef.h>

#include <json-c/json.h>

struct bar {
	struct json_object *all;
	const char *worker, *label;
};

/* Writes an SVG file with the rows of bars[0].all. 0, or -1 with errno. */
int picture_write(const char *path, const struct bar *bars, size_t n);

#endif
