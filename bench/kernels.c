/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gups, stream, sort, zipf, pagerank, kmeans: the kernels (kernel.h), first on
 * ordinary memory, then on external memory of which a part is local, in
 * the same run.
 *
 * Each client does the whole kernel on a partition of its own: its own table,
 * arrays, graph, drawn from the seed and its number. Nothing passes between
 * clients but the barrier before each measurement.
 *
 * What is timed is from the first RUN step to the end of the last, barriers of
 * threads included. Not timed: prepare, which leaves in local memory what it
 * touched last; verify; and the write-back of what is dirty and local at the
 * end, as with any cache.
 *
 * Roof-line (docs/BENCHMARKS.md): the time that the same work would take if
 * a page brought in cost the network alone,
 *
 *	t_local + pages * max(t_net / overlap, 4096 / B_net)
 *
 * where pages are those that were read and used (what was read ahead for nothing
 * is no work), and overlap = threads * pages / misses, the pages that came in for
 * each time that a thread waited: 1 where nothing is read ahead. Efficiency is
 * that time divided by the measured one.
 */
#include "bench/bench.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/kernel.h"

#define LOCALS_MAX 16

struct settings {
	struct bench_common common;
	const struct xm_kernel *kernel; /* set before options are read */
	const char *local;
	uint64_t size, threads, rounds, seed, puts;
};

#define KERNEL_OPTIONS(SIZE)                                                   \
	{ .name = "local", .kind = XM_OPTION_TEXT, .value = "100,50,25",       \
	  .unit = "PERCENT",                                                   \
	  .help = "Local memory as a percentage of the working set; a list "   \
		  "measures at each.",                                         \
	  .destination = offsetof(struct settings, local) },                   \
	{ .name = "size", .kind = XM_OPTION_SIZE, .value = SIZE,               \
	  .help = "Limit of the working set of each client.",                  \
	  .destination = offsetof(struct settings, size) },                    \
	{ .name = "threads", .kind = XM_OPTION_COUNT, .value = "1", .min = 1,  \
	  .max = XM_KERNEL_THREADS_MAX, .help = "Threads of each client.",     \
	  .destination = offsetof(struct settings, threads) },                 \
	{ .name = "rounds", .kind = XM_OPTION_COUNT,                           \
	  .help = "Rounds of the kernel. Default: the usual number.",          \
	  .destination = offsetof(struct settings, rounds) },                  \
	{ .name = "seed", .kind = XM_OPTION_COUNT, .value = "1",               \
	  .help = "Seed of the data.",                                         \
	  .destination = offsetof(struct settings, seed) },                    \
	BENCH_OPTIONS(struct settings, common)

/* GUPS costs a miss for nearly each update, and makes four a word. */
static const struct xm_option options_gups[] = { KERNEL_OPTIONS("4M") };
static const struct xm_option options_usual[] = { KERNEL_OPTIONS("64M") };
static const struct xm_option options_zipf[] = {
	{ .name = "puts", .kind = XM_OPTION_COUNT, .value = "10",
	  .unit = "PERCENT", .max = 100, .help = "Share of operations that are puts.",
	  .destination = offsetof(struct settings, puts) },
	KERNEL_OPTIONS("64M"),
};

struct run {
	const struct settings *s;
	const struct xm_kernel *kernel;
	struct xm_kernel_job job;
	struct bench_client client;

	/* The stage under way. */
	enum xm_kernel_stage stage;
	pthread_barrier_t gate; /* with more threads than one */
	double *ends_us;	/* of the RUN steps */

	/* Of ordinary memory: the median time, and what came out. */
	double local_us;
	uint64_t digest;

	/* Of the first client on external memory; 0: not yet. */
	double t_net_us, f_us, B_net_MBps;
	const char *t_net_by;
};

/* --- one run of the kernel -------------------------------------------------------------- */

static void work(void *argument, unsigned thread)
{
	struct run *r = argument;
	const struct xm_kernel_plan *plan = &r->job.plan;
	uint32_t steps = r->stage == XM_KERNEL_RUN ? plan->run_steps
						   : plan->prepare_steps;

	for (uint32_t step = 0; step < steps; step++) {
		r->kernel->step(&r->job, r->stage, step, thread);
		if (r->job.wishes.threads > 1)
			pthread_barrier_wait(&r->gate);
		if (thread == 0 && r->stage == XM_KERNEL_RUN)
			r->ends_us[step] = bench_now_us();
	}
}

