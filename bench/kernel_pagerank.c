/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PageRank (Page, Brin, Motwani and Winograd, 1998), damping 0.85, a fixed
 * number of iterations, pulling: rank[v] = (1 - d) / n + d * (the sum of
 * rank[u] / out_degree[u] over the edges u -> v, and what vertices without
 * edges share out). The graph is an R-MAT (Chakrabarti, Zhan and Faloutsos,
 * SDM 2004) with the parameters of Graph500: 2^n vertices, 16 edges each,
 * a, b, c, d = 0.57, 0.19, 0.19, 0.05, labels scattered; loops and repeated
 * edges stay. It lies as compressed rows by target: the edges of all vertices
 * in one array (`sources`), and where each vertex's end.
 *
 * So an iteration is one scan of 4 bytes an edge, and for each edge one read of
 * 8 bytes at a place drawn by the law of R-MAT, in an array that is a tenth of
 * the whole.
 *
 * The i-th edge follows from seed and i. Rows are built by counting, in eight
 * windows of targets, for each of which all edges are made again: that costs
 * time, but no memory, and touches one window at a time.
 *
 * Sums are taken in an order that does not depend on the threads: a vertex's
 * edges in the order of the array, shared-out rank by 256 blocks. Verified:
 * ranks add up to one within 1e-9, hashes of edges and degrees are those of
 * the generator. The digest says whether every bit is as in another run.
 *
 * Memory may be wrong here: indices read from it are kept within bounds.
 *
 * Scratch: the sums of the blocks. A round: one iteration; 10 are usual.
 */
#include "bench/kernel.h"

#define DAMPING 0.85
#define EDGE_FACTOR 16
#define WINDOWS 8
#define BLOCKS 256
#define SCALE_MIN 10 /* arrays are whole pages from here on */
#define SCALE_MAX 32
#define VERTEX_BYTES (8 + 8 + 8 + 4 + EDGE_FACTOR * 4)

struct graph {
	double *rank, *part; /* part: rank / out_degree */
	uint64_t *ends;
	uint32_t *out_degree, *sources;
	uint64_t vertices, edges, seed;
	uint32_t scale;
	double shared[BLOCKS]; /* rank of vertices without edges */
};

static bool pagerank_plan(const struct xm_kernel_wishes *w,
			  struct xm_kernel_plan *ret)
{
	uint32_t scale = SCALE_MIN;

	if (w->size < xm_kernel_pagerank.size_min || w->threads == 0 ||
	    w->threads > XM_KERNEL_THREADS_MAX || w->rounds > 1 << 20)
		return false;
	while (scale < SCALE_MAX &&
	       (UINT64_C(2) << scale) * VERTEX_BYTES <= w->size)
		scale++;
	*ret = (struct xm_kernel_plan) {
		.memory_size = (UINT64_C(1) << scale) * VERTEX_BYTES,
		.scratch_size = sizeof(struct graph),
		.rounds = w->rounds > 0 ? w->rounds : 10,
		.prepare_steps = 4,
		.exact = true,
	};
	ret->run_steps = (uint32_t)ret->rounds * 2;
	ret->work = (EDGE_FACTOR * ret->rounds) << scale;
	ret->part_work[0] = ret->work;
	return true;
}

static void pagerank_lay_out(struct xm_kernel_job *job)
{
	struct graph *g = job->scratch;

	g->vertices = job->plan.memory_size / VERTEX_BYTES;
	g->edges = g->vertices * EDGE_FACTOR;
	g->scale = (uint32_t)__builtin_ctzll(g->vertices);
	g->seed = xm_kernel_mix(job->wishes.seed);
	g->rank = job->memory;
	g->part = g->rank + g->vertices;
	g->ends = (void *)(g->part + g->vertices);
	g->out_degree = (void *)(g->ends + g->vertices);
	g->sources = g->out_degree + g->vertices;
}

/* --- the graph ------------------------------------------------------------------ */

/* A bijection of the labels: without it the busy vertices are the first. */
static uint64_t scatter(const struct graph *g, uint64_t v)
{
	uint64_t mask = g->vertices - 1;

	v = (v * UINT64_C(0x9e3779b97f4a7c15) + g->seed) & mask;
	v ^= v >> (g->scale / 2 + 1);
	v = v * UINT64_C(0xbf58476d1ce4e5b9) & mask;
	v ^= v >> (g->scale / 2);
	return v;
}

/* Sixteen random bits choose a quarter of the matrix at each level. */
static void edge_make(const struct graph *g, uint64_t index,
		      uint64_t *ret_source, uint64_t *ret_target)
{
	uint64_t source = 0, target = 0, bits = 0, base = g->seed + index * 8;

	for (uint32_t level = 0; level < g->scale; level++) {
		uint32_t r;

		if (level % 4 == 0)
			bits = xm_kernel_mix(base + level / 4);
		r = (uint32_t)(bits & 0xffff);
		bits >>= 16;
		/* 0.57, 0.76 and 0.95 of 65536 */
		source = source << 1 | (r >= 49807);
		target = target << 1 |
			 ((unsigned)(r >= 37356) ^ (unsigned)(r >= 49807) ^
			  (unsigned)(r >= 62259));
	}
	*ret_source = scatter(g, source);
	*ret_target = scatter(g, target);
}

/* Which window a vertex is in. */
static uint64_t window_of(const struct graph *g, uint64_t v)
{
	return v >> (g->scale - 3);
}

static void count_window(struct graph *g, uint64_t window)
{
	for (uint64_t i = 0; i < g->edges; i++) {
		uint64_t source, target;

		edge_make(g, i, &source, &target);
		if (window_of(g, source) == window)
			g->out_degree[source]++;
		if (window_of(g, target) == window)
			g->ends[target]++;
	}
}

