/* SPDX-License-Identifier: BSD-3-Clause */
/* When memory goes back to the host; see pressure.h. Floor: ground. */
#include "appliance/pressure.h"

#include <string.h>

#define STEPS 16

void xm_pressure_init(struct xm_pressure *p, uint64_t line, uint64_t pool)
{
	memset(p, 0, sizeof(*p));
	p->line = line;
	p->step = xm_max(pool / STEPS, 1);
	p->most = p->goal = pool;
}

static void since(uint64_t *since_ns, bool is, uint64_t now_ns)
{
	if (!is)
		*since_ns = 0;
	else if (*since_ns == 0)
		*since_ns = xm_max(now_ns, 1);
}

static bool lasts(uint64_t since_ns, uint64_t now_ns, uint64_t ns)
{
	return since_ns != 0 && now_ns - since_ns >= ns;
}

/* Somebody else has changed the size; or the host had no memory for the last step. */
static void heed(struct xm_pressure *p, uint64_t goal)
{
	if (goal == p->goal)
		return;
	if (!p->grew || goal > p->goal)
		p->most = goal;
	p->goal = goal;
}

bool xm_pressure_step(struct xm_pressure *p, const struct xm_pressure_event *ev,
		      uint64_t *ret_goal)
{
	uint64_t more, was;
	bool pressed = ev->available < p->line ||
		       ev->stalled_permille >= XM_PRESSURE_STALLED;
	bool eased = ev->stalled_permille < XM_PRESSURE_CALM &&
		     ev->available / 3 >= p->line &&
		     ev->available - 3 * p->line >= p->step;

	heed(p, ev->goal);
	was = p->goal;
	since(&p->pressed_ns, pressed, ev->now_ns);
	since(&p->eased_ns, eased, ev->now_ns);
	if (ev->now_ns < p->rests_ns)
		return false;
	if (lasts(p->pressed_ns, ev->now_ns, XM_PRESSURE_LASTS)) {
		more = ev->available < 2 * p->line
			       ? 2 * p->line - ev->available : 0;
		p->goal -= xm_min(xm_max(more, p->step), p->goal);
		p->grew = false;
		p->rests_ns = xm_time_after(ev->now_ns, XM_PRESSURE_RESTS);
	} else if (lasts(p->eased_ns, ev->now_ns, XM_PRESSURE_EASE)) {
		p->goal = xm_min(p->goal + p->step, xm_max(p->most, p->goal));
		p->grew = true;
		p->eased_ns = 0;
	}
	*ret_goal = p->goal;
	return p->goal != was;
}
