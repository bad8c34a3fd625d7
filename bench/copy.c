/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `copy`: what a program sees when its region is copied while it stores to it.
 *
 * A thread stores to pages far from each other, as fast as it can. In each round the region
 * is copied. The round's figures are
 *
 *	call	 extmem_region_copy()
 *	stall	 the longest store from the call's beginning until all is copied
 *	whole	 from the call's beginning until all is copied
 *
 * Store number n goes to a word that follows from n, and no two to the same. So a copy
 * is its own log: it is of one moment if it has as many numbers as the greatest of them
 * says, each in its place; and of the right one if that lies between the number of the
 * last store before the call and that after it.
 */
#include "bench/bench.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define WORDS (BENCH_PAGE / 8)
#define PIECE (4 * BENCH_MIB)
#define STRIDE UINT64_C(1237) /* odd, and the number of pages is a power of two */

struct settings {
	struct bench_common common;
	uint64_t rounds, size, local;
};

static const struct xm_option options[] = {
	{ .name = "size", .kind = XM_OPTION_SIZE, .value = "64M",
	  .min = 4 << 20, .max = UINT64_C(1) << 40,
	  .help = "Bytes of the region, a power of two.",
	  .destination = offsetof(struct settings, size) },
	{ .name = "rounds", .kind = XM_OPTION_COUNT, .value = "5", .min = 1,
	  .max = 10000, .help = "How often it is copied.",
	  .destination = offsetof(struct settings, rounds) },
	{ .name = "local", .kind = XM_OPTION_COUNT, .value = "25", .min = 1,
	  .max = 100, .unit = "PERCENT",
	  .help = "Local memory as a percentage of the region.",
	  .destination = offsetof(struct settings, local) },
	BENCH_OPTIONS(struct settings, common),
};

static const struct xm_option_table table = {
	.program = "extmem-bench copy",
	.usage = "[OPTION]...",
	.about = "Copies a region while a thread stores to it, and prints how long "
		 "the call takes, how long a store waits at most, and how soon "
		 "all is copied. Fails if a copy is not of one moment.",
	.options = options,
	.count = XM_COUNT(options),
};

static const char *prepare(void *settings, uint64_t *ret_need)
{
	struct settings *s = settings;
	double local = (double)s->local;

	if (!xm_is_power_of_two(s->size))
		return "--size: a power of two";
	if (s->common.repeat > 1)
		return "--repeat: --rounds says how often";
	*ret_need = 2 * s->size;
	return bench_check_local(&s->common, s->size, &local, 1);
}

static struct run {
	struct bench_client client;
	const struct settings *s;
	uint64_t *words, pages;
	_Atomic uint64_t stored, longest_ns;
	atomic_bool stops;
	double *call_ms, *stall_ms, *whole_ms;
} r;

/* --- the writer ------------------------------------------------------------- */

static uint64_t place(uint64_t n)
{
	return n * STRIDE % r.pages * WORDS + n / r.pages;
}

static void *work(void *context)
{
	(void)context;
	while (!atomic_load_explicit(&r.stops, memory_order_relaxed)) {
		uint64_t n = atomic_load(&r.stored) + 1, took_ns;
		double began_us = bench_now_us();

		if (n / r.pages == WORDS)
			bench_fail("every word was stored to: fewer --rounds, or a "
				   "larger --size");
		r.words[place(n)] = n;
		took_ns = (uint64_t)((bench_now_us() - began_us) * 1e3);
		atomic_store(&r.stored, n);
		if (took_ns > atomic_load(&r.longest_ns))
			atomic_store(&r.longest_ns, took_ns);
	}
	return NULL;
}

static void stored_wait(uint64_t n)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	while (atomic_load(&r.stored) < n)
		nanosleep(&nap, NULL);
}

/* --- one round -------------------------------------------------------------- */

/* Is the copy that of one moment, between these numbers? */
static void check(extmem_region *copy, uint64_t least, uint64_t most)
{
	uint64_t *piece = bench_calloc(PIECE, 1), last = 0, count = 0;

	for (uint64_t at = 0; at < r.s->size; at += PIECE) {
		if (extmem_read(copy, at, piece, PIECE) < 0)
			bench_fail("%s", extmem_error());
		for (uint64_t i = 0; i < PIECE / 8; i++) {
			if (piece[i] == 0)
				continue;
			if (place(piece[i]) != at / 8 + i)
				bench_fail("word %" PRIu64 " of the copy is wrong: "
					   "%" PRIu64, at / 8 + i, piece[i]);
			last = piece[i] > last ? piece[i] : last;
			count++;
		}
	}
	if (count != last || last < least || last > most)
		bench_fail("the copy is not of one moment: %" PRIu64 " stores of %"
			   PRIu64 ", and the call was between %" PRIu64 " and %"
			   PRIu64, count, last, least, most);
	free(piece);
}

