/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of bench/kernel_*.c on ordinary memory: each verifies its own result,
 * says so when a word was damaged, and gives the same digest however its
 * threads come. And the laws that the kernels are drawn by.
 */
#include <pthread.h>
#include <stdlib.h>

#include "bench/kernel.h"
#include "bench/zipf.h"
#include "tests/support/cunit.h"

static const struct xm_kernel *const kernels[] = {
	&xm_kernel_gups, &xm_kernel_stream,   &xm_kernel_sort,
	&xm_kernel_zipf, &xm_kernel_pagerank, &xm_kernel_kmeans,
};

enum { KERNELS = sizeof(kernels) / sizeof(kernels[0]), FENCE = 4096 };

struct bench {
	struct xm_kernel_job job;
	struct xm_kernel_verdict verdict;
	uint8_t *memory, *scratch; /* with a fence on either side */
};

static uint64_t size_of(const struct xm_kernel *kernel)
{
	return kernel->size_min > 400000 ? kernel->size_min : 400000;
}

/* Memory is full of noise at first, and fenced, as is the scratch. */
static void bench_open(struct bench *b, const struct xm_kernel *kernel,
		       struct xm_kernel_wishes wishes)
{
	b->job.wishes = wishes;
	CU_ASSERT_TRUE_FATAL(kernel->plan(&b->job.wishes, &b->job.plan));
	b->memory = aligned_alloc(FENCE, b->job.plan.memory_size + 2 * FENCE);
	b->scratch = aligned_alloc(
		FENCE, xm_kernel_round_up(b->job.plan.scratch_size, FENCE) +
			       2 * FENCE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->memory);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->scratch);
	memset(b->memory, 0xa5, b->job.plan.memory_size + 2 * FENCE);
	memset(b->scratch, 0x5a, FENCE);
	memset(b->scratch + FENCE, 0, b->job.plan.scratch_size);
	memset(b->scratch + FENCE + b->job.plan.scratch_size, 0x5a, FENCE);
	b->job.memory = b->memory + FENCE;
	b->job.scratch = b->scratch + FENCE;
}

static void bench_close(struct bench *b)
{
	for (unsigned i = 0; i < FENCE; i++) {
		if (b->memory[i] != 0xa5 || b->scratch[i] != 0x5a ||
		    b->memory[FENCE + b->job.plan.memory_size + i] != 0xa5 ||
		    b->scratch[FENCE + b->job.plan.scratch_size + i] != 0x5a) {
			CU_FAIL("a fence was crossed");
			break;
		}
	}
	free(b->memory);
	free(b->scratch);
}

static struct xm_kernel_wishes wishes_of(const struct xm_kernel *kernel,
					 uint32_t threads)
{
	return (struct xm_kernel_wishes) { .size = size_of(kernel),
					   .seed = 7,
					   .threads = threads,
					   .puts_pct = 10 };
}

static void each_kernel_is_right_on_ordinary_memory(void)
{
	for (unsigned i = 0; i < KERNELS; i++) {
		for (uint32_t threads = 1; threads <= 5; threads += 2) {
			struct bench b;

			bench_open(&b, kernels[i],
				   wishes_of(kernels[i], threads));
			xm_kernel_all(kernels[i], &b.job, &b.verdict);
			if (b.verdict.wrong)
				printf("%s: %s\n", kernels[i]->name,
				       b.verdict.wrong);
			CU_ASSERT_PTR_NULL(b.verdict.wrong);
			CU_ASSERT_EQUAL(b.verdict.errors, 0);
			CU_ASSERT_TRUE(b.verdict.checked > 0);
			CU_ASSERT_TRUE(b.job.plan.work > 0);
			bench_close(&b);
		}
	}
}