static void do_stage(struct run *r, enum xm_kernel_stage stage)
{
	unsigned threads = r->job.wishes.threads;

	r->stage = stage;
	if (threads > 1 && pthread_barrier_init(&r->gate, NULL, threads) != 0)
		bench_fail("out of memory");
	bench_threads(&r->client, threads, work, r);
	if (threads > 1)
		pthread_barrier_destroy(&r->gate);
}

/* The client's figures are those of the RUN stage afterwards. */
static void run_once(struct run *r, struct xm_kernel_verdict *ret)
{
	struct bench_client measured;

	r->job.memory = r->client.memory;
	memset(r->job.scratch, 0, r->job.plan.scratch_size);
	r->kernel->lay_out(&r->job);
	do_stage(r, XM_KERNEL_PREPARE);
	do_stage(r, XM_KERNEL_RUN);
	measured = r->client;
	r->kernel->verify(&r->job, ret);
	r->client = measured;
	if (ret->wrong != NULL)
		bench_fail("%s, %s memory: %s: %llu of %llu, %llu allowed",
			   r->kernel->name,
			   r->client.x != NULL ? "external" : "ordinary",
			   ret->wrong, (unsigned long long)ret->errors,
			   (unsigned long long)ret->checked,
			   (unsigned long long)ret->allowed);
	if (!r->job.plan.exact)
		return;
	if (r->client.x != NULL && ret->digest != r->digest)
		bench_fail("%s: the result is right, and is not that of "
			   "ordinary memory bit by bit", r->kernel->name);
	r->digest = ret->digest;
}

/* --- figures ------------------------------------------------------------------------------ */

/* Two texts, so that the lines of external memory get their own head. */
static const char *columns_of(const struct run *r)
{
	static char texts[2][256];
	char *columns = texts[r->client.x != NULL];

	/* Billions of updates a second would be zeros. */
	snprintf(columns, sizeof(texts[0]), "memory local_pct seconds %s "
		 "slowdown misses pages_read pages_written p50_us p99_us "
		 "roofline_pct errors",
		 r->kernel->rate_scale > 1e6 ? "updates_per_s"
					     : r->kernel->rate);
	return columns;
}

/* The best time of each part, in units a second; the first does not count
 * where there are more, as in STREAM. */
static void describe_parts(const struct run *r, struct bench_row *row)
{
	const struct xm_kernel *kernel = r->kernel;
	uint32_t steps = r->job.plan.run_steps;

	for (uint32_t part = 0; part < kernel->parts; part++) {
		uint32_t first = steps > kernel->parts ? part + kernel->parts
						       : part;
		double best_us = INFINITY;
		char name[32];

		for (uint32_t i = first; i < steps; i += kernel->parts) {
			double began_us = i > 0 ? r->ends_us[i - 1]
						: r->client.began_us;

			best_us = fmin(best_us, r->ends_us[i] - began_us);
		}
		snprintf(name, sizeof(name), "%s_%s", kernel->part_names[part],
			 kernel->rate);
		bench_real(row, name, BENCH_SUM,
			   (double)r->job.plan.part_work[part] / best_us *
				   1e6 / kernel->rate_scale);
	}
}

static void describe_roofline(const struct run *r, struct bench_row *row)
{
	const struct bench_client *c = &r->client;
	double pages = fmax(0, (double)c->used.pages_read -
				       (double)c->used.prefetched_wasted);
	double waits = (double)c->used.misses;
	double overlap = waits > 0 ? r->job.wishes.threads * pages / waits : NAN;
	double page_us = BENCH_PAGE / c->B_net_MBps, roof_us = r->local_us;

	if (waits > 0)
		page_us = fmax(page_us, c->t_net_us / overlap);
	if (pages > 0)
		roof_us += pages * page_us;
	bench_real(row, "slowdown", BENCH_MEDIAN, c->took_us / r->local_us);
	bench_real(row, "overlap", BENCH_MEDIAN, overlap);
	bench_real(row, "roofline_seconds", BENCH_MEDIAN, roof_us / 1e6);
	bench_real(row, "roofline_pct", BENCH_MEDIAN,
		   c->x != NULL ? 100 * roof_us / c->took_us : NAN);
}

static void describe(const struct run *r, const struct xm_kernel_verdict *v,
		     struct bench_row *row)
{
	const struct bench_client *c = &r->client;
	const struct extmem_stats *u = &c->used;
	const struct xm_kernel_plan *plan = &r->job.plan;
	double per_s = (double)plan->work / c->took_us * 1e6;
	bool faulted = u->faults > 0;
	char name[32], text[32];

