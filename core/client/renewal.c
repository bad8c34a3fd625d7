/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem_seal_renew(): another key for sealed regions, while the program goes on.
 *
 *	1  the key is read again; all lanes seal under it from now on
 *	2  pages that are under the former one are sealed again: read, opened, sealed and
 *	   written back under one I/O lock, or, where they are here, stored
 *	3  no page is under the former key any more: it is wiped
 *
 * Why looking at pages one after the other suffices is in core/pure/seals.h. What fails in 2
 * leaves both keys in use, and the next call goes on there. So there are never three keys.
 *
 * regions.lock is held for a part at a time: the part's memory stays where it is meanwhile,
 * and who wants memory does not wait for the whole.
 */
#include <errno.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/skin/cipher.h"

#define CALL "extmem_seal_renew"
#define PART (4 * XM_MIB)

/* The first page of [page, limit) that is under the former key, and the end of its run. */
static uint64_t old_run(extmem *x, uint64_t page, uint64_t limit, uint64_t *ret_end)
{
	uint64_t first = limit;
	bool ended = false;

	while (page < limit && !ended) {
		struct xm_lane *lane = xm_lane_at(&x->lanes, page);
		struct os_signals old;

		xm_lane_lock(lane, &old);
		for (; page < limit && !ended &&
		       xm_lane_at(&x->lanes, page) == lane; page++) {
			bool is = xm_engine_is_old(&lane->engine, page);

			if (is && first == limit)
				first = page;
			ended = !is && first != limit;
		}
		xm_lane_unlock(lane, &old);
	}
	*ret_end = ended ? page - 1 : page;
	return first;
}

static int reseal(extmem_region *region, uint64_t page, uint64_t limit)
{
	extmem *x = region->client;
	uint64_t address = page * XM_PAGE;
	struct extmem_iov iov = {
		.offset = address - region->address,
		.buffer = x->arena.base + address, /* which nobody looks at */
		.size = (limit - page) * XM_PAGE,
	};
	struct xm_transfer t = { .bounced = true, .reseals = true };
	int rc = xm_transfer_begin(&t, region, true, &iov, 1,
				   os_now_ns() + x->settings.timeout_ns);

	return rc != 0 ? rc : xm_transfer_run(&t);
}

/* With regions.lock. */
static int part_renew(extmem_region *region, uint64_t page, uint64_t limit)
{
	extmem *x = region->client;
	uint64_t end, first;
	int rc = 0;

	while (rc == 0 && (first = old_run(x, page, limit, &end)) < limit)
		rc = reseal(region, first, end);
	return rc;
}

/* The sealed region that `page` is of, or else the first one behind it. With regions.lock. */
static extmem_region *region_at(extmem *x, uint64_t page)
{
	extmem_region *found = NULL;

	XM_LIST_EACH (link, &x->regions.list) {
		extmem_region *r = XM_CONTAINER(link, extmem_region, link);

		if (r->sealed && r->address + r->size > page * XM_PAGE &&
		    (found == NULL || r->address < found->address))
			found = r;
	}
	return found;
}

static int all_renew(extmem *x)
{
	uint64_t page = 0, limit;
	char words[256];
	int rc = 0;

	for (bool more = true; more && rc == 0;) {
		extmem_region *region;

		xm_regions_lock(x);
		region = region_at(x, page);
		more = region != NULL;
		if (more) {
			page = xm_max(page, region->address / XM_PAGE);
			limit = xm_min((region->address + region->size) / XM_PAGE,
				       page + PART / XM_PAGE);
			rc = part_renew(region, page, limit);
			if (rc != 0)
				xm_lost_why(x, rc, page, limit, words, sizeof(words));
			if (rc != 0)
				xm_fail(rc, CALL ": region %s: %s; both keys are in"
					" use, and the next call goes on",
					region->name, words);
			page = limit;
		}
		xm_regions_unlock(x);
	}
	return rc;
}

/* What is durable has seals that name its key beside it, in an appliance's store, and is to be
 * opened when this process is gone. */
static int are_free(extmem *x)
{
	XM_LIST_EACH (link, &x->regions.list) {
		const extmem_region *r = XM_CONTAINER(link, extmem_region, link);

		if (r->sealed && r->trees != NULL)
			return xm_fail(-EOPNOTSUPP, CALL ": region %s is kept durable,"
				       " and what is durable stays under its key",
				       r->name);
	}
	return 0;
}

/* Lane 0 first: the new key is made with its lock. */
static int take_over(extmem *x, const struct xm_cipher_source *source)
{
	struct xm_sealing *s = &x->sealing;
	struct os_signals old;
	uint16_t number;
	int rc = 0;

	for (uint32_t i = 0; i < x->lanes.count && rc == 0; i++) {
		xm_lane_lock(&x->lanes.lane[i], &old);
		if (i == 0)
			rc = xm_cipher_renew(s->seal, source, &number);
		if (rc == 0)
			xm_seals_renew(&x->lanes.lane[i].engine.seals, number);
		xm_lane_unlock(&x->lanes.lane[i], &old);
	}
	if (rc != 0)
		return xm_fail(rc, CALL ": this client has met %d keys, which is the"
			       " limit: open another one", XM_CIPHER_KEYS);
	s->former = s->number;
	s->number = number;
	return 0;
}

static int begin(extmem *x)
{
	struct xm_cipher_source source;
	char words[256];
	int rc = xm_cipher_source(x->settings.seal_key, &source, words,
				  sizeof(words));

	if (rc != 0)
		return xm_fail(rc, CALL ": %s", words);
	xm_regions_lock(x);
	/* From now on nothing becomes durable, nor is adopted; so it comes before the look at
	 * what is. (A region that is made durable has its trees first, then looks here.) */
	atomic_store(&x->sealing.half, true);
	rc = are_free(x);
	if (rc == 0)
		rc = take_over(x, &source);
	if (rc != 0)
		atomic_store(&x->sealing.half, false);
	xm_regions_unlock(x);
	explicit_bzero(&source, sizeof(source));
	return rc;
}

static void end(extmem *x)
{
	struct os_signals old;

	for (uint32_t i = 0; i < x->lanes.count; i++) {
		xm_lane_lock(&x->lanes.lane[i], &old);
		xm_cipher_forget(x->sealing.seal, x->sealing.former, i);
		xm_lane_unlock(&x->lanes.lane[i], &old);
	}
	atomic_store(&x->sealing.half, false);
}

int extmem_seal_renew(extmem *x)
{
	int rc = xm_usable(CALL);

	if (rc != 0)
		return rc;
	if (x->sealing.ops->plain)
		return xm_fail(-EINVAL, CALL ": nothing of this client is sealed: set"
			       " seal");
	if (atomic_exchange(&x->sealing.renewing, true))
		return xm_fail(-EBUSY, CALL ": another thread renews the seals already");
	/* What was begun before is ended first. */
	rc = x->sealing.half ? all_renew(x) : 0;
	if (rc == 0 && x->sealing.half)
		end(x);
	if (rc == 0)
		rc = begin(x);
	if (rc == 0)
		rc = all_renew(x);
	if (rc == 0)
		end(x);
	atomic_store(&x->sealing.renewing, false);
	return rc;
}
