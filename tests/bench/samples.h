/*
 * samples: what `measure` wrote, {"ROW": {"WORKER": [ns, ...]}}, summed up.
 *
 * A ratio is the median, over the rounds, of the ratio within a round: what slowed a round slowed
 * both. all may be NULL: there are no samples.
 */
#ifndef KVMXEN_TESTS_BENCH_SAMPLES_H
#define KVMXEN_TESTS_BENCH_SAMPLES_H

#include <stddef.h>

#include <json-c/json.h>

struct summary {
	size_t n;                 /* 0: none */
	double low, median, high; /* 10th, 50th, 90th percentile */
};

struct summary times(struct json_object *all, const char *row, const char *worker);
/* worker's beside base's. */
struct summary ratio(struct json_object *all, const char *row, const char *worker,
		     const char *base);
/* The same between two rows of one worker. */
struct summary ratio_of_rows(struct json_object *all, const char *worker, const char *row,
			     const char *base);
/* Of two boots: of medians. 0: none. */
double ratio_of_boots(struct summary ours, struct summary base);

#endif
