/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * View: before a client relies on a view, it is in the ledger of every appliance in it
 * that holds data; and numbers rise.
 */
#include <string.h>

#include "core/pure/ledger.h"
#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/laws.h"
#include "sim/notes.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/world.h"

static struct {
	const extmem *x;
	uint64_t number;
} seen[SIM_CLIENTS_MAX];

/* NULL: its lease has ended, and the client will hear of it. */
static const uint8_t *ledger_bytes(const struct xm_keeper_ledger *ledger,
				   uint32_t appliance)
{
	uint64_t offset;

	if (!fabric_key(appliance, ledger->remote.key, &offset))
		return NULL;
	return appliance_pool(appliance) + offset;
}

static void ask_ledger(uint32_t client, const struct xm_keeper_views *views,
		       uint32_t a)
{
	const struct xm_view_record *r = &views->view.record;
	const struct xm_keeper_ledger *ledger = &views->ledgers[a];
	struct xm_ledger there;
	const uint8_t *bytes;

	/* A fresh one is written as soon as that can be. */
	if (ledger->state != XM_LEDGER_HELD || views->view.written[a] == 0)
		return;
	bytes = ledger_bytes(ledger, a);
	if (bytes == NULL)
		return;
	sim_counts.laws_asked++;
	if (!xm_ledger_decode(bytes, &there))
		world_broken("view", "client %u relies on view %llu, and the "
			     "ledger at appliance %u is empty", client,
			     (unsigned long long)r->number, a);
	if (there.record.number < r->number &&
	    there.record.proposed < r->number)
		world_broken("view", "client %u relies on view %llu, and the "
			     "ledger at appliance %u has heard of %llu and "
			     "%llu only", client, (unsigned long long)r->number,
			     a, (unsigned long long)there.record.number,
			     (unsigned long long)there.record.proposed);
}

void law_view(uint32_t client)
{
	extmem *x = program_client(client);
	const struct xm_keeper_views *views;

	if (x == NULL || x->settings.members_max <= 1)
		return;
	views = &x->ask.keeper.views;
	if (seen[client].x == x &&
	    views->view.record.number < seen[client].number)
		world_broken("view", "client %u goes back from view %llu to "
			     "%llu", client,
			     (unsigned long long)seen[client].number,
			     (unsigned long long)views->view.record.number);
	seen[client].x = x;
	seen[client].number = views->view.record.number;
	for (uint32_t a = 0; a < x->ask.keeper.control.count; a++) {
		if ((views->view.relied & 1u << a) != 0)
			ask_ledger(client, views, a);
	}
}

void law_view_forget(uint32_t client)
{
	seen[client].x = NULL;
}
