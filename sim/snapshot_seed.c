/* SPDX-License-Identifier: BSD-3-Clause */
/* One seed's steps in the snapshot machine's world; see snapshot.h. */
#include "sim/snapshot.h"

#include "sim/world.h"

static uint32_t below(uint32_t n)
{
	return (uint32_t)xm_rand_below(world_rand(WORLD_WORK), n);
}

/* The program has it, or has freed it and a child can see it. */
static bool is_had(uint32_t region, uint32_t page)
{
	return past_is_owned(region, page) || past_is_kept(region, page);
}

/* Pages from `page` on that all are what the first one is. */
static uint32_t alike(uint32_t region, uint32_t page, bool had)
{
	uint32_t n = 0, most = 1 + below(PAST_PAGES / 2);

	for (; n < most && page + n < PAST_PAGES; n++) {
		if (is_had(region, page + n) != had)
			break;
	}
	return n;
}

static void process_step(uint32_t region, uint32_t page)
{
	bool had = is_had(region, page);
	uint32_t n;

	switch (below(10)) {
	case 0:
	case 1:
		n = alike(region, page, had);
		if (had)
			past_free(region, page, n);
		else
			past_allocate(region, page, n);
		break;
	case 2: past_write_back(region, page); break;
	case 3: past_evict(region, page); break;
	default:
		if (past_is_owned(region, page))
			past_write(region, page);
		else if (!had)
			past_allocate(region, page, alike(region, page, false));
	}
}

static void children_step(uint32_t region, uint32_t page)
{
	uint32_t child = past_child_from(below(PAST_CHILDREN));

	if (child == UINT32_MAX)
		return;
	switch (below(12)) {
	case 0: past_child_end(child); break;
	case 1: past_child_fork(child); break;
	default: past_ask(child, region, page); break;
	}
}

static void broker_step(void)
{
	switch (below(6)) {
	case 0: past_copied(); break;
	case 1: past_spill(); break;
	case 2: past_spilled(below(8) > 0); break;
	case 3: past_sweep(1 + below(8)); break;
	case 4: past_give_back(); break;
	default: past_copied(); break;
	}
}

void past_live(uint64_t seed)
{
	uint32_t steps = 50 + below(400), forks = 8 + below(60);
	uint32_t refusals = below(2) * (2 + below(20));

	(void)seed;
	past_open();
	for (uint32_t rounds = 1 + below(3); rounds > 0; rounds--) {
		for (uint32_t i = 0; i < steps; i++) {
			uint32_t region = below(PAST_REGIONS);
			uint32_t page = below(PAST_PAGES);

			past_refuse(refusals > 0 && below(refusals) == 0);
			if (below(forks) == 0)
				past_fork();
			else if (below(2) == 0)
				process_step(region, page);
			else if (below(2) == 0)
				children_step(region, page);
			else
				broker_step();
		}
		past_refuse(false);
		past_close();
	}
}
