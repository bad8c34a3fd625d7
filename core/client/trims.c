/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dividing segments; see segments.h.
 *
 * A member's extent is divided by TRIM: its head becomes an extent of its own, under another
 * key, and the old number is the tail's. If the answer does not come, the member is unsure:
 * the old key reaches all of it as before, but whether the number names all of it, or its
 * tail, is not known. It can be replaced or moved (FREE of the old number gives back what
 * there is), but not trimmed again before the appliance has been asked what became of it.
 */
#include <errno.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/segments.h"
#include "core/client/segments_parts.h"

/* Asks the appliance of one member to make an extent of its own of the member's
 * head, of `size` bytes; *ret becomes that extent. */
static int member_trim(extmem *x, const struct xm_extent_at *member, uint64_t size,
		       struct xm_extent_at *ret)
{
	struct xm_message trim = { .kind = XM_TRIM };
	struct xm_request request;
	int rc;

	trim.u.trim.extent = member->extent;
	trim.u.trim.size = size;
	request.lease = member->lease;
	rc = xm_ask(&x->ask, member->appliance, &trim,
		    x->regions.deadline_ns, &request);
	if (rc != 0)
		return rc;
	ret->extent = request.message.u.allocated.extent;
	ret->remote = request.message.u.allocated.remote;
	return 0;
}

/* The members of one column. *any: a head has been cut off, here or before. What fails
 * from then on leaves that member's head in its whole extent, which goes on to work.
 * *ret_unsure: the members of which the old key still reaches all, but what the number of
 * their extent names now is not known. */
static int column_trim(extmem *x, const struct xm_backing *s, uint64_t size,
		       struct xm_extent_at *heads, bool *any,
		       uint32_t *ret_unsure)
{
	uint32_t copies = s->copies;

	for (uint32_t k = 0; !s->lost && k < copies; k++) {
		int rc = 0;

		if (s->list[k].state != XM_MEMBER_LOST)
			rc = member_trim(x, &s->list[k].at, size, &heads[k]);
		*ret_unsure |= (uint32_t)(rc == -ETIMEDOUT || rc == -ENOTCONN)
			       << k;
		/* Lost while it was asked: as if it had been before. */
		if (rc == -ESTALE && copies > 1)
			rc = 0;
		if (rc != 0 && !*any)
			return rc;
		*any |= heads[k].extent != 0;
	}
	return 0;
}

/* The first page of column c. */
static uint64_t column_page(const struct xm_backing *columns, uint32_t c)
{
	return columns[0].page + c * columns[0].unit;
}

/* Copies the columns of the run that holds the page, and holds them: none of their
 * members is replaced from now on. Returns how many there are, or -errno. */
static int columns_hold(extmem *x, uint64_t page, struct xm_backing *columns)
{
	struct os_signals old;
	uint32_t count = 1;
	int rc = 0;

	xm_lanes_lock(&x->lanes, &old);
	for (uint32_t c = 0; rc == 0 && c < count; c++) {
		uint64_t at = c == 0 ? page : column_page(columns, c);
		bool there = xm_volume_backing(&x->volume, at, &columns[c]);

		XM_ASSERT(there);
		count = xm_backing_columns(&columns[0]);
		rc = columns[c].unsure ? -EBUSY : 0;
	}
	if (rc == 0 && xm_volume_room(&x->volume) < count)
		rc = -ENOSPC;
	for (uint32_t c = 0; rc == 0 && c < count; c++)
		xm_volume_hold(&x->volume, column_page(columns, c));
	xm_lanes_unlock(&x->lanes, &old);
	return rc != 0 ? rc : (int)count;
}

/* --- what became of a TRIM ------------------------------------------------------ */

/* What was cut off an unsure member, if it is known now: *ret has extent 0 if nothing was. */
static int ask_unsure(extmem *x, const struct xm_extent_at *member,
		      struct xm_extent_at *ret, uint64_t *ret_size)
{
	struct xm_message trim = { .kind = XM_TRIM };
	struct xm_request request;
	int rc;

	trim.u.trim.extent = member->extent;
	request.lease = member->lease;
	rc = xm_ask(&x->ask, member->appliance, &trim,
		    x->regions.deadline_ns, &request);
	if (rc == -EINVAL && request.message.kind == XM_REFUSED)
		return 0;
	if (rc != 0)
		return rc;
	ret->extent = request.message.u.allocated.extent;
	ret->remote = request.message.u.allocated.remote;
	*ret_size = request.message.u.allocated.size;
	return 0;
}

/* Of each unsure member of the run. Returns the bytes of the heads that were cut off, or 0;
 * what is not known is left out of `known`. */
static uint64_t ask_all(extmem *x, const struct xm_backing *columns,
			uint32_t count,
			struct xm_extent_at heads[][XM_MEMBERS_MAX], uint32_t *known)
{
	uint64_t size = 0;

	for (uint32_t c = 0; c < count; c++) {
		const struct xm_backing *s = &columns[c];

		for (uint32_t k = 0; k < s->copies; k++) {
			if (s->list[k].unsure &&
			    xm_ask_is_ready(&x->ask, s->list[k].at.appliance) &&
			    ask_unsure(x, &s->list[k].at, &heads[c][k],
				       &size) == 0)
				known[c] |= 1u << k;
		}
	}
	return size;
}

