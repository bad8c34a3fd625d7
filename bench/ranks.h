/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranks of MPI, or one process that behaves as one rank. Every wait naps, for
 * where ranks share cores a spinning one steals from what is measured.
 * Clients are the first ranks and have a communicator of their own.
 */
#ifndef EXTMEM_BENCH_RANKS_H
#define EXTMEM_BENCH_RANKS_H

#include <stdbool.h>
#include <stddef.h>

/* By what the launcher says, before anything of MPI was called. */
bool ranks_launched(void);
int ranks_early(void); /* this rank, or 0 */

/* -1: launched, but built without MPI. */
int ranks_begin(int *ret_rank, int *ret_count);
/* Divides them: the first `clients`, and the rest. Of all ranks. */
void ranks_divide(int clients);
/* Every rank's `size` bytes, in the order of ranks. Of all ranks. */
void ranks_share(const void *own, size_t size, void *ret_all);
/* All ranks are here; `meanwhile` is called now and then until they are. */
void ranks_meet(void (*meanwhile)(void *), void *argument);
/* Of clients: all are here; every client's bytes, at rank 0. */
void ranks_meet_clients(void);
void ranks_gather_clients(const void *own, size_t size, void *ret_all);
/* Rank 0's bytes, at every client. */
void ranks_tell_clients(void *data, size_t size);
/* Ends MPI, in good order. */
void ranks_end(void);
/* Ends all ranks with this status at once. Returns where there is no MPI. */
void ranks_abort(int status);

#endif
