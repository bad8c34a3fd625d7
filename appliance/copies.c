/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * COPY: bytes of one extent of a client's become those of another one. No client's network
 * is in their way.
 *
 * It is one step: the host copies before it sends COPIED, so there is no state here, and
 * neither extent can end half-way. A client copies a large region by many of them, in the
 * order in which it needs the bytes, and keeps its own writes away from what is not copied
 * yet: an appliance does not see them. A COPY that nobody hears the answer of may be
 * repeated.
 *
 * Floor: ground.
 */
#include <errno.h>

#include "appliance/service_parts.h"
#include "core/pure/plant.h"

#define BLOCK 4096

static bool fits(const struct xm_service_extent *e, uint64_t offset, uint64_t size)
{
	return xm_is_aligned(offset | size, BLOCK) &&
	       xm_span_fits(offset, size, e->size);
}

void xm_copy_bytes(struct xm_service *s, const struct xm_service_event *event,
		   uint32_t client, const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	const struct xm_copy_bytes *m = &event->message->u.copy;
	const struct xm_service_extent *from, *to;
	struct xm_service_effect *effect;

	from = xm_lease_named(s, m->from, client, requester, ret);
	if (from == NULL)
		return;
	to = xm_lease_named(s, m->to, client, requester, ret);
	if (to == NULL)
		return;
	if (from == to || m->size == 0 || m->size > XM_COPY_MAX ||
	    !fits(from, m->from_offset, m->size) ||
	    !fits(to, m->to_offset, m->size)) {
		xm_service_refuse_plainly(s, ret, requester, EINVAL,
					  "whole pages, 2 MiB at most, are copied to "
					  "another extent, and nothing else");
		return;
	}
	if (s->options.borrowed) {
		xm_service_refuse_plainly(s, ret, requester, EOPNOTSUPP,
					  "what lies in borrowed memory is not copied by "
					  "its appliance, which would wait for another one");
		return;
	}
	/* The store takes what it is told to from the pool at any time. */
	if (to->durable.stored) {
		xm_service_refuse_plainly(s, ret, requester, EBUSY,
					  "nothing is copied to an extent that is "
					  "durable");
		return;
	}
	effect = xm_service_effect(ret, XM_SERVICE_COPY);
	effect->from = from->offset + m->from_offset;
	effect->offset = to->offset + m->to_offset;
	effect->size = XM_PLANTED(copy_half)
			       ? xm_align_up(m->size / 2, BLOCK) : m->size;
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_COPIED,
		     from->number, to->number, m->size, m->to_offset);
	xm_service_answer(s, ret, requester, XM_COPIED);
}
