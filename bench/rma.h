/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `rma` and the raw calls beside it have in common: how far, how long,
 * and how it is timed, so that both are measured alike.
 */
#ifndef EXTMEM_BENCH_RMA_H
#define EXTMEM_BENCH_RMA_H

#include <stdlib.h>

#include "bench/bench.h"

#define RMA_SPAN (64 * BENCH_MIB) /* of remote memory, and of buffers */
#define RMA_DEPTH_MAX 256
#define RMA_SAMPLES_MAX 20000
/* Empty ones, before the processor is offered to others. */
#define RMA_POLLS 64

struct rma_point {
	bool write;
	uint64_t bytes;
	unsigned depth; /* depth * bytes <= RMA_SPAN */
	double ms;	/* how long, about */
};

struct rma_result {
	double us, MBps;
};

/* The index-th word of remote memory, as written in the salt-th round. */
static inline uint64_t rma_word(uint64_t index, uint64_t salt)
{
	return (index + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ salt << 48;
}

/* Where the n-th operation goes: one after the other, and round again. */
static inline uint64_t rma_offset(const struct rma_point *p, uint64_t n)
{
	return n % (RMA_SPAN / p->bytes) * p->bytes;
}

/* Time is looked at after each operation at depth 1, whose median is taken,
 * and else after each completion. At least 2 * depth operations are made. */
struct rma_pace {
	double began_us, until_us, last_us;
	uint64_t ended, least;
	const struct rma_point *point;
	size_t samples;
	double took[RMA_SAMPLES_MAX];
};

static inline void rma_pace_begin(struct rma_pace *p,
				  const struct rma_point *point)
{
	p->point = point;
	p->ended = 0;
	p->samples = 0;
	p->least = 2 * (uint64_t)point->depth;
	p->began_us = p->last_us = bench_now_us();
	p->until_us = p->began_us + point->ms * 1000;
}

/* True when no more are to be begun. */
static inline bool rma_pace_over(const struct rma_pace *p, uint64_t begun)
{
	return begun >= p->least && p->last_us >= p->until_us;
}

static inline void rma_pace_step(struct rma_pace *p, uint64_t ended)
{
	double now;

	if (ended == p->ended)
		return;
	now = bench_now_us();
	if (p->point->depth == 1 && p->samples < RMA_SAMPLES_MAX)
		p->took[p->samples++] = now - p->last_us;
	p->last_us = now;
	p->ended = ended;
}

static inline struct rma_result rma_pace_end(struct rma_pace *p,
					     uint64_t ended)
{
	double took = bench_now_us() - p->began_us;

	return (struct rma_result){
		.us = p->samples > 0
			      ? bench_permille(p->took, p->samples, 500)
			      : took / (double)ended,
		.MBps = (double)(ended * p->point->bytes) / took,
	};
}

#endif
