/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `alloc`: slabs and objects are taken and given, as a list made from a seed or
 * read from a file has it, beside malloc and jemalloc on the same list.
 *
 * Three things are asserted besides: that no two allocations overlap, and all
 * are aligned (in a replay of its own, which is not timed); that the
 * measurement read and wrote nothing remotely and touched no page; and that no
 * message was sent but those of the heartbeat.
 */
#include "bench/bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/alone.h"
#include "bench/churn.h"

#define THREADS_MAX 16
#define REGION_MIN (64 * BENCH_MIB)

struct settings {
	struct bench_common common;
	const char *kind, *trace;
	uint64_t ops, seed, threads;
	bool mapped;
	char list[200]; /* --trace as a kind */
};

static const struct xm_option options[] = {
	{ .name = "kind", .kind = XM_OPTION_TEXT, .value = "all",
	  .unit = "slabs|objects|program|all",
	  .help = "What is allocated: slabs (pages of a region), "
		  "objects (small pieces), program (sizes and lifetimes "
		  "as programs have them).",
	  .destination = offsetof(struct settings, kind) },
	{ .name = "trace", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  .help = "Use this list instead: lines of \"a SLOT SIZE\" and "
		  "\"f SLOT\".",
	  .destination = offsetof(struct settings, trace) },
	{ .name = "ops", .kind = XM_OPTION_COUNT, .value = "1000000",
	  .min = 1000, .max = 100000000,
	  .help = "Number of allocations and frees together.",
	  .destination = offsetof(struct settings, ops) },
	{ .name = "seed", .kind = XM_OPTION_COUNT, .value = "1",
	  .max = UINT64_C(1) << 62,
	  .help = "Seed of the sizes and lifetimes.",
	  .destination = offsetof(struct settings, seed) },
	{ .name = "threads", .kind = XM_OPTION_COUNT, .value = "1", .min = 1,
	  .max = THREADS_MAX, .help = "Number of threads; each does the whole list.",
	  .destination = offsetof(struct settings, threads) },
	{ .name = "mapped", .kind = XM_OPTION_FLAG, .value = "yes",
	  .help = "Map the region first, as programs do.",
	  .destination = offsetof(struct settings, mapped) },
	BENCH_OPTIONS(struct settings, common),
};

static const struct xm_option_table table = {
	.program = "extmem-bench alloc",
	.usage = "[OPTION]...",
	.about = "Slabs and objects are taken and given, beside malloc and "
		 "jemalloc.",
	.options = options,
	.count = XM_COUNT(options),
};

static const char *const kinds[] = { "slabs", "objects", "program" };

struct run {
	const struct settings *s;
	struct bench_client client;
	struct churn churn;
	extmem_region *region;
	uint64_t region_size;
	bool slabs;
	uint8_t *granules; /* verifying: one bit for each 16 bytes */
	double messages_per_us;
};

/* Twice what is alive at once, for every thread: what an allocator's size
 * classes and holes cost is not what is measured here. */
static uint64_t region_of(const struct churn *c, uint64_t threads)
{
	uint64_t size = 2 * c->live_max * threads + REGION_MIN;

	return (size + REGION_MIN - 1) / REGION_MIN * REGION_MIN;
}

static bool wanted(const struct settings *s, const char *kind)
{
	if (s->trace[0] != '\0')
		return false;
	return strcmp(s->kind, "all") == 0 || strcmp(s->kind, kind) == 0;
}

static const char *prepare(void *settings, uint64_t *ret_need)
{
	static char words[256];
	struct settings *s = settings;
	bool any = s->trace[0] != '\0';
	struct churn c;
	uint64_t need = 0;

	for (unsigned i = 0; i < XM_COUNT(kinds); i++)
		any |= wanted(s, kinds[i]);
	if (!any)
		return "--kind: slabs, objects, program or all";
	if (strlen(s->trace) > 150 || strpbrk(s->trace, " \t\n") != NULL)
		return "--trace: a path of at most 150 letters without blanks";
	snprintf(s->list, sizeof(s->list), CHURN_FILE "%.150s", s->trace);
	for (unsigned i = 0; i <= XM_COUNT(kinds); i++) {
		const char *kind = i < XM_COUNT(kinds) ? kinds[i] : s->list;

		if (i < XM_COUNT(kinds) ? !wanted(s, kind) : s->trace[0] == '\0')
			continue;
		if (!churn_make(kind, s->ops, s->seed, &c)) {
			snprintf(words, sizeof(words), "--trace %s", c.words);
			return words;
		}
		if (region_of(&c, s->threads) > need)
			need = region_of(&c, s->threads);
		churn_free(&c);
	}
	*ret_need = need;
	return NULL;
}

