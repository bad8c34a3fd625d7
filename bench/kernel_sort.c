/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A merge sort for memory in which order matters (Knuth, The Art of Computer
 * Programming 3, 5.4): records of a 64-bit key and a 64-bit payload lie in
 * one half of the memory. Step one sorts eight runs of it, each in place, by
 * quicksort, whose partitions are scans from both ends; so what is under way
 * is an eighth of the records, and soon less. Step two merges the eight runs
 * into the other half by a tree of losers (Knuth 5.4.1): eight scans that
 * are read and one that is written. Each record is so read and written about
 * twice from afar, however many there are.
 *
 * Keys are distinct (the generator is a bijection of the index), so there is
 * one right answer. The payload follows from the key. Verified: the result
 * ascends, every payload belongs to its key, and the sum of a hash of the
 * records is that of what was generated; likewise for the runs.
 *
 * Memory may be wrong here, that is what is tested: no index that is read or
 * computed from it leaves the half it belongs to.
 *
 * Threads: runs are dealt out, so at most eight sort; in the merge, thread t of
 * T writes the t-th of T equal ranges of keys.
 * Scratch: none to speak of. A round: all of it once; more are refused.
 */
#include "bench/kernel.h"

#define RUNS 8
#define FEW 24 /* records that insertion sort does */
#define PAGE_RECORDS (XM_KERNEL_PAGE / sizeof(struct record))

struct record {
	uint64_t key, payload;
};

struct sort {
	uint64_t count;
	struct record *from, *to;
};

static bool sort_plan(const struct xm_kernel_wishes *w,
		      struct xm_kernel_plan *ret)
{
	uint64_t count = w->size / (2 * XM_KERNEL_PAGE) * PAGE_RECORDS;

	if (w->size < xm_kernel_sort.size_min || w->threads == 0 ||
	    w->threads > XM_KERNEL_THREADS_MAX || w->rounds > 1)
		return false;
	*ret = (struct xm_kernel_plan) {
		.memory_size = count * 2 * sizeof(struct record),
		.scratch_size = sizeof(struct sort),
		.rounds = 1,
		.work = count,
		.part_work = { count, count },
		.prepare_steps = 1,
		.run_steps = 2,
		.exact = true,
	};
	return true;
}

static void sort_lay_out(struct xm_kernel_job *job)
{
	struct sort *s = job->scratch;

	s->count = job->plan.memory_size / (2 * sizeof(struct record));
	s->from = job->memory;
	s->to = s->from + s->count;
}

static struct record record_make(uint64_t seed, uint64_t index)
{
	uint64_t key = xm_kernel_mix(xm_kernel_mix(seed) + index);

	return (struct record) { key, xm_kernel_mix(key) };
}

static uint64_t record_hash(const struct record *r)
{
	return xm_kernel_mix(r->key * 3 + r->payload);
}

/* --- runs --------------------------------------------------------------------- */

static inline void swap(struct record *a, struct record *b)
{
	struct record t = *a;

	*a = *b;
	*b = t;
}

static void insertion_sort(struct record *r, uint64_t count)
{
	for (uint64_t i = 1; i < count; i++) {
		struct record one = r[i];
		uint64_t at = i;

		for (; at > 0 && r[at - 1].key > one.key; at--)
			r[at] = r[at - 1];
		r[at] = one;
	}
}

/* Hoare's: all before the returned place have keys at most those after it,
 * and neither side is empty. */
static uint64_t partition(struct record *r, uint64_t count)
{
	uint64_t low = 0, high = count - 1, pivot;

	if (r[count / 2].key < r[0].key)
		swap(&r[count / 2], &r[0]);
	if (r[count - 1].key < r[count / 2].key)
		swap(&r[count - 1], &r[count / 2]);
	if (r[count / 2].key < r[0].key)
		swap(&r[count / 2], &r[0]);
	pivot = r[count / 2].key;
	for (;;) {
		while (low < count - 1 && r[low].key < pivot)
			low++;
		while (high > 0 && r[high].key > pivot)
			high--;
		if (low >= high)
			break;
		swap(&r[low++], &r[high--]);
	}
	return low > 0 ? low : 1;
}

/* The larger side waits on the stack: each entry has less than half the
 * records of the one below it, so 64 are enough. */
static void quicksort(struct record *r, uint64_t count)
{
	struct {
		struct record *at;
		uint64_t count;
	} stack[64];
	unsigned depth = 0;

	for (;;) {
		while (count > FEW) {
			uint64_t left = partition(r, count);
			uint64_t right = count - left;

			stack[depth].at = left > right ? r : r + left;
			stack[depth].count = left > right ? left : right;
			depth++;
			r = left > right ? r + left : r;
			count = left > right ? right : left;
		}
		insertion_sort(r, count);
		if (depth == 0)
			break;
		depth--;
		r = stack[depth].at;
		count = stack[depth].count;
	}
}

/* --- merge -------------------------------------------------------------------- */

struct head {
	uint64_t key;
	uint64_t order; /* its run; RUNS and more: it has ended */
};

static inline bool before(const struct head *a, const struct head *b)
{
	return a->key < b->key || (a->key == b->key && a->order < b->order);
}

