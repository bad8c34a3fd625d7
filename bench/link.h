/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link as `rma` found it, for whoever predicts: one JSON object,
 *
 *	{ "format": "extmem-link-1", "transport": ..., "provider": ...,
 *	  "t_net_us": ..., "f_us": ..., "fresh_us": ..., "B_net_MBps": ...,
 *	  "read": [ { "bytes": 8, "us": ..., "MBps": ... }, ... ],
 *	  "write": [ ... ] }
 *
 * `us` is one operation alone, the median; `MBps` the best rate of that size at
 * any depth that was measured. Sizes ascend.
 */
#ifndef EXTMEM_BENCH_LINK_H
#define EXTMEM_BENCH_LINK_H

#include "rma.h"

#define LINK_SIZES_MAX 64

struct link_size {
	uint64_t bytes;
	double us, MBps; /* 0: not measured */
};

struct link_curve {
	size_t count[2]; /* of reads, of writes */
	struct link_size sizes[2][LINK_SIZES_MAX];
};

void link_add(struct link_curve *, const struct rma_point *,
	      struct rma_result);
/* Fails by bench_fail(). */
void link_write(struct link_curve *, const struct bench_client *,
		const char *path);

#endif
