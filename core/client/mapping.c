/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings: serving faults, map and unmap, sync, advice and pins. See
 * client.h for the locks.
 *
 * The life of an inline fault: the kernel sends SIGBUS to the thread that
 * touched the page; on_sigbus() (faults.c) finds the client; xm_serve() locks
 * the lane, sends the fault to the pager (which posts the read, then makes
 * room), and waits (wait.c) until the pager says that the page is there. Nothing
 * is allocated, no other thread is woken.
 */
#include "core/client/mapping.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/range.h"
#include "core/pure/plant.h"

/* --- one fault ------------------------------------------------------------------ */

void xm_lost_note(extmem *x, uint64_t page)
{
	bool lost;
	uint32_t appliances = xm_volume_appliances(&x->volume, page, &lost);
	int none = 0;

	atomic_fetch_add(&x->lost.pages, 1);
	if (appliances == 0 ||
	    !atomic_compare_exchange_strong(&x->lost.said, &none, 1))
		return;
	/* snprintf of strings and integers takes no lock and no memory. */
	snprintf(x->lost.words, sizeof(x->lost.words),
		 "extmem: the page at %p is lost: appliance %s %s\n",
		 (void *)(x->arena.base + page * XM_PAGE),
		 xm_ask_address(&x->ask, (uint32_t)__builtin_ctz(appliances)),
		 lost ? "does not hold our memory any more "
			"(it was restarted, or our lease ended)"
		      : "is out of reach");
	atomic_store(&x->lost.said, 2);
}

/* With the lane locked. */
static enum xm_verdict serve_step(struct xm_lane *lane, struct xm_serving *f)
{
	enum xm_verdict verdict;

	if (!f->again)
		f->since_ns = xm_engine_clock(&lane->engine);
	verdict = xm_engine_fault(&lane->engine, f->page, f->write, f->again,
				  f->since_ns);
	f->again = true;
	return verdict;
}

static void served(extmem *x, struct xm_lane *lane, const struct xm_serving *f,
		   enum xm_verdict verdict)
{
	if (verdict == XM_VERDICT_DONE)
		xm_latency_add(&lane->latency, os_now_ns() - f->began_ns);
	else if (verdict != XM_VERDICT_WAIT)
		xm_lost_note(x, f->page);
}

enum xm_verdict xm_serve_once(extmem *x, struct xm_serving *f)
{
	struct xm_lane *lane = xm_lane_at(&x->lanes, f->page);
	enum xm_verdict verdict;

	/* Before the lock: who waits for it waits for his page. */
	if (!f->again)
		f->began_ns = os_now_ns();
	os_lock_take(&lane->lock);
	verdict = serve_step(lane, f);
	if (verdict == XM_VERDICT_WAIT) {
		xm_lane_turn(lane);
		verdict = serve_step(lane, f);
	}
	served(x, lane, f, verdict);
	xm_lane_give(lane);
	return verdict;
}

enum xm_verdict xm_serve(extmem *x, uint64_t page, bool write)
{
	struct xm_serving fault = { .page = page, .write = write,
			       .began_ns = os_now_ns() };
	struct xm_wait wait = { .deadline_ns = XM_NEVER,
				.since_ns = fault.began_ns };
	struct xm_lane *lane = xm_lane_at(&x->lanes, page);
	enum xm_verdict verdict;

	os_lock_take(&lane->lock);
	verdict = serve_step(lane, &fault);
	while (verdict == XM_VERDICT_WAIT) {
		xm_lane_wait(lane, &wait);
		verdict = serve_step(lane, &fault);
	}
	served(x, lane, &fault, verdict);
	xm_lane_give(lane);
	return verdict;
}

/* --- ranges ------------------------------------------------------------------------------ */

