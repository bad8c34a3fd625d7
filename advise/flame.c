/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A flame graph as SVG; see sites.h. The sites are sorted by their names from the outermost
 * call on, so a bar is a run of neighbours that are equal so far: no tree is built.
 */
#include "advise/sites.h"

#include <string.h>

#define WIDTH 1200.0
#define MARGIN 10.0
#define ROW 17
#define HEAD 40
#define NARROWEST 0.3 /* a narrower bar, and what is above it, is not to be seen */
#define LETTER 6.6    /* width of one, of 11 pixels */

static void put_text(const char *text, size_t count, FILE *to)
{
	for (; *text != '\0' && count > 0; text++, count--) {
		switch (*text) {
		case '&': fputs("&amp;", to); break;
		case '<': fputs("&lt;", to); break;
		case '>': fputs("&gt;", to); break;
		case '"': fputs("&quot;", to); break;
		default:
			/* No control characters: XML has none. */
			fputc((unsigned char)*text < ' ' ? '?' : *text, to);
		}
	}
}

/* The same colour for one name everywhere. */
static void put_colour(const char *name, FILE *to)
{
	unsigned hash = 5381;

	for (; *name != '\0'; name++)
		hash = hash * 33 + (unsigned char)*name;
	fprintf(to, "rgb(%u,%u,%u)", 205 + hash % 50, 90 + hash / 50 % 120,
		20 + hash / 6000 % 40);
}

static void put_bar(const char *name, uint64_t misses, uint64_t all, double x,
		    double width, double y, FILE *to)
{
	size_t letters = width > 3 * LETTER ? (size_t)((width - 4) / LETTER) : 0;

	fprintf(to, "<g><title>");
	put_text(name, SIZE_MAX, to);
	fprintf(to, ": %llu misses, %.1f %%</title><rect x=\"%.1f\" y=\"%.0f\" "
		"width=\"%.1f\" height=\"%d\" fill=\"", (unsigned long long)misses,
		(double)misses * 100 / (double)all, x, y, width, ROW - 1);
	put_colour(name, to);
	fprintf(to, "\"/><text x=\"%.1f\" y=\"%.0f\">", x + 2, y + ROW - 5);
	put_text(name, letters, to);
	fprintf(to, "</text></g>\n");
}

struct picture {
	const struct sites *sites;
	double height;
	FILE *to;
};

/* The calls at `depth` of the sites [first, limit), which are one up to there. */
static void put_level(const struct picture *p, uint32_t first, uint32_t limit,
		      uint32_t depth, double x)
{
	const struct site *list = p->sites->list;

	while (first < limit) {
		uint32_t next = first + 1;
		uint64_t misses = list[first].misses;
		double width;

		if (list[first].depth > depth) {
			while (next < limit && list[next].depth > depth &&
			       strcmp(list[next].names[depth],
				      list[first].names[depth]) == 0)
				misses += list[next++].misses;
		}
		width = (WIDTH - 2 * MARGIN) * (double)misses /
			(double)p->sites->misses;
		if (list[first].depth > depth && width >= NARROWEST) {
			put_bar(list[first].names[depth], misses,
				p->sites->misses, x, width,
				p->height - MARGIN - ROW * (double)(depth + 1),
				p->to);
			put_level(p, first, next, depth + 1, x);
		}
		x += width;
		first = next;
	}
}

void sites_flame(const struct sites *s, const char *title, FILE *to)
{
	struct picture p = { .sites = s, .to = to };
	uint32_t deepest = 1;

	for (uint32_t i = 0; i < s->count; i++)
		deepest = (uint32_t)xm_max(deepest, s->list[i].depth);
	p.height = HEAD + ROW * (double)deepest + MARGIN;
	fprintf(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" "
		"height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
		"font-family=\"monospace\" font-size=\"11\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fdf8ee\"/>\n"
		"<text x=\"%.0f\" y=\"24\" font-size=\"15\">", WIDTH, p.height,
		WIDTH, p.height, MARGIN);
	put_text(title, SIZE_MAX, to);
	fprintf(to, "</text>\n");
	if (s->misses > 0)
		put_level(&p, 0, s->count, 0, MARGIN);
	fprintf(to, "</svg>\n");
}
