/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A histogram of how long faults took, with a relative error of at most 1/16.
 *
 * Times below 16 ns have a bucket each. Above, each octave [2^k, 2^(k+1)) has 16
 * buckets of equal width: 1000 ns is in octave 9 (512 to 1023), whose buckets are
 * 32 ns wide, so it counts in [992, 1024). (The idea is HdrHistogram's, by Tene.)
 * Pure; the lock of the lane that has it protects it.
 */
#ifndef XM_LATENCY_H
#define XM_LATENCY_H

#include "common/base.h"
#include "core/extmem.h"

struct xm_latency {
	uint64_t counts[EXTMEM_LATENCY_BUCKETS];
	uint64_t sum_ns;
};

void xm_latency_add(struct xm_latency *, uint64_t ns);

#endif
