/* SPDX-License-Identifier: BSD-3-Clause */
/* How advice is said, to people and as JSON; see advise.h. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "advise/advise.h"

#include <string.h>

#include "common/options.h"

static double mib(uint64_t size)
{
	return (double)size / XM_MIB;
}

static double compute_s(const struct advice *a)
{
	return (double)recording_compute_ns(a->recording) / 1e9;
}

/* "sort: qsort < main": what touched the memory, and who called it. */
static void print_site(const struct site *s, FILE *to)
{
	int room = 62;

	for (uint32_t i = s->depth; i-- > 0 && room > 0;) {
		room -= fprintf(to, "%s%.*s", i + 1 < s->depth ? " < " : "",
				room > 3 ? room - 3 : 0, s->names[i]);
	}
	fputc('\n', to);
}

static void print_sites(const struct advice *a, FILE *to)
{
	const struct site *most[SITES_SHOWN];
	uint32_t count = sites_most(&a->sites, most, SITES_SHOWN);

	if (count == 0)
		return;
	fprintf(to, "\nWhere the misses at %u %% local come from, and who "
		"called that:\n", a->sites_percent);
	for (uint32_t i = 0; i < count; i++) {
		fprintf(to, "  %5.1f %%  ", (double)most[i]->misses * 100 /
						   (double)a->sites.misses);
		print_site(most[i], to);
	}
}

void advice_print(const struct advice *a, FILE *to)
{
	const struct xm_record *r = a->recording->record;

	fprintf(to, "extmem advise: %.30s had %.1f MiB of external memory;\n"
		"%llu touches of pages that were not local were recorded%s\n\n",
		a->program, mib(r->peak), (unsigned long long)r->seen,
		r->full ? ", until there was no room" : "");
	if (r->halvings > 0)
		fprintf(to, "(in one part of its memory in %llu: the figures are "
			"estimates)\n\n",
			(unsigned long long)recording_scale(a->recording));
	fprintf(to, "A link of %.1f us a round trip%s:\n\n"
		"  local        MiB       misses    seconds   under mirror 2\n"
		"  all    %9.1f            0  %9.2f        %9.2f\n",
		(double)a->trip_ns / 1e3, a->trip_measured ? ", as in this run" : "",
		mib(r->peak), compute_s(a), compute_s(a));
	for (unsigned i = 0; i < a->shares_count; i++) {
		const struct share *s = &a->shares[i];

		fprintf(to, "  %3u %%  %9.1f  %11llu  %9.2f        %9.2f\n",
			s->percent, mib(s->one.local),
			(unsigned long long)s->one.misses, s->one.seconds,
			s->mirrored.seconds);
	}
	print_sites(a, to);
}

#ifdef HAVE_JANSSON
#include <jansson.h>

static json_t *share_json(const struct share *s)
{
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:f, s:f}", "local_pct",
			 (int)s->percent, "local_bytes", (json_int_t)s->one.local,
			 "misses", (json_int_t)s->one.misses, "pages_read",
			 (json_int_t)s->one.pages_read, "pages_written",
			 (json_int_t)s->one.pages_written, "seconds",
			 s->one.seconds, "mirror_seconds", s->mirrored.seconds);
}

static json_t *site_json(const struct site *s)
{
	json_t *calls = json_array();

	for (uint32_t i = s->depth; i-- > 0;) {
		json_t *name = json_string(s->names[i]);

		/* Not UTF-8: the name of a file can be anything. */
		json_array_append_new(calls, name ? name : json_string("?"));
	}
	return json_pack("{s:I, s:o}", "misses", (json_int_t)s->misses, "calls",
			 calls);
}

bool advice_print_json(const struct advice *a, FILE *to)
{
	const struct site *most[SITES_SHOWN];
	const struct xm_record *r = a->recording->record;
	json_t *shares = json_array(), *sites = json_array(), *root;
	uint32_t count = sites_most(&a->sites, most, SITES_SHOWN);

	for (unsigned i = 0; i < a->shares_count; i++)
		json_array_append_new(shares, share_json(&a->shares[i]));
	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(sites, site_json(most[i]));
	root = json_pack("{s:I, s:I, s:I, s:b, s:f, s:b, s:f, s:o, s:i, s:o}",
			 "external_peak_bytes", (json_int_t)r->peak, "touches",
			 (json_int_t)r->seen, "one_part_in",
			 (json_int_t)recording_scale(a->recording), "whole_run",
			 (int)!r->full, "link_us", (double)a->trip_ns / 1e3,
			 "link_measured", (int)a->trip_measured,
			 "all_local_seconds", compute_s(a), "shares", shares,
			 "sites_local_pct", (int)a->sites_percent, "sites", sites);
	json_object_set_new(root, "program", json_string(a->program));
	json_dumpf(root, to, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	fputc('\n', to);
	json_decref(root);
	return true;
}

#else

bool advice_print_json(const struct advice *a, FILE *to)
{
	(void)a;
	(void)to;
	return false;
}

#endif
