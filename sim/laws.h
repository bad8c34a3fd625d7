/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The laws (invariants) that the oracle asks in turns; oracle.c says when. Each
 * laws_*.c has at its head the sentence of the contract that it checks. Laws that
 * are asked about as something happens are in oracle.h, shadow.h and notes.h.
 */
#ifndef XM_SIM_LAWS_H
#define XM_SIM_LAWS_H

#include "core/client/client.h"

struct process;

/* --- laws_ownership.c --- */
void law_pool(uint32_t appliance);  /* extents make up the pool */
void law_names(uint32_t appliance); /* each client has a number of its own */
void law_region_ids(uint32_t appliance); /* it knows extents by their regions' ids */
void law_keys(uint32_t appliance);  /* each key opens its client's bytes only */

/* --- laws_epoch.c --- */

/* Leases of silent clients end, those of others do not. `all`: also asks about
 * clients whose silence should have ended their leases, which only time changes. */
void law_leases(uint32_t appliance, bool all);

/* --- laws_page.c --- */
void law_pages(uint32_t client);

/* --- laws_members.c --- */

/* Members that are IN agree; of a part of the client's pages, in turns. */
void law_members(uint32_t client);
/* A client begins. */
void law_members_forget(uint32_t client);

/* --- laws_spread.c --- */
void law_spread(uint32_t client);

/* --- laws_view.c --- */
void law_view(uint32_t client);
/* A client begins, or has ended. */
void law_view_forget(uint32_t client);

/* --- laws_watch.c --- */

/* Sets a watch for this client of the running process, which the law is then about. 0, or
 * what extmem_watch() returned. */
int law_watch(extmem *);
/* The process has no watched client any more. */
void law_watch_forget(const struct process *);
/* Pages have become writable, and no store has reached them yet. */
void law_opened(const struct process *, const uint8_t *address, uint64_t size);

/* --- laws_bounds.c --- */

/* A lane's counters are what the fabric saw. Not while its lock is held. */
void law_counters(uint32_t client, const struct xm_lane *);
/* So are the pages that the client says are present. */
void law_present(uint32_t client, const extmem *, uint64_t frames);

#endif
