/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `fault`: touches the pages of a mapping of which a part is local.
 *
 * Every page carries its number in its first word and its index in its last,
 * a count in one word for each thread that rewrites it, a mark in one for each
 * that writes it, which has the round in it, and words of its own between.
 * Reads check the first word and one of those between, drawn, as they go. After
 * each pattern all words of all pages are looked at: who wrote which page in
 * which round is known, as what was drawn is drawn once more.
 *
 * The pages a pattern touches are drawn while it is measured where that costs
 * a few ns (a shift register, a sum); zipf's are drawn before. Each pattern
 * runs once unmeasured, so that what is measured begins with a local memory
 * full of the same pattern's pages.
 *
 * With --cgroup the same is done on ordinary memory, which a limit makes the
 * kernel swap: what swap devices cost beside external memory (peers.sh). And
 * with --umap on memory by UMap, a pager in user space.
 */
#include "bench/fault.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/cgroup.h"
#include "bench/umap.h"
#include "bench/zipf.h"

#define LOCALS_MAX 16

static const struct xm_option options[] = {
	{ .name = "pattern", .kind = XM_OPTION_TEXT, .value = "all",
	  .unit = "NAME",
	  .help = "Access patterns: random-read, random-write, "
		  "random-rmw, seq-read, seq-write, seq-backward, "
		  "stride, zipf, a list of these, or all.",
	  .destination = offsetof(struct fault_settings, pattern) },
	{ .name = "local", .kind = XM_OPTION_TEXT, .value = "25",
	  .unit = "PERCENT",
	  .help = "Local memory as a percentage of the pages; a list "
		  "such as 75,50,12.5 measures at each.",
	  .destination = offsetof(struct fault_settings, local) },
	{ .name = "pages", .kind = XM_OPTION_COUNT, .value = "100000",
	  .min = 256, .max = UINT64_C(1) << 31,
	  .help = "Number of pages of 4 KiB.",
	  .destination = offsetof(struct fault_settings, pages) },
	{ .name = "threads", .kind = XM_OPTION_TEXT, .value = "1",
	  .unit = "LIST",
	  .help = "Threads, 1 to 64, each with its own part of the "
		  "pages; a list such as 1,2 measures with each.",
	  .destination = offsetof(struct fault_settings, threads_list) },
	{ .name = "shared", .kind = XM_OPTION_FLAG,
	  .help = "All threads use all pages.",
	  .destination = offsetof(struct fault_settings, shared) },
	{ .name = "cold", .kind = XM_OPTION_FLAG,
	  .help = "Start each pattern with no page in local memory. If "
		  "local memory holds all pages, this measures misses "
		  "without evictions.",
	  .destination = offsetof(struct fault_settings, cold) },
	{ .name = "stride", .kind = XM_OPTION_COUNT, .value = "7", .min = 1,
	  .max = 4096, .help = "Distance in pages between two touches of the pattern "
		  "stride.",
	  .destination = offsetof(struct fault_settings, stride) },
	{ .name = "cgroup", .kind = XM_OPTION_TEXT, .unit = "DIR",
	  .help = "Measure ordinary memory in this memory cgroup "
		  "instead. Its limit is set so that --local holds, and "
		  "the kernel swaps the rest.",
	  .destination = offsetof(struct fault_settings, cgroup) },
	{ .name = "umap", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  .help = "Measure memory of UMap instead, a pager in user "
		  "space, with a new file of this name as its store and "
		  "no network.",
	  .destination = offsetof(struct fault_settings, umap) },
	/* For the tests: what must be noticed, on one page. */
	{ .name = "spoil", .kind = XM_OPTION_TEXT, .unit = "NAME",
	  .hidden = true,
	  .help = "before: its filler, before the rounds that count; after: a"
		  " byte of it, after them; write, rewrite: its last is lost.",
	  .destination = offsetof(struct fault_settings, spoil) },
	BENCH_OPTIONS(struct fault_settings, common),
};

