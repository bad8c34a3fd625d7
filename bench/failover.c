/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `failover`: what the user of a mirror sees when an appliance dies or hangs.
 *
 * Threads touch pages at random, one touch in two a store, and check what they find.
 * In each round one appliance is struck. The round's figures are
 *
 *	stall	 the longest touch from the strike on
 *	recover	 from the end of that touch until the rate of touches over
 *		 20 ms is 90 % of what it was before the strike
 *	whole	 from the appliance's return until no member is missing
 *
 * A page's first and last word say how often it was written. That is what a touch
 * checks, and all pages in the end: a store that was lost is a wrong page.
 */
#include "bench/bench.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/appliance.h"
#include "bench/ranks.h"

#define WORDS (BENCH_PAGE / 8)
#define THREADS_MAX 64
#define TICK_US 5e3
#define OVER_TICKS 4  /* of the rate: 20 ms */
#define BEFORE_US 300e3
#define AFTER_US 500e3
#define PATIENCE_US 120e6
#define SAMPLES_MAX 16384

struct settings {
	struct bench_common common;
	const char *how, *strategy, *strike, *heal;
	uint64_t rounds, pages, threads, local;
	bool spoil;
};

static const struct xm_option options[] = {
	{ .name = "how", .kind = XM_OPTION_TEXT, .value = "kill",
	  .unit = "kill|hang",
	  .help = "How an appliance is struck: its processes are killed, and "
		  "started again, empty; or stopped, and continued.",
	  .destination = offsetof(struct settings, how) },
	{ .name = "strike", .kind = XM_OPTION_TEXT, .unit = "COMMAND",
	  .help = "Instead of --how: a command of the shell that strikes appliance "
		  "number $VICTIM (0: the first) of those named.",
	  .destination = offsetof(struct settings, strike) },
	{ .name = "heal", .kind = XM_OPTION_TEXT, .unit = "COMMAND",
	  .help = "And one that undoes it.",
	  .destination = offsetof(struct settings, heal) },
	{ .name = "rounds", .kind = XM_OPTION_COUNT, .value = "20", .min = 1,
	  .max = 1000000, .help = "How often, one appliance after the other.",
	  .destination = offsetof(struct settings, rounds) },
	{ .name = "pages", .kind = XM_OPTION_COUNT, .value = "8192",
	  .min = 256, .max = UINT64_C(1) << 31,
	  .help = "Number of pages of 4 KiB.",
	  .destination = offsetof(struct settings, pages) },
	{ .name = "threads", .kind = XM_OPTION_COUNT, .value = "1", .min = 1,
	  .max = THREADS_MAX,
	  .help = "Threads that touch, each its own part of the pages.",
	  .destination = offsetof(struct settings, threads) },
	{ .name = "local", .kind = XM_OPTION_COUNT, .value = "25", .min = 1,
	  .max = 100, .unit = "PERCENT",
	  .help = "Local memory as a percentage of the pages.",
	  .destination = offsetof(struct settings, local) },
	{ .name = "strategy", .kind = XM_OPTION_TEXT, .value = "mirror 2",
	  .unit = "TEXT", .help = "Where the pages go; see extmem(5).",
	  .destination = offsetof(struct settings, strategy) },
	/* For the tests: what must be noticed. */
	{ .name = "spoil", .kind = XM_OPTION_FLAG, .hidden = true,
	  .help = "A store to the last page is lost.",
	  .destination = offsetof(struct settings, spoil) },
	BENCH_OPTIONS(struct settings, common),
};

static const struct xm_option_table table = {
	.program = "extmem-bench failover",
	.usage = "[OPTION]...",
	.about = "Strikes one appliance of a mirror after the other while "
		 "pages are touched, and prints how long a touch waits at "
		 "most, and how soon all is as before.",
	.options = options,
	.count = XM_COUNT(options),
};

