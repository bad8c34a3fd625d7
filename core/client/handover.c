/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A region is handed over, or kept beyond its client's end (extmem_share.h).
 *
 * The life of a hand-over:
 *	1. All pages are written back and leave local memory. Where bytes were discarded,
 *	   the appliance has older ones still: zeros are written over them. Of a sealed
 *	   region the seals are written behind its pages (trees.h), and how new they are
 *	   stands in the text of the token.
 *	2. Each member that is IN is parted with (OFFER), under a token that was drawn for
 *	   this, with a label that says where it belongs. From its answer on no key of ours
 *	   opens it.
 *	3. If one OFFER fails, what was parted with is claimed back, and the region is as it
 *	   was. If an appliance does not say whether it was, the region stays half handed
 *	   over (-EINPROGRESS), and the next call goes on with step 2. Else its segments are
 *	   lost to this client, and every page with them: what touches them from now on ends
 *	   in an error, like after any loss.
 *	4. The other client claims (adopt.c).
 *
 * Members that lack bytes (OUT, FILLING) are not parted with, but given back when the
 * region is freed here: so all copies that a claimer gets are equal.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/access.h"
#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/handing.h"
#include "core/client/mapping.h"
#include "core/client/range.h"
#include "core/client/segments.h"
#include "core/client/segments_parts.h"
#include "core/client/sharing.h"
#include "core/client/strategies.h"
#include "core/client/trees.h"
#include "core/pure/plant.h"
#include "core/skin/cipher.h"

#define MS_DEFAULT 60000
#define WORDS 512
#define CALL "extmem_region_hand_over"

/* --- what there is -------------------------------------------------------- */

void xm_handed_label(const extmem_region *region, const struct xm_backing *s,
		     struct xm_place_label *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->region_size = region->size;
	ret->page = s->page - region->address / XM_PAGE;
	ret->count = s->count;
	ret->columns = (uint8_t)xm_backing_columns(s);
	ret->unit = xm_backing_is_striped(s) ? s->unit : 0;
	ret->column = xm_backing_is_striped(s) ? s->column : 0;
	ret->turn = region->turn;
	ret->sealed = region->fixed;
}

/* The members of one segment that are IN. */
static int collect_members(const extmem_region *region, uint64_t page,
			   const struct xm_backing *s, struct xm_handed_list *l)
{
	uint32_t copies = 0, first = l->count;

	for (uint32_t k = 0; k < s->copies; k++) {
		struct xm_handed *h;

		if (s->list[k].state != XM_MEMBER_IN)
			continue;
		/* A part of an extent does not change hands alone. */
		if (s->list[k].at.extent == 0 || s->list[k].at.offset != 0)
			return -EBUSY;
		h = xm_handed_add(l);
		if (h == NULL)
			return -ENOMEM;
		h->page = page;
		h->k = k;
		h->at = s->list[k].at;
		xm_handed_label(region, s, &h->label);
		h->label.copy = (uint8_t)copies++;
	}
	for (uint32_t i = first; i < l->count; i++)
		l->list[i].label.copies = (uint8_t)copies;
	return copies == 0 ? -ESTALE : 0;
}

/* All of the region's; `hold`: no member of it is replaced from now on. */
int xm_handed_collect(extmem_region *region, bool hold, struct xm_handed_list *l)
{
	extmem *x = region->client;
	uint64_t page = region->address / XM_PAGE;
	uint64_t limit = page + region->size / XM_PAGE;
	struct os_signals old;
	struct xm_backing s;
	int rc = 0;

	xm_lanes_lock(&x->lanes, &old);
	l->count = 0;
	for (uint64_t p = page; p < limit && rc == 0; p = xm_backing_after(&s)) {
		if (!xm_volume_backing(&x->volume, p, &s) || s.lost)
			rc = -ESTALE;
		else if (s.unsure && !(region->half && s.held))
			rc = -EBUSY;
	}
	while (page < limit && rc == 0) {
		xm_volume_backing(&x->volume, page, &s);
		if (hold)
			xm_volume_hold(&x->volume, page);
		rc = collect_members(region, page, &s, l);
		page = xm_backing_after(&s);
	}
	xm_lanes_unlock(&x->lanes, &old);
	return rc;
}

/* What xm_handed_collect() has held goes on as before. */
void xm_handed_release(extmem_region *region)
{
	extmem *x = region->client;
	uint64_t page = region->address / XM_PAGE;
	uint64_t limit = page + region->size / XM_PAGE;
	struct os_signals old;
	struct xm_backing s;

	xm_lanes_lock(&x->lanes, &old);
	for (; page < limit && xm_volume_backing(&x->volume, page, &s);
	     page = xm_backing_after(&s)) {
		if (s.held)
			xm_volume_release(&x->volume, page, 0);
	}
	xm_lanes_unlock(&x->lanes, &old);
}