static const struct xm_option_table table = {
	.program = "extmem-bench fault",
	.usage = "[OPTION]...",
	.about = "Touches the pages of a mapping of which only a part is "
		 "local, and prints what an access and a miss cost beside the "
		 "network (t_net) and a fault without it (f).",
	.options = options,
	.count = XM_COUNT(options),
};

/* --- patterns ----------------------------------------------------------------------------- */

static void random_read(struct fault_run *r, struct fault_part *p, unsigned thread)
{
	(void)thread;
	for (uint64_t i = 0; i < p->touches; i++)
		fault_read_page(r, p, p->first + bench_below(&p->random, p->count));
}

static void random_write(struct fault_run *r, struct fault_part *p, unsigned thread)
{
	for (uint64_t i = 0; i < p->touches; i++) {
		uint64_t page = p->first + bench_below(&p->random, p->count);

		r->words[page * FAULT_WORDS + FAULT_WORD_MARK + thread] =
			fault_mark_of(page, thread, r->round);
	}
}

static void random_rmw(struct fault_run *r, struct fault_part *p, unsigned thread)
{
	for (uint64_t i = 0; i < p->touches; i++) {
		uint64_t page = p->first + bench_below(&p->random, p->count);

		fault_read_page(r, p, page)[FAULT_WORD_COUNT + thread]++;
	}
}

static void seq_read(struct fault_run *r, struct fault_part *p, unsigned thread)
{
	(void)thread;
	for (uint64_t i = 0; i < p->touches; i++)
		fault_read_page(r, p, p->start + i * p->step);
}

static void seq_write(struct fault_run *r, struct fault_part *p, unsigned thread)
{
	for (uint64_t i = 0; i < p->touches; i++) {
		uint64_t page = p->start + i * p->step;

		r->words[page * FAULT_WORDS + FAULT_WORD_MARK + thread] =
			fault_mark_of(page, thread, r->round);
	}
}

static void seq_backward(struct fault_run *r, struct fault_part *p, unsigned thread)
{
	(void)thread;
	for (uint64_t i = p->touches; i-- > 0;)
		fault_read_page(r, p, p->start + i * p->step);
}

/* All of its pages, in as many passes as the stride has pages. */
static void stride(struct fault_run *r, struct fault_part *p, unsigned thread)
{
	(void)thread;
	for (uint64_t pass = 0; pass < r->s->stride; pass++) {
		for (uint64_t i = pass; i < p->touches; i += r->s->stride)
			fault_read_page(r, p, p->start + i * p->step);
	}
}

static void zipf(struct fault_run *r, struct fault_part *p, unsigned thread)
{
	(void)thread;
	for (uint64_t i = 0; i < p->touches; i++)
		fault_read_page(r, p, p->drawn[i]);
}

static const struct fault_pattern patterns[] = {
	{ .name = "random-read", .touch = random_read },
	{ .name = "random-write", .touch = random_write, .writes = true },
	{ .name = "random-rmw", .touch = random_rmw, .writes = true,
	  .rewrites = true },
	{ .name = "seq-read", .touch = seq_read, .sequential = true },
	{ .name = "seq-write", .touch = seq_write, .sequential = true,
	  .writes = true },
	{ .name = "seq-backward", .touch = seq_backward, .sequential = true },
	{ .name = "stride", .touch = stride, .sequential = true },
	{ .name = "zipf", .touch = zipf },
};

/* What a thread has written in this round, drawn once more: `p` is its part as it
 * was before. */
static void expect(struct fault_run *r, struct fault_part p, unsigned thread)
{
	for (uint64_t i = 0; i < p.touches; i++) {
		uint64_t page = r->pattern->sequential
					? p.start + i * p.step
					: p.first + bench_below(&p.random,
								p.count);

		if (r->pattern->rewrites)
			++*fault_expected_of(r, r->counts, page, thread);
		else
			*fault_expected_of(r, r->marks, page, thread) = r->round;
	}
}

