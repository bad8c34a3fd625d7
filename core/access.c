/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Explicit reads and writes. See client.h for the locks.
 *
 * A region that was never mapped is read and written straight over the
 * transport. In one that was, the pager is asked first, so that mapping and
 * explicit calls agree: pages that are here are used where they are (and
 * flushed after a write), fresh ones read as zero, and absent ones are guarded
 * while their bytes are under way, so that no fault sees half of them.
 *
 * The caller's buffer goes to the transport as it is, except when it lies in
 * mapped external memory or the transport wants enlisted memory; then the
 * lane's bounce buffer stands between.
 *
 * An operation whose connection broke has an unknown outcome; reading and
 * writing the same bytes again is harmless, so it is tried again until the
 * appliance counts as out of reach.
 */
#include "client.h"

#include <errno.h>
#include <string.h>

#include "plant.h"

/* Guarded at once: bounds the time others wait for a page. */
#define GUARD_PAGES 256

/* --- straight -------------------------------------------------------------------- */

struct span {
	uint64_t address; /* in the arena */
	uint8_t *near;
	uint64_t size;
	bool write;
};

static bool comes_back(int status)
{
	return status == -ECANCELED || status == -ENOTCONN ||
	       status == -EAGAIN;
}

/* Posts what it can of one lane's part; returns bytes, or an error. */
static int64_t post(struct lane *lane, const struct span *s,
		    struct request *request)
{
	uint64_t done = 0;
	int64_t got = 0;

	while (done < s->size) {
		atomic_fetch_add(&request->parts, 1);
		got = xm_engine_post(&lane->engine, s->write,
				     s->address + done, s->near + done,
				     s->size - done,
				     (uint64_t)(uintptr_t)request);
		if (got < 0) {
			atomic_fetch_sub(&request->parts, 1);
			break;
		}
		done += (uint64_t)got;
	}
	return done > 0 ? (int64_t)done : got;
}

/* The part of a span that is one lane's and contiguous there. */
static uint64_t lane_part(const extmem *x, const struct span *s)
{
	uint64_t block = x->block_pages * XM_PAGE;
	uint64_t stop = (s->address & ~(block - 1)) + block;

	return xm_min(s->size, stop - s->address);
}

/* Looks taken at the transport under one hold of the lock: so many in any
 * case, and so many when nobody else waits for it. */
#define LOOKS 16
#define LOOKS_ALONE 128

/* Waits until every part has ended. Past the deadline the connection is cut,
 * which ends them all: the buffer is the caller's again in any case. */
static int await(extmem *x, struct lane *lane, uint64_t page,
		 struct request *request, uint64_t deadline_ns)
{
	unsigned looks = os_looks(LOOKS_ALONE);
	bool cut = false;

	for (unsigned turn = 0;; turn++) {
		struct os_signals old;

		xm_lane_lock(lane, &old);
		for (unsigned i = 0; i < looks; i++) {
			if (i >= LOOKS && os_lock_wanted(&lane->lock))
				break;
			xm_lane_turn(x, lane);
			if (atomic_load_explicit(&request->parts,
						 memory_order_acquire) == 0)
				break;
		}
		if (!cut && os_now_ns() >= deadline_ns) {
			xm_engine_cut(&lane->engine, page);
			cut = true;
		}
		xm_lane_unlock(lane, &old);
		if (atomic_load_explicit(&request->parts,
					 memory_order_acquire) == 0)
			break;
		os_relax(turn);
	}
	return cut ? -ETIMEDOUT : atomic_load(&request->status);
}