	bench_row(c->bench, columns_of(r), row);
	bench_count(row, "size_bytes", BENCH_SAME, plan->memory_size);
	bench_count(row, "scratch_bytes", BENCH_SAME, plan->scratch_size);
	bench_count(row, "threads", BENCH_SAME, r->job.wishes.threads);
	bench_count(row, "rounds", BENCH_SAME, plan->rounds);
	bench_count(row, "seed", BENCH_SAME, r->s->seed);
	bench_count(row, r->kernel->unit, BENCH_SUM, plan->work);
	bench_real(row, "seconds", BENCH_MEDIAN, c->took_us / 1e6);
	bench_real(row, r->kernel->rate, BENCH_SUM,
		   per_s / r->kernel->rate_scale);
	snprintf(name, sizeof(name), "%s_per_s", r->kernel->unit);
	if (r->kernel->rate_scale > 1e6)
		bench_real(row, name, BENCH_SUM, per_s);
	if (r->kernel->parts > 1)
		describe_parts(r, row);
	if (r->kernel == &xm_kernel_gups)
		bench_text(row, "hpcc_updates", plan->rounds >= 4 ? "yes" : "no");
	if (r->kernel == &xm_kernel_zipf)
		bench_count(row, "puts_pct", BENCH_SAME, r->s->puts);
	describe_roofline(r, row);
	bench_count(row, "faults", BENCH_SUM, u->faults);
	bench_count(row, "misses", BENCH_SUM, u->misses);
	bench_count(row, "pages_read", BENCH_SUM, u->pages_read);
	bench_count(row, "pages_written", BENCH_SUM, u->pages_written);
	bench_count(row, "prefetched_wasted", BENCH_SUM, u->prefetched_wasted);
	bench_real(row, "p50_us", BENCH_MEDIAN,
		   faulted ? (double)extmem_latency_ns(u, 500) / 1e3 : NAN);
	bench_real(row, "p99_us", BENCH_MEDIAN,
		   faulted ? (double)extmem_latency_ns(u, 990) / 1e3 : NAN);
	bench_count(row, "checked", BENCH_SUM, v->checked);
	bench_count(row, "errors", BENCH_SUM, v->errors);
	bench_count(row, "errors_allowed", BENCH_SUM, v->allowed);
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)v->digest);
	bench_text(row, "digest", plan->exact ? text : "any");
	bench_stamp(row, c);
}

/* The network does not depend on what is local: once a run. */
static void ground(struct run *r)
{
	struct bench_client *c = &r->client;

	if (c->x == NULL)
		return;
	if (r->t_net_us <= 0) {
		bench_ground(c);
		r->t_net_us = c->t_net_us;
		r->t_net_by = c->t_net_by;
		r->f_us = c->f_us;
		r->B_net_MBps = c->B_net_MBps;
	}
	c->t_net_us = r->t_net_us;
	c->t_net_by = r->t_net_by;
	c->f_us = r->f_us;
	c->B_net_MBps = r->B_net_MBps;
}

static void measure(struct run *r, double local_pct)
{
	struct bench *b = r->client.bench;
	uint64_t repeat = b->common->repeat;
	struct bench_row *rows = bench_calloc(repeat, sizeof(*rows));
	double *took_us = bench_calloc(repeat, sizeof(*took_us));
	struct xm_kernel_verdict *verdicts = bench_calloc(repeat,
							  sizeof(*verdicts));

	bench_open(b, r->job.plan.memory_size, local_pct, &r->client);
	ground(r);
	/* Once unmeasured: a base that is cold would make the rest look fast. */
	if (r->client.x == NULL)
		run_once(r, &verdicts[0]);
	for (uint64_t i = 0; i < repeat; i++) {
		run_once(r, &verdicts[i]);
		took_us[i] = r->client.took_us;
		if (r->client.x == NULL)
			r->local_us = r->client.took_us;
		describe(r, &verdicts[i], &rows[i]);
	}
	if (r->client.x == NULL)
		r->local_us = bench_permille(took_us, repeat, 500);
	bench_print(b, rows, repeat);
	bench_close(&r->client);
	free(rows);
	free(took_us);
	free(verdicts);
}

/* --- subcommands ------------------------------------------------------------------------------ */

