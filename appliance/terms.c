/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service machine's terms: when a lease or a handshake is over.
 *
 * A client's lease ends when nothing was heard from the client for its lease
 * time. Leases are looked at every tick: an eighth of the shortest lease, and
 * at most a second. So a lease of 10 s ends 10 to 11 s after the last message,
 * never earlier.
 *
 * If the machine itself was not stepped for more than half a lease (the process
 * was stopped, or the computer slept), it could not hear anybody. It then moves
 * every client's last sign of life by that gap, and declares nobody dead.
 *
 * Floor: ground.
 */
#include "core/pure/plant.h"
#include "appliance/service_parts.h"

#define TICK_MAX_NS XM_SECOND
#define DROPS_MAX 4 /* streams dropped in one tick */

void xm_terms_shift(struct xm_service *s, uint64_t now_ns)
{
	uint64_t gap_ns = now_ns - s->last_ns;
	uint64_t lease_ns;
	uint32_t i;

	if (gap_ns < XM_TERM_MIN_NS / 2 || XM_PLANTED(own_pause_expires))
		return;
	for (i = 0; i < s->options.clients_max; i++) {
		lease_ns = s->clients[i].lease_ns;
		if (s->clients[i].state != XM_CLIENT_FREE &&
		    gap_ns > lease_ns / 2) {
			xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_GAP,
				     gap_ns, s->clients[i].number, 0, 0);
			s->clients[i].heard_ns += gap_ns;
		}
	}
	for (i = 0; i < s->options.peers_max; i++)
		if (s->peers[i].state != XM_PEER_FREE &&
		    gap_ns > s->options.handshake_ns / 2)
			s->peers[i].heard_ns += gap_ns;
}

uint64_t xm_terms_tick_ns(const struct xm_service *s)
{
	/* Well below half of every term, or each tick would look like a gap. */
	return xm_min(xm_min(s->lease_ns_min / 8, s->options.handshake_ns / 4),
		      TICK_MAX_NS);
}

/* True: more than one step may do; come back at once. */
static bool end_the_silent(struct xm_service *s, uint64_t now_ns,
			   struct xm_service_effects *ret)
{
	uint32_t ended = 0;
	uint32_t i;

	for (i = 0; i < s->options.clients_max; i++) {
		struct xm_service_client *c = &s->clients[i];
		uint64_t silence_ns = now_ns - c->heard_ns;

		if (c->state == XM_CLIENT_FREE ||
		    c->state == XM_CLIENT_EXPIRED || now_ns < c->heard_ns)
			continue;
		if (c->state == XM_CLIENT_KNOWN &&
		    silence_ns >= c->lease_ns / 2) {
			c->state = XM_CLIENT_SILENT;
			xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_SILENT,
				     c->number,
				     c->lease_ns - xm_min(silence_ns,
							  c->lease_ns),
				     0, 0);
		}
		if (silence_ns < c->lease_ns +
			    (XM_PLANTED(lease_overdue) ? c->lease_ns / 2 : 0) ||
		    (XM_PLANTED(own_life) && c->peer != XM_SERVICE_NONE))
			continue;
		if (ended == 1) /* three effects each */
			return true;
		ended++;
		s->expired++;
		xm_service_use(s, c->tenant)->expired++;
		xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_EXPIRED,
			     c->number, c->extents, 0, 0);
		xm_service_tell(ret, XM_LEVEL_WARNING, c,
				"was silent for a whole lease: its memory is taken back");
		if (c->peer != XM_SERVICE_NONE)
			xm_client_drop_peer(s, c->peer, ret);
		xm_client_end(s, c, ret);
	}
	return false;
}

/* Streams that said no HELLO that was accepted, observers that ask nothing,
 * and those that stay after BYE. */
static bool end_the_idle(struct xm_service *s, uint64_t now_ns,
			 struct xm_service_effects *ret)
{
	uint32_t drops = 0;
	uint32_t i;

	for (i = 0; i < s->options.peers_max && s->peers_count > 0; i++) {
		struct xm_service_peer *p = &s->peers[i];
		uint64_t limit_ns = p->state == XM_PEER_OBSERVER
			? s->options.lease_ms * XM_MS
			: s->options.handshake_ns;

		if (p->state == XM_PEER_FREE || p->state == XM_PEER_CLIENT ||
		    now_ns < xm_time_after(p->heard_ns, limit_ns))
			continue;
		if (drops++ == DROPS_MAX)
			return true;
		xm_client_drop_peer(s, i, ret);
	}
	return false;
}

bool xm_terms_tell_leaving(struct xm_service *s,
			   struct xm_service_effects *ret)
{
	uint32_t i;

	for (i = s->telling_at; s->telling && i < s->options.clients_max; i++) {
		struct xm_service_client *c = &s->clients[i];

		s->telling_at = i;
		if (c->state == XM_CLIENT_FREE || c->told ||
		    c->peer == XM_SERVICE_NONE)
			continue;
		if (ret->sends == XM_SERVICE_SENDS_MAX)
			return true;
		xm_service_send(ret, c->peer, 0, XM_LEAVING)->u.leaving.ms =
			s->leaving_ms;
		c->told = true;
	}
	s->telling = false;
	return false;
}

bool xm_terms_tick(struct xm_service *s, uint64_t now_ns,
		   struct xm_service_effects *ret)
{
	bool more = end_the_silent(s, now_ns, ret);

	more = end_the_idle(s, now_ns, ret) || more;
	xm_offers_lapse(s, now_ns);
	s->tick_ns = xm_time_after(now_ns, xm_terms_tick_ns(s));
	return more;
}
