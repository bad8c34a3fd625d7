/* SPDX-License-Identifier: BSD-3-Clause */
/* How long faults took, and would have; see latency.h. */
#include "core/client/latency.h"

#include "core/pure/returns.h"

_Static_assert(XM_RETURNS_STEPS == EXTMEM_LOCAL_STEPS, "each step is shown");

static unsigned bucket_of(uint64_t ns)
{
	unsigned octave;

	if (ns < 16)
		return (unsigned)ns;
	octave = 63 - (unsigned)__builtin_clzll(ns);
	if (octave > 34)
		return EXTMEM_LATENCY_BUCKETS - 1;
	return (octave - 3) * 16 + ((unsigned)(ns >> (octave - 4)) & 15);
}

/* What is no longer in this bucket. */
static uint64_t bucket_end_ns(unsigned bucket)
{
	if (bucket < 16)
		return bucket;
	return (uint64_t)(16 + bucket % 16 + 1) << (bucket / 16 - 1);
}

void xm_latency_add(struct xm_latency *l, uint64_t ns)
{
	l->counts[bucket_of(ns)]++;
	l->sum_ns += ns;
}

uint64_t extmem_latency_ns(const struct extmem_stats *s, unsigned permille)
{
	uint64_t total = 0, seen = 0;

	for (unsigned i = 0; i < EXTMEM_LATENCY_BUCKETS; i++)
		total += s->latency[i];
	for (unsigned i = 0; i < EXTMEM_LATENCY_BUCKETS; i++) {
		seen += s->latency[i];
		if (seen * 1000 >= total * permille && seen > 0)
			return bucket_end_ns(i);
	}
	return 0;
}

uint64_t extmem_local_for(const struct extmem_stats *s, uint64_t time_ns,
			  unsigned permille)
{
	double other = (double)s->waited_ns - (double)s->returned_ns;
	double works = time_ns > s->waited_ns ? (double)(time_ns - s->waited_ns)
					      : 0;

	for (unsigned i = 0; i < EXTMEM_LOCAL_STEPS && s->returned[0] > 0; i++) {
		double waits = other + (double)s->returned_ns *
					       (double)s->returned[i] /
					       (double)s->returned[0];

		if (waits * 1000 <= (works + waits) * permille)
			return xm_returns_step(s->local_limit, i);
	}
	return 0;
}
