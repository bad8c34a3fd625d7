/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem_sync_level(): what was written back is on the disks of its appliances, too.
 *
 * An appliance does not see one-sided writes, so it is told which bytes to keep, a piece after
 * the other. The life of a piece:
 *	1. The pager holds its pages: nothing is written to them in remote memory (HOLD).
 *	2. DRAFT to each of its extents, whose store copies the bytes, and says so.
 *	3. RELEASE. What waited goes on while the disk is slow.
 *	4. PERSIST of these drafts. The store compares them with its disk, and writes what differs.
 *
 * The call's time begins anew with each piece that is durable.
 *
 * If step 2 does not end in time, or the stream breaks, step 3 comes all the same and step 4
 * does not: a draft that was made while pages were written is never persisted. If a draft is
 * gone in step 4, the piece begins anew. That time is HOLD_MAX, whatever the call's own is:
 * a store that sits behind a disk that is stuck, or a tenant's quota, keeps no write waiting
 * for longer.
 *
 * What was discarded reads as zero here, and remote memory has older bytes: such pages are
 * drafted as zeros. What has not changed since it was durable is in no piece.
 *
 * Of a sealed region that is fixed the seals are drafted with the pages (trees.h), as runs of
 * the same draft: between steps 3 and 4, since nobody else writes them. What was discarded
 * has no seal, and whatever bytes lie there count for nothing.
 *
 * One call of a region at a time; no other lock is held while it waits.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/mapping.h"
#include "core/client/range.h"
#include "core/client/trees.h"
#include "core/pure/plant.h"

#define CALL "extmem_sync_level"
#define WORDS 512
#define PIECE (XM_DRAFT_MAX / XM_PAGE)
#define HOLD_MAX (2 * XM_SECOND) /* or loss_timeout, if that is less */
#define AGAIN XM_MS /* until an appliance that is at it is asked again, at first, */
#define AGAIN_MOST (64 * XM_MS) /* and at most */

/* Pages of one extent. */
struct part {
	struct xm_extent_at at;
	uint64_t row, rows; /* pages, in the extent */
	struct xm_tree_at *tree; /* or NULL */
	uint64_t draft;
};

/* Pages [page, limit) of the arena, and where they lie. */
struct piece {
	extmem *x;
	extmem_region *region;
	struct xm_trees *trees; /* the region's, or NULL */
	uint64_t page, limit, deadline_ns;
	uint64_t release_ns; /* its pages are held until then, at the latest */
	uint64_t again_ns;   /* the next pause */
	bool zeros;
	bool done; /* something became durable */
	uint32_t count;
	struct part parts[XM_APPLIANCES_MAX];
	char *words;
};

/* --- where it lies -------------------------------------------------------- */

static struct part *part_of(struct piece *p, const struct xm_extent_at *member)
{
	for (uint32_t i = 0; i < p->count; i++) {
		if (p->parts[i].at.extent == member->extent &&
		    p->parts[i].at.appliance == member->appliance)
			return &p->parts[i];
	}
	return NULL;
}

/* Adds the pages from `page` on that lie in one run at the segment. Rows rise with pages, so
 * what an extent has of a piece is one run of rows. */
static int add(struct piece *p, const struct xm_backing *s, uint64_t page,
	       uint64_t end)
{
	struct part *part;

	if (xm_backing_extents(s) != 1 || s->list[0].at.offset != 0 ||
	    s->list[0].at.extent == 0)
		return -EBUSY;
	part = part_of(p, &s->list[0].at);
	if (part == NULL) {
		if (p->count == XM_COUNT(p->parts))
			return -EBUSY;
		part = &p->parts[p->count++];
		part->at = s->list[0].at;
		part->row = xm_backing_row(s, page);
		part->tree = p->trees == NULL
				     ? NULL : xm_trees_find(p->trees, &part->at);
		if (p->trees != NULL && part->tree == NULL)
			return -EBUSY;
	}
	if (part->tree != NULL && !XM_PLANTED(tree_late))
		xm_trees_take(p->x, part->tree, page, end, xm_backing_row(s, page));
	part->rows = xm_backing_row(s, page) + (end - page) - part->row;
	return 0;
}

