/* SPDX-License-Identifier: BSD-3-Clause */
/* Lanes: their locks, their turns, opening and closing; see lane.h. */
#include "core/client/lane.h"

#include <errno.h>
#include <string.h>

#include "core/client/error.h"

/* --- locks ------------------------------------------------------------------ */

void xm_lanes_lock(struct xm_lanes *lanes, struct os_signals *ret)
{
	os_signals_block(ret);
	for (uint32_t i = 0; i < lanes->count; i++)
		os_lock_take(&lanes->lane[i].lock);
}

void xm_lanes_unlock(struct xm_lanes *lanes, const struct os_signals *old)
{
	for (uint32_t i = lanes->count; i > 0; i--)
		xm_lane_give(&lanes->lane[i - 1]);
	os_signals_restore(old);
}

/* --- turns ------------------------------------------------------------------ */

void xm_lane_collect(struct xm_lane *lane)
{
	struct xm_completion done;

	while (xm_engine_completion(&lane->engine, &done)) {
		xm_piece_end((struct xm_piece *)(uintptr_t)done.token,
			     done.status);
	}
}

void xm_lane_turn(struct xm_lane *lane)
{
	xm_engine_turn(&lane->engine, os_now_ns());
	xm_lane_collect(lane);
}

/* --- opening and closing ------------------------------------------------------ */

/* What its engine wants besides. */
static uint64_t aside_pages(const struct xm_client_settings *s)
{
	return s->members_max > 1 || s->seal != XM_SEAL_NO
		       ? XM_ENGINE_ASIDE_PAGES
		       : 0;
}

/* How a lane divides its share of the local memory; see pager.h. */
static void share_out(const struct xm_client_settings *s, uint64_t pages,
		      struct xm_pager_options *ret)
{
	xm_pager_share_out(ret, pages, XM_BOUNCE_PAGES + aside_pages(s),
			   s->prefetch);
	ret->frames_room = ret->frames_max;
	if (s->local_max > s->local)
		ret->frames_room += (uint32_t)((s->local_max - s->local) /
					       XM_PAGE / s->lanes);
	ret->reclaim = (enum xm_reclaim)s->reclaim;
}

static int lane_open(struct xm_lanes *lanes, struct xm_lane *lane,
		     const struct xm_client_settings *s,
		     const struct xm_arena *arena, struct xm_volume *volume,
		     const struct xm_sealing *sealing,
		     const struct xm_printing *printing)
{
	struct xm_engine_options o = {
		.page_size = XM_PAGE,
		.block_pages = lanes->block_pages,
		.depth = XM_LANE_DEPTH,
		.members_max = s->members_max,
		.loss_ns = s->loss_timeout_ns,
		.mapper_ops = arena->ops,
		.seal_ops = sealing->ops,
		.seal = sealing->seal,
		.seal_table = sealing->table,
		.code_ops = &xm_code_plain,
		.print_ops = printing->ops,
		.printer = printing->printer,
		.mapper = arena->mapper,
		.volume = volume,
		.lane = (uint32_t)(lane - lanes->lane),
		.lanes = lanes->count,
		.trace = os_trace(),
	};
	uint64_t staging;
	int rc;

	share_out(s, lanes->local_limit / XM_PAGE / lanes->count, &o.pager);
	lane->frames_first = o.pager.frames_max;
	o.pager.pages_max = arena->size / XM_PAGE;
	o.pager.prints = printing->ops != NULL;
	staging = xm_pager_staging_pages(&o.pager) + XM_BOUNCE_PAGES +
		  aside_pages(s);
	lane->staging_size = staging * XM_PAGE;
	lane->staging = os_memory_take(lane->staging_size);
	lane->memory_size = xm_engine_memory_size(&o);
	lane->memory = os_memory_take(lane->memory_size);
	if (lane->staging == NULL || lane->memory == NULL)
		return xm_fail(-ENOMEM, "extmem_open: no memory for the page "
			       "tables of %llu GiB of addresses: set a "
			       "smaller arena",
			       (unsigned long long)(arena->size / XM_GIB));
	o.staging = lane->staging;
	o.aside = lane->staging +
		  (xm_pager_staging_pages(&o.pager) + XM_BOUNCE_PAGES) * XM_PAGE;
	rc = xm_pieces_open(&lane->pieces, XM_LANE_DEPTH,
			    lane->staging +
				    xm_pager_staging_pages(&o.pager) * XM_PAGE);
	if (rc != 0)
		return xm_fail(rc, "extmem_open: out of memory");
	lane->lanes = lanes;
	rc = xm_waiting_open(lane, (enum xm_polling)s->polling);
	if (rc != 0)
		return xm_fail(rc, "extmem_open: no descriptor: %s",
			       strerror(-rc));
	xm_engine_init(&lane->engine, &o, lane->memory, os_now_ns());
	return 0;
}

static void lane_close(struct xm_lane *lane)
{
	struct xm_engine *engine = &lane->engine;

	for (uint32_t i = 0; i < engine->peers_count; i++)
		engine->peers[i].ops->close(engine->peers[i].transport);
	os_memory_give(lane->staging, lane->staging_size);
	os_memory_give(lane->memory, lane->memory_size);
	xm_pieces_close(&lane->pieces);
	xm_waiting_close(&lane->waiting);
}

int xm_lanes_open(struct xm_lanes *lanes, const struct xm_client_settings *s,
		  const struct xm_arena *arena, struct xm_volume *volume,
		  const struct xm_sealing *sealing,
		  const struct xm_printing *printing)
{
	int rc = 0;

	lanes->count = (uint32_t)s->lanes;
	lanes->block_pages = lanes->count == 1 ? arena->size / XM_PAGE : 512;
	lanes->local_limit = s->local;
	/* Memory of lanes that are not used is never touched, so it costs
	 * nothing. */
	for (uint32_t i = 0; i < lanes->count; i++)
		lanes->lane[i].waiting.wakeup = -1;
	for (uint32_t i = 0; rc == 0 && i < lanes->count; i++)
		rc = lane_open(lanes, &lanes->lane[i], s, arena, volume,
			       sealing, printing);
	return rc;
}

void xm_lanes_close(struct xm_lanes *lanes)
{
	for (uint32_t i = 0; i < lanes->count; i++)
		lane_close(&lanes->lane[i]);
}
