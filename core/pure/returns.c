/* SPDX-License-Identifier: BSD-3-Clause */
/* How often pages would have come back with more local memory; see returns.h. */
#include "core/pure/returns.h"

static uint64_t bucket_begin(unsigned bucket)
{
	if (bucket < 8)
		return bucket;
	return (uint64_t)(8 + bucket % 8) << (bucket / 8 - 1);
}

uint64_t xm_returns_step(uint64_t size, unsigned step)
{
	static const uint16_t more[8] = { 0, 91, 189, 297, 414, 542, 682, 834 };
	uint64_t octave = size << step / 8;

	return octave + octave * more[step % 8] / 1000;
}

static uint64_t sum(const uint64_t *list)
{
	uint64_t all = 0;

	for (unsigned b = 0; b < XM_RETURNS_BUCKETS; b++)
		all += list[b];
	return all;
}

/* Frames that pages need to stay from the begin of the bucket to its end; `away`: of the
 * pages that were evicted, those that had not come back by its begin. */
static uint64_t frames_for(const struct xm_returns *r, unsigned bucket,
			   uint64_t away)
{
	uint64_t width = bucket_begin(bucket + 1) - bucket_begin(bucket);
	uint64_t back = r->pages[bucket];
	double most = (double)away - (double)xm_min(back, away) / 2;

	return (uint64_t)((double)width * most / (double)r->left + 0.5);
}

void xm_returns_project(const struct xm_returns *r, uint32_t frames,
			uint64_t ret[XM_RETURNS_STEPS])
{
	uint64_t away = r->evicted, remain = sum(r->faults), more = 0;
	unsigned step = 0;

	for (unsigned b = 0; b < XM_RETURNS_BUCKETS && remain > 0; b++) {
		uint64_t width = frames_for(r, b, away);

		for (; step < XM_RETURNS_STEPS; step++) {
			uint64_t at = xm_returns_step(frames, step) - frames;

			if (at >= more + width)
				break;
			ret[step] += remain - (uint64_t)((double)r->faults[b] *
							 (double)(at - more) /
							 (double)width);
		}
		more += width;
		remain -= r->faults[b];
		away -= xm_min(away, r->pages[b]);
	}
}