/* Cut to the end of its segment, or of all its columns. */
static int find_parts(struct piece *p)
{
	struct os_signals old;
	struct xm_backing s;
	uint64_t page = p->page;
	int rc = 0;

	p->count = 0;
	xm_lanes_lock(&p->x->lanes, &old);
	while (page < p->limit && rc == 0) {
		uint64_t end;

		if (!xm_volume_backing(&p->x->volume, page, &s) || s.lost) {
			rc = -ESTALE;
			break;
		}
		p->limit = xm_min(p->limit, s.page + s.count);
		end = xm_min(xm_backing_end(&s, page), p->limit);
		rc = add(p, &s, page, end);
		page = end;
	}
	xm_lanes_unlock(&p->x->lanes, &old);
	return rc;
}

/* Cut to the first run of pages that all have bytes in remote memory, or of which none has.
 * While they are held that does not change, but by a discard. */
static void find_zeros(struct piece *p)
{
	uint64_t page = p->page;

	while (page < p->limit) {
		struct xm_lane *lane = xm_lane_at(&p->x->lanes, page);
		uint64_t end = xm_min(p->limit, xm_block_end(&p->x->lanes, page));
		struct os_signals old;

		xm_lane_lock(lane, &old);
		for (; page < end; page++) {
			bool zero = !xm_pager_is_written(&lane->engine.pager,
							 page);

			if (page == p->page)
				p->zeros = zero;
			else if (zero != p->zeros)
				p->limit = end = page;
		}
		xm_lane_unlock(lane, &old);
	}
}

/* --- what is told --------------------------------------------------------- */

static int ask(const struct piece *p, const struct part *part,
	       const struct xm_message *m, uint64_t deadline_ns,
	       struct xm_request *ret)
{
	int rc;

	ret->lease = part->at.lease;
	rc = xm_ask(&p->x->ask, part->at.appliance, m, deadline_ns, ret);
	if (rc != 0)
		xm_ask_explain(&p->x->ask, ret, p->words, WORDS);
	return rc;
}

/* Pages [row, + rows) of its extent. */
static int draft_rows(struct piece *p, struct part *part, uint64_t row, uint64_t rows,
		      uint32_t flags, uint64_t deadline_ns)
{
	struct xm_message m = {
		.kind = XM_DRAFT,
		.u.draft = { part->at.extent, row * XM_PAGE, rows * XM_PAGE,
			     flags },
	};
	struct xm_request request;
	int rc = ask(p, part, &m, deadline_ns, &request);

	if (rc == 0)
		part->draft = request.message.u.drafted.draft;
	return rc;
}

static int draft(struct piece *p)
{
	int rc = 0;

	for (uint32_t i = 0; i < p->count && rc == 0; i++)
		rc = draft_rows(p, &p->parts[i], p->parts[i].row, p->parts[i].rows,
				p->zeros ? XM_DRAFT_ZEROS : 0, p->release_ns);
	return rc;
}

/* The seals of a part's rows; of 0 rows, the root. */
static int draft_tree(struct piece *p, struct part *part)
{
	struct xm_tree_run runs[XM_TREE_LEVELS];
	int count = xm_trees_write(p->region, part->tree, part->row, part->rows, runs);
	bool is_first = part->rows == 0 || XM_PLANTED(tree_apart);
	int rc = count < 0 ? count : 0;

	if (rc != 0)
		snprintf(p->words, WORDS, "%s", extmem_error());
	for (int i = 0; i < count && rc == 0; i++)
		rc = draft_rows(p, part, runs[i].begin, runs[i].count,
				is_first && i == 0 ? 0 : XM_DRAFT_ALSO,
				p->deadline_ns);
	return rc;
}

static int draft_trees(struct piece *p)
{
	int rc = 0;

	for (uint32_t i = 0; i < p->count && rc == 0 && p->trees != NULL; i++)
		rc = draft_tree(p, &p->parts[i]);
	return rc;
}

static int persist(const struct piece *p)
{
	int rc = 0;

	for (uint32_t i = 0; i < p->count && rc == 0; i++) {
		const struct part *part = &p->parts[i];
		struct xm_message m = {
			.kind = XM_PERSIST,
			.u.persist = { part->at.extent, part->draft },
		};
		struct xm_request request;

		rc = ask(p, part, &m, p->deadline_ns, &request);
	}
	return rc;
}

/* --- a piece -------------------------------------------------------------- */

static int hold(const struct piece *p)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_HOLD };
	int rc = xm_range(p->x, &ev, p->page, p->limit, p->release_ns);

	if (rc != 0)
		snprintf(p->words, WORDS, "%s", xm_why(rc));
	return rc;
}

static void release(extmem *x, uint64_t page, uint64_t limit)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_RELEASE };

	xm_range(x, &ev, page, limit, XM_NEVER);
}

