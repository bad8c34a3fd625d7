/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle: when each law (invariant) is asked. The laws are those of the
 * contract, docs/SIMULATOR.md, "Laws":
 *
 *   ownership, isolation  laws_ownership.c
 *   faithfulness, level   shadow.c: what programs read and what syncs promise
 *   epoch                 laws_epoch.c
 *   page truth            laws_page.c
 *   members               laws_members.c
 *   quiet                 laws_quiet.c
 *   spread                laws_spread.c
 *   view                  laws_view.c
 *   watch                 laws_watch.c
 *   liveness, deadline    laws_liveness.c, run.c, shadow.c, os.c
 *   survival              laws_liveness.c
 *   bounds, counters      laws_bounds.c, program.c, operations_select.c
 *   tenant                tenants.c, thief.c
 *   place                 places.c
 *   ticket                laws_tickets.c
 *   selection             operations_select.c: slabs and objects do not overlap
 *   promise               XM_ASSERT of the machines and of the contracts
 *
 * Laws about one access, key, lease or call are asked as it happens. A law about
 * the whole state of an appliance or a client is asked every EVERY events, in
 * turns, because asking after each event would mostly ask the same again. With
 * five appliances and three clients each appliance's pool is looked at every 130
 * events, and each client's pages every 624.
 */
#include "sim/appliance.h"
#include "sim/fabric.h"
#include "sim/laws.h"
#include "sim/oracle.h"
#include "sim/programs.h"
#include "sim/seals.h"
#include "sim/shape.h"
#include "sim/tenants.h"
#include "sim/world.h"

#define EVERY 26 /* events */

void oracle_ask(void)
{
	uint64_t events = world_events(), turn = events / EVERY;
	const struct process *ran = world_ran();

	/* A lease can end only in a step of its appliance's control process. */
	if (ran != NULL && ran->node < sim_shape.appliances &&
	    ran == appliance_control(ran->node)) {
		law_leases(ran->node, false);
		law_tenants(ran->node);
	}
	if (events % EVERY != 0)
		return;
	law_pool((uint32_t)(turn % sim_shape.appliances));
	if (turn % 4 == 0) {
		uint32_t index = (uint32_t)(turn / 4 % sim_shape.appliances);

		law_leases(index, true);
		law_names(index);
		law_region_ids(index);
		law_keys(index);
		law_tickets(index);
	}
	programs_ask();
	if (sim_shape.sealed)
		law_seals((uint32_t)(turn % sim_shape.clients));
	if (sim_shape.copies > 1) {
		law_view((uint32_t)(turn % sim_shape.clients));
		law_members((uint32_t)(turn % sim_shape.clients));
		law_spread((uint32_t)(turn % sim_shape.clients));
	}
	if (turn % 8 == 0)
		law_pages((uint32_t)(turn / 8 % sim_shape.clients));
}
