/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the engine share; included from nowhere else.
 *
 * engine.c	    events, turns, paths, what the client asks for
 * engine_effects.c  operations under way, and the pager's effects
 *
 * Floor: first.
 */
#ifndef XM_ENGINE_PARTS_H
#define XM_ENGINE_PARTS_H

#include "core/engine/engine.h"

#define XM_NO_OPERATION UINT32_MAX

static inline void note(const struct xm_engine *e, enum xm_trace_id id,
			uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	xm_trace_put(e->options.trace, e->clock_ns, id, a, b, c, d);
}

/* How many can be under way. */
uint32_t xm_operations_max(const struct xm_engine_options *);
/* One that is about to be posted, to this appliance. There is one. */
struct xm_operation *xm_operation_take(struct xm_engine *,
				       enum xm_operation_kind,
				       uint32_t appliance);
void xm_operation_give(struct xm_engine *, struct xm_operation *);
/* By which its completion is known. */
uint64_t xm_operation_token(const struct xm_engine *,
			    const struct xm_operation *);
/* The event by which an operation's end reaches who began it. FETCHED and
 * STORED return no effects, so this may be called while effects are carried
 * out. */
void xm_operation_end(struct xm_engine *, struct xm_operation *, int status);

/* What a provider answered to a post. Some say -EAGAIN for ever to one that is
 * gone. So a connection that takes nothing, and has nothing under way, for as long
 * as one that hangs is borne with, hangs. */
void xm_engine_heed(struct xm_engine *, struct xm_lane_peer *, int rc);
/* The effects of the pager's last step. */
void xm_engine_carry_out(struct xm_engine *);

#endif
