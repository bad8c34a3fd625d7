/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sums over programs that come and go. A program takes its counters with it when it
 * ends; the sum keeps what it had counted when it was last seen, so it only rises, as a
 * counter of Prometheus must. Pure.
 */
#ifndef EXTMEM_GATEWAY_TOTALS_H
#define EXTMEM_GATEWAY_TOTALS_H

#include <stdint.h>

#include "core/extmem.h"

struct gateway_totals {
	uint64_t faults, misses, zero_fills;
	uint64_t bytes_read, bytes_written;
	uint64_t pages_lost, failovers, mended_bytes, moved_bytes;
	uint64_t waited_ns;
	uint64_t latency[EXTMEM_LATENCY_BUCKETS];
};

/* Adds what one program has counted since `before`; NULL: since it began. */
void gateway_totals_add(struct gateway_totals *, const struct extmem_stats *before,
			const struct extmem_stats *now);

/* How many of the counts of `latency` lie below 2^exponent ns; 4 <= exponent <= 34. */
uint64_t gateway_below(const uint64_t latency[EXTMEM_LATENCY_BUCKETS],
		       unsigned exponent);

#endif
