/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A region is adopted by its token (extmem_share.h): this client claims what waits at its
 * appliances, finds the layout in the labels, and only then, when no part is missing, tells
 * the appliances that the token is used up. Until that the token leads back to the bytes,
 * whatever happens to this client; see appliance/tokens.c.
 *
 * Every copy that was handed over must be there. One that could not be claimed now could be
 * claimed later by somebody else, who would then have older bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/damage.h"
#include "core/client/error.h"
#include "core/client/found.h"
#include "core/client/handing.h"
#include "core/client/segments.h"
#include "core/client/trees.h"
#include "core/skin/cipher.h"

#define CALL "extmem_region_adopt"
#define WORDS 512
#define UNTIE_TERM (500 * XM_MS) /* for one answer, when the token is used up */

struct adoption {
	struct xm_found found;
	struct xm_damage_list damage;
	bool rooted; /* by this: */
	struct xm_region_id id;
	uint64_t since;
	bool keeps; /* EXTMEM_ADOPT_KEPT */
};

static int capacity_check(struct adoption *t)
{
	for (uint32_t i = 0; i < t->found.l.count; i++) {
		const struct xm_place_label *l = &t->found.l.list[i].label;

		if (l->copies > 1 &&
		    t->found.x->settings.members_max < XM_MEMBERS_MAX) {
			snprintf(t->found.words, WORDS, "it has %u copies: open this "
				 "client with a strategy that has mirrors, for "
				 "example strategy=mirror %u",
				 l->copies, l->copies);
			return -ENOTSUP;
		}
		if (t->keeps && l->copies > 1) {
			snprintf(t->found.words, WORDS, "it has %u copies, which a "
				 "crash can leave unequal: it cannot be kept",
				 l->copies);
			return -ENOTSUP;
		}
	}
	return 0;
}

static int refuse(struct adoption *t, int rc, const char *why)
{
	snprintf(t->found.words, WORDS, "%s", why);
	return rc;
}

/* Of a sealed region this client has to have the key, and each extent its seals. */
static int seals_check(struct adoption *t)
{
	const struct xm_handed_list *l = &t->found.l;
	const struct xm_sealing *s = &t->found.x->sealing;
	uint8_t salt[XM_SALT_SIZE];

	for (uint32_t i = 0; i < l->count; i++) {
		const struct xm_place_label *label = &l->list[i].label;
		uint64_t size = label->count / label->columns * XM_PAGE;

		if (label->sealed != l->list[0].label.sealed ||
		    (label->sealed && (label->copies > 1 ||
				       l->list[i].size < size + xm_trees_tail(size))))
			return refuse(t, -EPROTO, "what its appliances say of it "
				      "contradicts itself");
	}
	if (!l->list[0].label.sealed)
		return 0;
	if (s->ops->plain || xm_cipher_salt(s->seal, salt) != 0)
		return refuse(t, -ENOKEY, "it is sealed: open this client with "
			      "seal=asked, and with the seal_key that it was "
			      "sealed with");
	/* Its seals say what was handed over: nobody else could open what is written now. */
	if (t->keeps && !l->list[0].label.durable)
		return refuse(t, -ENOTSUP, "it is sealed, and not durable: it cannot be "
			      "kept under its token");
	if (t->rooted && memcmp(&t->id, &l->list[0].id, sizeof(t->id)) != 0)
		return refuse(t, -EINVAL, "the root is another region's");
	return 0;
}

/* What is durable stays so under its token, which is good for the next time, too. */
static void set_up(const struct adoption *t, extmem_region *region)
{
	const struct xm_place_label *label = &t->found.l.list[0].label;

	region->durable = true;
	for (uint32_t i = 0; i < t->found.l.count; i++)
		region->durable &= t->found.l.list[i].label.durable;
	if (t->keeps || region->durable) {
		region->kept_ms = label->ms;
		memcpy(region->token, t->found.token, sizeof(region->token));
	}
	region->sealed = region->fixed = label->sealed;
	region->tracked |= label->sealed || t->damage.count > 0;
	/* Of what is sealed the seals say which pages have contents. */
	region->written &= !label->sealed;
}