/* --- the allocators of a region ----------------------------------------------------------- */

/* A handle is an offset and one, since 0 is a place like any other. */
static uint64_t take(void *context, uint32_t size)
{
	struct run *r = context;
	uint64_t offset;
	int rc = r->slabs ? extmem_slab_alloc(r->region, size, &offset)
			  : extmem_object_alloc(r->region, size, 0, &offset);

	return rc == 0 ? offset + 1 : 0;
}

static void give(void *context, uint64_t handle)
{
	struct run *r = context;
	int rc = r->slabs ? extmem_slab_free(r->region, handle - 1)
			  : extmem_object_free(r->region, handle - 1);

	if (rc < 0)
		bench_fail("%s", extmem_error());
}

static void verify(struct run *r)
{
	uint64_t *handles = bench_calloc((size_t)r->churn.slots + 1,
					 sizeof(*handles));
	uint32_t *sizes = bench_calloc((size_t)r->churn.slots + 1,
				       sizeof(*sizes));
	uint64_t align = r->slabs ? BENCH_PAGE : 16;

	r->granules = bench_calloc(r->region_size / 16, 1);
	for (size_t i = 0; i < r->churn.count; i++) {
		const struct churn_step *s = &r->churn.steps[i];
		uint64_t first, count;

		if (s->size > 0) {
			handles[s->slot] = take(r, s->size);
			sizes[s->slot] = s->size;
			if (handles[s->slot] == 0)
				bench_fail("%s", extmem_error());
		}
		first = (handles[s->slot] - 1) / 16;
		count = ((uint64_t)sizes[s->slot] + 15) / 16;
		if ((handles[s->slot] - 1) % align != 0 ||
		    (first + count) * 16 > r->region_size)
			bench_fail("%u bytes at %llu: not aligned, or outside",
				   sizes[s->slot],
				   (unsigned long long)handles[s->slot] - 1);
		for (uint64_t g = first; g < first + count; g++) {
			if (r->granules[g] != (s->size == 0))
				bench_fail("byte %llu belongs to two",
					   (unsigned long long)g * 16);
			r->granules[g] = s->size > 0;
		}
		if (s->size == 0)
			give(r, handles[s->slot]);
	}
	free(r->granules);
	free(handles);
	free(sizes);
}

/* --- beside malloc -------------------------------------------------------------------------- */

struct beside {
	struct alone part;
	double ns;
};

static void beside_begin(struct run *r, const char *kind, const char *which,
			 struct beside *ret)
{
	char argument[300];
	bool jemalloc = strcmp(which, "jemalloc") == 0;

	snprintf(argument, sizeof(argument), "%s %llu %llu %llu %s", kind,
		 (unsigned long long)r->s->ops, (unsigned long long)r->s->seed,
		 (unsigned long long)r->s->threads, which);
	ret->ns = NAN;
	if (!alone_start(&ret->part, "malloc", argument,
			 jemalloc ? "libjemalloc.so.2" : NULL))
		bench_say("%s could not be started", which);
}

static void beside_measure(struct beside *a, const char *which)
{
	char answer[64];

	a->ns = NAN;
	if (a->part.pid == 0)
		return;
	if (!alone_ask(&a->part, "go", answer, sizeof(answer)))
		bench_say("nothing beside by %s", which);
	else
		a->ns = strtod(answer, NULL);
}

/* --- a measurement ------------------------------------------------------------------------------ */

static const char columns[] = "kind ops threads ns_per_op malloc_ns_per_op "
			      "jemalloc_ns_per_op loop_ns_per_op "
			      "ratio_to_malloc ratio_to_jemalloc";

/* Nothing may have gone to the appliance; heartbeats have nothing to do with
 * it, and are as many as the clock says. */
static void assert_silence(const struct bench_client *c)
{
	const struct extmem_stats *u = &c->used;
	double heartbeats = c->took_us / 1e3 * 4 / (double)c->info.lease_ms;

	if (u->reads != 0 || u->writes != 0 || u->faults != 0)
		bench_fail("allocations made %llu reads, %llu writes, %llu "
			   "faults", (unsigned long long)u->reads,
			   (unsigned long long)u->writes,
			   (unsigned long long)u->faults);
	if ((double)u->messages > heartbeats + 2)
		bench_fail("allocations sent %llu messages",
			   (unsigned long long)u->messages);
}

/* Both beyond what the list itself takes; NAN when noise is all there is. */
static double ratio(double own_ns, double other_ns, double loop_ns)
{
	if (own_ns > loop_ns && other_ns > loop_ns)
		return (own_ns - loop_ns) / (other_ns - loop_ns);
	return NAN;
}