/* What the last copy had is zeroed, and lent again. */
static void free_wait(const struct bench *b)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct extmem_status status = { .size = sizeof(status) };

	while (extmem_status(b->addresses[0], 5000, &status) == 0 &&
	       status.free < r.s->size)
		nanosleep(&nap, NULL);
}

static void round_run(uint64_t n)
{
	uint64_t least = atomic_load(&r.stored), most;
	extmem_region *copy;
	double began_us;

	atomic_store(&r.longest_ns, 0);
	began_us = bench_now_us();
	if (extmem_region_copy(r.client.region, "copy", &copy) < 0)
		bench_fail("%s", extmem_error());
	r.call_ms[n] = (bench_now_us() - began_us) / 1e3;
	most = atomic_load(&r.stored) + 1;
	/* What is not there yet is waited for. */
	if (extmem_sync(copy, 0, 0) < 0)
		bench_fail("%s", extmem_error());
	r.whole_ms[n] = (bench_now_us() - began_us) / 1e3;
	r.stall_ms[n] = (double)atomic_load(&r.longest_ns) / 1e6;
	check(copy, least, most);
	if (extmem_region_free(copy) < 0)
		bench_fail("%s", extmem_error());
}

/* --- what is printed -------------------------------------------------------- */

static void permilles(struct bench_row *row, const char *p50, const char *max,
		      double *values)
{
	bench_real(row, p50, BENCH_MEDIAN,
		   bench_permille(values, r.s->rounds, 500));
	bench_real(row, max, BENCH_WORST,
		   bench_permille(values, r.s->rounds, 1000));
}

static void print(struct bench *b, double stores_per_ms)
{
	struct bench_row row;

	bench_row(b, "MiB rounds call_ms_p50 call_ms_max stall_ms_p50 stall_ms_max "
		     "whole_ms_p50 stores_per_ms", &row);
	bench_count(&row, "MiB", BENCH_SAME, r.s->size / BENCH_MIB);
	bench_count(&row, "rounds", BENCH_SAME, r.s->rounds);
	permilles(&row, "call_ms_p50", "call_ms_max", r.call_ms);
	permilles(&row, "stall_ms_p50", "stall_ms_max", r.stall_ms);
	permilles(&row, "whole_ms_p50", "whole_ms_max", r.whole_ms);
	bench_real(&row, "stores_per_ms", BENCH_SUM, stores_per_ms);
	bench_stamp(&row, &r.client);
	bench_print(b, &row, 1);
}

static const struct bench_program program = {
	.table = &table,
	.common = offsetof(struct settings, common),
	.prepare = prepare,
};

int bench_copy(int argc, char *argv[])
{
	static struct settings s;
	struct bench *b;
	pthread_t thread;
	double began_us, rate;
	int rc = bench_begin(&program, &s, argc, argv, &b);

	if (rc != BENCH_GO)
		return rc;
	r.s = &s;
	r.pages = s.size / BENCH_PAGE;
	r.call_ms = bench_calloc(s.rounds, sizeof(double));
	r.stall_ms = bench_calloc(s.rounds, sizeof(double));
	r.whole_ms = bench_calloc(s.rounds, sizeof(double));
	bench_open(b, s.size, (double)s.local, &r.client);
	bench_ground(&r.client);
	r.words = r.client.memory;
	if (pthread_create(&thread, NULL, work, NULL) != 0)
		bench_fail("no thread can be started");
	/* No page is fresh then. */
	stored_wait(r.pages);
	began_us = bench_now_us();
	stored_wait(r.pages + r.pages / 16);
	rate = (double)r.pages / 16 / (bench_now_us() - began_us) * 1e3;
	for (uint64_t n = 0; n < s.rounds; n++) {
		free_wait(b);
		round_run(n);
	}
	atomic_store(&r.stops, true);
	pthread_join(thread, NULL);
	print(b, rate);
	bench_close(&r.client);
	free(r.call_ms);
	free(r.stall_ms);
	free(r.whole_ms);
	return bench_end(b);
}