/* One piece, in one block. `*seq` is raised to the stores begun. */
static int range_piece(extmem *x, const struct xm_pager_event *like,
		       uint64_t page, uint64_t limit, uint64_t deadline_ns,
		       uint64_t *seq)
{
	struct xm_lane *lane = xm_lane_at(&x->lanes, page);
	struct os_signals old;
	struct xm_wait wait = { .deadline_ns = deadline_ns, .signals = &old };
	bool again = false;

	while (page < limit) {
		struct xm_pager_event ev = *like;
		enum xm_verdict verdict;
		enum xm_reach reach;

		ev.page = page;
		ev.floor = page;
		ev.limit = limit;
		ev.again = again;
		xm_lane_lock(lane, &old);
		ev.reach = xm_engine_reach(&lane->engine, page);
		verdict = xm_engine_event(&lane->engine, &ev);
		if (verdict != XM_VERDICT_LOST)
			page = xm_max(page, lane->engine.effects.next);
		if (seq != NULL)
			*seq = xm_max(*seq, lane->engine.effects.seq);
		if (verdict == XM_VERDICT_WAIT)
			xm_lane_wait(lane, &wait);
		reach = page < limit
				? xm_engine_reach(&lane->engine, page)
				: XM_REACH_UP;
		xm_lane_unlock(lane, &old);
		if (verdict == XM_VERDICT_DONE)
			return 0;
		if (verdict == XM_VERDICT_LOST)
			return -ESTALE;
		again = verdict != XM_VERDICT_MORE;
		if (!again) {
			wait.since_ns = 0; /* the next one is another */
			continue;
		}
		/* These two need nothing of the appliance: what is under way
		 * ends by itself. */
		if (reach == XM_REACH_LOST && like->kind != XM_PAGER_FORGET &&
		    like->kind != XM_PAGER_DISCARD)
			return -ENOTCONN;
		if (os_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
	return 0;
}

static int range_all(extmem *x, const struct xm_pager_event *like,
		     uint64_t first, uint64_t limit, uint64_t deadline_ns,
		     uint64_t seq[XM_LANES_MAX])
{
	int rc = 0;

	while (first < limit && rc == 0) {
		uint64_t stop = xm_min(limit, xm_block_end(&x->lanes, first));

		rc = range_piece(x, like, first, stop, deadline_ns,
				 seq == NULL
					 ? NULL
					 : &seq[xm_lane_index(&x->lanes, first)]);
		first = stop;
	}
	return rc;
}

int xm_range(extmem *x, const struct xm_pager_event *like, uint64_t first,
	     uint64_t limit, uint64_t deadline_ns)
{
	return range_all(x, like, first, limit, deadline_ns, NULL);
}

int xm_flush(extmem *x, uint64_t first, uint64_t limit, bool evict,
	     uint64_t deadline_ns)
{
	struct xm_pager_event ev = {
		.kind = evict ? XM_PAGER_EVICT : XM_PAGER_FLUSH,
	};
	uint64_t seq[XM_LANES_MAX] = { 0 };
	int rc = range_all(x, &ev, first, limit, deadline_ns, seq);

	/* What was begun has to land. The write-back buffers tell, whichever block. */
	for (uint32_t i = 0; rc == 0 && i < x->lanes.count &&
			     !(XM_PLANTED(sync_first_lane) && i > 0); i++) {
		struct xm_lane *lane = &x->lanes.lane[i];
		struct os_signals old;
		struct xm_wait wait = {
			.deadline_ns = XM_PLANTED(sync_endless) ? XM_NEVER
								: deadline_ns,
			.signals = &old,
		};
		enum xm_verdict verdict = XM_VERDICT_WAIT;

		while (verdict == XM_VERDICT_WAIT) {
			struct xm_pager_event done = {
				.kind = XM_PAGER_FLUSHED, .page = first,
				.limit = limit, .seq = seq[i],
			};
			enum xm_reach reach;

			xm_lane_lock(lane, &old);
			xm_lane_turn(lane);
			verdict = xm_engine_event(&lane->engine, &done);
			/* Of the page that is waited for, not of the first:
			 * a range may lie at several appliances. */
			reach = verdict == XM_VERDICT_WAIT
					? xm_engine_reach(
						  &lane->engine,
						  lane->engine.effects.next)
					: XM_REACH_UP;
			if (verdict == XM_VERDICT_WAIT &&
			    reach != XM_REACH_LOST)
				xm_lane_wait(lane, &wait);
			xm_lane_unlock(lane, &old);
			if (verdict == XM_VERDICT_LOST)
				return -ESTALE;
			if (verdict != XM_VERDICT_WAIT)
				break;
			if (reach == XM_REACH_LOST)
				return -ENOTCONN;
			if (os_now_ns() >= wait.deadline_ns)
				return -ETIMEDOUT;
		}
	}
	return rc;
}

const char *xm_why(int rc)
{
	switch (rc) {
	case -ENOTCONN: return "its appliance is out of reach";
	case -ESTALE:
		return "the region is lost: its appliance was restarted, or "
		       "our lease ended";
	case -ETIMEDOUT: return "it was not done within the timeout";
	default: return strerror(-rc);
	}
}

/* --- map and unmap -------------------------------------------------------------------------- */

/* Offset and size as pages of the arena; size 0 is to the end. */
static int to_pages(const extmem_region *region, const char *call,
		    uint64_t offset, uint64_t *size, bool aligned,
		    uint64_t *ret_first, uint64_t *ret_limit)
{
	if (*size == 0 && offset <= region->size)
		*size = region->size - offset;
	if (!xm_span_fits(offset, *size, region->size))
		return xm_fail(-ERANGE, "%s: [%llu, +%llu) is outside the "
			       "region of %llu bytes", call,
			       (unsigned long long)offset,
			       (unsigned long long)*size,
			       (unsigned long long)region->size);
	if (aligned && (!xm_is_aligned(offset, XM_PAGE) ||
			!xm_is_aligned(*size, XM_PAGE)))
		return xm_fail(-EINVAL, "%s: offset %llu and size %llu must be "
			       "multiples of %llu", call,
			       (unsigned long long)offset,
			       (unsigned long long)*size,
			       (unsigned long long)XM_PAGE);
	*ret_first = (region->address + offset) / XM_PAGE;
	*ret_limit = (region->address + offset + *size + XM_PAGE - 1) /
		     XM_PAGE;
	return 0;
}

static void set_attached(extmem_region *region, uint64_t offset,
			 uint64_t size, bool attached)
{
	extmem *x = region->client;
	uint64_t page = (region->address + offset) / XM_PAGE;
	uint64_t limit = page + size / XM_PAGE;
	struct os_signals old;

	xm_lanes_lock(&x->lanes, &old);
	for (uint32_t i = 0; i < x->lanes.count; i++)
		atomic_store(&x->lanes.lane[i].mapped, true);
	xm_volume_set_attached(&x->volume, page, limit, attached);
	xm_lanes_unlock(&x->lanes, &old);
}

int xm_attach(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x = region->client;
	int rc = xm_uffd_ops(x->arena.mapper)->attach(
		x->arena.mapper, (region->address + offset) / XM_PAGE,
		size / XM_PAGE);

	if (rc == 0)
		set_attached(region, offset, size, true);
	return rc;
}

void xm_detach(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x = region->client;

	set_attached(region, offset, size, false);
	xm_uffd_ops(x->arena.mapper)->detach(x->arena.mapper,
				       (region->address + offset) / XM_PAGE,
				       size / XM_PAGE);
}

/* Size 0 is to the region's end, wherever resize() has moved that. */
static struct xm_mapping *mapping_find(extmem_region *region, uint64_t offset,
				    uint64_t size)
{
	for (size_t i = 0; i < region->mappings_count; i++) {
		struct xm_mapping *m = &region->mappings[i];
		uint64_t own = m->size == 0 ? region->size - m->offset
					    : m->size;

		if (m->offset == offset &&
		    (m->size == size ||
		     own == (size == 0 ? region->size - offset : size)))
			return m;
	}
	return NULL;
}

static int mapping_add(extmem_region *region, uint64_t offset, uint64_t size)
{
	struct xm_mapping *m = mapping_find(region, offset, size);

	if (m != NULL) {
		m->count++;
		return 0;
	}
	if (region->mappings_count == region->mappings_max) {
		size_t max = region->mappings_max * 2 + 8;

		m = os_alloc(max * sizeof(*m));
		if (m == NULL)
			return -ENOMEM;
		if (region->mappings_count > 0)
			memcpy(m, region->mappings,
			       region->mappings_count * sizeof(*m));
		os_free(region->mappings);
		region->mappings = m;
		region->mappings_max = max;
	}
	region->mappings[region->mappings_count++] = (struct xm_mapping){
		.offset = offset, .size = size, .count = 1,
	};
	return 0;
}

/* Before the first mapping the remote memory may have been written explicitly:
 * then its pages are not fresh. What is being moved past the pager has to end
 * first, and what begins after waits for us; see transfer.c. */
static int begin_tracking(extmem_region *region)
{
	extmem *x = region->client;
	struct xm_pager_event adopt = { .kind = XM_PAGER_MARK_BACKED };
	uint64_t first = region->address / XM_PAGE;
	uint64_t deadline_ns = os_now_ns() + x->settings.timeout_ns;
	int rc = 0;

	if (atomic_load(&region->tracked))
		return 0;
	atomic_store(&region->changing, true);
	for (unsigned turn = 0; atomic_load(&region->direct) > 0; turn++) {
		if (os_now_ns() >= deadline_ns) {
			rc = -ETIMEDOUT;
			break;
		}
		xm_async_turn(x);
		xm_rest(turn);
	}
	if (rc == 0 && atomic_load(&region->written))
		rc = xm_range(x, &adopt, first, first + region->size / XM_PAGE,
			      XM_NEVER);
	if (rc == 0)
		atomic_store(&region->tracked, true);
	atomic_store(&region->changing, false);
	return rc;
}

int extmem_map(extmem_region *region, uint64_t offset, uint64_t size,
	       void **ret)
{
	extmem *x = region->client;
	uint64_t first, limit, asked = size;
	int rc = xm_usable("extmem_map");

	if (rc == 0)
		rc = to_pages(region, "extmem_map", offset, &size, true,
			      &first, &limit);
	if (rc != 0)
		return rc;
	if (size == 0)
		return xm_fail(-ERANGE, "extmem_map: nothing of the region "
			       "lies behind its end, %llu",
			       (unsigned long long)offset);
	os_mutex_take(&region->lock);
	rc = begin_tracking(region);
	/* One registration serves every mapping of the region. */
	if (rc == 0 && !region->attached) {
		rc = xm_attach(region, 0, region->size);
		region->attached = rc == 0;
	}
	if (rc == 0)
		rc = mapping_add(region, offset, asked);
	os_mutex_give(&region->lock);
	if (rc == -ETIMEDOUT)
		return xm_fail(rc, "extmem_map: explicit calls under way in "
			       "region %s did not end within the timeout",
			       region->name);
	if (rc != 0)
		return xm_fail(rc, "extmem_map: %s", strerror(-rc));
	*ret = x->arena.base + region->address + offset;
	return 0;
}

static int unmap_last(extmem_region *region)
{
	extmem *x = region->client;
	uint64_t first = region->address / XM_PAGE;
	uint64_t limit = first + region->size / XM_PAGE;
	int rc = xm_flush(x, first, limit, true,
			  os_now_ns() + x->settings.timeout_ns);

	if (rc != 0)
		return rc;
	xm_detach(region, 0, region->size);
	region->attached = false;
	return 0;
}

int extmem_unmap(extmem_region *region, uint64_t offset, uint64_t size)
{
	struct xm_mapping *m;
	int rc = xm_usable("extmem_unmap");

	if (rc != 0)
		return rc;
	os_mutex_take(&region->lock);
	m = mapping_find(region, offset, size);
	if (m == NULL)
		rc = xm_fail(-EINVAL, "extmem_unmap: no mapping of "
			     "[%llu, +%llu) was made",
			     (unsigned long long)offset,
			     (unsigned long long)size);
	else if (m->count == 1 && region->mappings_count == 1 &&
		 (rc = unmap_last(region)) != 0)
		xm_fail(rc, "extmem_unmap: it stays mapped, its dirty pages "
			"could not be written back: %s", xm_why(rc));
	else if (--m->count == 0)
		*m = region->mappings[--region->mappings_count];
	os_mutex_give(&region->lock);
	return rc;
}

void *extmem_region_address(const extmem_region *region)
{
	return region->client->arena.base + region->address;
}

int extmem_contains(const extmem *cx, const void *address)
{
	extmem *x = (extmem *)(uintptr_t)cx; /* its lock is taken */
	uint64_t offset = (uint64_t)((const uint8_t *)address - x->arena.base);
	struct xm_lane *lane;
	struct os_signals old;
	bool mapped;

	if ((const uint8_t *)address < x->arena.base || offset >= x->arena.size)
		return 0;
	lane = xm_lane_at(&x->lanes, offset / XM_PAGE);
	xm_lane_lock(lane, &old);
	mapped = xm_engine_attached(&lane->engine, offset / XM_PAGE);
	xm_lane_unlock(lane, &old);
	return mapped;
}

/* --- sync and advice ---------------------------------------------------------------------------- */

int extmem_sync(extmem_region *region, uint64_t offset, uint64_t size)
{
	extmem *x = region->client;
	uint64_t first, limit;
	int rc = xm_usable("extmem_sync");

	if (rc == 0)
		rc = to_pages(region, "extmem_sync", offset, &size, false,
			      &first, &limit);
	if (rc != 0 || !atomic_load(&region->tracked) ||
	    XM_PLANTED(sync_nothing))
		return rc;
	rc = xm_flush(x, first, limit, false,
		      os_now_ns() + x->settings.timeout_ns);
	if (rc != 0)
		return xm_fail(rc, "extmem_sync: not all is in the far "
			       "memory: %s", xm_why(rc));
	return 0;
}

int extmem_advise(extmem_region *region, uint64_t offset, uint64_t size,
		  enum extmem_advice advice)
{
	extmem *x = region->client;
	struct xm_pager_event ev = { .kind = XM_PAGER_ADVISE };
	uint64_t first, limit,
		deadline_ns = os_now_ns() + x->settings.timeout_ns;
	int rc = xm_usable("extmem_advise");

	if (rc == 0)
		rc = to_pages(region, "extmem_advise", offset, &size, true,
			      &first, &limit);
	if (rc != 0)
		return rc;
	switch (advice) {
	case EXTMEM_NORMAL: ev.advice = XM_ADVICE_NORMAL; break;
	case EXTMEM_SEQUENTIAL: ev.advice = XM_ADVICE_SEQUENTIAL; break;
	case EXTMEM_RANDOM: ev.advice = XM_ADVICE_RANDOM; break;
	case EXTMEM_WILLNEED: ev.kind = XM_PAGER_WILLNEED; break;
	case EXTMEM_DONTNEED: ev.kind = XM_PAGER_DISCARD; break;
	case EXTMEM_COLD: ev.kind = XM_PAGER_EVICT; break;
	default:
		return xm_fail(-EINVAL, "extmem_advise: no advice has the "
			       "number %d", (int)advice);
	}
	if (!atomic_load(&region->tracked))
		return xm_fail(-EINVAL, "extmem_advise: the region has never "
			       "been mapped");
	rc = ev.kind == XM_PAGER_EVICT
		     ? xm_flush(x, first, limit, true, deadline_ns)
		     : xm_range(x, &ev, first, limit, deadline_ns);
	/* As far as it could in that time. */
	if (rc == -ETIMEDOUT && ev.kind == XM_PAGER_WILLNEED)
		rc = 0;
	if (rc != 0)
		return xm_fail(rc, "extmem_advise: %s", xm_why(rc));
	return 0;
}

/* --- pins -------------------------------------------------------------------------------------------- */

/* The first page from this one on that is mapped, or `limit`. */
static uint64_t mapped_from(extmem *x, uint64_t page, uint64_t limit)
{
	struct xm_lane *lane = &x->lanes.lane[0];
	struct os_signals old;
	uint64_t next;

	xm_lane_lock(lane, &old);
	next = xm_volume_attached_from(&x->volume, page, limit);
	xm_lane_unlock(lane, &old);
	return next;
}

/* 0: pinned; 1: no more can be; 2: not mapped; or an error. */
static int pin_page(extmem *x, uint64_t page, bool write, uint64_t deadline_ns)
{
	struct xm_lane *lane = xm_lane_at(&x->lanes, page);
	struct xm_pager_event pin = {
		.kind = XM_PAGER_PIN, .page = page, .limit = page + 1,
		.write = write,
	};
	struct os_signals old;
	struct xm_wait wait = { .deadline_ns = deadline_ns, .signals = &old };
	uint64_t since_ns = 0;

	for (unsigned turn = 0;; turn++) {
		enum xm_verdict verdict;

		xm_lane_lock(lane, &old);
		if (!xm_engine_attached(&lane->engine, page)) {
			xm_lane_unlock(lane, &old);
			return 2;
		}
		if (turn == 0)
			since_ns = xm_engine_clock(&lane->engine);
		verdict = xm_engine_event(&lane->engine, &pin);
		if (verdict == XM_VERDICT_WAIT) {
			verdict = xm_engine_fault(&lane->engine, page, write,
						  turn > 0, since_ns);
			if (verdict == XM_VERDICT_DONE)
				verdict = xm_engine_event(&lane->engine, &pin);
			if (verdict == XM_VERDICT_WAIT)
				xm_lane_wait(lane, &wait);
		}
		if (verdict == XM_VERDICT_LOST)
			xm_lost_note(x, page);
		xm_lane_unlock(lane, &old);
		switch (verdict) {
		case XM_VERDICT_DONE: return 0;
		case XM_VERDICT_FULL: return 1;
		case XM_VERDICT_LOST: return -ENOTCONN;
		default: break; /* it has waited */
		}
		if (os_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
}

/* The part of [address, + size) that is in the arena. */
static bool arena_part(const extmem *x, const void *address, size_t size,
		       uint64_t *ret_begin, uint64_t *ret_end)
{
	uintptr_t base = (uintptr_t)x->arena.base, end = base + x->arena.size;
	uintptr_t from = (uintptr_t)address, to = from + size;

	if (size == 0 || to <= base || from >= end)
		return false;
	*ret_begin = (from > base ? from : base) - base;
	*ret_end = (to < end ? to : end) - base;
	return true;
}

static void unpin_pages(extmem *x, uint64_t page, uint64_t limit)
{
	while (page < limit) {
		struct xm_lane *lane = xm_lane_at(&x->lanes, page);
		struct xm_pager_event ev = {
			.kind = XM_PAGER_UNPIN, .page = page,
			.limit = page + 1,
		};
		struct os_signals old;
		bool mapped;

		xm_lane_lock(lane, &old);
		mapped = xm_engine_attached(&lane->engine, page);
		xm_engine_event(&lane->engine, &ev);
		xm_lane_unlock(lane, &old);
		page++;
		if (!mapped)
			page = mapped_from(x, page, limit);
	}
}

int64_t extmem_pin(extmem *x, const void *address, size_t size, int write)
{
	uint64_t begin, end, page;
	uint64_t deadline_ns = os_now_ns() + x->settings.timeout_ns;
	int rc = xm_usable("extmem_pin");

	if (rc != 0)
		return rc;
	if (!arena_part(x, address, size, &begin, &end))
		return (int64_t)size;
	for (page = begin / XM_PAGE; page * XM_PAGE < end; page++) {
		rc = pin_page(x, page, write != 0, deadline_ns);
		if (rc == 0)
			continue;
		if (rc == 2) {
			/* The loop steps on from the page before. */
			page = mapped_from(x, page + 1,
					   (end + XM_PAGE - 1) / XM_PAGE) - 1;
			continue;
		}
		if (rc > 0 && page * XM_PAGE > begin)
			/* Up to the end of the last page that is pinned. */
			return (int64_t)(x->arena.base + page * XM_PAGE -
					 (const uint8_t *)address);
		unpin_pages(x, begin / XM_PAGE, page);
		return rc > 0 ? xm_fail(-ENOMEM, "extmem_pin: half of the "
					"local memory is pinned already")
			      : xm_fail(rc, "extmem_pin: %s", xm_why(rc));
	}
	return (int64_t)size;
}

void extmem_unpin(extmem *x, const void *address, size_t size)
{
	uint64_t begin, end;

	if (xm_usable("extmem_unpin") == 0 &&
	    arena_part(x, address, size, &begin, &end))
		unpin_pages(x, begin / XM_PAGE,
			    (end + XM_PAGE - 1) / XM_PAGE);
}
