/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Liveness: once the weather clears, every request, fault and flush ends within T.
 * That is the second half of each run (run.c). While faults are injected a call
 * returns by its deadline all the same (shadow.c), a thread is woken when what it
 * waits for has happened (os.c), and clients that merely hang lose no page: that
 * is checked here.
 *
 * Survival: where all trouble has come to fewer appliances than each page has copies,
 * none is lost; and no client gives up a path to one of the others as silent.
 */
#include "sim/appliance.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/shape.h"
#include "sim/weather.h"

/* Where no fault was injected but hangs of clients, and no lease has ended, no
 * page is lost. */
void oracle_page_lost(void)
{
	/* What is shared no more is lost to its reader. */
	if (sim_shape.shares)
		return;
	if (sim_shape.survives)
		world_broken("survival", "a page was lost, and only appliances "
			     "%#x of %u have had trouble, fewer than its copies",
			     sim_shape.victims, sim_shape.appliances);
	if (!weather_only_pauses() || sim_shape.lies_ms > 0)
		return;
	for (uint32_t i = 0; i < sim_shape.appliances; i++) {
		if (appliance_service(i) == NULL ||
		    appliance_service(i)->expired > 0)
			return;
	}
	world_broken("liveness", "a page was lost, and only clients had hung");
}

void oracle_given_up(uint32_t appliance)
{
	/* A reader whose key is dead loses its connection by it. */
	if (sim_shape.survives && !sim_shape.shares &&
	    (sim_shape.victims & 1u << appliance) == 0)
		world_broken("survival", "a path to appliance %u was given up, and only "
			     "appliances %#x of %u have had trouble", appliance,
			     sim_shape.victims, sim_shape.appliances);
}
