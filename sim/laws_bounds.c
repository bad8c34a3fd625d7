/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounds: no queue exceeds its limit; every operation completes exactly once.
 * Most of it is asserted by the machines themselves and by the fabric, and ends
 * in world_broken() as they do. Here: a client's counters are what the fabric and
 * the mapper have seen of it. That a closed client leaves no memory behind is
 * checked in program.c.
 */
#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/laws.h"
#include "sim/notes.h"
#include "sim/touch.h"

/* Between two of a lane's turns, all operations that were begun or have ended are
 * counted. */
void law_counters(uint32_t index, const struct xm_lane *lane)
{
	const struct xm_engine *e = &lane->engine;
	struct fabric_counts sum = { 0 };

	for (uint32_t i = 0; i < e->peers_count; i++)
		fabric_count(e->peers[i].transport, &sum);
	sim_counts.laws_asked++;
	if (e->counters.reads != sum.reads ||
	    e->counters.writes != sum.writes ||
	    e->counters.bytes_read != sum.bytes_read ||
	    e->counters.bytes_written != sum.bytes_written)
		world_broken("counters", "client %u counts %llu reads and "
			     "%llu writes of a lane, of %llu and %llu bytes; "
			     "the fabric saw %llu and %llu, of %llu and %llu",
			     index, (unsigned long long)e->counters.reads,
			     (unsigned long long)e->counters.writes,
			     (unsigned long long)e->counters.bytes_read,
			     (unsigned long long)e->counters.bytes_written,
			     (unsigned long long)sum.reads,
			     (unsigned long long)sum.writes,
			     (unsigned long long)sum.bytes_read,
			     (unsigned long long)sum.bytes_written);
	if (xm_engine_flying(e) != sum.flying)
		world_broken("counters", "client %u waits for %u operations "
			     "of a lane, and the fabric has %u", index,
			     xm_engine_flying(e), sum.flying);
}

void law_present(uint32_t index, const extmem *x, uint64_t frames)
{
	if (touch_count(x) != frames)
		world_broken("counters", "client %u has %llu pages here, and "
			     "%llu frames in use", index,
			     (unsigned long long)touch_count(x),
			     (unsigned long long)frames);
}
