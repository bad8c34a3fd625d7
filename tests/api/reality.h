/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One program of the simulator's, of this machine's clock, memory and clients
 * (reality_around.c); appliances, and trouble with them, are reality.c's. The two do
 * not see each other's headers: what the simulator calls an appliance is another.
 */
#ifndef XM_TESTS_REALITY_H
#define XM_TESTS_REALITY_H

#include "sim/outcomes.h"

#define REALITY_POOL (4 * XM_MIB)

/* The program begins anew, with a client of this appliance; false: it cannot. */
bool reality_open(const char *address, unsigned timeout_ms, unsigned loss_ms);
/* What a seed's first client and thread do in the simulator, up to then (ms). */
void reality_live(uint64_t seed, uint64_t end_ms);
/* In clear weather: all that is watched is looked at, and the client closed. */
void reality_finish(void);
/* So many outcomes have not been in the list, ever. */
uint64_t reality_unlisted(void);
/* What came to what, how often; what was done. */
void reality_print(void);

/* Any thread: trouble, as outcomes tell it; so much time we could not run. */
void reality_begins(enum outcome_trouble);
void reality_ends(enum outcome_trouble);
void reality_starved(uint64_t ns);

#endif