static void each_kernel_is_right_at_its_least_size_and_refuses_less(void)
{
	for (unsigned i = 0; i < KERNELS; i++) {
		struct xm_kernel_wishes w = wishes_of(kernels[i], 1);
		struct xm_kernel_plan plan;
		struct bench b;

		w.size = kernels[i]->size_min;
		bench_open(&b, kernels[i], w);
		CU_ASSERT_TRUE(b.job.plan.memory_size <= w.size);
		CU_ASSERT_EQUAL(b.job.plan.memory_size % XM_KERNEL_PAGE, 0);
		xm_kernel_all(kernels[i], &b.job, &b.verdict);
		CU_ASSERT_PTR_NULL(b.verdict.wrong);
		bench_close(&b);
		w.size--;
		CU_ASSERT_FALSE(kernels[i]->plan(&w, &plan));
		w.size++;
		w.threads = 0;
		CU_ASSERT_FALSE(kernels[i]->plan(&w, &plan));
		w.threads = XM_KERNEL_THREADS_MAX + 1;
		CU_ASSERT_FALSE(kernels[i]->plan(&w, &plan));
		w.threads = 1;
		w.rounds = UINT64_MAX;
		CU_ASSERT_FALSE(kernels[i]->plan(&w, &plan));
	}
}

static void a_plan_stays_within_the_size_and_uses_most_of_it(void)
{
	for (unsigned i = 0; i < KERNELS; i++) {
		for (uint64_t size = UINT64_C(1) << 20;
		     size < UINT64_C(1) << 40; size = size * 3 / 2) {
			struct xm_kernel_wishes w = wishes_of(kernels[i], 2);
			struct xm_kernel_plan plan;

			w.size = size;
			CU_ASSERT_TRUE_FATAL(kernels[i]->plan(&w, &plan));
			CU_ASSERT_TRUE(plan.memory_size <= size);
			/* Powers of two halve it; k-means has a most. */
			if (size < UINT64_C(1) << 36)
				CU_ASSERT_TRUE(plan.memory_size > size * 49 / 100);
			CU_ASSERT_TRUE(plan.scratch_size < (1 << 21) + size / 16);
		}
	}
}

/* Which bit of a word a kernel cannot help but notice by itself; stream and
 * pagerank compare within a tolerance. */
static uint64_t damage_of(const struct xm_kernel *kernel)
{
	return kernel == &xm_kernel_stream ? UINT64_C(1) << 60 : 1;
}

/* Bytes of which every word is verified. PageRank has parts of ranks, of
 * which only the digest tells; of the ranks below. */
static uint64_t verified_from(const struct xm_kernel *kernel,
			      const struct xm_kernel_plan *plan)
{
	return kernel == &xm_kernel_pagerank ? plan->memory_size / 92 * 16 : 0;
}

static void one_damaged_word_is_noticed(void)
{
	for (unsigned i = 0; i < KERNELS; i++) {
		struct xm_kernel_verdict after;
		struct bench b;
		uint64_t first, words, *at, state = 5;

		bench_open(&b, kernels[i], wishes_of(kernels[i], 1));
		xm_kernel_all(kernels[i], &b.job, &b.verdict);
		CU_ASSERT_PTR_NULL_FATAL(b.verdict.wrong);
		first = verified_from(kernels[i], &b.job.plan) / 8;
		words = b.job.plan.memory_size / 8 - first;
		at = (uint64_t *)b.job.memory + first;
		for (unsigned n = 0; n < 12; n++) {
			uint64_t word = n == 0 ? 0
					: n == 1
						? words - 1
						: xm_kernel_mix(state++) % words;

			at[word] ^= damage_of(kernels[i]);
			kernels[i]->verify(&b.job, &after);
			if (!after.wrong)
				printf("%s: word %llu\n", kernels[i]->name,
				       (unsigned long long)word);
			CU_ASSERT_PTR_NOT_NULL(after.wrong);
			CU_ASSERT_NOT_EQUAL(after.digest, b.verdict.digest);
			at[word] ^= damage_of(kernels[i]);
		}
		kernels[i]->verify(&b.job, &after);
		CU_ASSERT_PTR_NULL(after.wrong);
		CU_ASSERT_EQUAL(after.digest, b.verdict.digest);
		bench_close(&b);
	}
}

static void a_page_that_reads_as_zero_is_noticed(void)
{
	for (unsigned i = 0; i < KERNELS; i++) {
		struct bench b;
		uint64_t middle;

		bench_open(&b, kernels[i], wishes_of(kernels[i], 1));
		xm_kernel_all(kernels[i], &b.job, &b.verdict);
		middle = b.job.plan.memory_size / XM_KERNEL_PAGE / 2;
		memset((char *)b.job.memory + middle * XM_KERNEL_PAGE, 0,
		       XM_KERNEL_PAGE);
		kernels[i]->verify(&b.job, &b.verdict);
		CU_ASSERT_PTR_NOT_NULL(b.verdict.wrong);
		bench_close(&b);
	}
}

