/* SPDX-License-Identifier: BSD-3-Clause */
/* See keep.h. Floor: ground. */
#include "directory/keep.h"

#include <string.h>

void xm_keep_init(struct xm_keep *k, uint32_t endpoints)
{
	XM_ASSERT(endpoints > 0);
	memset(k, 0, sizeof(*k));
	k->endpoints = endpoints;
	k->pause_ns = XM_KEEP_PAUSE_MIN;
	k->changed = true;
}

static enum xm_keep_request next_request(const struct xm_keep *k)
{
	if (k->ending)
		return k->lease != 0 ? XM_KEEP_REVOKE : XM_KEEP_NONE;
	if (k->lease == 0)
		return XM_KEEP_GRANT;
	return k->changed ? XM_KEEP_PUT : XM_KEEP_RENEW;
}

static void go_on(struct xm_keep *k, uint64_t now_ns, struct xm_keep_effects *ret)
{
	if (k->state != XM_KEEP_WAITS || now_ns < k->due_ns)
		return;
	k->asked = next_request(k);
	if (k->asked == XM_KEEP_NONE) {
		k->state = XM_KEEP_OVER;
		return;
	}
	k->state = XM_KEEP_ASKS;
	/* What changes while it is under way is put by another. */
	if (k->asked == XM_KEEP_PUT)
		k->changed = false;
	ret->request = k->asked;
	ret->endpoint = k->endpoint;
	ret->lease = k->lease;
}

static void answered(struct xm_keep *k, const struct xm_keep_event *e,
		     struct xm_keep_effects *ret)
{
	k->tried = 0;
	k->due_ns = e->now_ns;
	switch (k->asked) {
	case XM_KEEP_GRANT:
		XM_ASSERT(e->lease != 0 && e->ttl_s != 0);
		k->lease = e->lease;
		k->changed = true;
		break;
	case XM_KEEP_REVOKE:
		k->lease = 0;
		return;
	case XM_KEEP_PUT:
		k->lapsed = false;
		/* fall through */
	default:
		k->pause_ns = XM_KEEP_PAUSE_MIN;
		if (!k->here || k->away)
			ret->say = XM_KEEP_HERE;
		k->here = true;
		k->away = false;
	}
	/* An etcd that grants a life of years is not to keep changes back. */
	if (k->asked != XM_KEEP_PUT)
		k->ttl_ns = xm_min(e->ttl_s, XM_KEEP_TTL_S) * XM_SECOND;
	if (k->asked == XM_KEEP_PUT || (k->asked == XM_KEEP_RENEW && !k->changed))
		k->due_ns = e->now_ns + k->ttl_ns / 3;
}

/* The next member, or, when each has had its turn, the first again after a pause. */
static void failed(struct xm_keep *k, uint64_t now_ns, struct xm_keep_effects *ret)
{
	k->endpoint = (k->endpoint + 1) % k->endpoints;
	k->tried++;
	k->due_ns = now_ns;
	if (k->asked == XM_KEEP_PUT)
		k->changed = true;
	if (k->tried < k->endpoints)
		return;
	k->tried = 0;
	if (k->asked == XM_KEEP_REVOKE) {
		k->lease = 0; /* It ends by itself. */
		return;
	}
	k->due_ns = now_ns + k->pause_ns;
	k->pause_ns = xm_min(2 * k->pause_ns, XM_KEEP_PAUSE_MAX);
	if (!k->away)
		ret->say = XM_KEEP_AWAY;
	k->away = true;
}

/* An etcd that forgets each lease at once is as one that is away. */
static void lapsed(struct xm_keep *k, uint64_t now_ns, struct xm_keep_effects *ret)
{
	k->lease = 0;
	k->due_ns = now_ns;
	if (k->lapsed && k->asked != XM_KEEP_REVOKE)
		failed(k, now_ns, ret);
	k->lapsed = true;
}

void xm_keep_step(struct xm_keep *k, const struct xm_keep_event *e,
		  struct xm_keep_effects *ret)
{
	bool is_answer = e->kind >= XM_KEEP_ANSWERED;

	memset(ret, 0, sizeof(*ret));
	XM_ASSERT(!is_answer || k->state == XM_KEEP_ASKS);
	if (is_answer)
		k->state = XM_KEEP_WAITS;
	switch (e->kind) {
	case XM_KEEP_TIME:
		break;
	case XM_KEEP_CHANGED:
		k->changed = true;
		break;
	case XM_KEEP_END:
		k->ending = true;
		k->tried = 0;
		break;
	case XM_KEEP_ANSWERED:
		answered(k, e, ret);
		break;
	case XM_KEEP_LAPSED:
		lapsed(k, e->now_ns, ret);
		break;
	case XM_KEEP_FAILED:
		failed(k, e->now_ns, ret);
		break;
	}
	if (k->ending)
		k->due_ns = e->now_ns;
	go_on(k, e->now_ns, ret);
	ret->wake_ns = k->due_ns;
	ret->over = k->state == XM_KEEP_OVER;
}