/* Zipf's law with exponent 0.99, as YCSB has it; which page is the most wanted,
 * the second and so on is shuffled. */
static void draw_zipf(struct fault_run *r)
{
	uint64_t n = r->s->pages, random = UINT64_C(0x2545f4914f6cdd1d);
	uint32_t *pages = malloc(n * sizeof(*pages));
	struct xm_zipf law;

	r->drawn = malloc(n * sizeof(*r->drawn));
	if (pages == NULL || r->drawn == NULL)
		bench_fail("out of memory");
	for (uint64_t k = 0; k < n; k++) {
		uint64_t other = bench_below(&random, k + 1);

		pages[k] = pages[other];
		pages[other] = (uint32_t)k;
	}
	xm_zipf_init(&law, n, 0.99);
	for (uint64_t i = 0; i < n; i++)
		r->drawn[i] = pages[xm_zipf_draw(&law, &random) - 1];
	free(pages);
}

/* Divides the pages among the threads. Under zipf all threads share all pages. */
static void divide(struct fault_run *r)
{
	uint64_t pages = r->s->pages, threads = r->s->threads;

	for (uint64_t t = 0; t < threads; t++) {
		struct fault_part *p = &r->parts[t];
		uint64_t first = pages * t / threads;
		uint64_t count = pages * (t + 1) / threads - first;

		p->first = r->s->shared ? 0 : first;
		p->count = r->s->shared ? pages : count;
		p->start = r->s->shared ? t : first;
		p->step = r->s->shared ? threads : 1;
		p->touches = r->s->shared ? (pages - t + threads - 1) / threads
					  : count;
		if (r->drawn != NULL)
			p->drawn = r->drawn + first;
		p->random = fault_mark(t + 1, (uint64_t)r->client.bench->client + 1);
		p->look = p->random;
	}
}

static void work(void *argument, unsigned thread)
{
	struct fault_run *r = argument;

	r->pattern->touch(r, &r->parts[thread], thread);
}

/* --- a measurement --------------------------------------------------------------------------- */

static const char columns[] = "pattern local_pct us_per_access us_per_miss "
			      "p50_us p99_us misses pages_read pages_written "
			      "MBps t_net_us f_us";

static void describe(const struct fault_run *r, struct bench_row *row)
{
	const struct bench_client *c = &r->client;
	const struct extmem_stats *u = &c->used;
	double pages = (double)r->s->pages;
	double miss = u->misses > 0 ? c->took_us / (double)u->misses : NAN;
	bool timed = c->x != NULL && u->faults > 0;
	bool moves = u->pages_read > 0 || u->pages_written > 0;
	double rate = r->pattern->sequential && moves
			      ? pages * BENCH_PAGE / c->took_us
			      : NAN;

	bench_row(c->bench, columns, row);
	bench_text(row, "pattern", r->pattern->name);
	bench_count(row, "threads", BENCH_SAME, r->s->threads);
	bench_text(row, "parts", r->s->shared ? "shared" : "apart");
	bench_count(row, "pages", BENCH_SAME, r->s->pages);
	bench_real(row, "us_per_access", BENCH_MEDIAN, c->took_us / pages);
	bench_real(row, "us_per_miss", BENCH_MEDIAN, miss);
	bench_real(row, "us_per_page_read", BENCH_MEDIAN,
		   u->pages_read > 0 ? c->took_us / (double)u->pages_read
				     : NAN);
	bench_real(row, "us_per_miss_minus_t_net_in_f", BENCH_MEDIAN,
		   (miss * (double)r->s->threads - c->t_net_us) / c->f_us);
	bench_real(row, "p50_us", BENCH_MEDIAN,
		   timed ? (double)extmem_latency_ns(u, 500) / 1e3 : NAN);
	bench_real(row, "p99_us", BENCH_MEDIAN,
		   timed ? (double)extmem_latency_ns(u, 990) / 1e3 : NAN);
	bench_real(row, "p999_us", BENCH_MEDIAN,
		   timed ? (double)extmem_latency_ns(u, 999) / 1e3 : NAN);
	bench_real(row, "accesses_per_s", BENCH_SUM, pages / c->took_us * 1e6);
	bench_real(row, "MBps", BENCH_SUM, rate);
	bench_real(row, "share_of_B_net_pct", BENCH_MEDIAN,
		   100 * rate / c->B_net_MBps);
	bench_count(row, "faults", BENCH_SUM, u->faults);
	bench_count(row, "faults_write", BENCH_SUM, u->faults_write);
	bench_count(row, "misses", BENCH_SUM, u->misses);
	bench_count(row, "pages_read", BENCH_SUM, u->pages_read);
	bench_count(row, "pages_written", BENCH_SUM, u->pages_written);
	bench_count(row, "evictions", BENCH_SUM, u->evictions);
	bench_count(row, "prefetched", BENCH_SUM, u->prefetched);
	bench_count(row, "prefetched_wasted", BENCH_SUM, u->prefetched_wasted);
	bench_stamp(row, c);
}

