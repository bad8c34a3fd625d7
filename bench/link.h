/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link as `rma` found it, for whoever predicts: one JSON object,
 *
 *	{ "format": "extmem-link-1", "transport": ..., "provider": ...,
 *	  "t_net_us": ..., "f_us": ..., "fresh_us": ..., "B_net_MBps": ...,
 *	  "read": [ { "bytes": 8, "us": ..., "mean_us": ..., "MBps": ... }, ... ],
 *	  "write": [ ... ],
 *	  "local": { "deliver_us": ..., "step_us": ..., "install_us": ..., ... },
 *	  "all_local_us_per_access": { "sort": ..., ... } }
 *
 * `us` is one operation alone, the median, and `mean_us` the mean; `MBps` the
 * best rate of that size at any depth that was measured. Sizes ascend. `local` is
 * what goes on beside the link, on this machine: a fault's way to its handler and
 * back, what the library thinks about it, the kernel's calls (costs.h), and what
 * an operation's two calls take of the processor, `_page` for each page beyond
 * the first; null where they could not be measured.
 */
#ifndef EXTMEM_BENCH_LINK_H
#define EXTMEM_BENCH_LINK_H

#include "bench/costs.h"
#include "bench/ordinary.h"
#include "bench/rma.h"

#define LINK_SIZES_MAX 64
#define LINK_CALL_PAGES 16 /* of the larger operation in `calls` */

struct link_size {
	uint64_t bytes;
	double us, mean_us, MBps; /* 0: not measured */
};

struct link_curve {
	size_t count[2]; /* of reads, of writes */
	struct link_size sizes[2][LINK_SIZES_MAX];
};

struct link_local {
	bool known;
	struct costs costs;
	struct link_calls {
		double post_us, poll_us;
	} calls[2][2]; /* of reads, of writes; of one page, of 16 */
	struct ordinary ordinary[ORDINARY_COUNT];
};

void link_add(struct link_curve *, const struct rma_point *,
	      struct rma_result);
/* Fails by bench_fail(). */
void link_write(struct link_curve *, const struct link_local *,
		const struct bench_client *, const char *path);

#endif
