/* SPDX-License-Identifier: BSD-3-Clause */
/* See watchdog.h. Floor: ground. */
#include "appliance/watchdog.h"

#define LOOKS 4 /* in half the manager's time, while somebody is silent */

void xm_watchdog_init(struct xm_watchdog *w, uint64_t watchdog_ns, bool divided)
{
	*w = (struct xm_watchdog){ .half_ns = watchdog_ns / 2, .divided = divided };
}

bool xm_watchdog_tick(struct xm_watchdog *w, uint64_t now_ns, const bool *listens,
		      uint32_t count)
{
	bool all = true;

	for (uint32_t i = 0; i < count; i++) {
		if (!listens[i]) /* its end is noticed elsewhere */
			w->parts[i].state = XM_WATCHDOG_FRESH;
		all &= w->parts[i].state == XM_WATCHDOG_FRESH;
	}
	if (w->half_ns == 0 || now_ns < w->tell_ns || (!all && !w->divided))
		return false;
	w->tell_ns = xm_time_after(now_ns, w->half_ns);
	for (uint32_t i = 0; i < count; i++)
		if (listens[i] && w->parts[i].state == XM_WATCHDOG_FRESH)
			w->parts[i] = (struct xm_watchdog_part){ XM_WATCHDOG_OWED, now_ns };
	return true;
}

void xm_watchdog_asked(struct xm_watchdog *w, uint32_t part)
{
	XM_ASSERT(w->parts[part].state == XM_WATCHDOG_OWED);
	w->parts[part].state = XM_WATCHDOG_ASKED;
}

/* (One that was not asked says nothing by it.) */
void xm_watchdog_answered(struct xm_watchdog *w, uint32_t part)
{
	if (w->parts[part].state == XM_WATCHDOG_ASKED)
		w->parts[part].state = XM_WATCHDOG_FRESH;
}

bool xm_watchdog_hangs(const struct xm_watchdog *w, uint32_t part, uint64_t now_ns)
{
	return w->half_ns > 0 && w->parts[part].state != XM_WATCHDOG_FRESH &&
	       now_ns >= xm_time_after(w->parts[part].since_ns, 2 * w->half_ns);
}

uint64_t xm_watchdog_next(const struct xm_watchdog *w, uint64_t now_ns)
{
	if (w->half_ns == 0)
		return XM_NEVER;
	return now_ns < w->tell_ns ? w->tell_ns
				   : xm_time_after(now_ns, w->half_ns / LOOKS + 1);
}
