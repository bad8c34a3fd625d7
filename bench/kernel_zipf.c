/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hash table under a Zipf mix of gets and puts, as the Yahoo Cloud Serving
 * Benchmark has it (Cooper et al., SoCC 2010): open addressing with linear
 * probing (Knuth 3, 6.4, algorithm L), slots of 64 bytes (key, version, six
 * words of value), two in three of them taken. The rank of a key is drawn
 * with s = 0.99; ranks are scattered over the table, so that the hot keys are
 * each on a page with cold ones.
 *
 * Every get looks at all six words, which follow from key and version; a put
 * writes the next version. Verified at the end: every slot is empty, or has a
 * key of ours with the value of its version; each key is there once; and the
 * sum of the versions is the number of puts made, so that none was lost.
 *
 * Threads: thread t serves the keys whose index is t modulo their number, as
 * shards do; pages are shared, slots are not. The table is filled by one
 * thread in eight sweeps, so that filling does not fault for each key.
 * Scratch: counters of the threads.
 * A round: as many operations as there are keys; 2 are usual.
 */
#include "bench/kernel.h"
#include "bench/zipf.h"

#define ZIPF_S 0.99
#define SWEEPS 8
#define VALUES 6

struct slot {
	uint64_t key; /* 0: empty */
	uint64_t version;
	uint64_t value[VALUES];
};

struct counts { /* a cache line */
	uint64_t puts, errors, unused[6];
};

struct table {
	struct slot *slots;
	uint64_t slots_count, keys;
	uint64_t key_sum; /* of all keys that were put in */
	uint64_t unused[4];
	struct counts counts[];
};

static bool zipf_plan(const struct xm_kernel_wishes *w,
		      struct xm_kernel_plan *ret)
{
	uint64_t memory = w->size / XM_KERNEL_PAGE * XM_KERNEL_PAGE;
	uint64_t keys = memory / sizeof(struct slot) / 3 * 2;

	if (w->size < xm_kernel_zipf.size_min || w->threads == 0 ||
	    w->threads > XM_KERNEL_THREADS_MAX || w->rounds > 1 << 20 ||
	    w->puts_pct > 100)
		return false;
	/* Each thread has equally many. */
	keys = keys / w->threads * w->threads;
	if (keys == 0)
		return false;
	*ret = (struct xm_kernel_plan) {
		.memory_size = memory,
		.scratch_size = sizeof(struct table) +
				w->threads * sizeof(struct counts),
		.rounds = w->rounds > 0 ? w->rounds : 2,
		.prepare_steps = 1,
		.run_steps = 1,
		.exact = true,
	};
	ret->work = ret->part_work[0] = keys * ret->rounds;
	return true;
}

static void zipf_lay_out(struct xm_kernel_job *job)
{
	struct table *t = job->scratch;

	t->slots = job->memory;
	t->slots_count = job->plan.memory_size / sizeof(struct slot);
	t->keys = job->plan.work / job->plan.rounds;
}

/* 0 means an empty slot; one of 2^64 arguments gives it. */
static uint64_t key_of(const struct xm_kernel_job *job, uint64_t index)
{
	uint64_t key = xm_kernel_mix(xm_kernel_mix(job->wishes.seed) + index);

	return key != 0 ? key : 1;
}

static uint64_t home_of(const struct table *t, uint64_t key)
{
	return (uint64_t)((unsigned __int128)(key * UINT64_C(
				  0x9e3779b97f4a7c15)) * t->slots_count >> 64);
}

/* The slot of a key, or the empty one where it would be; NULL: neither, which
 * memory that is wrong can bring about. */
static struct slot *find(const struct table *t, uint64_t key)
{
	uint64_t at = home_of(t, key);

	for (uint64_t i = 0; i < t->slots_count; i++) {
		if (t->slots[at].key == key || t->slots[at].key == 0)
			return &t->slots[at];
		if (++at == t->slots_count)
			at = 0;
	}
	return NULL;
}

static void put(struct slot *slot, uint64_t key, uint64_t version)
{
	slot->key = key;
	slot->version = version;
	for (uint64_t i = 0; i < VALUES; i++)
		slot->value[i] = xm_kernel_mix(key + version * 8 + i);
}