/* Bytes of one extent, as its store has them. */
static int put_back(struct adoption *t, const struct xm_handed *h, uint64_t offset,
		    uint64_t size)
{
	extmem *x = t->found.x;
	struct xm_message m = {
		.kind = XM_DRAFT,
		.u.draft = { h->at.extent, offset, size, XM_DRAFT_BACK },
	};
	int rc = -EAGAIN;

	while (rc == -EAGAIN) {
		struct xm_request request = { .lease = h->at.lease };

		rc = xm_ask(&x->ask, h->at.appliance, &m, x->regions.deadline_ns,
			    &request);
		if (rc != 0)
			xm_ask_explain(&x->ask, &request, t->found.words, WORDS);
		if (rc == -EAGAIN && os_now_ns() >= x->regions.deadline_ns)
			return rc;
		if (rc == -EAGAIN)
			os_sleep(XM_MS);
	}
	return rc;
}

/* What lies there may be newer than the seals: its former owner has written it back, and died
 * before it was durable. As with a sync, the time begins anew with each piece. */
static int put_all_back(struct adoption *t)
{
	extmem *x = t->found.x;
	int rc = 0;

	for (uint32_t i = 0; i < t->found.l.count; i++) {
		const struct xm_handed *h = &t->found.l.list[i];

		for (uint64_t at = 0; h->label.sealed && h->label.durable &&
				      at < h->size && rc == 0; at += XM_DRAFT_MAX) {
			rc = put_back(t, h, at, xm_min(XM_DRAFT_MAX, h->size - at));
			x->regions.deadline_ns =
				xm_max(x->regions.deadline_ns,
				       os_now_ns() + x->settings.timeout_ns);
		}
	}
	return rc;
}

/* Its pages can be opened. Or it is no more. */
static int open_seals(struct adoption *t, extmem_region *region)
{
	extmem_region *table;
	int rc = !region->sealed ? 0
				 : xm_trees_read(region, t->since, &t->found.l, &t->damage,
						 t->found.words, WORDS);

	if (rc == 0)
		return 0;
	table = xm_trees_leave(region);
	if (table != NULL)
		xm_region_plain_free(table);
	xm_region_forget(region, 0, region->size);
	xm_segments_drop(region);
	xm_region_drop(region);
	return rc;
}

/* One round over what is still tied: an appliance that does not answer soon keeps the
 * others waiting once. Returns how many extents are left; `tied` has a byte for each. */
static uint32_t untie(struct adoption *t, uint8_t *tied)
{
	extmem *x = t->found.x;
	uint64_t deadline_ns = x->regions.deadline_ns;
	uint32_t left = 0, away = 0; /* appliances, a bit each */
	char words[WORDS];

	for (uint32_t i = 0; i < t->found.l.count; i++) {
		uint32_t bit = 1u << t->found.l.list[i].at.appliance;
		int rc = -ETIMEDOUT;

		if (tied[i] == 0)
			continue;
		x->regions.deadline_ns = xm_min(deadline_ns,
						os_now_ns() + UNTIE_TERM);
		if ((away & bit) == 0)
			rc = xm_offer_extent(x, XM_OFFER, &t->found.l.list[i],
					     t->found.token, XM_OFFER_KEEP,
					     t->keeps ? t->found.l.list[i].label.ms : 0,
					     NULL, words, WORDS);
		/* (-ESTALE: it is lost already.) */
		tied[i] = rc != 0 && rc != -ESTALE;
		left += tied[i];
		if (rc == -ETIMEDOUT || rc == -ENOTCONN)
			away |= bit;
	}
	x->regions.deadline_ns = deadline_ns;
	return left;
}

/* The token is used up, or stands for what is kept now. It is said again until it is
 * answered, in the time of the call. An appliance that does not hear it lets the memory wait
 * for the token if we end, until it unties by itself: XM_SERVICE_CLAIM_TERM. */