/* One round of the pattern, measured, and what must be there after it. */
static void go_round(struct fault_run *r)
{
	static struct fault_part before[FAULT_THREADS_MAX];

	r->round++;
	memcpy(before, r->parts, sizeof(before));
	bench_threads(&r->client, (unsigned)r->s->threads, work, r);
	for (unsigned t = 0; r->pattern->writes && t < r->s->threads; t++)
		expect(r, before[t], t);
}

static void measure(struct fault_run *r, const struct fault_pattern *pattern)
{
	struct bench *b = r->client.bench;
	uint64_t repeat = b->common->repeat;
	struct bench_row *rows = bench_calloc(repeat, sizeof(*rows));

	r->pattern = pattern;
	for (uint64_t i = 0; i < repeat + 1; i++) {
		if (r->s->cold && r->client.region != NULL &&
		    extmem_advise(r->client.region, 0, 0, EXTMEM_COLD) < 0)
			bench_fail("cold: %s", extmem_error());
		go_round(r);
		if (i > 0)
			describe(r, &rows[i - 1]);
		else
			fault_spoil(r, "before");
	}
	fault_spoil(r, "after");
	fault_spoil(r, "write");
	fault_spoil(r, "rewrite");
	fault_verify(r);
	bench_print(b, rows, repeat);
	free(rows);
}

/* Is it in the list? */
static bool wanted(const struct fault_settings *s, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = s->pattern;; at++) {
		size_t n = strcspn(at, ",");

		if ((n == 3 && strncmp(at, "all", 3) == 0) ||
		    (n == length && strncmp(at, name, n) == 0))
			return true;
		at += n;
		if (*at == '\0')
			return false;
	}
}

/* Are all of the list's names there? */
static bool all_known(const struct fault_settings *s)
{
	const char *at = s->pattern;

	for (;;) {
		size_t n = strcspn(at, ",");
		bool known = n == 3 && strncmp(at, "all", 3) == 0;

		for (unsigned i = 0; i < XM_COUNT(patterns); i++)
			known |= strlen(patterns[i].name) == n &&
				 strncmp(at, patterns[i].name, n) == 0;
		if (!known)
			return false;
		if (at[n] == '\0')
			return true;
		at += n + 1;
	}
}

