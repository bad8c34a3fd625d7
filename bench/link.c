/* SPDX-License-Identifier: BSD-3-Clause */
/* A link as a file; see link.h. */
#include "bench/link.h"

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
	if (p->depth == 1 && (sizes[i].us <= 0 || got.us < sizes[i].us)) {
		sizes[i].us = got.us;
		sizes[i].mean_us = (double)p->bytes / got.MBps;
	}
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
			list, json_pack("{s:I, s:f, s:f, s:f}", "bytes",
					(json_int_t)sizes[i].bytes, "us",
					sizes[i].us, "mean_us",
					sizes[i].mean_us, "MBps",
					sizes[i].MBps));
	return list;
}

static json_t *real_or_null(double value)
{
	return isnan(value) ? json_null() : json_real(value);
}

static void call_json(json_t *all, const char *call, const char *op,
		      double one_us, double many_us)
{
	double more_us = (many_us - one_us) / (LINK_CALL_PAGES - 1);
	char name[32];

	snprintf(name, sizeof(name), "%s_%s_us", call, op);
	json_object_set_new(all, name, json_real(one_us));
	snprintf(name, sizeof(name), "%s_%s_page_us", call, op);
	json_object_set_new(all, name, json_real(fmax(0, more_us)));
}

/* The floor's fault is delivered, and served by one call; ours on a fresh page is
 * delivered, thought about, and served by another. */
static json_t *local_json(const struct link_local *l,
			  const struct bench_client *c)
{
	const struct costs *k = &l->costs;
	double deliver_us = fmax(0, c->f_us - k->install);
	double step_us = fmax(0, c->fresh_us - deliver_us - k->zero);

	json_t *all;

	if (!l->known || isnan(deliver_us + step_us))
		return json_null();
	all = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
			"deliver_us", deliver_us, "step_us", step_us,
			"install_us", k->install, "install_page_us",
			k->install_more, "protect_us", k->protect,
			"protect_page_us", k->protect_more, "drop_us", k->drop,
			"drop_page_us", k->drop_more, "copy_page_us", k->copy);
	for (unsigned i = 0; i < 2; i++) {
		const struct link_calls *one = &l->calls[i][0];
		const struct link_calls *more = &l->calls[i][1];
		const char *op = i == 1 ? "write" : "read";

		call_json(all, "post", op, one->post_us, more->post_us);
		call_json(all, "poll", op, one->poll_us, more->poll_us);
	}
	return all;
}

static json_t *ordinary_json(const struct link_local *l)
{
	json_t *all = json_object();

	for (size_t i = 0; i < ORDINARY_COUNT; i++)
		json_object_set_new(all, l->ordinary[i].name,
				    json_real(l->ordinary[i].us));
	return all;
}

void link_write(struct link_curve *curve, const struct link_local *local,
		const struct bench_client *c, const char *path)
{
	json_t *root = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:o, s:o}",
		"format", "extmem-link-1", "transport", c->info.transport,
		"provider", c->info.provider, "provider_version",
		c->info.version, "endpoint", c->info.endpoint, "version",
		extmem_version(), "clients", c->bench->clients, "t_net_us",
		real_or_null(c->t_net_us), "f_us", real_or_null(c->f_us),
		"fresh_us", real_or_null(c->fresh_us), "B_net_MBps",
		real_or_null(c->B_net_MBps), "read", sizes_json(curve, false),
		"write", sizes_json(curve, true), "local",
		local_json(local, c), "all_local_us_per_access",
		ordinary_json(local));
	FILE *file = fopen(path, "we");

	if (root == NULL || file == NULL ||
	    json_dumpf(root, file, JSON_INDENT(1) |
					   JSON_REAL_PRECISION(6)) != 0 ||
	    fputc('\n', file) == EOF || fclose(file) != 0)
		bench_fail("--calibrate %s: %s", path, strerror(errno));
	json_decref(root);
}

#else

void link_write(struct link_curve *curve, const struct link_local *local,
		const struct bench_client *c, const char *path)
{
	(void)curve;
	(void)local;
	(void)c;
	bench_fail("--calibrate %s: this build has no JSON", path);
}

#endif
