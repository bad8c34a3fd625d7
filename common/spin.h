/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long to go on looking before going to sleep: the one rule of both ends.
 *
 * Sleeping costs a switch and a wake-up, some 50 us here; looking costs a
 * processor that another thread, perhaps the very one that is waited for, could
 * use. Who looks for as long as a sleep costs, and sleeps then, never pays more
 * than twice the best choice (Karlin, Li, Manasse, Owicki, SOSP 1991). Adaptive:
 * most waits take about as long as the ones before, so looking is worth while
 * for three times the median of those that it saw the end of, within bounds.
 *
 * But what a wait takes depends on the looking itself: where both ends share a
 * processor nothing comes before one of them sleeps. So looking has a credit
 * that each success raises and each failure lowers by more; without credit
 * there is no looking, but for a probe of the longest kind now and then, ever
 * more seldom while they fail. One that succeeds sets the median anew.
 *
 * The median is followed without a memory of samples (frugal streaming; Ma,
 * Muthukrishnan, Sandler 2013): a sample above moves it up by an eighth, one
 * below down by as much, however far away it is.
 *
 * Floor: ground.
 */
#ifndef XM_SPIN_H
#define XM_SPIN_H

#include "common/base.h"

#define XM_SPIN_MIN_NS (50 * XM_US) /* what a sleep costs */
#define XM_SPIN_MAX_NS (200 * XM_US)
#define XM_SPIN_MEDIANS 3
#define XM_SPIN_CREDIT_MAX 8
#define XM_SPIN_CREDIT 4 /* at first, and after a probe */
#define XM_SPIN_FAILURE 2
#define XM_SPIN_PROBE_MIN 32 /* waits from one probe to the next */
#define XM_SPIN_PROBE_MAX 512

/* As the options name them, in this order. */
enum xm_polling {
	XM_POLLING_ADAPTIVE,
	XM_POLLING_BUSY,  /* never sleeps while anything is awaited */
	XM_POLLING_BLOCK, /* always sleeps */
};
#define XM_POLLING_CHOICES "adaptive|busy|block"

struct xm_spin {
	enum xm_polling polling;
	uint32_t credit;
	uint32_t waits, probe_every; /* since credit was lost */
	uint64_t median_ns;
};

static inline void xm_spin_init(struct xm_spin *s, enum xm_polling polling)
{
	s->polling = polling;
	s->credit = XM_SPIN_CREDIT;
	s->waits = 0;
	s->probe_every = XM_SPIN_PROBE_MIN;
	/* Long looks at first: the first samples are true ones then. */
	s->median_ns = XM_SPIN_MAX_NS / XM_SPIN_MEDIANS;
}

/* The next wait, from its beginning on. The same until the next learn(). */
static inline uint64_t xm_spin_ns(const struct xm_spin *s)
{
	if (s->polling == XM_POLLING_BUSY)
		return XM_NEVER;
	if (s->polling == XM_POLLING_BLOCK)
		return 0;
	if (s->credit == 0)
		return s->waits == s->probe_every ? XM_SPIN_MAX_NS : 0;
	return xm_min(xm_max(XM_SPIN_MEDIANS * s->median_ns, XM_SPIN_MIN_NS),
		      XM_SPIN_MAX_NS);
}

static inline void xm_spin_succeeded(struct xm_spin *s, uint64_t waited_ns)
{
	uint64_t step = s->median_ns / 8;

	if (s->credit == 0) {
		s->credit = XM_SPIN_CREDIT;
		s->probe_every = XM_SPIN_PROBE_MIN;
		s->median_ns = xm_max(waited_ns, XM_US);
		return;
	}
	if (s->credit < XM_SPIN_CREDIT_MAX)
		s->credit++;
	if (waited_ns > s->median_ns)
		s->median_ns += step;
	else if (waited_ns < s->median_ns)
		s->median_ns = xm_max(s->median_ns - step, XM_US);
}

static inline void xm_spin_failed(struct xm_spin *s)
{
	if (s->credit > 0) {
		s->credit -= s->credit < XM_SPIN_FAILURE ? s->credit
							 : XM_SPIN_FAILURE;
		s->waits = 0;
	} else if (s->waits == s->probe_every) {
		s->waits = 0;
		if (s->probe_every < XM_SPIN_PROBE_MAX)
			s->probe_every *= 2;
	} else {
		s->waits++;
	}
}

/* A wait has ended, after so long, with a sleep in it or without. */
static inline void xm_spin_learn(struct xm_spin *s, uint64_t waited_ns,
				 bool slept)
{
	if (slept)
		xm_spin_failed(s);
	else
		xm_spin_succeeded(s, waited_ns);
}

#endif