static const char *prepare(void *settings, uint64_t *ret_need)
{
	static char words[200];
	struct fault_settings *s = settings;
	uint64_t threads[LOCALS_MAX];
	double locals[LOCALS_MAX];
	size_t count;

	if (bench_numbers(s->threads_list, 1, FAULT_THREADS_MAX, threads, LOCALS_MAX) == 0)
		return "--threads: 1 to 64, or a list such as 1,2";
	if (!all_known(s)) {
		snprintf(words, sizeof(words), "--pattern %.40s: no such "
			 "pattern: random-read, random-write, random-rmw, "
			 "seq-read, seq-write, seq-backward, stride, zipf, all",
			 s->pattern);
		return words;
	}
	if (strspn(s->spoil, "abcdefghijklmnopqrstuvwxyz") > 0 &&
	    strstr("before after write rewrite", s->spoil) == NULL)
		return "--spoil: before, after, write or rewrite";
	if (s->umap[0] != '\0' && s->cgroup[0] != '\0')
		return "--umap, --cgroup: one of them";
	s->common.without = s->umap[0] != '\0' || s->cgroup[0] != '\0';
	if (s->cold && s->common.without)
		return "--cold: only external memory can be told to leave";
	count = bench_percents(s->local, locals, LOCALS_MAX);
	if (count == 0) {
		snprintf(words, sizeof(words), "--local %.40s: shares in per "
			 "cent are wanted, such as 25 or 75,50,12.5",
			 s->local);
		return words;
	}
	if (s->umap[0] != '\0' && strchr(s->local, ',') != NULL)
		return "--umap: one share of --local a run: UMap reads its "
		       "settings but once";
	*ret_need = s->pages * BENCH_PAGE;
	if (s->common.without)
		return NULL;
	return bench_check_local(&s->common, *ret_need, locals, count);
}

/* External memory of which this share is local; or memory by UMap; or ordinary
 * memory in a cgroup that leaves so much of it in place. */
static void open_memory(struct fault_run *r, struct bench *b, double local_pct)
{
	uint64_t size = r->s->pages * BENCH_PAGE;
	struct bench_client *c = &r->client;

	if (!r->s->common.without) {
		bench_open(b, size, local_pct, c);
		bench_ground(c);
		return;
	}
	bench_open(b, r->s->umap[0] != '\0' ? 0 : size, BENCH_ORDINARY, c);
	c->local_pct = local_pct;
	c->local_bytes = (uint64_t)((double)size * local_pct / 100);
	if (r->s->umap[0] != '\0') {
		c->memory = umap_open(r->s->umap, size,
				      c->local_bytes / BENCH_PAGE);
		return;
	}
	cgroup_limit(r->s->cgroup, c->local_bytes);
	/* Pages as small as those of external memory. */
	if (madvise(c->memory, size, MADV_NOHUGEPAGE) != 0)
		bench_say("pages may be huge: madvise: %s", strerror(errno));
}

static void measure_patterns(struct fault_run *r)
{
	divide(r);
	fault_fill(r);
	for (unsigned i = 0; i < XM_COUNT(patterns); i++) {
		if (wanted(r->s, patterns[i].name))
			measure(r, &patterns[i]);
	}
}

static const struct bench_program program = {
	.table = &table,
	.common = offsetof(struct fault_settings, common),
	.prepare = prepare,
};

int bench_fault(int argc, char *argv[])
{
	struct fault_settings s;
	uint64_t threads[LOCALS_MAX];
	double locals[LOCALS_MAX];
	size_t threads_count;
	struct fault_run *r;
	struct bench *b;
	size_t count;
	int rc = bench_begin(&program, &s, argc, argv, &b);

	if (rc != BENCH_GO)
		return rc;
	r = bench_calloc(1, sizeof(*r));
	r->s = &s;
	if (wanted(&s, "zipf"))
		draw_zipf(r);
	if (s.cgroup[0] != '\0')
		cgroup_join(s.cgroup);
	count = bench_percents(s.local, locals, LOCALS_MAX);
	threads_count = bench_numbers(s.threads_list, 1, FAULT_THREADS_MAX, threads, LOCALS_MAX);
	for (size_t l = 0; l < count; l++) {
		open_memory(r, b, locals[l]);
		r->words = r->client.memory;
		for (size_t t = 0; t < threads_count; t++) {
			s.threads = threads[t];
			measure_patterns(r);
		}
		if (s.umap[0] != '\0')
			umap_close(r->client.memory, s.pages * BENCH_PAGE);
		else
			bench_close(&r->client);
	}
	free(r->drawn);
	free(r->marks);
	free(r->counts);
	free(r);
	return bench_end(b);
}