static void a_rank_that_is_wrong_is_noticed(void)
{
	struct bench b;
	double *rank;

	bench_open(&b, &xm_kernel_pagerank, wishes_of(&xm_kernel_pagerank, 1));
	xm_kernel_all(&xm_kernel_pagerank, &b.job, &b.verdict);
	CU_ASSERT_PTR_NULL(b.verdict.wrong);
	rank = b.job.memory;
	rank[100] += 1e-8;
	xm_kernel_pagerank.verify(&b.job, &b.verdict);
	CU_ASSERT_PTR_NOT_NULL(b.verdict.wrong);
	bench_close(&b);
}

static void a_lost_put_is_noticed(void)
{
	struct bench b;
	uint64_t *slot, key, version;

	bench_open(&b, &xm_kernel_zipf, wishes_of(&xm_kernel_zipf, 1));
	xm_kernel_all(&xm_kernel_zipf, &b.job, &b.verdict);
	slot = b.job.memory;
	while (slot[0] == 0 || slot[1] == 0)
		slot += 8;
	/* A whole older slot, as from a page that was not stored. */
	key = slot[0];
	version = --slot[1];
	for (unsigned i = 0; i < 6; i++)
		slot[2 + i] = xm_kernel_mix(key + version * 8 + i);
	xm_kernel_zipf.verify(&b.job, &b.verdict);
	CU_ASSERT_PTR_NOT_NULL(b.verdict.wrong);
	CU_ASSERT_EQUAL(b.verdict.errors, 0);
	bench_close(&b);
}

/* Memory that lies must not lead a kernel out of it: the fences tell. */
static void kernels_stay_in_their_memory_when_it_is_damaged(void)
{
	for (unsigned i = 0; i < KERNELS; i++) {
		struct bench b;
		uint64_t *words, count;

		/* Threads of gups are allowed some errors. */
		bench_open(&b, kernels[i],
			   wishes_of(kernels[i],
				     kernels[i] == &xm_kernel_gups ? 1 : 2));
		count = b.job.plan.memory_size / 8;
		words = b.job.memory;
		kernels[i]->lay_out(&b.job);
		for (uint32_t s = 0; s < b.job.plan.prepare_steps; s++) {
			for (uint32_t t = 0; t < b.job.wishes.threads; t++)
				kernels[i]->step(&b.job, XM_KERNEL_PREPARE, s, t);
			for (unsigned n = 0; n < 40; n++)
				words[xm_kernel_mix(n + s) % count] ^=
					xm_kernel_mix(n);
		}
		xm_kernel_stage(kernels[i], &b.job, XM_KERNEL_RUN);
		kernels[i]->verify(&b.job, &b.verdict);
		CU_ASSERT_PTR_NOT_NULL(b.verdict.wrong);
		bench_close(&b);
	}
}

struct worker {
	pthread_t thread;
	pthread_barrier_t *barrier;
	const struct xm_kernel *kernel;
	struct xm_kernel_job *job;
	uint32_t index;
};

static void *work(void *argument)
{
	struct worker *w = argument;

	for (int stage = XM_KERNEL_PREPARE; stage <= XM_KERNEL_RUN; stage++) {
		uint32_t steps = stage == XM_KERNEL_RUN
					 ? w->job->plan.run_steps
					 : w->job->plan.prepare_steps;

		for (uint32_t s = 0; s < steps; s++) {
			w->kernel->step(w->job, (enum xm_kernel_stage)stage, s,
					w->index);
			pthread_barrier_wait(w->barrier);
		}
	}
	return NULL;
}

