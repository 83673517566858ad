#include "tests/bench/worker.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

void worker_serve(const char *const *names, size_t n,
		  int64_t (*batch)(unsigned row, unsigned count))
{
	char name[64];
	unsigned count;

	while (scanf("%63s %u", name, &count) == 2) {
		int64_t took = -1;

		for (unsigned row = 0; row < n; row++)
			if (!strcmp(name, names[row]))
				took = batch(row, count);
		if (took < 0)
			puts("-");
		else
			printf("%lld\n", (long long)took);
		fflush(stdout);
	}
}
