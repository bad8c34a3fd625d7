/* SPDX-License-Identifier: BSD-3-Clause */
/* One seed's steps in the world of rows with parity; see parity.h. */
#include "sim/parity.h"

#include "sim/notes.h"
#include "sim/world.h"

#define CALM_STEPS 100000

static uint32_t below(uint32_t n)
{
	return (uint32_t)xm_rand_below(world_rand(WORLD_WORK), n);
}

static void shape_draw(struct rows_shape *s)
{
	s->columns = 2 + below(below(4) == 0 ? 7 : 3);
	s->parities = 1 + below(2);
	s->rows = 1 + below(below(2) == 0 ? 4 : ROWS_MAX);
	s->group_shift = below(4);
	s->slots = 2 + below(4);
}

static void deliver(uint32_t failures)
{
	bool well = failures == 0 || below(failures) > 0;

	if (rows_flying() > 0)
		rows_deliver(below(rows_flying()), well, well || below(2) == 0);
}

void rows_live(uint64_t seed)
{
	struct rows_shape s;
	uint32_t steps = 100 + below(1500);
	uint32_t failures = below(3) * (3 + below(20));
	uint32_t deaths = 10 + below(300), crashes = 50 + below(2000);

	(void)seed;
	shape_draw(&s);
	rows_open(&s);
	for (uint32_t i = 0; i < steps; i++) {
		uint32_t row = below(s.rows), column = below(s.columns);

		if (below(deaths) == 0 || below(20) == 0)
			rows_member(below(s.columns + s.parities), below(2) == 0);
		if (below(crashes) == 0)
			rows_crash();
		switch (below(12)) {
		case 0:
		case 1: rows_store(row, 1u << column); break;
		case 2: rows_store(row, below(1u << s.columns)); break;
		case 3: rows_read(row, column); break;
		case 4: rows_tick(); break;
		default: deliver(failures); break;
		}
		rows_ask(below(s.rows));
	}
	for (uint32_t i = 0; !rows_calm(); i++) {
		if (i == CALM_STEPS)
			world_broken("liveness", "rows with parity are not at rest");
		deliver(0);
	}
	for (uint32_t row = 0; row < s.rows; row++)
		rows_ask(row);
	rows_close();
}