static void threads_at_once_end_where_threads_in_turn_do(void)
{
	enum { THREADS = 3 };

	for (unsigned i = 0; i < KERNELS; i++) {
		struct worker workers[THREADS];
		pthread_barrier_t barrier;
		struct bench a, b;

		bench_open(&a, kernels[i], wishes_of(kernels[i], THREADS));
		xm_kernel_all(kernels[i], &a.job, &a.verdict);
		bench_open(&b, kernels[i], wishes_of(kernels[i], THREADS));
		kernels[i]->lay_out(&b.job);
		pthread_barrier_init(&barrier, NULL, THREADS);
		for (uint32_t t = 0; t < THREADS; t++) {
			workers[t] = (struct worker) { .barrier = &barrier,
						       .kernel = kernels[i],
						       .job = &b.job,
						       .index = t };
			pthread_create(&workers[t].thread, NULL, work,
				       &workers[t]);
		}
		for (uint32_t t = 0; t < THREADS; t++)
			pthread_join(workers[t].thread, NULL);
		pthread_barrier_destroy(&barrier);
		kernels[i]->verify(&b.job, &b.verdict);
		CU_ASSERT_EQUAL(a.job.plan.exact,
				kernels[i] != &xm_kernel_gups);
		CU_ASSERT_EQUAL(b.verdict.checked, a.verdict.checked);
		/* How many updates threads undo of each other, in a table as
		 * small as this, is the machine's. */
		if (a.job.plan.exact) {
			CU_ASSERT_PTR_NULL(b.verdict.wrong);
			CU_ASSERT_EQUAL(b.verdict.errors, 0);
			CU_ASSERT_EQUAL(a.verdict.digest, b.verdict.digest);
		}
		bench_close(&a);
		bench_close(&b);
	}
}

static void digests_depend_on_the_seed_but_where_the_rules_fix_the_data(void)
{
	for (unsigned i = 0; i < KERNELS; i++) {
		bool fixed = kernels[i] == &xm_kernel_gups ||
			     kernels[i] == &xm_kernel_stream;
		struct xm_kernel_wishes w = wishes_of(kernels[i], 1);
		uint64_t digests[3];

		for (unsigned n = 0; n < 3; n++) {
			struct bench b;

			w.seed = 1 + n / 2;
			bench_open(&b, kernels[i], w);
			xm_kernel_all(kernels[i], &b.job, &b.verdict);
			digests[n] = b.verdict.digest;
			bench_close(&b);
		}
		CU_ASSERT_EQUAL(digests[0], digests[1]);
		CU_ASSERT_EQUAL(digests[0] == digests[2], fixed);
	}
}

/* HPCC's stream begins 1, 2, 4, ...; after 64 steps the 1 comes back as 7. */
static void gups_follows_the_stream_of_hpcc(void)
{
	struct xm_kernel_wishes w = { .size = 4096, .threads = 1, .rounds = 1 };
	uint64_t table[512], a = 1;
	struct bench b;

	for (unsigned i = 0; i < 512; i++)
		table[i] = i;
	for (unsigned i = 0; i < 512; i++) {
		a = a << 1 ^ ((int64_t)a < 0 ? 7 : 0);
		table[a & 511] ^= a;
		if (i == 63)
			CU_ASSERT_EQUAL(a, 7);
	}
	bench_open(&b, &xm_kernel_gups, w);
	xm_kernel_all(&xm_kernel_gups, &b.job, &b.verdict);
	CU_ASSERT_EQUAL(memcmp(b.job.memory, table, sizeof(table)), 0);
	bench_close(&b);
}

/* Threads enter the stream in its middle: together they must make the same
 * updates as one. (In turn, so that none is lost.) */
static void gups_by_many_threads_is_gups_by_one(void)
{
	uint64_t digests[2];

	for (unsigned n = 0; n < 2; n++) {
		struct bench b;

		bench_open(&b, &xm_kernel_gups,
			   wishes_of(&xm_kernel_gups, n == 0 ? 1 : 7));
		xm_kernel_all(&xm_kernel_gups, &b.job, &b.verdict);
		digests[n] = b.verdict.digest;
		bench_close(&b);
	}
	CU_ASSERT_EQUAL(digests[0], digests[1]);
}

static void gups_allows_one_word_in_a_hundred_to_threads_and_none_to_one(void)
{
	for (uint32_t threads = 1; threads <= 2; threads++) {
		struct bench b;
		uint64_t *table, words;

		bench_open(&b, &xm_kernel_gups,
			   wishes_of(&xm_kernel_gups, threads));
		xm_kernel_all(&xm_kernel_gups, &b.job, &b.verdict);
		table = b.job.memory;
		words = b.job.plan.memory_size / 8;
		for (uint64_t i = 0; i < words / 100; i++)
			table[i] ^= 1;
		xm_kernel_gups.verify(&b.job, &b.verdict);
		CU_ASSERT_EQUAL(b.verdict.errors, words / 100);
		CU_ASSERT_EQUAL(b.verdict.wrong == NULL, threads == 2);
		table[words - 1] ^= 1;
		xm_kernel_gups.verify(&b.job, &b.verdict);
		CU_ASSERT_PTR_NOT_NULL(b.verdict.wrong);
		bench_close(&b);
	}
}

