/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The raw libfabric call (raw.c) as somebody to ask: one for this process, over
 * the provider and the kind of endpoint that a client of ours has. It is what
 * t_net and B_net are measured with, and what stands beside explicit access.
 */
#ifndef EXTMEM_BENCH_NET_H
#define EXTMEM_BENCH_NET_H

#include "bench/rma.h"

/* Starts it, if it does not run. NULL, or why it cannot be. */
const char *net_start(const struct bench_client *);
/* False: it does not run, or has ended over this. */
bool net_ask(const struct rma_point *, struct rma_result *ret);
void net_stop(void);

/* By it: the median of one 4 KiB read, and the rate at the best size; false:
 * they could not be had. A third of a second. */
bool net_ground(double *ret_t_net_us, double *ret_B_net_MBps);

#endif