/* --- 1: the bytes --------------------------------------------------------- */

/* The next run of fresh pages of the lane's block that has `page`; *ret_next is where
 * to go on. Returns how many there are from *page on. */
static uint64_t fresh_run(extmem *x, uint64_t *page, uint64_t limit)
{
	struct xm_lane *lane = xm_lane_at(&x->lanes, *page);
	uint64_t end = xm_min(limit, xm_block_end(&x->lanes, *page));
	struct os_signals old;
	uint64_t stop;
	bool fresh;

	xm_lane_lock(lane, &old);
	stop = xm_pager_alike(&lane->engine.pager, *page, end, &fresh);
	if (!fresh && stop < end) {
		*page = stop;
		stop = xm_pager_alike(&lane->engine.pager, *page, end, &fresh);
	}
	xm_lane_unlock(lane, &old);
	if (!fresh) {
		*page = stop;
		return 0;
	}
	return stop - *page;
}

/* What reads as zero here becomes zero there. Other threads may store to it meanwhile: when
 * it is written to it may not be fresh any more. */
int xm_handed_zero(extmem_region *region)
{
	static const uint8_t zeros[16 * XM_PAGE];
	extmem *x = region->client;
	uint64_t first = region->address / XM_PAGE;
	uint64_t limit = first + region->size / XM_PAGE;
	uint64_t page = first;
	int rc = 0;

	if (!atomic_load(&region->fouled) || XM_PLANTED(foul_untold))
		return 0;
	while (page < limit && rc == 0) {
		uint64_t count;

		if (os_now_ns() >= x->regions.deadline_ns)
			return -ETIMEDOUT;
		count = fresh_run(x, &page, limit);

		count = xm_min(count, sizeof(zeros) / XM_PAGE);
		if (count > 0)
			rc = xm_access_zero(region, (page - first) * XM_PAGE,
					    zeros, count * XM_PAGE);
		page += count;
	}
	return rc;
}

static int write_back(extmem_region *region)
{
	extmem *x = region->client;
	uint64_t first = region->address / XM_PAGE;
	int rc = 0;

	if (!XM_PLANTED(offer_unflushed))
		rc = xm_flush(x, first, first + region->size / XM_PAGE, true,
			      x->regions.deadline_ns);
	/* (Of what is sealed the seals say which pages are zero.) */
	if (rc == 0 && !region->sealed)
		rc = xm_handed_zero(region);
	/* What was read ahead is still on its way. */
	if (rc == 0)
		xm_segments_quiesce(x);
	return rc;
}

/* --- 2, 3: the extents ---------------------------------------------------- */

/* The entry of this extent. */
static struct xm_handed *find(const struct xm_handed_list *l, uint32_t appliance,
			      uint64_t extent)
{
	for (uint32_t i = 0; i < l->count; i++) {
		if (l->list[i].at.appliance == appliance &&
		    l->list[i].at.extent == extent)
			return &l->list[i];
	}
	return NULL;
}

static void renew(extmem *x, const struct xm_handed *h,
		  const struct xm_remote_mr *remote)
{
	struct os_signals old;

	xm_lanes_lock(&x->lanes, &old);
	xm_volume_renew(&x->volume, h->page, h->k, remote);
	xm_lanes_unlock(&x->lanes, &old);
}

/* Claims back what has been parted with at one appliance. False: it does not answer. */
static bool take_back(extmem *x, uint32_t appliance, const uint8_t *token,
		      struct xm_handed_list *l)
{
	struct xm_handed_list back = { 0 };
	char words[WORDS];
	int rc = xm_claim_all(x, appliance, XM_CLAIM, token, &back, words,
			      sizeof(words));

	for (uint32_t i = 0; i < back.count; i++) {
		struct xm_handed *h = find(l, appliance,
					   back.list[i].at.extent);

		/* Under another lease: it counts as lost already. */
		if (h != NULL && h->at.lease != back.list[i].at.lease)
			xm_extent_free(x, &back.list[i].at, false);
		if (h == NULL || h->at.lease != back.list[i].at.lease)
			continue;
		renew(x, h, &back.list[i].at.remote);
		h->told = false;
		xm_offer_extent(x, XM_OFFER, h, token, XM_OFFER_KEEP, 0, NULL, words,
				sizeof(words));
	}
	for (uint32_t i = 0; i < l->count; i++) {
		struct xm_handed *h = &l->list[i];

		/* Its lease is over, or its time was. (-ENOENT: the OFFER never
		 * arrived, so it is ours as before.) */
		if (h->told && h->at.appliance == appliance && rc == -ESTALE)
			renew(x, h, NULL);
		if (h->at.appliance == appliance)
			h->told = false;
	}
	xm_handed_end(&back);
	return rc == 0 || rc == -ENOENT || rc == -ESTALE;
}

