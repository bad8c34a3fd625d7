/* SPDX-License-Identifier: BSD-3-Clause */
/* A link as a file; see link.h. */
#include "link.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "config.h"

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

/* Of several measurements of one kind the least disturbed is kept. */
void link_add(struct link_curve *curve, const struct rma_point *p,
	      struct rma_result got)
{
	struct link_size *sizes = curve->sizes[p->write];
	size_t *count = &curve->count[p->write], i = 0;

	while (i < *count && sizes[i].bytes != p->bytes)
		i++;
	if (i == LINK_SIZES_MAX)
		return;
	if (i == *count) {
		sizes[i] = (struct link_size){ .bytes = p->bytes };
		(*count)++;
	}
	if (p->depth == 1 && (sizes[i].us <= 0 || got.us < sizes[i].us))
		sizes[i].us = got.us;
	if (got.MBps > sizes[i].MBps)
		sizes[i].MBps = got.MBps;
}

#ifdef HAVE_JANSSON

static int by_bytes(const void *a, const void *b)
{
	const struct link_size *x = a, *y = b;

	return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static json_t *sizes_json(struct link_curve *curve, bool write)
{
	struct link_size *sizes = curve->sizes[write];
	json_t *list = json_array();

	qsort(sizes, curve->count[write], sizeof(*sizes), by_bytes);
	for (size_t i = 0; i < curve->count[write]; i++)
		json_array_append_new(
			list, json_pack("{s:I, s:f, s:f}", "bytes",
					(json_int_t)sizes[i].bytes, "us",
					sizes[i].us, "MBps", sizes[i].MBps));
	return list;
}

static json_t *real_or_null(double value)
{
	return isnan(value) ? json_null() : json_real(value);
}

void link_write(struct link_curve *curve, const struct bench_client *c,
		const char *path)
{
	json_t *root = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, "
		"s:o, s:o}",
		"format", "extmem-link-1", "transport", c->info.transport,
		"provider", c->info.provider, "provider_version",
		c->info.version, "endpoint", c->info.endpoint, "version",
		extmem_version(), "clients", c->bench->clients, "t_net_us",
		real_or_null(c->t_net_us), "f_us", real_or_null(c->f_us),
		"fresh_us", real_or_null(c->fresh_us), "B_net_MBps",
		real_or_null(c->B_net_MBps), "read", sizes_json(curve, false),
		"write", sizes_json(curve, true));
	FILE *file = fopen(path, "we");

	if (root == NULL || file == NULL ||
	    json_dumpf(root, file, JSON_INDENT(1) |
					   JSON_REAL_PRECISION(6)) != 0 ||
	    fputc('\n', file) == EOF || fclose(file) != 0)
		bench_fail("--calibrate %s: %s", path, strerror(errno));
	json_decref(root);
}

#else

void link_write(struct link_curve *curve, const struct bench_client *c,
		const char *path)
{
	(void)curve;
	(void)c;
	bench_fail("--calibrate %s: this build has no JSON", path);
}

#endif