static void sort_ascends(void)
{
	struct xm_kernel_wishes w = wishes_of(&xm_kernel_sort, 3);
	struct bench b;
	uint64_t *records, count;

	bench_open(&b, &xm_kernel_sort, w);
	xm_kernel_all(&xm_kernel_sort, &b.job, &b.verdict);
	count = b.job.plan.work;
	records = (uint64_t *)b.job.memory + 2 * count;
	for (uint64_t i = 1; i < count; i++)
		CU_ASSERT_TRUE_FATAL(records[2 * i - 2] < records[2 * i]);
	bench_close(&b);
}

/* By the sum over all ranks, against a million draws. */
static void zipf_draws_follow_the_law(void)
{
	enum { RANKS = 1000, DRAWS = 1000000 };
	static uint64_t seen[RANKS + 1];
	struct xm_zipf z;
	uint64_t state = 1;
	double total = 0;

	xm_zipf_init(&z, RANKS, 0.99);
	for (unsigned r = 1; r <= RANKS; r++)
		total += pow(r, -0.99);
	for (unsigned i = 0; i < DRAWS; i++) {
		uint64_t rank = xm_zipf_draw(&z, &state);

		CU_ASSERT_FATAL(rank >= 1 && rank <= RANKS);
		seen[rank]++;
	}
	for (unsigned r = 1; r <= RANKS; r *= 3) {
		double want = DRAWS * pow(r, -0.99) / total;
		double off = fabs((double)seen[r] - want) / sqrt(want);

		CU_ASSERT_TRUE(off < 5);
	}
	xm_zipf_init(&z, 1, 0.99);
	for (unsigned i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(xm_zipf_draw(&z, &state), 1);
}

/* A few vertices have most of the edges, and they are not the first. */
static void the_graph_has_hubs_that_are_scattered(void)
{
	struct bench b;
	uint64_t vertices, edges, most = 0, at = 0;
	uint32_t *degree;

	bench_open(&b, &xm_kernel_pagerank, wishes_of(&xm_kernel_pagerank, 1));
	xm_kernel_all(&xm_kernel_pagerank, &b.job, &b.verdict);
	vertices = b.job.plan.memory_size / 92;
	edges = vertices * 16;
	degree = (uint32_t *)((uint64_t *)b.job.memory + 3 * vertices);
	for (uint64_t v = 0; v < vertices; v++) {
		edges -= degree[v];
		if (degree[v] > most) {
			most = degree[v];
			at = v;
		}
	}
	CU_ASSERT_EQUAL(edges, 0);
	CU_ASSERT_TRUE(most > 16 * 10);
	CU_ASSERT_TRUE(at > 16);
	bench_close(&b);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(each_kernel_is_right_on_ordinary_memory),
		XM_TEST(each_kernel_is_right_at_its_least_size_and_refuses_less),
		XM_TEST(a_plan_stays_within_the_size_and_uses_most_of_it),
		XM_TEST(one_damaged_word_is_noticed),
		XM_TEST(a_page_that_reads_as_zero_is_noticed),
		XM_TEST(a_rank_that_is_wrong_is_noticed),
		XM_TEST(a_lost_put_is_noticed),
		XM_TEST(kernels_stay_in_their_memory_when_it_is_damaged),
		XM_TEST(threads_at_once_end_where_threads_in_turn_do),
		XM_TEST(digests_depend_on_the_seed_but_where_the_rules_fix_the_data),
		XM_TEST(gups_follows_the_stream_of_hpcc),
		XM_TEST(gups_by_many_threads_is_gups_by_one),
		XM_TEST(gups_allows_one_word_in_a_hundred_to_threads_and_none_to_one),
		XM_TEST(sort_ascends),
		XM_TEST(zipf_draws_follow_the_law),
		XM_TEST(the_graph_has_hubs_that_are_scattered),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("kernels", tests);
}