static void describe(const struct run *r, const char *kind, double ns,
		     double loop_ns, double malloc_ns, double jemalloc_ns,
		     struct bench_row *row)
{
	const struct bench_client *c = &r->client;

	bench_row(c->bench, columns, row);
	bench_text(row, "kind", r->s->trace[0] != '\0' ? r->s->trace : kind);
	bench_count(row, "ops", BENCH_SAME, r->churn.count);
	bench_count(row, "threads", BENCH_SAME, r->s->threads);
	bench_text(row, "region", r->s->mapped ? "mapped" : "not mapped");
	bench_count(row, "live_max", BENCH_SAME, r->churn.live_max_count);
	bench_count(row, "live_max_bytes", BENCH_SAME, r->churn.live_max);
	bench_real(row, "ns_per_op", BENCH_MEDIAN, ns);
	bench_real(row, "malloc_ns_per_op", BENCH_MEDIAN, malloc_ns);
	bench_real(row, "jemalloc_ns_per_op", BENCH_MEDIAN, jemalloc_ns);
	bench_real(row, "loop_ns_per_op", BENCH_MEDIAN, loop_ns);
	bench_real(row, "ratio_to_malloc", BENCH_MEDIAN,
		   ratio(ns, malloc_ns, loop_ns));
	bench_real(row, "ratio_to_jemalloc", BENCH_MEDIAN,
		   ratio(ns, jemalloc_ns, loop_ns));
	bench_count(row, "reads", BENCH_SUM, c->used.reads);
	bench_count(row, "writes", BENCH_SUM, c->used.writes);
	bench_count(row, "faults", BENCH_SUM, c->used.faults);
	bench_count(row, "messages", BENCH_SUM, c->used.messages);
	bench_stamp(row, c);
}

static void measure(struct run *r, const char *kind)
{
	const struct churn_allocator own = { take, give, r };
	struct bench *b = r->client.bench;
	uint64_t repeat = b->common->repeat, failed;
	struct bench_row *rows = bench_calloc(repeat, sizeof(*rows));
	struct beside glibc, jemalloc;

	beside_begin(r, kind, "malloc", &glibc);
	beside_begin(r, kind, "jemalloc", &jemalloc);
	verify(r);
	for (uint64_t i = 0; i < repeat; i++) {
		double ns, loop_ns;

		loop_ns = churn_replay(&r->churn, &churn_nothing,
				       (unsigned)r->s->threads, &failed);
		bench_start(&r->client);
		ns = churn_replay(&r->churn, &own, (unsigned)r->s->threads,
				  &failed);
		bench_stop(&r->client);
		if (failed > 0)
			bench_fail("%llu allocations failed: %s",
				   (unsigned long long)failed, extmem_error());
		assert_silence(&r->client);
		beside_measure(&glibc, "malloc");
		beside_measure(&jemalloc, "jemalloc");
		describe(r, kind, ns, loop_ns, glibc.ns, jemalloc.ns, &rows[i]);
	}
	alone_stop(&glibc.part);
	alone_stop(&jemalloc.part);
	bench_print(b, rows, repeat);
	free(rows);
}

static void measure_kind(struct run *r, const char *kind)
{
	void *at;

	if (!churn_make(kind, r->s->ops, r->s->seed, &r->churn))
		bench_fail("%s", r->churn.words);
	r->slabs = strcmp(kind, "slabs") == 0;
	r->region_size = region_of(&r->churn, r->s->threads);
	r->region = bench_take(&r->client, "alloc", r->region_size);
	if (r->s->mapped && extmem_map(r->region, 0, 0, &at) < 0)
		bench_fail("%s", extmem_error());
	measure(r, kind);
	if (extmem_region_free(r->region) < 0)
		bench_fail("%s", extmem_error());
	churn_free(&r->churn);
}

static const struct bench_program program = {
	.table = &table,
	.common = offsetof(struct settings, common),
	.prepare = prepare,
};

int bench_alloc(int argc, char *argv[])
{
	struct settings s;
	struct run *r;
	struct bench *b;
	int rc = bench_begin(&program, &s, argc, argv, &b);

	if (rc != BENCH_GO)
		return rc;
	r = bench_calloc(1, sizeof(*r));
	r->s = &s;
	bench_open(b, 0, 100, &r->client);
	for (unsigned i = 0; i < XM_COUNT(kinds); i++) {
		if (wanted(&s, kinds[i]))
			measure_kind(r, kinds[i]);
	}
	if (s.trace[0] != '\0')
		measure_kind(r, s.list);
	bench_close(&r->client);
	free(r);
	return bench_end(b);
}
