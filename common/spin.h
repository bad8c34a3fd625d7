/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decides for how long a thread polls before it sleeps; client and appliance use the
 * same rule.
 *
 * To sleep costs a context switch and a wake-up, some 50 us; to poll costs a processor
 * that another thread, perhaps the one waited for, could use. A thread that polls for as
 * long as a sleep costs, and then sleeps, pays at most twice the best choice (Karlin,
 * Li, Manasse, Owicki, SOSP 1991). Most waits are about as long as the last ones, so
 * the thread polls for XM_SPIN_MEDIANS (3) times the median wait, within 50 to 200 us.
 * Example: with a median of 30 us it polls for 90 us.
 *
 * If both ends share one processor, polling delays the answer. So polling has a credit:
 * a wait that ended while polling adds 1, one that ended in a sleep subtracts 2. At 0 the
 * thread sleeps at once, except for a probe of 200 us every 32 waits, then every 64, and
 * so on up to 512 while probes fail. A probe that succeeds sets credit and median anew.
 *
 * The median is estimated without keeping samples (frugal streaming; Ma, Muthukrishnan,
 * Sandler 2013): a longer wait raises it by an eighth, a shorter one lowers it by an
 * eighth, however large the difference is.
 *
 * Owned by one thread at a time. Nothing fails. Floor: ground.
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
	XM_POLLING_BUSY,  /* never sleeps during a wait */
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
	/* Poll long at first, so that the first samples are not cut off. */
	s->median_ns = XM_SPIN_MAX_NS / XM_SPIN_MEDIANS;
}

/* For how long to poll in the next wait. It stays the same until xm_spin_learn(). */
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

/* A wait has ended after waited_ns. `slept`: the thread had to sleep. */
static inline void xm_spin_learn(struct xm_spin *s, uint64_t waited_ns,
				 bool slept)
{
	if (slept)
		xm_spin_failed(s);
	else
		xm_spin_succeeded(s, waited_ns);
}

#endif
