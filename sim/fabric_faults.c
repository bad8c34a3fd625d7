/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults of the simulated fabric's connections; links.c has those of its links. */
#include <string.h>

#include "sim/fabric_parts.h"

void fabric_break(uint32_t a, uint32_t b)
{
	for (struct connection *c = fabric.connections; c != NULL;
	     c = c->next_all) {
		if (c->from == a && c->to == b && c->target != NULL) {
			fabric_target_close(c);
			fabric_reset(c);
		}
	}
}

void fabric_join_lanes(void)
{
	for (struct xm_transport *t = fabric.transports; t != NULL; t = t->next_all)
		memset(t->cut_ns, 0, sizeof(t->cut_ns));
	for (struct xm_transport *t = fabric.ended; t != NULL; t = t->next_all)
		memset(t->cut_ns, 0, sizeof(t->cut_ns));
}

bool fabric_cut_lane(uint32_t from, uint32_t to, uint64_t choice,
		     uint64_t until_ns)
{
	uint32_t count = 0;

	for (struct xm_transport *t = fabric.transports; t != NULL; t = t->next_all)
		count += !t->target && t->node == from;
	if (count == 0)
		return false;
	choice %= count;
	for (struct xm_transport *t = fabric.transports; t != NULL; t = t->next_all) {
		if (t->target || t->node != from || choice-- != 0)
			continue;
		t->cut_ns[to] = until_ns;
		return true;
	}
	return false;
}