static const char *prepare(void *settings, uint64_t *ret_need)
{
	static char strategy[160];
	static const char *items[128];
	struct settings *s = settings;
	size_t count = s->common.setting.count;
	double local = (double)s->local;
	const char *wrong;

	if (ranks_launched())
		return "failover strikes its own appliances: run it without mpirun";
	if (strcmp(s->common.transport, "loop") == 0)
		return "--transport loop is within one process: there is none to "
		       "strike";
	if ((s->strike[0] != '\0') != (s->heal[0] != '\0'))
		return "--strike and --heal: both are needed";
	if ((s->common.appliance.count > 0) != (s->strike[0] != '\0'))
		return "--appliance: failover kills only what it has started "
		       "(--appliances says how many); --strike and --heal are "
		       "for those that are named";
	if (s->strike[0] != '\0')
		s->how = "command";
	else if (strcmp(s->how, "kill") != 0 && strcmp(s->how, "hang") != 0)
		return "--how: kill or hang";
	if (s->common.repeat > 1)
		return "--repeat: --rounds says how often";
	if (s->common.appliances == 0 && s->strike[0] == '\0')
		s->common.appliances = 2;
	wrong = bench_check_local(&s->common, s->pages * BENCH_PAGE, &local, 1);
	if (wrong != NULL)
		return wrong;
	if (count + 1 >= XM_COUNT(items))
		return "--setting: too many";
	for (size_t i = 0; i < count; i++)
		items[i] = s->common.setting.items[i];
	snprintf(strategy, sizeof(strategy), "strategy=%s", s->strategy);
	items[count] = strategy;
	s->common.setting = (struct xm_option_list){ items, count + 1 };
	*ret_need = s->pages * BENCH_PAGE;
	return NULL;
}

/* --- the load --------------------------------------------------------------------------- */

struct worker {
	pthread_t thread;
	uint64_t first, count, random;
	_Atomic uint64_t touches;
};

static struct run {
	struct bench_client client;
	const struct settings *s;
	uint64_t *memory;
	uint32_t *written; /* how often each page was */
	struct worker workers[THREADS_MAX];
	atomic_bool stops;
	_Atomic uint64_t longest_ns; /* of a touch, since the strike */
	uint64_t memory_size;	     /* of each appliance */
	double *stall_ms, *recover_ms, *whole_ms;
	double mended_bytes, mended_us, rate_sum;
} r;

static uint64_t mark(uint64_t page, uint64_t written)
{
	return written == 0 ? 0
			    : (page + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ written;
}

static void page_check(uint64_t page)
{
	const volatile uint64_t *at = r.memory + page * WORDS;
	uint64_t wanted = mark(page, r.written[page]);
	uint64_t first = at[0], last = at[WORDS - 1];

	if (first != wanted || last != wanted)
		bench_fail("page %" PRIu64 " is wrong: %" PRIx64 " and %" PRIx64
			   ", not %" PRIx64, page, first, last, wanted);
}

static void page_write(uint64_t page)
{
	volatile uint64_t *at = r.memory + page * WORDS;
	uint64_t value = mark(page, ++r.written[page]);

	at[0] = value;
	at[WORDS - 1] = value;
}

static void longest_note(double took_us)
{
	uint64_t ns = (uint64_t)(took_us * 1e3);
	uint64_t known = atomic_load(&r.longest_ns);

	while (ns > known &&
	       !atomic_compare_exchange_weak(&r.longest_ns, &known, ns))
		;
}

static void *work(void *context)
{
	struct worker *w = context;

	while (!atomic_load_explicit(&r.stops, memory_order_relaxed)) {
		uint64_t page = w->first + bench_below(&w->random, w->count);
		double began_us = bench_now_us();

		page_check(page);
		if ((bench_draw(&w->random) & 1) != 0)
			page_write(page);
		longest_note(bench_now_us() - began_us);
		atomic_fetch_add_explicit(&w->touches, 1, memory_order_relaxed);
	}
	return NULL;
}

static uint64_t touches(void)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < r.s->threads; i++)
		sum += atomic_load(&r.workers[i].touches);
	return sum;
}

