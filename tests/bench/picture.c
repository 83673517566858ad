#include "tests/bench/picture.h"

#include <math.h>
#include <stdio.h>

#include "tests/bench/samples.h"

enum { LEFT = 220, WIDTH = 560, BAR = 11, GAP = 10, TOP = 40, LEGEND = 110 };

static const char *const colours[] = {"#9aa5b1", "#7b8794", "#52606d", "#f7c948",
				      "#f0b429", "#2680c2", "#0f609b", "#3ebd93"};
#define COLOURS (sizeof colours / sizeof *colours)

struct scale {
	double low, high;
};

/* Over all bars; the shortest still shows. */
static struct scale scale_of(const struct bar *bars, size_t n)
{
	struct scale scale = {INFINITY, 0};

	json_object_object_foreach(bars[0].all, row, unused)
	{
		(void)unused;
		for (size_t i = 0; i < n; i++) {
			struct summary s = times(bars[i].all, row, bars[i].worker);

			if (s.n && s.median < scale.low)
				scale.low = s.median;
			if (s.n && s.median > scale.high)
				scale.high = s.median;
		}
	}
	scale.low /= 1.5;
	return scale;
}

static void put_bar(FILE *out, struct scale scale, int y, const char *colour, double ns)
{
	double width = log(ns / scale.low) / log(scale.high / scale.low) * WIDTH;

	fprintf(out,
		"<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>"
		"<text x=\"%.1f\" y=\"%d\" font-size=\"9\">%.*f us</text>\n",
		LEFT, y, width, BAR - 1, colour, LEFT + width + 4, y + 8, ns < 1e5 ? 1 : 0,
		ns / 1000);
}

int picture_write(const char *path, const struct bar *bars, size_t n)
{
	int y = TOP, rows = json_object_object_length(bars[0].all);
	struct scale scale = scale_of(bars, n);
	FILE *out = fopen(path, "w");

	if (!out)
		return -1;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"11\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		LEFT + WIDTH + 90, TOP + rows * (int)(n * BAR + GAP));
	for (size_t i = 0; i < n; i++)
		fprintf(out,
			"<rect x=\"%zu\" y=\"8\" width=\"10\" height=\"10\" fill=\"%s\"/>"
			"<text x=\"%zu\" y=\"17\">%s</text>\n",
			10 + i * LEGEND, colours[i % COLOURS], 24 + i * LEGEND, bars[i].label);
	json_object_object_foreach(bars[0].all, row, unused)
	{
		(void)unused;
		fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LEFT - 8,
			y + (int)(n * BAR) / 2 + 4, row);
		for (size_t i = 0; i < n; i++, y += BAR) {
			struct summary s = times(bars[i].all, row, bars[i].worker);

			if (s.n)
				put_bar(out, scale, y, colours[i % COLOURS], s.median);
		}
		y += GAP;
	}
	fprintf(out, "</svg>\n");
	return fclose(out);
}