/* One lane's part, tried until it succeeds or there is no hope. */
static int straight_part(extmem *x, const struct span *s, uint64_t deadline_ns)
{
	struct lane *lane =
		&x->lanes[xm_lane_of(x, s->address / XM_PAGE)];
	uint64_t done = 0;

	for (unsigned turn = 0; done < s->size;) {
		struct request request = { .parts = 0 };
		/* Of what is left: it may be another appliance's. */
		uint64_t page = (s->address + done) / XM_PAGE;
		struct span rest = { s->address + done, s->near + done,
				     s->size - done, s->write };
		struct os_signals old;
		enum xm_reach reach;
		int64_t got;
		int rc = 0;

		xm_lane_lock(lane, &old);
		got = post(lane, &rest, &request);
		if (got < 0)
			xm_lane_turn(x, lane);
		reach = xm_engine_reach(&lane->engine, page);
		xm_lane_unlock(lane, &old);
		if (got >= 0)
			rc = await(x, lane, page, &request, deadline_ns);
		else
			rc = (int)got;
		if (rc == 0) {
			done += (uint64_t)got;
			turn = 0;
			continue;
		}
		/* A refused key may be a connection that was replaced. */
		if (!comes_back(rc) && rc != -EACCES)
			return rc;
		if (reach == XM_REACH_LOST)
			return -ENOTCONN;
		if (os_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		os_relax(turn++);
	}
	return 0;
}

static int straight(extmem *x, const struct span *s, uint64_t deadline_ns)
{
	struct span rest = *s;

	while (rest.size > 0) {
		struct span part = rest;
		int rc;

		part.size = lane_part(x, &rest);
		rc = straight_part(x, &part, deadline_ns);
		if (rc != 0)
			return rc;
		rest.address += part.size;
		rest.near += part.size;
		rest.size -= part.size;
	}
	return 0;
}

/* --- with the pager ------------------------------------------------------------------ */

/* One run of pages that the pager treats alike. */
struct run {
	enum xm_verdict verdict;
	uint64_t limit; /* page after it */
	enum xm_reach reach;
};

static void guard(extmem *x, uint64_t page, uint64_t limit, bool whole,
		  struct run *ret)
{
	struct lane *lane = &x->lanes[xm_lane_of(x, page)];
	struct xm_pager_event ev = {
		.kind = XM_PAGER_GUARD, .page = page, .whole = whole,
		.limit = xm_min(limit, (page | (x->block_pages - 1)) + 1),
	};
	struct os_signals old;

	ev.limit = xm_min(ev.limit, page + GUARD_PAGES);
	xm_lane_lock(lane, &old);
	ret->verdict = xm_engine_event(&lane->engine, &ev);
	ret->limit = lane->engine.effects.next;
	if (ret->verdict == XM_VERDICT_WAIT)
		xm_lane_turn(x, lane);
	ret->reach = xm_engine_reach(&lane->engine, page);
	xm_lane_unlock(lane, &old);
}

static void unguard(extmem *x, uint64_t page, uint64_t limit, bool write)
{
	struct lane *lane = &x->lanes[xm_lane_of(x, page)];
	struct xm_pager_event ev = {
		.kind = XM_PAGER_UNGUARD, .page = page, .limit = limit,
		.write = write,
	};
	struct os_signals old;

	xm_lane_lock(lane, &old);
	xm_engine_event(&lane->engine, &ev);
	xm_lane_unlock(lane, &old);
}

/* Part of one fresh page is written: the rest of it is zero, and goes too.
 * The caller holds the bounce lock of the page's lane. */
static int write_fresh(extmem *x, const struct span *s, uint64_t deadline_ns)
{
	uint64_t page = s->address / XM_PAGE;
	struct lane *lane = &x->lanes[xm_lane_of(x, page)];
	uint8_t *image = lane->bounce + (XM_BOUNCE_PAGES - 1) * XM_PAGE;
	struct span whole = { page * XM_PAGE, image, XM_PAGE, true };
	struct run run;
	int rc;

	if (!XM_PLANTED(fresh_not_zeroed))
		memset(image, 0, XM_PAGE);
	memcpy(image + s->address % XM_PAGE, s->near, s->size);
	guard(x, page, page + 1, true, &run);
	if (run.verdict != XM_VERDICT_DONE)
		return -EAGAIN; /* it changed meanwhile: look again */
	rc = straight(x, &whole, deadline_ns);
	unguard(x, page, page + 1, rc == 0);
	return rc;
}

/* What of a span one guard may ask for: whole pages if it begins with one,
 * else the first page alone. */
static uint64_t askable(const struct span *s, bool *ret_whole)
{
	uint64_t page = s->address / XM_PAGE;
	uint64_t end = s->address + s->size;

	*ret_whole = false;
	if (!s->write)
		return (end + XM_PAGE - 1) / XM_PAGE;
	if (!xm_is_aligned(s->address, XM_PAGE) || s->size < XM_PAGE)
		return page + 1;
	*ret_whole = true;
	return end / XM_PAGE;
}

/* `near` is local memory, or the bounce buffer, whose lock is held in any case
 * where the span is written. Returns bytes done or an error; -EAGAIN: wait. */
static int64_t tracked_step(extmem *x, const struct span *s,
			    uint64_t deadline_ns, bool *ret_dirty)
{
	uint64_t page = s->address / XM_PAGE;
	bool whole;
	uint64_t most = askable(s, &whole);
	struct span part = *s;
	struct run run;
	int rc = 0;

	guard(x, page, most, whole, &run);
	part.size = xm_min(s->size, xm_max(run.limit, page + 1) * XM_PAGE -
					    s->address);
	switch (run.verdict) {
	case XM_VERDICT_DONE:
		rc = straight(x, &part, deadline_ns);
		/* A fresh page stays fresh where its write failed: behind it
		 * lies what it was before it was discarded. */
		unguard(x, page, run.limit,
			s->write && (rc == 0 || XM_PLANTED(failed_write_marks)));
		break;
	case XM_VERDICT_HERE:
		/* By the mapping; should the page leave meanwhile, a fault
		 * brings it back. */
		if (s->write)
			xm_arena_write(x, s->address, s->near, part.size);
		else
			xm_arena_read(x, s->address, s->near, part.size);
		*ret_dirty |= s->write;
		break;
	case XM_VERDICT_FRESH:
		if (s->write) {
			part.size = xm_min(s->size, XM_PAGE -
						s->address % XM_PAGE);
			rc = write_fresh(x, &part, deadline_ns);
		} else {
			memset(s->near, 0, part.size);
		}
		break;
	case XM_VERDICT_LOST:
		rc = -ESTALE;
		break;
	default:
		rc = run.reach == XM_REACH_LOST ? -ENOTCONN : -EAGAIN;
	}
	return rc != 0 ? rc : (int64_t)part.size;
}

static int tracked(extmem *x, const struct span *s, uint64_t deadline_ns)
{
	struct span rest = *s;
	bool dirty = false;
	unsigned turn = 0;

	while (rest.size > 0) {
		int64_t did = tracked_step(x, &rest, deadline_ns, &dirty);

		if (did == -EAGAIN) {
			if (os_now_ns() >= deadline_ns)
				return -ETIMEDOUT;
			os_relax(turn++);
			continue;
		}
		if (did < 0)
			return (int)did;
		turn = 0;
		rest.address += (uint64_t)did;
		rest.near += did;
		rest.size -= (uint64_t)did;
	}
	if (!dirty)
		return 0;
	return xm_flush(x, s->address / XM_PAGE,
			(s->address + s->size + XM_PAGE - 1) / XM_PAGE, false,
			deadline_ns);
}

/* --- with a bounce buffer --------------------------------------------------------------- */

static bool overlaps_arena(const extmem *x, const void *memory, size_t size)
{
	uintptr_t base = (uintptr_t)x->base, at = (uintptr_t)memory;

	return at < base + x->arena_size && at + size > base;
}

/* The caller's memory, which may be external itself. */
static void user_load(extmem *x, const uint8_t *from, void *ret, size_t size)
{
	if (overlaps_arena(x, from, size))
		xm_arena_read(x, (uint64_t)(from - x->base), ret, size);
	else
		memcpy(ret, from, size);
}

static void user_store(extmem *x, uint8_t *to, const void *bytes, size_t size)
{
	if (overlaps_arena(x, to, size))
		xm_arena_write(x, (uint64_t)(to - x->base), bytes, size);
	else
		memcpy(to, bytes, size);
}

/* The caller's memory is touched only while no page is guarded and no lock is
 * held. */
static int bounced(extmem *x, const struct span *s, bool by_pager,
		   uint64_t deadline_ns)
{
	struct span rest = *s;
	int rc = 0;

	while (rest.size > 0 && rc == 0) {
		struct lane *lane =
			&x->lanes[xm_lane_of(x, rest.address / XM_PAGE)];
		struct span part = rest;
		uint8_t image[4096];

		/* A page at most: half of its own memory may be what is to be
		 * copied, and a fault there must not meet our lock. */
		part.size = xm_min(rest.size,
				   XM_PAGE - rest.address % XM_PAGE);
		if (rest.write)
			user_load(x, rest.near, image, part.size);
		os_mutex_take(&lane->bounce_lock);
		part.near = lane->bounce;
		if (rest.write)
			memcpy(part.near, image, part.size);
		rc = by_pager ? tracked(x, &part, deadline_ns)
			      : straight(x, &part, deadline_ns);
		if (!rest.write)
			memcpy(image, part.near, part.size);
		os_mutex_give(&lane->bounce_lock);
		if (!rest.write && rc == 0)
			user_store(x, rest.near, image, part.size);
		rest.address += part.size;
		rest.near += part.size;
		rest.size -= part.size;
	}
	return rc;
}

static bool wants_enlisting(const extmem *x)
{
	const struct xm_engine *engine = &x->lanes[0].engine;

	for (uint32_t i = 0; i < engine->peers_count; i++) {
		if (engine->peers[i].limits.enlists)
			return true;
	}
	return false;
}

static int check(const extmem_region *region, const char *call,
		 uint64_t offset, size_t size)
{
	int rc = xm_usable(call);

	if (rc != 0)
		return rc;
	if (xm_span_fits(offset, size, region->size))
		return 0;
	return xm_fail(-ERANGE, "%s: [%llu, +%zu) is outside the region of "
		       "%llu bytes", call, (unsigned long long)offset, size,
		       (unsigned long long)region->size);
}

static int move(extmem_region *region, const char *call, bool write,
		uint64_t offset, void *buffer, size_t size)
{
	extmem *x = region->client;
	struct span span = { region->address + offset, buffer, size, write };
	uint64_t deadline_ns = os_now_ns() + x->settings.timeout_ns;
	bool by_pager = atomic_load(&region->tracked);
	int rc = check(region, call, offset, size);

	if (rc != 0 || size == 0)
		return rc;
	if (write && !by_pager)
		atomic_store(&region->written, true);
	/* Writes of parts of fresh pages need the bounce lock as well; it is
	 * simplest to take them all one way. */
	if (overlaps_arena(x, buffer, size) || wants_enlisting(x) ||
	    (by_pager && write &&
	     !(xm_is_aligned(span.address, XM_PAGE) &&
	       xm_is_aligned(size, XM_PAGE))))
		rc = bounced(x, &span, by_pager, deadline_ns);
	else if (by_pager)
		rc = tracked(x, &span, deadline_ns);
	else
		rc = straight(x, &span, deadline_ns);
	if (rc != 0)
		return xm_fail(rc, "%s: [%llu, +%zu) of region %s: %s", call,
			       (unsigned long long)offset, size, region->name,
			       xm_why(rc));
	return 0;
}

int extmem_read(extmem_region *region, uint64_t offset, void *buffer,
		size_t size)
{
	return move(region, "extmem_read", false, offset, buffer, size);
}

int extmem_write(extmem_region *region, uint64_t offset, const void *buffer,
		 size_t size)
{
	return move(region, "extmem_write", true, offset,
		    (void *)(uintptr_t)buffer, size);
}

int extmem_readv(extmem_region *region, const struct extmem_iov *iov,
		 size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = move(region, "extmem_readv", false, iov[i].offset,
			  iov[i].buffer, iov[i].size);
	return rc;
}

int extmem_writev(extmem_region *region, const struct extmem_iov *iov,
		  size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = move(region, "extmem_writev", true, iov[i].offset,
			  iov[i].buffer, iov[i].size);
	return rc;
}

/* --- asynchronous --------------------------------------------------------------------------- */

static struct request *request_take(extmem *x)
{
	struct os_signals old;
	struct request *request;

	xm_lock(&x->lanes[0], &x->async_lock, &old);
	request = x->async_free;
	if (request != NULL)
		x->async_free = request->next;
	os_lock_give(&x->async_lock);
	os_signals_restore(&old);
	return request;
}

static void request_done(extmem *x, struct request *request)
{
	struct os_signals old;

	if (atomic_fetch_sub(&request->parts, 1) != 1)
		return;
	xm_lock(&x->lanes[0], &x->async_lock, &old);
	request->next = x->async_done;
	x->async_done = request;
	os_lock_give(&x->async_lock);
	os_signals_restore(&old);
}

static void request_give(extmem *x, struct request *request)
{
	struct os_signals old;

	xm_lock(&x->lanes[0], &x->async_lock, &old);
	request->next = x->async_free;
	x->async_free = request;
	os_lock_give(&x->async_lock);
	os_signals_restore(&old);
}

static int start(extmem_region *region, const char *call, bool write,
		 uint64_t offset, void *buffer, size_t size, void *context)
{
	extmem *x = region->client;
	struct span rest = { region->address + offset, buffer, size, write };
	struct request *request;
	int64_t got = 0;
	int rc = check(region, call, offset, size);

	if (rc != 0)
		return rc;
	if (size == 0)
		return xm_fail(-EINVAL, "%s: nothing to do: size 0", call);
	if (atomic_load(&region->tracked))
		return xm_fail(-EBUSY, "%s: region %s has been mapped: use the "
			       "plain calls", call, region->name);
	if (overlaps_arena(x, buffer, size) || wants_enlisting(x))
		return xm_fail(-EINVAL, "%s: this buffer needs a copy: use the "
			       "plain calls", call);
	request = request_take(x);
	if (request == NULL)
		return xm_fail(-EAGAIN, "%s: %u operations are under way: poll",
			       call, x->async_max);
	if (write)
		atomic_store(&region->written, true);
	atomic_store(&request->parts, 1);
	atomic_store(&request->status, 0);
	request->async = true;
	request->context = context;
	while (rest.size > 0 && got >= 0) {
		struct span part = rest;
		struct lane *lane =
			&x->lanes[xm_lane_of(x, rest.address / XM_PAGE)];
		struct os_signals old;

		part.size = lane_part(x, &rest);
		xm_lane_lock(lane, &old);
		got = post(lane, &part, request);
		if (got == -EAGAIN) {
			xm_lane_turn(x, lane);
			/* What has begun has to be gone through with. */
			if (rest.size < size)
				got = 0;
		}
		xm_lane_unlock(lane, &old);
		if (got > 0) {
			rest.address += (uint64_t)got;
			rest.near += got;
			rest.size -= (uint64_t)got;
		}
	}
	if (got < 0 && rest.size == size) {
		request_give(x, request);
		return xm_fail((int)got, "%s: %s", call,
			       got == -EAGAIN ? "too many operations are under "
						"way: poll"
					      : xm_why((int)got));
	}
	if (got < 0)
		atomic_store(&request->status, (int)got);
	request_done(x, request);
	return 0;
}

int extmem_read_start(extmem_region *region, uint64_t offset, void *buffer,
		      size_t size, void *context)
{
	return start(region, "extmem_read_start", false, offset, buffer, size,
		     context);
}

int extmem_write_start(extmem_region *region, uint64_t offset,
		       const void *buffer, size_t size, void *context)
{
	return start(region, "extmem_write_start", true, offset,
		     (void *)(uintptr_t)buffer, size, context);
}

int extmem_poll(extmem *x, struct extmem_completion *ret, size_t count)
{
	struct os_signals old;
	size_t got = 0;
	int rc = xm_usable("extmem_poll");

	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < x->lanes_count; i++) {
		xm_lane_lock(&x->lanes[i], &old);
		xm_lane_turn(x, &x->lanes[i]);
		xm_lane_unlock(&x->lanes[i], &old);
	}
	xm_lock(&x->lanes[0], &x->async_lock, &old);
	while (got < count && x->async_done != NULL) {
		struct request *request = x->async_done;

		x->async_done = request->next;
		ret[got].context = request->context;
		ret[got].status = atomic_load(&request->status);
		got++;
		request->next = x->async_free;
		x->async_free = request;
	}
	os_lock_give(&x->async_lock);
	os_signals_restore(&old);
	return (int)got;
}

int extmem_wait(extmem *x, struct extmem_completion *ret, size_t count,
		uint32_t timeout_ms)
{
	uint64_t deadline_ns = os_now_ns() + timeout_ms * XM_MS;

	for (unsigned turn = 0;; turn++) {
		int got = extmem_poll(x, ret, count);

		if (got != 0)
			return got;
		if (os_now_ns() >= deadline_ns)
			return 0;
		os_relax(turn);
	}
}
