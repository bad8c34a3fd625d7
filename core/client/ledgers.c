/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ledgers, before memory of a mirror is asked for: without one at its appliances a
 * mirror could not do without a member (view.h). The keeper takes them.
 */
#include "core/client/ledgers.h"

#include "core/client/client.h"
#include "core/skin/os.h"

#define LOOK (XM_MS / 2)
#define MOST XM_SECOND /* by then an appliance that answers has answered */

/* Those that have a ledger; *ret_waits: some that answer have not said yes or no. */
static uint32_t look(extmem *x, bool *ret_waits)
{
	struct xm_keeper *k = &x->ask.keeper;
	uint32_t have = 0;

	*ret_waits = false;
	os_mutex_take(&x->ask.lock);
	k->views.wanted = true;
	for (uint32_t a = 0; a < k->control.count; a++) {
		const struct xm_keeper_ledger *ledger = &k->views.ledgers[a];

		if (ledger->state == XM_LEDGER_HELD)
			have |= 1u << a;
		else if (k->peers[a].ready && !ledger->refused)
			*ret_waits = true;
	}
	os_mutex_give(&x->ask.lock);
	return have;
}

uint32_t xm_ledgers_take(extmem *x)
{
	uint64_t deadline_ns = xm_min(x->regions.deadline_ns,
				      os_now_ns() + MOST);
	bool waits;
	uint32_t have = look(x, &waits);

	if (waits)
		xm_ask_wake(&x->ask);
	while (waits && os_now_ns() < deadline_ns) {
		os_sleep(LOOK);
		have = look(x, &waits);
	}
	return have;
}
