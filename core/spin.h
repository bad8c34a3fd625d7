/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long to go on looking before going to sleep: the one rule of both ends.
 *
 * Sleeping costs a switch and a wake-up, some 50 us here; looking costs a
 * processor that another thread, perhaps the one that is waited for, could
 * use. Who looks for as long as a sleep costs, and sleeps then, never pays
 * more than twice the best choice (Karlin, Li, Manasse, Owicki, SOSP 1991).
 * Adaptive: most waits take about as long as the ones before. So looking is
 * worth while for three times the median of recent waits, within bounds; and
 * where that median is beyond the upper bound, not at all, but for the lower
 * one, by which a link that has become fast is noticed.
 *
 * The median is followed without a memory of samples (frugal streaming; Ma,
 * Muthukrishnan, Sandler 2013): a sample above moves it up by an eighth, one
 * below down by as much, however far away it is. One wait of a second among
 * many short ones changes next to nothing.
 *
 * Floor: ground.
 */
#ifndef XM_SPIN_H
#define XM_SPIN_H

#include "base.h"

#define XM_SPIN_MIN_NS (20 * XM_US)
#define XM_SPIN_MAX_NS (200 * XM_US)
#define XM_SPIN_MEDIANS 3

/* As the options name them, in this order. */
enum xm_polling {
	XM_POLLING_ADAPTIVE,
	XM_POLLING_BUSY,  /* never sleeps while anything is awaited */
	XM_POLLING_BLOCK, /* always sleeps */
};
#define XM_POLLING_CHOICES "adaptive|busy|block"

struct xm_spin {
	enum xm_polling polling;
	uint64_t median_ns;
};

static inline void xm_spin_init(struct xm_spin *s, enum xm_polling polling)
{
	s->polling = polling;
	/* Long looks at first: the first samples are true ones then. */
	s->median_ns = XM_SPIN_MAX_NS / XM_SPIN_MEDIANS;
}

/* From the beginning of a wait on. */
static inline uint64_t xm_spin_ns(const struct xm_spin *s)
{
	if (s->polling == XM_POLLING_BUSY)
		return XM_NEVER;
	if (s->polling == XM_POLLING_BLOCK)
		return 0;
	if (s->median_ns > XM_SPIN_MAX_NS)
		return XM_SPIN_MIN_NS;
	return xm_min(xm_max(XM_SPIN_MEDIANS * s->median_ns, XM_SPIN_MIN_NS),
		      XM_SPIN_MAX_NS);
}

/* A wait has ended after so long. */
static inline void xm_spin_learn(struct xm_spin *s, uint64_t waited_ns)
{
	uint64_t step = s->median_ns / 8;

	if (waited_ns > s->median_ns)
		s->median_ns = xm_min(s->median_ns + step,
				      2 * XM_SPIN_MAX_NS);
	else if (waited_ns < s->median_ns)
		s->median_ns = xm_max(s->median_ns - step, XM_US);
}

#endif
