/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * k-means by Lloyd's iterations ("Least squares quantization in PCM", IEEE
 * Trans. Inf. Theory 28:2, 1982): points of 16 floats around 16 centers that
 * are drawn, the first centers being 16 of the points; then, so many times,
 * each point is assigned to the nearest center (the first of equals), and
 * each center becomes the mean of its points, or stays where it has none.
 *
 * So an iteration is one scan of the points, some 70 ns of arithmetic for
 * 64 bytes, and one scan of the assignments that writes.
 *
 * Coordinates are multiples of 2^-20 below 8, so that sums of up to 2^30 of
 * them are exact in a double, whatever their order: the result does not
 * depend on threads. Verified: the points are those that were generated, and
 * each is assigned to the nearest of the centers that the last iteration
 * began with. The digest says whether assignments are as in another run.
 *
 * Scratch: centers, and for each thread the sums and counts.
 * A round: one iteration; 10 are usual.
 */
#include "bench/kernel.h"

#define DIMENSIONS 16
#define CENTERS 16
#define POINT_BYTES (DIMENSIONS * 4 + 4)
#define GRAIN 1024 /* points; so arrays are whole pages */
#define POINTS_MAX (UINT64_C(1) << 30)
#define UNIT 0x1p-20

struct sums {
	double of[CENTERS][DIMENSIONS];
	uint64_t count[CENTERS];
};

struct kmeans {
	float (*points)[DIMENSIONS];
	uint32_t *assigned;
	uint64_t count, seed;
	/* By dimension, then center: so the compiler does centers at once. */
	float centers[DIMENSIONS][CENTERS];
	float before[DIMENSIONS][CENTERS]; /* centers of the last assignment */
	struct sums sums[];
};

static bool kmeans_plan(const struct xm_kernel_wishes *w,
			struct xm_kernel_plan *ret)
{
	uint64_t count = w->size / (GRAIN * POINT_BYTES) * GRAIN;

	if (w->size < xm_kernel_kmeans.size_min || w->threads == 0 ||
	    w->threads > XM_KERNEL_THREADS_MAX || w->rounds > 1 << 20)
		return false;
	if (count > POINTS_MAX)
		count = POINTS_MAX;
	*ret = (struct xm_kernel_plan) {
		.memory_size = count * POINT_BYTES,
		.scratch_size = sizeof(struct kmeans) +
				w->threads * sizeof(struct sums),
		.rounds = w->rounds > 0 ? w->rounds : 10,
		.prepare_steps = 2,
		.exact = true,
	};
	ret->run_steps = (uint32_t)ret->rounds * 2;
	ret->work = ret->part_work[0] = count * ret->rounds;
	return true;
}

static void kmeans_lay_out(struct xm_kernel_job *job)
{
	struct kmeans *k = job->scratch;

	k->count = job->plan.memory_size / POINT_BYTES;
	k->points = job->memory;
	k->assigned = (void *)(k->points + k->count);
	k->seed = xm_kernel_mix(job->wishes.seed);
}

/* Its center is in [1, 7) in each dimension, and it within 1 of that: the sum
 * of two uniform numbers. */
static void point_make(const struct kmeans *k, uint64_t index,
		       float ret[DIMENSIONS])
{
	uint64_t draw = xm_kernel_mix(k->seed + index);
	uint64_t center = draw % CENTERS;

	for (uint64_t d = 0; d < DIMENSIONS; d++) {
		uint64_t at = xm_kernel_mix(~k->seed + center * DIMENSIONS + d) %
			      (6 << 20);

		draw = xm_kernel_mix(draw);
		at += (draw & 0xfffff) + (draw >> 44);
		ret[d] = (float)at * (float)UNIT;
	}
}

/* The first center of those nearest. */
static uint32_t nearest(const float point[DIMENSIONS],
			float centers[DIMENSIONS][CENTERS])
{
	float distance[CENTERS] = { 0 };
	uint32_t best = 0;

	for (unsigned d = 0; d < DIMENSIONS; d++) {
		for (unsigned c = 0; c < CENTERS; c++) {
			float off = point[d] - centers[d][c];

			distance[c] += off * off;
		}
	}
	for (uint32_t c = 1; c < CENTERS; c++)
		best = distance[c] < distance[best] ? c : best;
	return best;
}