static void load_begin(void)
{
	uint64_t each = r.s->pages / r.s->threads;

	for (uint64_t i = 0; i < r.s->threads; i++) {
		struct worker *w = &r.workers[i];

		w->first = i * each;
		w->count = each;
		w->random = UINT64_C(0x853c49e6748fea9b) + i;
		if (pthread_create(&w->thread, NULL, work, w) != 0)
			bench_fail("no thread can be started");
	}
}

static void load_end(void)
{
	atomic_store(&r.stops, true);
	for (uint64_t i = 0; i < r.s->threads; i++)
		pthread_join(r.workers[i].thread, NULL);
}

/* --- one round ------------------------------------------------------------------------ */

static void nap(double us)
{
	const struct timespec t = { .tv_sec = (time_t)(us / 1e6),
				    .tv_nsec = (long)(fmod(us, 1e6) * 1e3) };

	nanosleep(&t, NULL);
}

static struct extmem_stats stats(void)
{
	struct extmem_stats now = { .size = sizeof(now) };

	if (extmem_stats(r.client.x, &now) < 0)
		bench_fail("%s", extmem_error());
	return now;
}

/* The touches of a round, a sample each tick from the strike on. */
struct samples {
	uint32_t count;
	double at_us[SAMPLES_MAX];
	uint64_t touches[SAMPLES_MAX];
};

static void sample(struct samples *all)
{
	if (all->count == SAMPLES_MAX)
		bench_fail("no member was left out in time");
	all->at_us[all->count] = bench_now_us();
	all->touches[all->count++] = touches();
}

/* Samples until the appliance is left out, and some time more. */
static void sample_all(struct samples *all, uint64_t failovers)
{
	double until_us = INFINITY, struck_us = bench_now_us();

	all->count = 0;
	do {
		sample(all);
		nap(TICK_US);
		if (isinf(until_us) && stats().failovers > failovers)
			until_us = bench_now_us() + AFTER_US;
		if (bench_now_us() - struck_us > PATIENCE_US)
			bench_fail("no member was left out in time");
	} while (bench_now_us() < until_us);
}

/* From the end of the longest gap without touches until the rate is there again. */
static double recovered_us(const struct samples *all, double rate)
{
	uint32_t end = 0;
	double longest = 0, began = all->at_us[0];

	for (uint32_t i = 1; i < all->count; i++) {
		if (all->touches[i] - all->touches[i - 1] == 0)
			continue;
		if (all->at_us[i] - began > longest) {
			longest = all->at_us[i] - began;
			end = i;
		}
		began = all->at_us[i];
	}
	for (uint32_t i = end; i + OVER_TICKS < all->count; i++) {
		double took = all->at_us[i + OVER_TICKS] - all->at_us[i];
		double now = (double)(all->touches[i + OVER_TICKS] -
				      all->touches[i]) / took;

		if (now >= 0.9 * rate)
			return all->at_us[i] - all->at_us[end];
	}
	return all->at_us[all->count - 1] - all->at_us[end];
}

static double until_whole(void)
{
	double began_us = bench_now_us();

	while (stats().members_missing > 0) {
		if (bench_now_us() - began_us > PATIENCE_US)
			bench_fail("a member is still missing after %.0f s",
				   PATIENCE_US / 1e6);
		nap(1e3);
	}
	return bench_now_us() - began_us;
}

static void command_run(const char *command, int victim)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", victim);
	setenv("VICTIM", number, 1);
	if (system(command) != 0)
		bench_fail("the command failed: %s", command);
}

static void strike(int victim)
{
	if (r.s->strike[0] != '\0')
		command_run(r.s->strike, victim);
	else if (strcmp(r.s->how, "kill") == 0)
		appliance_kill(victim);
	else
		appliance_signal(victim, SIGSTOP);
}

static void heal(int victim)
{
	if (r.s->heal[0] != '\0')
		command_run(r.s->heal, victim);
	else if (strcmp(r.s->how, "hang") == 0)
		appliance_signal(victim, SIGCONT);
	else if (!appliance_restart(&r.s->common, victim, r.memory_size))
		bench_fail("an appliance did not come again");
}