/* -EINPROGRESS: some of it may be parted with. */
static int part_with(extmem_region *region, struct xm_handed_list *l,
		     const struct extmem_hand_over *o, char *words,
		     size_t words_size)
{
	extmem *x = region->client;
	const uint8_t *token = region->hand_token;
	uint64_t deadline_ns = x->regions.deadline_ns, now_ns = os_now_ns();
	uint32_t ms = (uint32_t)o->ms;
	bool back = true;
	int rc = 0;

	/* The other half is for taking back. */
	if (!region->half && now_ns < deadline_ns)
		x->regions.deadline_ns = now_ns + (deadline_ns - now_ns) / 2;

	for (uint32_t i = 0; i < l->count && rc == 0; i++) {
		struct xm_handed *h = &l->list[i];

		h->told = true;
		h->label.ms = ms;
		rc = xm_offer_extent(x, XM_OFFER, h, token, 0, ms, o->identity, words,
				     words_size);
	}
	x->regions.deadline_ns = deadline_ns;
	if (rc != 0 && region->half)
		return -EINPROGRESS;
	for (uint32_t i = 0; i < l->count && rc != 0; i++) {
		if (l->list[i].told)
			back &= take_back(x, l->list[i].at.appliance, token,
					  l);
	}
	return back ? rc : -EINPROGRESS;
}

/* Nothing of it is ours any more; or so it seems until all is known. */
static void lose(extmem_region *region, const struct xm_handed_list *l, bool half)
{
	extmem *x = region->client;
	struct xm_pager_event ev = { .kind = XM_PAGER_LOST };
	uint64_t first = region->address / XM_PAGE;
	struct os_signals old;

	xm_lanes_lock(&x->lanes, &old);
	for (uint32_t i = 0; i < l->count && !half; i++)
		xm_volume_part(&x->volume, l->list[i].page, l->list[i].k);
	xm_lanes_unlock(&x->lanes, &old);
	xm_range(x, &ev, first, first + region->size / XM_PAGE, XM_NEVER);
	region->half = half;
	atomic_store(&region->parted, true);
}

/* With the region's lock held. A page without rights is never present, so no store is
 * lost between the write-back and the end. */
static int stop_stores(extmem_region *region, bool *ret_stopped)
{
	*ret_stopped = region->attached && !atomic_load(&region->deprived) &&
		       region->client->arena.limits.denies;
	return *ret_stopped ? xm_rights_take(region, 0, region->size,
					     EXTMEM_NO_ACCESS,
					     region->client->regions.deadline_ns)
			    : 0;
}

static void permit_stores(extmem_region *region, bool stopped)
{
	if (!stopped)
		return;
	xm_rights_return(region, 0, region->size);
	atomic_store(&region->deprived, false);
}

/* Again if a lease ended meanwhile: another copy may be there. */
static int part_with_all(extmem_region *region, const struct extmem_hand_over *o,
			 struct xm_handed_list *l, char *words,
			 size_t words_size)
{
	extmem *x = region->client;

	for (;;) {
		int rc = xm_handed_collect(region, true, l);

		snprintf(words, words_size, "%s", xm_why(rc));
		if (rc != 0)
			return rc;
		rc = part_with(region, l, o, words, words_size);
		if (rc != -ESTALE || os_now_ns() >= x->regions.deadline_ns)
			return rc;
		xm_handed_release(region);
		xm_handed_end(l);
		os_sleep(XM_MS);
	}
}

/* It stays here, and is kept as it was; else `words` say so, too. */
static void keep_as_before(extmem_region *region, char *words, size_t words_size)
{
	size_t length = strlen(words);
	char why[WORDS] = "";

	if (region->kept_ms == 0)
		return;
	if (xm_region_relabel(region, why, sizeof(why)) != 0)
		snprintf(words + length, words_size - length, "; and it may not "
			 "be kept any more (%.200s): call extmem_region_keep() "
			 "again", why);
}

