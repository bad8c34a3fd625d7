/* SPDX-License-Identifier: BSD-3-Clause */
/* The links between hosts; see links.h. */
#include "sim/links.h"

#include <string.h>

#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/shape.h"
#include "sim/world.h"

#define SLOW 16 /* times */

static struct {
	bool blocked[SIM_NODES][SIM_NODES];
	uint64_t clogged[SIM_NODES], slow[SIM_NODES];
	uint64_t busy[SIM_NODES][SIM_NODES];
} l;

void links_open(void)
{
	memset(&l, 0, sizeof(l));
}

bool links_blocked(uint32_t from, uint32_t to)
{
	return l.blocked[from][to];
}

uint64_t links_arrive(uint32_t from, uint32_t to, uint64_t size)
{
	const struct sim_link *link = &sim_shape.link;
	struct xm_rand *r = world_rand(WORLD_NETWORK);
	uint64_t begin = xm_max(world_now(), l.busy[from][to]);
	uint64_t at, slow = 1;

	if (xm_max(l.slow[from], l.slow[to]) > world_now())
		slow = SLOW;
	begin = xm_max(begin, xm_max(l.clogged[from], l.clogged[to]));
	begin += slow * size * XM_US / link->bytes_per_us;
	l.busy[from][to] = begin;
	at = begin + slow * link->latency_ns;
	if (link->jitter_ns > 0) {
		uint64_t more = xm_rand_below(r, link->jitter_ns);

		at += more;
		sim_counts.faults[SIM_FAULT_DELAY] += more > 0;
	}
	if (xm_rand_chance(r, link->loss_permille)) {
		at += 20 * XM_MS + xm_rand_below(r, 200 * XM_MS);
		sim_counts.faults[SIM_FAULT_LOSS]++;
	}
	return at;
}

void fabric_block(uint32_t from, uint32_t to, bool blocked)
{
	l.blocked[from][to] = blocked;
}

void fabric_clog(uint32_t node, uint64_t until_ns)
{
	l.clogged[node] = until_ns;
}

void fabric_slow(uint32_t node, uint64_t until_ns)
{
	l.slow[node] = until_ns;
}

void fabric_clear(void)
{
	memset(l.blocked, 0, sizeof(l.blocked));
	for (unsigned i = 0; i < SIM_NODES; i++)
		l.clogged[i] = l.slow[i] = 0;
}