static void round_run(uint64_t n)
{
	static struct samples all;
	int victim = (int)(n % (uint64_t)r.client.bench->appliances);
	struct extmem_stats before;
	uint64_t from = touches();
	double rate;

	nap(BEFORE_US);
	rate = (double)(touches() - from) / BEFORE_US;
	r.rate_sum += rate;
	before = stats();
	atomic_store(&r.longest_ns, 0);
	strike(victim);
	sample_all(&all, before.failovers);
	r.stall_ms[n] = (double)atomic_load(&r.longest_ns) / 1e6;
	r.recover_ms[n] = recovered_us(&all, rate) / 1e3;
	heal(victim);
	r.whole_ms[n] = until_whole() / 1e3;
	r.mended_bytes += (double)(stats().mended_bytes - before.mended_bytes);
	r.mended_us += r.whole_ms[n] * 1e3;
}

/* --- the run --------------------------------------------------------------------------- */

static void check_all(void)
{
	for (uint64_t page = 0; page < r.s->pages; page++)
		page_check(page);
}

static void permilles(struct bench_row *row, const char *name, double *values)
{
	static const struct {
		const char *suffix;
		unsigned permille;
	} all[] = { { "p50", 500 }, { "p99", 990 }, { "max", 1000 } };

	for (size_t i = 0; i < XM_COUNT(all); i++) {
		char field[32];

		snprintf(field, sizeof(field), "%s_ms_%s", name, all[i].suffix);
		bench_real(row, field, BENCH_MEDIAN,
			   bench_permille(values, r.s->rounds,
					  all[i].permille));
	}
}

static void print(struct bench *b)
{
	struct bench_row row;

	bench_row(b, "how rounds stall_ms_p50 stall_ms_p99 stall_ms_max "
		     "recover_ms_p99 whole_ms_p50 mend_MBps", &row);
	bench_text(&row, "how", r.s->how);
	bench_text(&row, "strategy", r.s->strategy);
	bench_count(&row, "rounds", BENCH_SAME, r.s->rounds);
	bench_count(&row, "pages", BENCH_SAME, r.s->pages);
	bench_count(&row, "threads", BENCH_SAME, r.s->threads);
	permilles(&row, "stall", r.stall_ms);
	permilles(&row, "recover", r.recover_ms);
	permilles(&row, "whole", r.whole_ms);
	bench_real(&row, "mend_MBps", BENCH_MEDIAN,
		   r.mended_bytes / r.mended_us);
	bench_real(&row, "touches_per_ms", BENCH_MEDIAN,
		   r.rate_sum / (double)r.s->rounds * 1e3);
	bench_count(&row, "touches", BENCH_SUM, touches());
	bench_stamp(&row, &r.client);
	bench_print(b, &row, 1);
}

static const struct bench_program program = {
	.table = &table,
	.common = offsetof(struct settings, common),
	.prepare = prepare,
};

int bench_failover(int argc, char *argv[])
{
	static struct settings s;
	struct extmem_status status = { .size = sizeof(status) };
	struct bench *b;
	int rc = bench_begin(&program, &s, argc, argv, &b);

	if (rc != BENCH_GO)
		return rc;
	r.s = &s;
	r.stall_ms = bench_calloc(s.rounds, sizeof(double));
	r.recover_ms = bench_calloc(s.rounds, sizeof(double));
	r.whole_ms = bench_calloc(s.rounds, sizeof(double));
	r.written = bench_calloc(s.pages, sizeof(*r.written));
	if (extmem_status(b->addresses[0], 5000, &status) != 0)
		bench_fail("%s", extmem_error());
	r.memory_size = status.pool;
	bench_open(b, s.pages * BENCH_PAGE, (double)s.local, &r.client);
	bench_ground(&r.client);
	r.memory = r.client.memory;
	for (uint64_t page = 0; page < s.pages; page++)
		page_write(page);
	load_begin();
	for (uint64_t n = 0; n < s.rounds; n++)
		round_run(n);
	load_end();
	r.written[s.pages - 1] += s.spoil;
	check_all();
	print(b);
	bench_close(&r.client);
	free(r.stall_ms);
	free(r.recover_ms);
	free(r.whole_ms);
	free(r.written);
	return bench_end(b);
}
