/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept beyond our end: it is tied to its token, and stays so when its memory moves
 * (moving.h). */
#include <errno.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/handing.h"
#include "core/client/moving.h"
#include "core/client/sharing.h"
#include "core/client/trees.h"
#include "core/skin/cipher.h"

#define WORDS 512

/* The guest's segment, if the guest has an extent of its own for it. */
static bool segment_find(extmem *x, const struct xm_vacancy *at,
			 uint64_t extent, struct xm_backing *ret)
{
	struct os_signals old;
	bool there;

	xm_lanes_lock(&x->lanes, &old);
	there = xm_volume_backing(&x->volume, at->page, ret) && ret->guest &&
		ret->list[ret->copies].at.extent == extent;
	xm_lanes_unlock(&x->lanes, &old);
	return there && xm_backing_size(ret) * XM_PAGE == at->size;
}

static void tie(extmem_region *region, const struct xm_backing *s,
		uint64_t extent, struct xm_message *ret)
{
	struct xm_place_label label;

	xm_handed_label(region, s, &label);
	label.copies = 1; /* what has more is not kept */
	label.turn = ++region->turn;
	ret->kind = XM_OFFER;
	ret->u.offer.extent = extent;
	ret->u.offer.flags = XM_OFFER_KEEP;
	ret->u.offer.ms = (uint32_t)xm_min(region->kept_ms, XM_OFFER_FOR_EVER);
	memcpy(ret->u.offer.token, region->token, XM_TOKEN_SIZE);
	xm_label_encode(&label, &ret->u.offer.label);
}

int xm_keeping_tie(extmem *x, const struct xm_vacancy *at,
		   uint64_t extent, struct xm_message *ret)
{
	extmem_region *region;
	struct xm_backing s;
	int rc = -ENOENT;

	os_mutex_take(&x->regions.links);
	region = xm_moving_find(x, &at->region_id);
	if (region != NULL && (region->kept_ms != 0 || region->fixed)) {
		/* What is on the disk there would have to be on the disk here first. */
		rc = !region->durable && !region->fixed && segment_find(x, at, extent, &s)
			     ? 0 : -EBUSY;
		if (rc == 0)
			tie(region, &s, extent, ret);
	}
	os_mutex_give(&x->regions.links);
	return rc;
}

/* --- the public calls ----------------------------------------------------- */

static bool are_equal(const struct xm_handed_list *l, const struct xm_handed_list *m)
{
	for (uint32_t i = 0; i < l->count && l->count == m->count; i++) {
		if (l->list[i].at.extent != m->list[i].at.extent ||
		    l->list[i].at.appliance != m->list[i].at.appliance)
			return false;
	}
	return l->count == m->count;
}

/* Ties the region's token to each of its extents, or none. */
static int relabel_once(extmem_region *region, struct xm_handed_list *l,
			char *words, size_t words_size)
{
	uint32_t ms = (uint32_t)xm_min(region->kept_ms, XM_OFFER_FOR_EVER);
	uint32_t flags = XM_OFFER_KEEP;
	int rc = xm_handed_collect(region, false, l);

	if (region->durable && ms > 0)
		flags |= XM_OFFER_DURABLE;

	snprintf(words, words_size, "%s", xm_why(rc));
	for (uint32_t i = 0; i < l->count && rc == 0; i++) {
		l->list[i].label.ms = ms;
		l->list[i].label.durable = region->durable;
		rc = xm_offer_extent(region->client, XM_OFFER, &l->list[i], region->token,
				     flags, ms, NULL, words, words_size);
	}
	return rc;
}

/* Again, if a part of it has moved meanwhile: who moved it may have seen it as not kept
 * (xm_keeping_tie()). */
int xm_region_relabel(extmem_region *region, char *words, size_t words_size)
{
	bool same = false;
	int rc = 0;

	while (!same && rc == 0) {
		struct xm_handed_list l = { 0 }, now = { 0 };

		rc = relabel_once(region, &l, words, words_size);
		if (rc == 0)
			rc = xm_handed_collect(region, false, &now);
		same = are_equal(&l, &now);
		xm_handed_end(&l);
		xm_handed_end(&now);
	}
	return rc;
}

