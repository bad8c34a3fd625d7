/* SPDX-License-Identifier: BSD-3-Clause */
/* See totals.h. */
#include "gateway/totals.h"

#include <stddef.h>

/* A program that began again under the same name counts from 0. */
static uint64_t risen(uint64_t before, uint64_t now)
{
	return now >= before ? now - before : now;
}

void gateway_totals_add(struct gateway_totals *t, const struct extmem_stats *before,
			const struct extmem_stats *now)
{
	static const struct extmem_stats nothing;

	if (!before)
		before = &nothing;
#define ADD(FIELD) t->FIELD += risen(before->FIELD, now->FIELD)
	ADD(faults);
	ADD(misses);
	ADD(zero_fills);
	ADD(bytes_read);
	ADD(bytes_written);
	ADD(pages_lost);
	ADD(failovers);
	ADD(mended_bytes);
	ADD(moved_bytes);
	ADD(waited_ns);
	for (unsigned i = 0; i < EXTMEM_LATENCY_BUCKETS; i++)
		ADD(latency[i]);
#undef ADD
}

uint64_t gateway_below(const uint64_t latency[EXTMEM_LATENCY_BUCKETS],
		       unsigned exponent)
{
	uint64_t sum = 0;

	/* 16 buckets for the first 16 ns, then 16 for each power of two. */
	for (unsigned i = 0; i < (exponent - 3) * 16; i++)
		sum += latency[i];
	return sum;
}