/* With all locks of a public call. */
static int hand_over(extmem_region *region, const struct extmem_hand_over *o,
		     char *words, size_t words_size)
{
	struct xm_handed_list l = { 0 };
	bool stopped = false, half = region->half;
	int rc = half ? 0
		      : xm_region_track_by(region,
					   region->client->regions.deadline_ns);

	if (rc == 0 && !half)
		rc = stop_stores(region, &stopped);
	if (rc == 0 && !half)
		rc = write_back(region);
	if (rc != 0)
		snprintf(words, words_size, "%s", xm_why(rc));
	if (rc == 0 && !half && region->sealed)
		rc = xm_trees_save(region, words, words_size);
	if (rc == 0)
		rc = part_with_all(region, o, &l, words, words_size);
	if (rc == 0 || rc == -EINPROGRESS) {
		lose(region, &l, rc != 0);
	} else if (!half) {
		xm_handed_release(region);
		keep_as_before(region, words, words_size);
	} else {
		rc = -EINPROGRESS; /* half of it is gone as before */
	}
	permit_stores(region, stopped);
	xm_handed_end(&l);
	return rc;
}

/* --- the public calls ----------------------------------------------------- */

static int options_read(const struct extmem_hand_over *from,
			struct extmem_hand_over *ret)
{
	*ret = (struct extmem_hand_over){ .size = sizeof(*ret) };
	if (from != NULL && from->size != sizeof(*ret))
		return xm_fail(-EINVAL, CALL ": a struct of %llu bytes: it has "
			       "%zu", (unsigned long long)from->size,
			       sizeof(*ret));
	if (from != NULL)
		*ret = *from;
	if (ret->ms == 0)
		ret->ms = MS_DEFAULT;
	ret->ms = xm_min(ret->ms, XM_OFFER_FOR_EVER);
	if (ret->identity != NULL && strlen(ret->identity) >= XM_IDENTITY_SIZE)
		return xm_fail(-EINVAL, CALL ": an identity has at most %d "
			       "characters", XM_IDENTITY_SIZE - 1);
	return 0;
}

/* What is sealed is worth something to who has its seals and its key. */
static int seals_check(const extmem_region *region)
{
	uint8_t salt[XM_SALT_SIZE];

	if (!region->fixed)
		return xm_fail(-ENOTSUP, CALL ": region %s is sealed, and its seals stay "
			       "in this process: request it with "
			       "EXTMEM_SEALED_DURABLE", region->name);
	if (region->durable)
		return xm_fail(-ENOTSUP, CALL ": region %s is sealed and durable, and "
			       "waits under the token that it has when this client "
			       "ends; extmem_region_keep() with 0 ends that",
			       region->name);
	if (xm_cipher_salt(region->client->sealing.seal, salt) != 0)
		return xm_fail(-ENOKEY, CALL ": region %s is sealed with a key that ends "
			       "with this process: open the client with a seal_key",
			       region->name);
	return 0;
}

static int lacks_check(const extmem_region *region, const char *call)
{
	return atomic_load(&region->lacks)
		       ? xm_fail(-ESTALE, "%s: region %s lacks bytes, which were lost, "
				 "and nobody else would know which", call, region->name)
		       : 0;
}

int xm_handed_check(const extmem_region *region, const char *call)
{
	if (region->sparse)
		return xm_fail(-ENOTSUP, "%s: region %s is sparse: only one that "
			       "has all of its memory can change hands", call,
			       region->name);
	if (region->sealed)
		return xm_fail(-ENOTSUP, "%s: region %s is sealed, and its keys "
			       "stay in this process", call, region->name);
	return lacks_check(region, call);
}

static int check(const extmem_region *region)
{
	int rc = region->sealed && !region->sparse ? seals_check(region)
						   : xm_handed_check(region, CALL);

	return rc == 0 ? lacks_check(region, CALL) : rc;
}

int extmem_region_hand_over(extmem_region *region,
			    const struct extmem_hand_over *options,
			    char ret_token[EXTMEM_TOKEN_SIZE])
{
	struct extmem_hand_over o;
	char words[WORDS];
	int rc = xm_region_exists(region, CALL);

	if (rc == 0 && !region->half)
		rc = xm_region_usable(region, CALL);
	if (rc == 0)
		rc = xm_region_writable(region, CALL);
	if (rc == 0)
		rc = options_read(options, &o);
	if (rc == 0)
		rc = check(region);
	if (rc == 0)
		rc = xm_region_change(region, CALL);
	if (rc != 0)
		return rc;
	if (!region->half)
		os_random(region->hand_token, sizeof(region->hand_token));
	rc = hand_over(region, &o, words, sizeof(words));
	xm_region_changed(region);
	if (rc == -EINPROGRESS)
		return xm_fail(rc, CALL ": half of it is done: call it again: "
			       "%s", words);
	if (rc != 0)
		return xm_fail(rc, CALL ": the region stays here: %s", words);
	xm_token_print_since(region->hand_token,
			     region->sealed ? region->trees->root : 0, ret_token);
	return 0;
}
