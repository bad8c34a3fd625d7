/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Spread: the copies of a segment lie in different zones, if its region's strategy wants
 * that and has no other choice. So do those that were made anew, or have moved.
 */
#include <string.h>

#include "core/client/client.h"
#include "core/pure/strategy.h"
#include "sim/counts.h"
#include "sim/laws.h"
#include "sim/notes.h"
#include "sim/programs.h"
#include "sim/shape.h"

static const char *zone_of(const extmem *x, const struct xm_member *m)
{
	return x->ask.keeper.control.peers[m->appliance].session.welcome.zone;
}

static void ask_segment(uint32_t client, const extmem *x,
			const struct xm_segment *s)
{
	for (uint32_t k = 0; k < xm_segment_copies(s); k++) {
		const struct xm_member *m = &s->members[k];

		for (uint32_t j = 0; j < k; j++) {
			const struct xm_member *other = &s->members[j];

			if (m->state == XM_MEMBER_LOST ||
			    other->state == XM_MEMBER_LOST ||
			    strcmp(zone_of(x, m), zone_of(x, other)) != 0)
				continue;
			world_broken("spread", "two copies of page %llu of "
				     "client %u lie in zone %s, at appliances "
				     "%u and %u", (unsigned long long)s->page,
				     client, zone_of(x, m), other->appliance,
				     m->appliance);
		}
	}
}

void law_spread(uint32_t client)
{
	const extmem *x = program_client(client);

	if (x == NULL || sim_shape.spread != SIM_SPREAD_ALWAYS)
		return;
	sim_counts.laws_asked++;
	for (uint32_t i = 0; i < x->volume.layout.count; i++)
		ask_segment(client, x, &x->volume.layout.segments[i]);
}
