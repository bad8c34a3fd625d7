/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session: a client's dealings with one appliance's control process.
 *
 *	AWAY -> GREETING -> READY -> AWAY
 *
 * It greets, keeps the lease alive, carries requests to their answers or
 * their deadlines, and resumes as the same client when the stream broke.
 * When the appliance does not know us any more (it restarted, or our lease
 * ended) everything held there is lost: said once, and the next greeting is
 * a new client's.
 *
 * A request that was sent on a stream that broke ends with -ENOTCONN, its
 * outcome unknown; one that was not sent yet waits for the next stream. A
 * silent control process ends nothing here but requests, by their deadlines:
 * data does not go through it. What it grants to a ALLOC whose deadline has
 * passed is given back, else nobody would hold it and nobody could have it.
 *
 * Floor: ground.
 */
#ifndef XM_SESSION_H
#define XM_SESSION_H

#include "common/base.h"
#include "core/pure/trace.h"
#include "core/pure/wire.h"

#define XM_SESSION_REQUESTS 32
#define XM_SESSION_SENDS (XM_SESSION_REQUESTS + 1)

enum xm_session_state {
	XM_SESSION_AWAY,
	XM_SESSION_CONNECTING,
	XM_SESSION_GREETING,
	XM_SESSION_READY,
};

enum xm_session_event_kind {
	XM_SESSION_TICK = 1,
	XM_SESSION_UP,	    /* the stream is there */
	XM_SESSION_DOWN,    /* status */
	XM_SESSION_MESSAGE, /* message */
	XM_SESSION_REQUEST, /* message, token, deadline_ns */
	XM_SESSION_END,	    /* say BYE, hang up, stay away */
};

struct xm_session_event {
	enum xm_session_event_kind kind;
	uint64_t now_ns;
	int status;
	const struct xm_message *message;
	uint64_t token;
	uint64_t deadline_ns;
};

enum xm_session_effect_kind {
	XM_SESSION_CONNECT = 1,
	XM_SESSION_DISCONNECT,
	XM_SESSION_SEND,   /* requests[request].message, or `say` */
	XM_SESSION_ANSWER, /* token, status; the event's message if 0 */
	XM_SESSION_IS_READY,
	XM_SESSION_IS_AWAY, /* status: why */
	XM_SESSION_IS_LOST, /* what was held there is gone */
};

struct xm_session_effect {
	enum xm_session_effect_kind kind;
	int status;
	uint64_t token;
	const struct xm_message *message; /* SEND: valid until next step */
};

struct xm_session_effects {
	uint32_t count;
	struct xm_session_effect list[2 * XM_SESSION_REQUESTS + 8];
};

struct xm_session_request {
	uint32_t number; /* 0: free */
	bool sent;
	bool abandoned; /* past its deadline; what it takes is given back */
	uint64_t token;
	uint64_t deadline_ns;
	struct xm_message message;
};

struct xm_session {
	enum xm_session_state state;
	struct xm_hello hello; /* as we greet; client and secret of WELCOME */
	struct xm_welcome welcome;
	struct xm_message say; /* HELLO, PING or BYE under way */
	uint64_t deadline_ns;  /* of connecting and greeting */
	uint64_t retry_at_ns, retry_ns;
	uint64_t ping_at_ns;
	uint64_t heard_ns; /* last message */
	uint64_t due_ns;   /* no request's deadline is earlier */
	uint64_t timeout_ns;
	uint64_t sent; /* messages */
	uint32_t number;
	bool ended;
	uint32_t appliance;	/* as traces name it */
	uint64_t now_ns;	/* of the event under way */
	struct xm_trace *trace; /* NULL at first; the owner may set it */
	struct xm_session_request requests[XM_SESSION_REQUESTS];
};

/* `hello` needs name, transport, library and flags. timeout_ns bounds one
 * attempt to connect and greet. */
void xm_session_init(struct xm_session *, const struct xm_hello *,
		     uint64_t timeout_ns);
void xm_session_step(struct xm_session *, const struct xm_session_event *,
		     struct xm_session_effects *ret);

#endif