/* The first record of a run whose key is not below `key`. */
static uint64_t lower_bound(const struct record *r, uint64_t count,
			    uint64_t key)
{
	uint64_t low = 0, high = count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (r[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct merge {
	const struct record *at[RUNS], *end[RUNS];
	struct head losers[RUNS]; /* [0]: the winner */
};

static struct head head_of(const struct merge *m, uint32_t run)
{
	if (m->at[run] == m->end[run])
		return (struct head) { UINT64_MAX, RUNS + run };
	return (struct head) { m->at[run]->key, run };
}

static void play(struct merge *m, uint32_t run)
{
	struct head one = head_of(m, run);

	for (uint32_t node = (RUNS + run) / 2; node > 0; node /= 2) {
		if (before(&m->losers[node], &one)) {
			struct head t = m->losers[node];

			m->losers[node] = one;
			one = t;
		}
	}
	m->losers[0] = one;
}

/* The tree, from its leaves up: winners[i] plays for node i. */
static void losers_build(struct merge *m)
{
	struct head winners[2 * RUNS];

	for (uint32_t run = 0; run < RUNS; run++)
		winners[RUNS + run] = head_of(m, run);
	for (uint32_t node = RUNS - 1; node > 0; node--) {
		bool left = before(&winners[2 * node], &winners[2 * node + 1]);

		winners[node] = winners[2 * node + !left];
		m->losers[node] = winners[2 * node + left];
	}
	m->losers[0] = winners[1];
}

static void merge_range(struct sort *s, uint32_t thread, uint32_t threads)
{
	struct merge m;
	uint64_t skipped = 0, count = 0;
	uint64_t each = UINT64_MAX / threads;

	for (uint32_t run = 0; run < RUNS; run++) {
		uint64_t begin, end, first, last;

		xm_kernel_share(s->count, run, RUNS, &begin, &end);
		first = thread == 0 ? 0
				    : lower_bound(s->from + begin, end - begin,
						  each * thread);
		last = thread == threads - 1
			       ? end - begin
			       : lower_bound(s->from + begin, end - begin,
					     each * (thread + 1));
		if (last < first)
			last = first;
		m.at[run] = s->from + begin + first;
		m.end[run] = s->from + begin + last;
		skipped += first;
		count += last - first;
	}
	if (count > s->count - skipped)
		count = s->count - skipped;
	losers_build(&m);
	for (uint64_t i = 0; i < count; i++) {
		uint32_t run = (uint32_t)(m.losers[0].order % RUNS);

		s->to[skipped + i] = *m.at[run]++;
		play(&m, run);
	}
}

static void sort_step(struct xm_kernel_job *job, enum xm_kernel_stage stage,
		      uint32_t step, uint32_t thread)
{
	struct sort *s = job->scratch;
	uint32_t threads = job->wishes.threads;
	uint64_t begin, end, first, last;

	if (stage == XM_KERNEL_PREPARE) {
		xm_kernel_share(s->count, thread, threads, &begin, &end);
		for (uint64_t i = begin; i < end; i++) {
			s->from[i] = record_make(job->wishes.seed, i);
			s->to[i] = (struct record) { 0, 0 };
		}
		return;
	}
	if (step == 1) {
		merge_range(s, thread, threads);
		return;
	}
	xm_kernel_share(RUNS, thread, threads, &first, &last);
	for (uint64_t run = first; run < last; run++) {
		xm_kernel_share(s->count, (uint32_t)run, RUNS, &begin, &end);
		quicksort(s->from + begin, end - begin);
	}
}

/* Errors in one ascending run, and the sum of its hashes. */
static uint64_t look(const struct record *r, uint64_t count, uint64_t *ret_sum)
{
	uint64_t errors = 0;

	for (uint64_t i = 0; i < count; i++) {
		errors += r[i].payload != xm_kernel_mix(r[i].key) ||
			  (i > 0 && r[i - 1].key >= r[i].key);
		*ret_sum += record_hash(&r[i]);
	}
	return errors;
}

static void sort_verify(struct xm_kernel_job *job,
			struct xm_kernel_verdict *ret)
{
	struct sort *s = job->scratch;
	uint64_t sum = 0, sum_from = 0, sum_to = 0;

	*ret = (struct xm_kernel_verdict) {
		.checked = 2 * s->count,
		.digest = xm_kernel_digest(s->from, job->plan.memory_size),
	};
	for (uint64_t i = 0; i < s->count; i++) {
		struct record r = record_make(job->wishes.seed, i);

		sum += record_hash(&r);
	}
	for (uint32_t run = 0; run < RUNS; run++) {
		uint64_t begin, end;

		xm_kernel_share(s->count, run, RUNS, &begin, &end);
		ret->errors += look(s->from + begin, end - begin, &sum_from);
	}
	ret->errors += look(s->to, s->count, &sum_to);
	if (ret->errors > 0)
		ret->wrong = "records are out of order, or have the payload "
			     "of another";
	else if (sum_from != sum || sum_to != sum)
		ret->wrong = "the records are not those that were generated";
}

const struct xm_kernel xm_kernel_sort = {
	.name = "sort",
	.help = "Merge sort of records of 16 bytes: eight runs in place, then "
		"one merge into the other half of the memory. One round.",
	.unit = "keys",
	.rate = "keys_per_s",
	.rate_scale = 1,
	.parts = 2,
	.part_names = { "runs", "merge" },
	.size_min = 2 * XM_KERNEL_PAGE,
	.plan = sort_plan,
	.lay_out = sort_lay_out,
	.step = sort_step,
	.verify = sort_verify,
};
