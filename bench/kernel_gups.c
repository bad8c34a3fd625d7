/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GUPS, by the rules of the HPC Challenge benchmark's RandomAccess
 * (https://hpcchallenge.org; Luszczek et al., 2005): a table T of 2^n words,
 * T[i] = i at first; 4 * 2^n updates T[a & (2^n - 1)] ^= a, where the a are
 * the powers of x in GF(2)[x] / (x^64 + x^2 + x + 1), from x^1 on. At most 1024
 * updates may be drawn ahead of being made. Then the same updates are made
 * again, which must give T[i] = i; by the rules one word in a hundred may be
 * wrong, because threads do not lock and may undo each other's update. One
 * thread has no such excuse: it is allowed none.
 *
 * Threads: thread t makes the t-th part of the one stream, which it enters by
 * raising x to a power. They write to the same words. Loads and stores are
 * atomic, so that no word is torn; an update as a whole is not.
 *
 * Verification makes the updates again on a copy of the table in ordinary
 * memory, one window of it at a time, so that it costs one scan of the
 * table and sixteen of the stream; the result is that of doing it in place.
 *
 * Scratch: a window, 1/16 of the table but at least 1 MiB (or all of it).
 * A round: 2^n updates; 4 are by the rules, fewer are not.
 */
#include "bench/kernel.h"

#define AHEAD 1024
#define WINDOWS 16
#define WINDOW_WORDS_MIN (UINT64_C(1) << 17)
#define POLYNOMIAL 7

struct gups {
	uint64_t words; /* 2^n */
	uint64_t window_words;
	uint64_t updates;
	uint64_t window[];
};

static inline uint64_t times_x(uint64_t a)
{
	return (a << 1) ^ (a >> 63 ? POLYNOMIAL : 0);
}

/* x^n: where the stream is after n updates. */
static uint64_t power_of_x(uint64_t n)
{
	uint64_t result = 1, square = 2;

	for (; n > 0; n >>= 1) {
		uint64_t product = 0, doubled = 0;

		for (int bit = 63; bit >= 0; bit--) {
			product = times_x(product) ^
				  (result >> bit & 1 ? square : 0);
			doubled = times_x(doubled) ^
				  (square >> bit & 1 ? square : 0);
		}
		if (n & 1)
			result = product;
		square = doubled;
	}
	return result;
}

static uint64_t window_words(uint64_t words)
{
	uint64_t window = words / WINDOWS;

	if (window < WINDOW_WORDS_MIN)
		window = WINDOW_WORDS_MIN;
	return window < words ? window : words;
}

static bool gups_plan(const struct xm_kernel_wishes *w,
		      struct xm_kernel_plan *ret)
{
	uint64_t words = XM_KERNEL_PAGE / 8;

	if (w->size < xm_kernel_gups.size_min || w->threads == 0 ||
	    w->threads > XM_KERNEL_THREADS_MAX || w->rounds > 1 << 20)
		return false;
	while (words * 2 <= w->size / 8)
		words *= 2;
	*ret = (struct xm_kernel_plan) {
		.memory_size = words * 8,
		.scratch_size = sizeof(struct gups) + window_words(words) * 8,
		.rounds = w->rounds > 0 ? w->rounds : 4,
		.prepare_steps = 1,
		.run_steps = 1,
		.exact = w->threads == 1,
	};
	ret->work = ret->part_work[0] = words * ret->rounds;
	return true;
}

static void gups_lay_out(struct xm_kernel_job *job)
{
	struct gups *g = job->scratch;

	g->words = job->plan.memory_size / 8;
	g->window_words = window_words(g->words);
	g->updates = job->plan.work;
}

static void update(const struct gups *g, uint64_t *table, uint64_t begin,
		   uint64_t end)
{
	uint64_t ahead[AHEAD], mask = g->words - 1;
	uint64_t a = power_of_x(begin);

	while (begin < end) {
		uint64_t count = end - begin < AHEAD ? end - begin : AHEAD;

		for (uint64_t i = 0; i < count; i++)
			ahead[i] = a = times_x(a);
		for (uint64_t i = 0; i < count; i++) {
			uint64_t *word = &table[ahead[i] & mask];

			__atomic_store_n(word,
					 __atomic_load_n(word,
							 __ATOMIC_RELAXED) ^
						 ahead[i],
					 __ATOMIC_RELAXED);
		}
		begin += count;
	}
}

static void gups_step(struct xm_kernel_job *job, enum xm_kernel_stage stage,
		      uint32_t step, uint32_t thread)
{
	const struct gups *g = job->scratch;
	uint64_t *table = job->memory;
	uint64_t begin, end;

	(void)step;
	if (stage == XM_KERNEL_RUN) {
		xm_kernel_share(g->updates, thread, job->wishes.threads,
				&begin, &end);
		update(g, table, begin, end);
		return;
	}
	xm_kernel_share(g->words, thread, job->wishes.threads, &begin, &end);
	for (uint64_t i = begin; i < end; i++)
		table[i] = i;
}

static void gups_verify(struct xm_kernel_job *job,
			struct xm_kernel_verdict *ret)
{
	struct gups *g = job->scratch;
	const uint64_t *table = job->memory;

	*ret = (struct xm_kernel_verdict) {
		.checked = g->words,
		.allowed = job->wishes.threads > 1 ? g->words / 100 : 0,
		.digest = xm_kernel_digest(table, job->plan.memory_size),
	};
	for (uint64_t first = 0; first < g->words; first += g->window_words) {
		uint64_t a = 1;

		memcpy(g->window, table + first, g->window_words * 8);
		for (uint64_t i = 0; i < g->updates; i++) {
			uint64_t at;

			a = times_x(a);
			at = (a & (g->words - 1)) - first;
			if (at < g->window_words)
				g->window[at] ^= a;
		}
		for (uint64_t i = 0; i < g->window_words; i++)
			ret->errors += g->window[i] != first + i;
	}
	if (ret->errors > ret->allowed)
		ret->wrong = "words of the table are wrong after the same "
			     "updates again";
}

const struct xm_kernel xm_kernel_gups = {
	.name = "gups",
	.help = "HPCC RandomAccess: random updates of a table of 2^n words; "
		"a round is 2^n updates, 4 by the rules.",
	.unit = "updates",
	.rate = "GUPS",
	.rate_scale = 1e9,
	.parts = 1,
	.size_min = XM_KERNEL_PAGE,
	.plan = gups_plan,
	.lay_out = gups_lay_out,
	.step = gups_step,
	.verify = gups_verify,
};