static bool is_right(const struct slot *slot)
{
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < VALUES; i++)
		wrong |= slot->value[i] ^
			 xm_kernel_mix(slot->key + slot->version * 8 + i);
	return wrong == 0;
}

static void fill(const struct xm_kernel_job *job, struct table *t)
{
	t->key_sum = 0;
	memset(t->slots, 0, job->plan.memory_size);
	for (uint64_t sweep = 0; sweep < SWEEPS; sweep++) {
		for (uint64_t i = 0; i < t->keys; i++) {
			uint64_t key = key_of(job, i);
			struct slot *slot;

			if (home_of(t, key) * SWEEPS / t->slots_count != sweep)
				continue;
			slot = find(t, key);
			if (slot)
				put(slot, key, 0);
			t->key_sum += xm_kernel_mix(key);
		}
	}
}

static void zipf_step(struct xm_kernel_job *job, enum xm_kernel_stage stage,
		      uint32_t step, uint32_t thread)
{
	struct table *t = job->scratch;
	struct counts counts = { 0 };
	uint32_t threads = job->wishes.threads;
	uint64_t operations = job->plan.work / threads;
	uint64_t state = xm_kernel_mix(job->wishes.seed ^ UINT64_C(0x7a697066)) +
			 ((uint64_t)thread << 48);
	uint64_t coin = xm_kernel_mix(state);
	struct xm_zipf zipf;

	(void)step;
	if (stage == XM_KERNEL_PREPARE) {
		if (thread == 0)
			fill(job, t);
		return;
	}
	xm_zipf_init(&zipf, t->keys / threads, ZIPF_S);
	for (uint64_t i = 0; i < operations; i++) {
		uint64_t rank = xm_zipf_draw(&zipf, &state) - 1;
		uint64_t key = key_of(job, rank * threads + thread);
		struct slot *slot = find(t, key);

		if (!slot || slot->key != key) {
			counts.errors++;
		} else if (xm_kernel_mix(coin++) % 100 < job->wishes.puts_pct) {
			put(slot, key, slot->version + 1);
			counts.puts++;
		} else {
			counts.errors += !is_right(slot);
		}
	}
	t->counts[thread] = counts;
}

static void zipf_verify(struct xm_kernel_job *job,
			struct xm_kernel_verdict *ret)
{
	struct table *t = job->scratch;
	uint64_t keys = 0, versions = 0, puts = 0, key_sum = 0;

	*ret = (struct xm_kernel_verdict) {
		.checked = t->slots_count,
		.digest = xm_kernel_digest(t->slots, job->plan.memory_size),
	};
	for (uint32_t i = 0; i < job->wishes.threads; i++) {
		puts += t->counts[i].puts;
		ret->errors += t->counts[i].errors;
	}
	for (uint64_t i = 0; i < t->slots_count; i++) {
		const struct slot *slot = &t->slots[i];
		static const struct slot empty;

		if (slot->key == 0) {
			ret->errors += memcmp(slot, &empty, sizeof(empty)) != 0;
			continue;
		}
		ret->errors += !is_right(slot);
		keys++;
		versions += slot->version;
		key_sum += xm_kernel_mix(slot->key);
	}
	if (ret->errors > 0)
		ret->wrong = "keys were not found, or had not the value of "
			     "their version";
	else if (keys != t->keys || key_sum != t->key_sum)
		ret->wrong = "the keys are not those that were put in";
	else if (versions != puts)
		ret->wrong = "puts were lost";
}

const struct xm_kernel xm_kernel_zipf = {
	.name = "zipf",
	.help = "Gets and puts in a hash table, keys by a Zipf law (0.99); a "
		"round is as many operations as there are keys, 2 are usual.",
	.unit = "operations",
	.rate = "ops_per_s",
	.rate_scale = 1,
	.parts = 1,
	.size_min = 2 * XM_KERNEL_PAGE,
	.plan = zipf_plan,
	.lay_out = zipf_lay_out,
	.step = zipf_step,
	.verify = zipf_verify,
};