/* (A planted bug.) */
static void take_late(struct piece *p)
{
	for (uint32_t i = 0; i < p->count && XM_PLANTED(tree_late); i++) {
		struct part *part = &p->parts[i];
		struct os_signals old;

		xm_lanes_lock(&p->x->lanes, &old);
		if (part->tree != NULL)
			xm_trees_take(p->x, part->tree, p->page,
				      p->page + part->rows, part->row);
		xm_lanes_unlock(&p->x->lanes, &old);
	}
}

/* Once. `fouled`: some pages have been discarded. It is asked when they are held: until then
 * others may be. */
static int try_piece(struct piece *p, const atomic_bool *fouled)
{
	uint64_t limit = p->limit, now_ns = os_now_ns();
	int rc;

	p->release_ns = xm_min(p->deadline_ns,
			       now_ns + xm_min(HOLD_MAX,
					       p->x->settings.loss_timeout_ns));
	p->zeros = false;
	rc = p->trees == NULL ? 0 : xm_trees_begin(p->region);
	if (rc != 0) {
		snprintf(p->words, WORDS, "%s", rc == -ENOSPC
			 ? "its pages were sealed by too many clients: copy it"
			 : rc == -EBUSY
			 ? "another key takes over just now (extmem_seal_renew)"
			 : xm_why(rc));
		return rc;
	}
	rc = hold(p);
	if (rc == 0 && atomic_load(fouled) && p->trees == NULL &&
	    !XM_PLANTED(persist_stale_zeros))
		find_zeros(p);
	if (rc == 0) {
		rc = find_parts(p);
		if (rc != 0)
			snprintf(p->words, WORDS, "%s", rc == -EBUSY
				 ? "a part of it is being moved" : xm_why(rc));
	}
	if (rc == 0 && p->trees != NULL && !XM_PLANTED(tree_unsure_forgotten)) {
		p->trees->page = p->page;
		p->trees->limit = p->limit;
	}
	if (rc == 0)
		rc = draft(p);
	release(p->x, p->page, limit);
	take_late(p);
	if (rc == 0 && p->trees != NULL && XM_PLANTED(tree_apart))
		rc = persist(p);
	if (rc == 0)
		rc = draft_trees(p);
	if (rc == 0)
		rc = persist(p);
	if (rc == 0 && p->trees != NULL)
		p->trees->page = p->trees->limit;
	return rc;
}

/* All of it, if its appliance has nothing of it. */
static void undurable(extmem *x, uint64_t page, uint64_t limit)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_UNDURABLE };

	xm_range(x, &ev, page, limit, XM_NEVER);
}

void xm_region_undurable(extmem_region *region)
{
	uint64_t page = region->address / XM_PAGE;

	undurable(region->client, page, page + region->size / XM_PAGE);
}

/* The seals have to have room beside the pages. */
static uint64_t most(const struct piece *p)
{
	return p->trees == NULL ? PIECE : XM_TREE_CHANGE;
}

/* The next pages that have changed, in one run or nearly so. False: there are none. */
static bool find_changed(struct piece *p, uint64_t page, uint64_t limit)
{
	p->page = p->limit = limit;
	while (page < limit) {
		struct xm_lane *lane = xm_lane_at(&p->x->lanes, page);
		const struct xm_pager *pager = &lane->engine.pager;
		uint64_t end = xm_min(limit, xm_block_end(&p->x->lanes, page));
		struct os_signals old;

		xm_lane_lock(lane, &old);
		if (p->page == limit) {
			page = xm_pager_undurable_from(pager, page, end);
			if (page < end) {
				p->page = page;
				limit = xm_min(limit, page + most(p));
				end = xm_min(end, limit);
			}
		}
		if (p->page < limit)
			p->limit = page = xm_pager_undurable_until(pager, page, end);
		xm_lane_unlock(lane, &old);
		if (p->page < limit && page < end)
			return true;
		page = end;
	}
	return p->page < p->limit;
}

static bool is_worth_repeating(const struct piece *p, int rc)
{
	return (rc == -EAGAIN || rc == -ENOTCONN || rc == -ETIMEDOUT ||
		rc == -EDQUOT) && os_now_ns() < p->deadline_ns;
}

/* After a failure: 0, if it is to be tried again. */
static int pause(struct piece *p, int rc)
{
	if (rc == 0)
		p->again_ns = AGAIN;
	if (!is_worth_repeating(p, rc))
		return rc;
	os_sleep(p->again_ns);
	p->again_ns = xm_min(2 * p->again_ns, AGAIN_MOST);
	return 0;
}

