/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MACHINE: how an appliance's entry is kept in etcd. A lease is granted, the entry put under
 * it, the lease renewed three times in its life, the entry put again when it has changed, the
 * lease revoked at the end. One request is under way at a time.
 *
 *	WAITS -> ASKS -> WAITS ... -> OVER
 *
 * A request that fails goes to the next member; when every member has failed, there is a
 * pause, each twice as long as the one before, up to XM_KEEP_PAUSE_MAX.
 *
 * Floor: ground.
 */
#ifndef XM_KEEP_H
#define XM_KEEP_H

#include "common/base.h"

#define XM_KEEP_TTL_S 15
#define XM_KEEP_ANSWER_MS 2000 /* deadline of each request */
#define XM_KEEP_PAUSE_MIN (XM_SECOND / 2)
#define XM_KEEP_PAUSE_MAX (10 * XM_SECOND)

enum xm_keep_state { XM_KEEP_WAITS, XM_KEEP_ASKS, XM_KEEP_OVER };

enum xm_keep_request {
	XM_KEEP_NONE,
	XM_KEEP_GRANT,
	XM_KEEP_PUT,
	XM_KEEP_RENEW,
	XM_KEEP_REVOKE,
};

enum xm_keep_event_kind {
	XM_KEEP_TIME,	  /* time has passed */
	XM_KEEP_CHANGED,  /* the entry says something else now */
	XM_KEEP_END,	  /* the appliance leaves */
	XM_KEEP_ANSWERED, /* the request has succeeded */
	XM_KEEP_LAPSED,	  /* etcd knows no such lease */
	XM_KEEP_FAILED,	  /* no answer, or none that makes sense */
};

struct xm_keep_event {
	enum xm_keep_event_kind kind;
	uint64_t now_ns;
	uint64_t lease; /* ANSWERED of GRANT, not 0 */
	uint64_t ttl_s; /* ANSWERED of GRANT and RENEW, not 0 */
};

enum xm_keep_say {
	XM_KEEP_NOTHING,
	XM_KEEP_HERE, /* the entry stands, for the first time or again */
	XM_KEEP_AWAY, /* no member answers; said once until HERE */
};

struct xm_keep_effects {
	enum xm_keep_request request;
	uint32_t endpoint;
	uint64_t lease; /* of PUT, RENEW, REVOKE */
	enum xm_keep_say say;
	uint64_t wake_ns; /* TIME then, if no request is under way */
	bool over;
};

struct xm_keep {
	enum xm_keep_state state;
	enum xm_keep_request asked;
	uint32_t endpoints, endpoint, tried;
	uint64_t lease; /* 0: none */
	uint64_t ttl_ns, due_ns, pause_ns;
	bool changed, ending, here, away;
	bool lapsed; /* and no PUT has succeeded since */
};

void xm_keep_init(struct xm_keep *, uint32_t endpoints);
void xm_keep_step(struct xm_keep *, const struct xm_keep_event *,
		  struct xm_keep_effects *ret);

#endif