static void wishes_of(const struct settings *s, uint64_t client,
		      struct xm_kernel_wishes *ret)
{
	*ret = (struct xm_kernel_wishes) {
		.size = s->size,
		.seed = s->seed + (client << 32),
		.rounds = s->rounds,
		.threads = (uint32_t)s->threads,
		.puts_pct = (uint32_t)s->puts,
	};
}

static const char *prepare(void *settings, uint64_t *ret_need)
{
	static char words[200];
	const struct settings *s = settings;
	struct xm_kernel_wishes wishes;
	struct xm_kernel_plan plan;
	double locals[LOCALS_MAX];
	size_t count;

	count = bench_percents(s->local, locals, LOCALS_MAX);
	if (count == 0) {
		snprintf(words, sizeof(words), "--local %.40s: shares in per "
			 "cent are wanted, such as 25 or 100,50,25", s->local);
		return words;
	}
	if (s->size < s->kernel->size_min) {
		snprintf(words, sizeof(words), "--size: %llu bytes are the "
			 "least for %s", (unsigned long long)s->kernel->size_min,
			 s->kernel->name);
		return words;
	}
	wishes_of(s, 0, &wishes);
	if (!s->kernel->plan(&wishes, &plan)) {
		snprintf(words, sizeof(words), "%s cannot be done with this "
			 "--size, --rounds and --threads", s->kernel->name);
		return words;
	}
	*ret_need = plan.memory_size;
	return bench_check_local(&s->common, *ret_need, locals, count);
}

/* By McCalpin's rule STREAM's arrays are no part of what a cache holds. */
static void mind_the_cache(const struct run *r)
{
	long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
	uint64_t array = r->job.plan.memory_size / 3;

	if (r->kernel == &xm_kernel_stream && cache > 0 &&
	    array < 4 * (uint64_t)cache)
		bench_say("arrays of %llu MiB are less than four times the "
			  "last cache of %ld MiB: ordinary memory looks faster "
			  "than it is; see --size",
			  (unsigned long long)(array >> 20), cache >> 20);
}

static int bench_kernel(const struct xm_kernel *kernel,
			const struct xm_option *options, size_t count,
			int argc, char *argv[])
{
	char program[40], about[400];
	const struct xm_option_table table = {
		.program = program, .usage = "[OPTION]...", .about = about,
		.options = options, .count = count,
	};
	const struct bench_program bench_program = {
		.table = &table,
		.common = offsetof(struct settings, common),
		.prepare = prepare,
	};
	struct settings s = { .kernel = kernel };
	struct run r = { .s = &s, .kernel = kernel };
	double locals[LOCALS_MAX];
	size_t locals_count;
	struct bench *b;
	int rc;

	snprintf(program, sizeof(program), "extmem-bench %s", kernel->name);
	snprintf(about, sizeof(about), "%s On ordinary memory first, then on "
		 "external memory of which a part is local. The result is "
		 "verified.", kernel->help);
	rc = bench_begin(&bench_program, &s, argc, argv, &b);
	if (rc != BENCH_GO)
		return rc;
	wishes_of(&s, (uint64_t)b->client, &r.job.wishes);
	if (!kernel->plan(&r.job.wishes, &r.job.plan))
		bench_fail("%s cannot be planned", kernel->name);
	r.job.scratch = aligned_alloc(
		64, xm_kernel_round_up(r.job.plan.scratch_size, 64));
	r.ends_us = calloc(r.job.plan.run_steps, sizeof(*r.ends_us));
	if (r.job.scratch == NULL || r.ends_us == NULL)
		bench_fail("out of memory");
	mind_the_cache(&r);
	r.client.bench = b;
	measure(&r, BENCH_ORDINARY);
	locals_count = bench_percents(s.local, locals, LOCALS_MAX);
	for (size_t i = 0; i < locals_count; i++)
		measure(&r, locals[i]);
	free(r.job.scratch);
	free(r.ends_us);
	return bench_end(b);
}

#define BENCH_KERNEL(NAME, OPTIONS)                                            \
	int bench_##NAME(int argc, char *argv[])                               \
	{                                                                      \
		return bench_kernel(&xm_kernel_##NAME, OPTIONS,                \
				    XM_COUNT(OPTIONS), argc, argv);            \
	}

BENCH_KERNEL(gups, options_gups)
BENCH_KERNEL(stream, options_usual)
BENCH_KERNEL(sort, options_usual)
BENCH_KERNEL(zipf, options_zipf)
BENCH_KERNEL(pagerank, options_usual)
BENCH_KERNEL(kmeans, options_usual)