/* The numbers of the tails, which were freed without one. */
static void tails_free(extmem *x, const struct xm_backing *columns,
		       uint32_t count,
		       struct xm_extent_at heads[][XM_MEMBERS_MAX])
{
	xm_segments_quiesce(x);
	for (uint32_t c = 0; c < count; c++) {
		for (uint32_t k = 0; k < columns[c].copies; k++) {
			if (heads[c][k].extent != 0)
				xm_extent_free(x, &columns[c].list[k].at,
					       false);
		}
	}
}

/* Copies of the run's columns, which are held from now on, though they are unsure. 0: there
 * is no room to divide them. */
static uint32_t unsure_hold(extmem *x, uint64_t page, struct xm_backing *columns)
{
	struct os_signals old;
	uint32_t count = 1;

	xm_lanes_lock(&x->lanes, &old);
	XM_ASSERT(xm_volume_backing(&x->volume, page, &columns[0]));
	if (xm_volume_room(&x->volume) < xm_backing_columns(&columns[0]))
		count = 0;
	for (uint32_t c = 0; c < count; c++) {
		uint64_t at = c == 0 ? page : column_page(columns, c);

		xm_volume_hold(&x->volume, at);
		XM_ASSERT(xm_volume_backing(&x->volume, at, &columns[c]));
		count = xm_backing_columns(&columns[0]);
	}
	xm_lanes_unlock(&x->lanes, &old);
	return count;
}

int xm_segments_settle(extmem *x, uint64_t page)
{
	struct xm_extent_at heads[XM_APPLIANCES_MAX][XM_MEMBERS_MAX] = { 0 };
	struct xm_backing columns[XM_APPLIANCES_MAX];
	uint32_t known[XM_APPLIANCES_MAX] = { 0 }, count;
	struct os_signals old;
	uint64_t size;
	bool tails;
	int rc;

	count = unsure_hold(x, page, columns);
	if (count == 0)
		return -ENOSPC;
	size = ask_all(x, columns, count, heads, known);
	xm_lanes_lock(&x->lanes, &old);
	for (uint32_t c = 0; c < count; c++)
		xm_volume_release(&x->volume, column_page(columns, c), 0);
	rc = xm_volume_settle_trim(&x->volume, columns[0].page, size / XM_PAGE,
				   known, heads[0], &tails);
	xm_lanes_unlock(&x->lanes, &old);
	if (tails)
		tails_free(x, columns, count, heads);
	return rc;
}

/* --- dividing -------------------------------------------------------------------- */

/* The segment that the new end falls into: its head becomes an extent of its
 * own, so that its tail can be given back. */
int xm_segments_split(extmem *x, uint64_t end)
{
	struct xm_extent_at heads[XM_APPLIANCES_MAX][XM_MEMBERS_MAX] = { 0 };
	struct xm_backing columns[XM_APPLIANCES_MAX];
	uint32_t unsure[XM_APPLIANCES_MAX] = { 0 };
	bool any = false;
	struct os_signals old;
	uint64_t size;
	int count, rc = 0;

	if (!xm_backing_last(x, end, end + XM_PAGE, &columns[0]) ||
	    columns[0].page * XM_PAGE == end)
		return 0;
	count = columns_hold(x, columns[0].page, columns);
	if (count == -EBUSY && xm_segments_settle(x, columns[0].page) == 0) {
		/* It may have been divided there. */
		if (!xm_backing_last(x, end, end + XM_PAGE, &columns[0]) ||
		    columns[0].page * XM_PAGE == end)
			return 0;
		count = columns_hold(x, columns[0].page, columns);
	}
	if (count < 0)
		return count;
	/* What is lost is divided here alone. */
	size = (end - columns[0].page * XM_PAGE) / (uint32_t)count;
	for (int c = 0; rc == 0 && c < count; c++)
		rc = column_trim(x, &columns[c], size, heads[c], &any, &unsure[c]);
	xm_lanes_lock(&x->lanes, &old);
	for (int c = 0; c < count; c++)
		xm_volume_release(&x->volume, column_page(columns, (uint32_t)c),
				  unsure[c]);
	if (rc == 0)
		xm_volume_divide(&x->volume, end / XM_PAGE, heads[0]);
	xm_lanes_unlock(&x->lanes, &old);
	return rc;
}

/* Operations on the head that were posted under the key it had before. */
void xm_segments_quiesce(extmem *x)
{
	uint64_t deadline_ns = xm_min(x->regions.deadline_ns,
				      os_now_ns() + 2 * XM_SECOND);

	for (uint32_t l = 0; l < x->lanes.count; l++) {
		struct xm_lane *lane = &x->lanes.lane[l];
		struct xm_wait wait = { .deadline_ns = deadline_ns };
		uint32_t flying = 1;

		while (flying > 0 && os_now_ns() < deadline_ns) {
			uint32_t seen = xm_waiting_seen(&lane->waiting);
			struct os_signals old;

			xm_lane_lock(lane, &old);
			xm_lane_turn(lane);
			flying = xm_engine_flying(&lane->engine);
			xm_lane_unlock(lane, &old);
			if (flying > 0)
				xm_lane_await(lane, seen, &wait);
		}
	}
}