int xm_region_keep_again(extmem_region *region, const char *call)
{
	char words[WORDS];
	int rc = region->kept_ms == 0 ? 0 : xm_region_relabel(region, words, WORDS);

	return rc == 0 ? 0 : xm_fail(rc, "%s: it is done, but the region is not "
				     "kept any more: call extmem_region_keep() "
				     "again: %s", call, words);
}

/* What is sealed is worth something to who has its seals, and they are durable only. */
static int seals_check(const extmem_region *region, const char *call, bool durable)
{
	uint8_t salt[XM_SALT_SIZE];

	if (!region->fixed)
		return region->sealed && durable
			       ? xm_fail(-ENOTSUP, "%s: region %s is sealed, and its "
					 "seals stay in this process: request it with "
					 "EXTMEM_SEALED_DURABLE", call, region->name)
			       : xm_handed_check(region, call);
	if (!durable)
		return xm_fail(-ENOTSUP, "%s: region %s is sealed: it is kept by "
			       "extmem_region_keep_durable() alone", call,
			       region->name);
	if (xm_cipher_salt(region->client->sealing.seal, salt) != 0)
		return xm_fail(-ENOKEY, "%s: region %s is sealed with a key that ends "
			       "with this process: open the client with a seal_key",
			       call, region->name);
	return 0;
}

/* Asks the segments: the strategy of an adopted region is this client's own. */
static bool has_copies(const extmem_region *region)
{
	extmem *x = region->client;
	uint64_t page = region->address / XM_PAGE;
	uint64_t limit = page + region->size / XM_PAGE;
	struct os_signals old;
	struct xm_backing s;
	bool ret = false;

	xm_lanes_lock(&x->lanes, &old);
	for (; page < limit && xm_volume_backing(&x->volume, page, &s);
	     page = xm_backing_after(&s))
		ret |= s.copies > 1;
	xm_lanes_unlock(&x->lanes, &old);
	return ret;
}

static int keep(extmem_region *region, const char *call, uint64_t ms, bool durable,
		char ret_token[EXTMEM_TOKEN_SIZE])
{
	char words[WORDS];
	extmem *x;
	int rc = xm_region_usable(region, call);

	if (rc == 0)
		rc = xm_region_writable(region, call);
	if (rc == 0)
		rc = seals_check(region, call, durable);
	if (rc == 0 && has_copies(region))
		rc = xm_fail(-ENOTSUP, "%s: region %s has several copies, which "
			     "a crash can leave unequal: hand it over instead",
			     call, region->name);
	if (rc == 0)
		rc = xm_region_change(region, call);
	if (rc != 0)
		return rc;
	x = region->client;
	if (atomic_load(&region->lacks)) {
		xm_region_changed(region);
		return xm_fail(-ESTALE, "%s: region %s is a copy that lacks bytes, "
			       "which were lost before they were copied", call,
			       region->name);
	}
	if (region->fixed && region->trees == NULL)
		rc = xm_trees_open(region, words, sizeof(words));
	else if (region->fixed && !region->durable)
		xm_trees_blank(region->trees);
	if (rc != 0) {
		xm_region_changed(region);
		return xm_fail(rc, "%s: %s", call, words);
	}
	os_mutex_take(&x->regions.links);
	if (region->kept_ms == 0)
		os_random(region->token, sizeof(region->token));
	region->kept_ms = ms;
	region->durable = durable && ms > 0;
	os_mutex_give(&x->regions.links);
	rc = xm_region_relabel(region, words, sizeof(words));
	/* The store may have forgotten it meanwhile. */
	if (region->durable)
		xm_region_undurable(region);
	xm_region_changed(region);
	if (rc != 0)
		return xm_fail(rc, "%s: %s", call, words);
	if (ret_token != NULL)
		xm_token_print(region->token, ret_token);
	return 0;
}

int extmem_region_keep(extmem_region *region, uint64_t ms,
		       char ret_token[EXTMEM_TOKEN_SIZE])
{
	return keep(region, "extmem_region_keep", ms, region->durable, ret_token);
}

int extmem_region_keep_durable(extmem_region *region, uint64_t ms,
			       char ret_token[EXTMEM_TOKEN_SIZE])
{
	return keep(region, "extmem_region_keep_durable", ms, true, ret_token);
}