static void assign(struct kmeans *k, struct sums *sums, uint64_t begin,
		   uint64_t end)
{
	struct sums s;

	memset(&s, 0, sizeof(s));
	for (uint64_t i = begin; i < end; i++) {
		uint32_t c = nearest(k->points[i], k->centers);

		k->assigned[i] = c;
		s.count[c]++;
		for (unsigned d = 0; d < DIMENSIONS; d++)
			s.of[c][d] += (double)k->points[i][d];
	}
	*sums = s;
}

static void move_centers(struct kmeans *k, uint32_t threads)
{
	memcpy(k->before, k->centers, sizeof(k->before));
	for (unsigned c = 0; c < CENTERS; c++) {
		uint64_t count = 0;

		for (uint32_t t = 0; t < threads; t++)
			count += k->sums[t].count[c];
		for (unsigned d = 0; d < DIMENSIONS && count > 0; d++) {
			double sum = 0;

			for (uint32_t t = 0; t < threads; t++)
				sum += k->sums[t].of[c][d];
			k->centers[d][c] = (float)(sum / (double)count);
		}
	}
}

static void kmeans_step(struct xm_kernel_job *job, enum xm_kernel_stage stage,
			uint32_t step, uint32_t thread)
{
	struct kmeans *k = job->scratch;
	uint32_t threads = job->wishes.threads;
	uint64_t begin, end;

	xm_kernel_share(k->count / GRAIN, thread, threads, &begin, &end);
	begin *= GRAIN;
	end *= GRAIN;
	if (stage == XM_KERNEL_RUN && step % 2 == 0) {
		assign(k, &k->sums[thread], begin, end);
	} else if (stage == XM_KERNEL_RUN) {
		if (thread == 0)
			move_centers(k, threads);
	} else if (step == 0) {
		for (uint64_t i = begin; i < end; i++) {
			point_make(k, i, k->points[i]);
			k->assigned[i] = 0;
		}
	} else if (thread == 0) {
		for (uint64_t c = 0; c < CENTERS; c++) {
			float point[DIMENSIONS];

			point_make(k, k->count / CENTERS * c, point);
			for (unsigned d = 0; d < DIMENSIONS; d++)
				k->centers[d][c] = point[d];
		}
		memcpy(k->before, k->centers, sizeof(k->before));
	}
}

static void kmeans_verify(struct xm_kernel_job *job,
			  struct xm_kernel_verdict *ret)
{
	struct kmeans *k = job->scratch;
	uint64_t wrong_points = 0;

	*ret = (struct xm_kernel_verdict) {
		.checked = k->count,
		.digest = xm_kernel_digest(k->points, job->plan.memory_size),
	};
	for (uint64_t i = 0; i < k->count; i++) {
		float point[DIMENSIONS];

		point_make(k, i, point);
		wrong_points += memcmp(point, k->points[i], sizeof(point)) != 0;
		ret->errors += k->assigned[i] != nearest(point, k->before);
	}
	if (wrong_points > 0) {
		ret->errors += wrong_points;
		ret->wrong = "points are not those that were generated";
	} else if (ret->errors > 0) {
		ret->wrong = "points are not assigned to the nearest center";
	}
}

const struct xm_kernel xm_kernel_kmeans = {
	.name = "kmeans",
	.help = "k-means: Lloyd's iterations over points of 16 floats, 16 "
		"centers; a round is an iteration, 10 are usual.",
	.unit = "points",
	.rate = "points_per_s",
	.rate_scale = 1,
	.parts = 1,
	.size_min = GRAIN * POINT_BYTES,
	.plan = kmeans_plan,
	.lay_out = kmeans_lay_out,
	.step = kmeans_step,
	.verify = kmeans_verify,
};