static void settle(struct adoption *t)
{
	extmem *x = t->found.x;
	uint8_t *tied = os_alloc(t->found.l.count);

	if (tied == NULL)
		return;
	memset(tied, 1, t->found.l.count);
	while (untie(t, tied) > 0 && os_now_ns() < x->regions.deadline_ns)
		os_sleep(UNTIE_TERM / 10);
	os_free(tied);
}

/* Bytes from before a move, which came after them to nobody's ears. */
static void free_stale(struct adoption *t)
{
	for (uint32_t i = 0; i < t->found.stale; i++) {
		const struct xm_extent_at *member =
			&t->found.l.list[t->found.l.count + i].at;
		struct xm_request request = { .lease = member->lease };
		struct xm_message m = { .kind = XM_FREE };

		/* Whatever comes of it: the session sees to it. */
		m.u.free.extent = member->extent;
		xm_ask(&t->found.x->ask, member->appliance, &m,
		       t->found.x->regions.deadline_ns, &request);
	}
}

/* With regions.lock held. */
static int adopt(struct adoption *t, extmem_region **ret)
{
	extmem_region *region;
	uint64_t offset;
	int rc = xm_found_claim(&t->found);

	if (rc == 0)
		rc = xm_found_check(&t->found);
	if (rc == 0)
		rc = capacity_check(t);
	if (rc == 0)
		rc = seals_check(t);
	if (rc == 0)
		rc = xm_damage_ask(t->found.x, &t->found.l, &t->damage, t->found.words,
				   WORDS);
	if (rc == 0)
		rc = put_all_back(t);
	if (rc == 0)
		rc = xm_found_region(&t->found, CALL, &region);
	if (rc != 0)
		return rc;
	set_up(t, region);
	rc = xm_found_back(&t->found, region);
	if (rc == 0)
		rc = open_seals(t, region);
	if (rc != 0)
		return rc;
	xm_damage_lose(region, &t->found.l, &t->damage);
	if (xm_extent_take(&region->slabs, region->size, 0, &offset) == 0)
		region->slabs_count++;
	xm_region_enter(region);
	settle(t);
	free_stale(t);
	xm_handed_fix(region, false);
	*ret = region;
	return 0;
}

int extmem_region_adopt(extmem *x, const char *token, uint64_t flags,
			extmem_region **ret)
{
	return extmem_region_adopt_since(x, token, NULL, flags, ret);
}

int extmem_region_adopt_since(extmem *x, const char *token, const char *root,
			      uint64_t flags, extmem_region **ret)
{
	struct adoption *t;
	uint64_t since = 0;
	int rc = xm_usable(CALL);

	if (rc != 0)
		return rc;
	if ((flags & ~(uint64_t)EXTMEM_ADOPT_KEPT) != 0)
		return xm_fail(-EINVAL, CALL ": flags 0x%llx: this library knows "
			       "EXTMEM_ADOPT_KEPT alone",
			       (unsigned long long)flags);
	t = os_alloc(sizeof(*t));
	if (t == NULL)
		return xm_fail(-ENOMEM, CALL ": out of memory");
	t->found.x = x;
	t->found.kind = XM_CLAIM;
	t->keeps = (flags & EXTMEM_ADOPT_KEPT) != 0;
	if (!xm_token_parse_since(token, t->found.token, &t->since)) {
		os_free(t);
		return xm_fail(-EINVAL, CALL ": that is no token, or there is a "
			       "typing error in it: it looks like "
			       "extmem1-00112233-...");
	}
	t->rooted = root != NULL;
	if (t->rooted && !xm_root_read(root, &t->id, &since)) {
		os_free(t);
		return xm_fail(-EINVAL, CALL ": that is no root: "
			       "extmem_region_root() gives one");
	}
	t->since = xm_max(t->since, since);
	xm_regions_lock(x);
	rc = adopt(t, ret);
	if (rc != 0)
		xm_found_give_back(&t->found);
	xm_regions_unlock(x);
	if (rc != 0)
		xm_fail(rc, CALL ": %s", t->found.words);
	xm_found_end(&t->found);
	os_free(t);
	return rc;
}
