/* SPDX-License-Identifier: BSD-3-Clause */
/* The mender machine; see mender.h. */
#include "core/pure/mender.h"

#include <string.h>

void xm_mender_init(struct xm_mender *m)
{
	memset(m, 0, sizeof(*m));
}

/* Since when this has been so without a break; 0: it is not so. */
static void since(uint64_t *since_ns, bool is, uint64_t now_ns)
{
	if (!is)
		*since_ns = 0;
	else if (*since_ns == 0)
		*since_ns = xm_max(now_ns, 1);
}

static void on_tick(struct xm_mender *m, const struct xm_mender_event *ev)
{
	m->given_up = 0;
	for (uint32_t a = 0; a < XM_APPLIANCES_MAX; a++) {
		uint32_t bit = 1u << a;
		bool out = (ev->out & bit) != 0;

		since(&m->out_since_ns[a], out, ev->now_ns);
		since(&m->gone_since_ns[a], out && (ev->gone & bit) != 0,
		      ev->now_ns);
		if ((m->gone_since_ns[a] != 0 &&
		     ev->now_ns - m->gone_since_ns[a] >= XM_MENDER_GONE) ||
		    (out && ev->now_ns - m->out_since_ns[a] >=
				    xm_max(ev->lease_ns[a], XM_MENDER_GONE)))
			m->given_up |= bit;
	}
	m->looks = !m->asks && ev->now_ns >= m->retry_ns;
}

static bool is_avoided(const struct xm_mender *m, uint32_t a, uint64_t now_ns)
{
	return now_ns < m->avoided_until_ns[a];
}

static int spare_of(const struct xm_mender_event *ev, uint32_t avoided)
{
	struct xm_plan_vacancy vacancy = ev->vacancy;

	vacancy.barred |= avoided;
	return xm_plan_spare(ev->strategy, ev->choice, ev->offers, ev->count,
			     &vacancy);
}

bool xm_mender_fits(const struct xm_mender_event *ev)
{
	return spare_of(ev, 0) >= 0;
}

static bool choose(struct xm_mender *m, const struct xm_mender_event *ev)
{
	uint32_t avoided = 0;
	int best;

	for (uint32_t a = 0; a < ev->count; a++)
		avoided |= (uint32_t)is_avoided(m, a, ev->now_ns) << a;
	best = spare_of(ev, avoided);
	if (best < 0)
		best = spare_of(ev, 0);
	if (best < 0) {
		m->retry_ns = xm_time_after(ev->now_ns, XM_MENDER_RETRY);
		return false;
	}
	m->spare = (uint32_t)best;
	m->asks = true;
	m->retry_ns = 0; /* of one that found no place before */
	return true;
}

void xm_mender_avoid(struct xm_mender *m, uint32_t appliance, uint64_t now_ns)
{
	m->avoided_until_ns[appliance] = xm_time_after(now_ns, XM_MENDER_AVOIDS);
	m->retry_ns = xm_time_after(now_ns, XM_MENDER_RETRY);
}

bool xm_mender_step(struct xm_mender *m, const struct xm_mender_event *ev)
{
	switch (ev->kind) {
	case XM_MENDER_TICK:
		on_tick(m, ev);
		break;
	case XM_MENDER_VACANCY:
		return choose(m, ev);
	case XM_MENDER_ANSWERED:
		m->asks = false;
		if (ev->status != 0)
			xm_mender_avoid(m, m->spare, ev->now_ns);
		break;
	}
	return false;
}