/* Before, ends[v] is where the edges of v begin. */
static void fill_window(struct graph *g, uint64_t window)
{
	for (uint64_t i = 0; i < g->edges; i++) {
		uint64_t source, target, at;

		edge_make(g, i, &source, &target);
		if (window_of(g, target) != window)
			continue;
		at = g->ends[target]++;
		if (at < g->edges)
			g->sources[at] = (uint32_t)source;
	}
}

static void prepare(struct xm_kernel_job *job, uint32_t step, uint32_t thread)
{
	struct graph *g = job->scratch;
	uint32_t threads = job->wishes.threads;
	uint64_t begin, end, sum = 0;

	switch (step) {
	case 0:
		xm_kernel_share(g->vertices, thread, threads, &begin, &end);
		for (uint64_t v = begin; v < end; v++) {
			g->rank[v] = 1.0 / (double)g->vertices;
			g->part[v] = 0;
			g->ends[v] = 0;
			g->out_degree[v] = 0;
		}
		break;
	case 2:
		for (uint64_t v = 0; v < g->vertices && thread == 0; v++) {
			uint64_t count = g->ends[v];

			g->ends[v] = sum;
			sum += count;
		}
		break;
	default:
		xm_kernel_share(WINDOWS, thread, threads, &begin, &end);
		for (uint64_t window = begin; window < end; window++) {
			if (step == 1)
				count_window(g, window);
			else
				fill_window(g, window);
		}
		break;
	}
}

/* --- ranks ------------------------------------------------------------------------ */

static void share_out(struct graph *g, uint64_t block)
{
	uint64_t begin, end;
	double shared = 0;

	xm_kernel_share(g->vertices, (uint32_t)block, BLOCKS, &begin, &end);
	for (uint64_t v = begin; v < end; v++) {
		g->part[v] = 0;
		if (g->out_degree[v] > 0)
			g->part[v] = g->rank[v] / g->out_degree[v];
		else
			shared += g->rank[v];
	}
	g->shared[block] = shared;
}

static void gather(struct graph *g, uint64_t block, double base)
{
	const double *part = g->part;
	const uint32_t *sources = g->sources;
	uint64_t begin, end, mask = g->vertices - 1;
	uint64_t edge;

	xm_kernel_share(g->vertices, (uint32_t)block, BLOCKS, &begin, &end);
	edge = begin > 0 ? g->ends[begin - 1] : 0;
	for (uint64_t v = begin; v < end; v++) {
		uint64_t last = g->ends[v];
		double sum = 0;

		if (last > g->edges)
			last = g->edges;
		for (; edge < last; edge++)
			sum += part[sources[edge] & mask];
		g->rank[v] = base + DAMPING * sum;
	}
}

static void pagerank_step(struct xm_kernel_job *job, enum xm_kernel_stage stage,
			  uint32_t step, uint32_t thread)
{
	struct graph *g = job->scratch;
	uint64_t begin, end;
	double n = (double)g->vertices, shared = 0;

	if (stage == XM_KERNEL_PREPARE) {
		prepare(job, step, thread);
		return;
	}
	xm_kernel_share(BLOCKS, thread, job->wishes.threads, &begin, &end);
	if (step % 2 == 0) {
		for (uint64_t block = begin; block < end; block++)
			share_out(g, block);
		return;
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		shared += g->shared[i];
	for (uint64_t block = begin; block < end; block++)
		gather(g, block, (1 - DAMPING) / n + DAMPING * shared / n);
}

static void pagerank_verify(struct xm_kernel_job *job,
			    struct xm_kernel_verdict *ret)
{
	struct graph *g = job->scratch;
	uint64_t rows = 0, degrees = 0, made_rows = 0, made_degrees = 0;
	uint64_t edge = 0;
	double sum = 0;

	*ret = (struct xm_kernel_verdict) {
		.checked = g->vertices + g->edges,
		.digest = xm_kernel_digest(g->rank, job->plan.memory_size),
	};
	for (uint64_t i = 0; i < g->edges; i++) {
		uint64_t source, target;

		edge_make(g, i, &source, &target);
		made_rows += xm_kernel_mix(source << 32 | target);
		made_degrees += xm_kernel_mix(source);
	}
	for (uint64_t v = 0; v < g->vertices; v++) {
		uint64_t last = g->ends[v];

		ret->errors += last < edge || last > g->edges;
		for (; edge < last && edge < g->edges; edge++)
			rows += xm_kernel_mix((uint64_t)g->sources[edge] << 32 |
					      v);
		degrees += xm_kernel_mix(v) * g->out_degree[v];
		sum += g->rank[v];
	}
	ret->errors += edge != g->edges;
	if (ret->errors > 0)
		ret->wrong = "the rows do not follow one another";
	else if (rows != made_rows || degrees != made_degrees)
		ret->wrong = "the edges are not those that were generated";
	else if (!(sum > 1 - 1e-9 && sum < 1 + 1e-9))
		ret->wrong = "the ranks do not add up to one";
}

const struct xm_kernel xm_kernel_pagerank = {
	.name = "pagerank",
	.help = "PageRank on an R-MAT graph of 2^n vertices with 16 edges each; "
		"a round is an iteration, 10 are usual.",
	.unit = "edges",
	.rate = "edges_per_s",
	.rate_scale = 1,
	.parts = 1,
	.size_min = (UINT64_C(1) << SCALE_MIN) * VERTEX_BYTES,
	.plan = pagerank_plan,
	.lay_out = pagerank_lay_out,
	.step = pagerank_step,
	.verify = pagerank_verify,
};
