/* SPDX-License-Identifier: BSD-3-Clause */
/* How long faults took; see latency.h. */
#include "core/client/latency.h"

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