/* Something may be durable or not. */
static bool is_unsure(const struct piece *p)
{
	return p->trees != NULL && p->trees->page < p->trees->limit;
}

/* That comes before all else. */
static bool find_next(struct piece *p, uint64_t page, uint64_t limit)
{
	if (!is_unsure(p))
		return find_changed(p, page, limit);
	p->page = p->trees->page;
	p->limit = p->trees->limit;
	return true;
}

static int persist_range(struct piece *p, uint64_t page, uint64_t limit)
{
	int rc = 0;

	while (rc == 0 && find_next(p, page, limit)) {
		bool again = is_unsure(p);
		uint64_t asked = p->limit, left;

		rc = try_piece(p, &p->region->fouled);
		/* What was held, and is not durable: it failed, or was cut off. */
		left = rc == 0 ? p->limit : p->page;
		if (left < asked &&
		    !(rc != 0 && XM_PLANTED(persist_failed_forgotten)))
			undurable(p->x, left, asked);
		if (!again)
			page = left;
		p->done |= rc == 0;
		/* Each piece that is durable begins the timeout anew. */
		if (rc == 0)
			p->deadline_ns = os_now_ns() + p->x->settings.timeout_ns;
		rc = pause(p, rc);
	}
	return rc;
}

/* The root of a tree of which nothing has changed. */
static int persist_root(struct piece *p, struct xm_tree_at *at)
{
	int rc;

	p->count = 1;
	memset(&p->parts[0], 0, sizeof(p->parts[0]));
	memcpy(&p->parts[0].at, &at->at, sizeof(at->at));
	p->parts[0].tree = at;
	rc = draft_trees(p);
	return rc == 0 ? persist(p) : rc;
}

/* All trees of the region have the sequence of the last try. */
static int persist_roots(struct piece *p)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && p->done && i < p->trees->count; i++) {
		struct xm_tree_at *at = &p->trees->list[i];
		bool done = at->tree.sequence == p->trees->last;

		while (!done && rc == 0) {
			rc = persist_root(p, at);
			done = rc == 0;
			rc = pause(p, rc);
		}
	}
	if (rc == 0 && p->done)
		xm_trees_settled(p->region, p->trees->last);
	return rc;
}

static int persist_all(extmem_region *region, uint64_t first, uint64_t limit,
		       uint64_t deadline_ns, char *words)
{
	struct piece p = { .x = region->client, .region = region,
			   .trees = region->trees, .deadline_ns = deadline_ns,
			   .again_ns = AGAIN, .words = words };
	int rc = persist_range(&p, first, limit);

	return rc == 0 && p.trees != NULL ? persist_roots(&p) : rc;
}

/* --- the call ------------------------------------------------------------- */

/* Explicit writes go by the pager from now on, which can hold them. */
static int track(extmem_region *region, uint64_t deadline_ns)
{
	int rc;

	if (atomic_load(&region->tracked))
		return 0;
	os_mutex_take(&region->lock);
	rc = xm_region_track_by(region, deadline_ns);
	os_mutex_give(&region->lock);
	return rc;
}

int extmem_sync_level(extmem_region *region, uint64_t offset, uint64_t size,
		      enum extmem_level level)
{
	char words[WORDS] = "explicit calls under way did not end";
	uint64_t first, limit, deadline_ns = os_now_ns();
	int rc = xm_region_usable(region, CALL);

	if (rc != 0)
		return rc;
	if (level != EXTMEM_REMOTE && level != EXTMEM_DURABLE)
		return xm_fail(-EINVAL, CALL ": %d is no level: EXTMEM_REMOTE or "
			       "EXTMEM_DURABLE", (int)level);
	rc = extmem_sync(region, offset, size);
	if (rc != 0 || level == EXTMEM_REMOTE)
		return rc;
	if (!region->durable)
		return xm_fail(-EINVAL, CALL ": region %s is not durable: call "
			       "extmem_region_keep_durable() first", region->name);
	rc = xm_pages_of(region, CALL, offset, &size, false, &first, &limit);
	if (rc != 0)
		return rc;
	deadline_ns += region->client->settings.timeout_ns;
	xm_line_take(&region->persisting);
	rc = track(region, deadline_ns);
	if (rc == 0)
		rc = persist_all(region, first, limit, deadline_ns, words);
	xm_line_give(&region->persisting);
	return rc == 0 ? 0
		       : xm_fail(rc, CALL ": not all of it is durable: %s", words);
}
