/* SPDX-License-Identifier: BSD-3-Clause */
/* OFFER and CLAIM of one extent after the other; see handing.h. */
#include "core/client/handing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"

#define AGAIN XM_MS /* until a key that is dying, or a stream, is asked about again */

struct xm_handed *xm_handed_add(struct xm_handed_list *l)
{
	struct xm_handed *h;

	if (l->count == l->max) {
		uint32_t max = l->max * 2 + 16;
		struct xm_handed *list = os_alloc(max * sizeof(*list));

		if (list == NULL)
			return NULL;
		if (l->count > 0)
			memcpy(list, l->list, l->count * sizeof(*list));
		os_free(l->list);
		l->list = list;
		l->max = max;
	}
	h = &l->list[l->count++];
	memset(h, 0, sizeof(*h));
	return h;
}

void xm_handed_end(struct xm_handed_list *l)
{
	os_free(l->list);
	memset(l, 0, sizeof(*l));
}

/* Both requests may be repeated; see appliance/tokens.c. */
static bool is_worth_repeating(const extmem *x, int rc,
			       enum xm_message_kind kind)
{
	return (rc == -EAGAIN ||
		(rc == -ENOTCONN && (kind == XM_OFFER || kind == XM_GRANT))) &&
	       os_now_ns() < x->regions.deadline_ns;
}

static int ask(extmem *x, uint32_t appliance, const struct xm_message *m,
	       uint32_t lease, struct xm_request *ret, char *words,
	       size_t words_size)
{
	int rc;

	for (;;) {
		ret->lease = lease;
		rc = xm_ask(&x->ask, appliance, m, x->regions.deadline_ns, ret);
		if (!is_worth_repeating(x, rc, m->kind))
			break;
		os_sleep(AGAIN);
	}
	if (rc != 0)
		xm_ask_explain(&x->ask, ret, words, words_size);
	return rc;
}

int xm_offer_extent(extmem *x, enum xm_message_kind kind,
		    const struct xm_handed *h, const uint8_t *token, uint32_t flags, uint32_t ms, const char *identity,
		    char *words, size_t words_size)
{
	struct xm_message m = { .kind = kind };
	struct xm_request request;

	m.u.offer.extent = h->at.extent;
	m.u.offer.flags = flags;
	m.u.offer.ms = ms;
	memcpy(m.u.offer.token, token, XM_TOKEN_SIZE);
	snprintf(m.u.offer.identity, sizeof(m.u.offer.identity), "%s",
		 identity == NULL ? "" : identity);
	xm_label_encode(&h->label, &m.u.offer.label);
	return ask(x, h->at.appliance, &m, h->at.lease, &request, words,
		   words_size);
}

int xm_return_claimed(extmem *x, const struct xm_extent_at *member,
		      const uint8_t *token)
{
	struct xm_message m = { .kind = XM_OFFER };
	struct xm_request request;
	char words[256];
	int rc;

	m.u.offer.flags = XM_OFFER_RETURN;
	memcpy(m.u.offer.token, token, XM_TOKEN_SIZE);
	do
		rc = ask(x, member->appliance, &m, member->lease, &request,
			 words, sizeof(words));
	while (rc == 0);
	return rc == -ENOENT ? 0 : rc;
}

/* False: its label is of another version of this library, or contradicts it. */
static bool take(struct xm_handed *h, uint32_t appliance,
		 const struct xm_request *r)
{
	const struct xm_claimed *c = &r->message.u.claimed;

	h->at.appliance = appliance;
	h->at.lease = r->lease;
	h->at.extent = c->extent;
	h->at.remote = c->remote;
	h->size = c->size;
	h->id = c->id;
	memcpy(h->name, c->region, sizeof(h->name));
	return xm_label_decode(&c->label, &h->label) &&
	       c->size >= h->label.count / h->label.columns * XM_PAGE;
}

int xm_claim_all(extmem *x, uint32_t appliance, enum xm_message_kind kind,
		 const uint8_t *token, struct xm_handed_list *l, char *words,
		 size_t words_size)
{
	struct xm_message m = { .kind = kind };
	struct xm_request request;
	uint32_t first = l->count;
	int rc = 0;

	memcpy(m.u.claim.token, token, XM_TOKEN_SIZE);
	for (;;) {
		/* Before: what has been claimed has to be known. */
		struct xm_handed *h = xm_handed_add(l);

		if (h == NULL) {
			snprintf(words, words_size, "out of memory");
			return -ENOMEM;
		}
		rc = ask(x, appliance, &m, 0, &request, words, words_size);
		if (rc != 0)
			l->count--;
		/* The session returns what was claimed here before. */
		if (rc == -ENOTCONN && os_now_ns() < x->regions.deadline_ns) {
			l->count = first;
			m.u.claim.after = 0;
			os_sleep(AGAIN);
			continue;
		}
		if (rc == -ENOENT && m.u.claim.after != 0)
			return 0;
		if (rc != 0)
			return rc;
		if (!take(h, appliance, &request)) {
			snprintf(words, words_size, "appliance %s: what it says of "
				 "an extent is of another version of extmem",
				 xm_ask_address(&x->ask, appliance));
			return -EPROTO;
		}
		m.u.claim.after = h->at.extent;
	}
}

void xm_handed_fix(extmem_region *region, bool fixed)
{
	extmem *x = region->client;
	uint64_t page = region->address / XM_PAGE;
	uint64_t limit = page + region->size / XM_PAGE;
	struct os_signals old;
	struct xm_backing s;

	xm_lanes_lock(&x->lanes, &old);
	for (; page < limit && xm_volume_backing(&x->volume, page, &s);
	     page = xm_backing_after(&s))
		xm_volume_fix(&x->volume, page, fixed);
	xm_lanes_unlock(&x->lanes, &old);
}

void xm_segments_drop(extmem_region *region)
{
	extmem *x = region->client;
	uint64_t page = region->address / XM_PAGE;
	uint64_t limit = page + region->size / XM_PAGE;
	struct os_signals old;
	struct xm_backing s;

	xm_lanes_lock(&x->lanes, &old);
	while (page < limit && xm_volume_backing(&x->volume, page, &s)) {
		xm_volume_remove(&x->volume, page);
		page = s.page + s.count;
	}
	xm_lanes_unlock(&x->lanes, &old);
}
