/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session: a client's messages to and from one appliance's control process. A pure
 * machine; core/engine/control.c owns it and its stream.
 *
 *	AWAY -> CONNECTING -> GREETING -> READY -> AWAY
 *
 * It greets the appliance (HELLO, WELCOME), keeps the client's lease alive (PING),
 * sends requests and returns their answers, and connects again when the stream
 * breaks. It then greets with the client number and secret of before, and so keeps
 * the lease. If the appliance does not know the client any more, because it was
 * restarted or the lease ended, everything held there is lost: the session reports
 * IS_LOST once and greets as a new client.
 *
 * A request ends once, in one of these ways:
 *
 *	the appliance answers			status 0, and the answer
 *	the appliance refuses			its code, for example -ENOSPC, and REFUSED
 *	it does so since its tenant has asked	-EDQUOT, and REFUSED: not before its
 *	too often, each time			deadline; until then it is asked again
 *	the stream breaks after it was sent	-ENOTCONN; its outcome is unknown
 *	its deadline passes			-ETIMEDOUT
 *	XM_SESSION_REQUESTS are under way	-EAGAIN, at once
 *
 * A request that was not sent when the stream broke waits for the next stream.
 *
 * Tenants have a quota of requests a second (tenants.h). Who is beyond it has only to wait,
 * so the session does: XM_SESSION_AGAIN at first, then twice as long, up to
 * XM_SESSION_AGAIN_MOST. Example: with 10 requests a second, the eleventh is answered
 * after 0.15 s.
 *
 * No extent stays with the appliance without an owner who knows of it. The session
 * remembers what its owner was not told and settles it as soon as it is READY under
 * the same lease, one message at a time, in order (owed.h):
 *
 *	an ALLOC cut off before its answer	it asks what extent that request got
 *						(ALLOC of 0 bytes under the same
 *						number) and frees that extent
 *	an ALLOC answered after its deadline	it frees the extent
 *	a FREE cut off, late, or asked for	it frees the extent, again if need be;
 *	while not READY (-ENOTCONN at once)	an extent freed before is refused
 *	a TRIM cut off or late			nothing is freed, as the bytes are in
 *						use; when the extent it named is
 *						freed, so is the one it cut off.
 *						Its owner can ask what became of it
 *	an OFFER or GRANT cut off or late	nothing: its owner asks again, and is
 *						told what came of it
 *	a CLAIM or OPEN cut off or late		what was got by that token goes back
 *						to it, before any other CLAIM or OPEN:
 *						until then these are -EAGAIN
 *
 * Example: ALLOC is request 7, and the stream breaks: -ENOTCONN. After the next
 * WELCOME the session sends ALLOC of 0 bytes as request 7. ALLOCATED names extent 5:
 * it sends FREE of 5. REFUSED instead: request 7 got nothing.
 *
 * An appliance that drains says LEAVING, and PONG says so too, in case LEAVING was
 * lost with a stream. It is reported once (IS_LEAVING) in each READY; what is held
 * there works until `leaving_at_ns`. PONG also says what the appliance could lend
 * (`offer`), for choosing one. WANTED is reported each time it comes (IS_WANTED); it is
 * void when PONG says that nothing is wanted any more (`wants`). So is REVOKED (IS_REVOKED),
 * until the reading that it names is freed. Notices that nobody acts
 * on yet are passed over.
 *
 * TRIM of 0 bytes asks what became of the last TRIM of this extent that was not answered. It
 * is answered as that would have been: ALLOCATED has what was cut off, which is its owner's
 * from then on; a refusal says that nothing was; -ENOENT: no such TRIM is known.
 *
 * A control process that is silent does not affect data, which does not go through
 * it: only requests end, by their deadlines.
 *
 * Example, with an appliance that is restarted after 5 s: READY; at 5 s DOWN, IS_AWAY;
 * CONNECT again after 50 ms, 100 ms, ... 1 s; UP; HELLO with the old number; WELCOME with a
 * new incarnation: IS_LOST, IS_READY.
 *
 * One thread at a time. Floor: ground.
 */
#ifndef XM_SESSION_H
#define XM_SESSION_H

#include "common/base.h"
#include "core/pure/owed.h"
#include "core/pure/trace.h"
#include "core/pure/wire.h"

#define XM_SESSION_REQUESTS 32 /* at once; one more is answered -EAGAIN */
#define XM_SESSION_AGAIN (50 * XM_MS)
#define XM_SESSION_AGAIN_MOST XM_SECOND
#define XM_SESSION_SENDS (XM_SESSION_REQUESTS + 1)

enum xm_session_state {
	XM_SESSION_AWAY,
	XM_SESSION_CONNECTING,
	XM_SESSION_GREETING,
	XM_SESSION_READY,
};

enum xm_session_event_kind {
	XM_SESSION_TICK = 1,
	XM_SESSION_UP,	    /* the stream is connected */
	XM_SESSION_DOWN,    /* it is not, or not any more: status says why */
	XM_SESSION_MESSAGE, /* message */
	XM_SESSION_REQUEST, /* message, token, deadline_ns */
	XM_SESSION_END,	    /* send BYE, disconnect, and do not connect again */
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
	XM_SESSION_SEND,   /* message */
	XM_SESSION_ANSWER, /* to request `token`: status; the event's message, or NULL */
	XM_SESSION_IS_READY,
	XM_SESSION_IS_AWAY, /* status: why */
	XM_SESSION_IS_LOST, /* everything that was held there is gone */
	XM_SESSION_IS_LEAVING, /* the appliance drains: see `leaving_at_ns` */
	XM_SESSION_IS_WANTED, /* it asks for this extent (`token`) */
	XM_SESSION_IS_REVOKED, /* this reading (`token`) is over; to be freed */
};

struct xm_session_effect {
	enum xm_session_effect_kind kind;
	int status;
	uint64_t token;
	const struct xm_message *message; /* SEND: valid until the next step */
};

struct xm_session_effects {
	uint32_t count;
	struct xm_session_effect list[2 * XM_SESSION_REQUESTS + 8];
};

struct xm_session_request {
	uint32_t number; /* 0: free */
	bool sent;
	bool abandoned; /* past its deadline: an extent granted is freed again */
	bool asks; /* what an earlier one of its number got */
	uint64_t token;
	uint64_t deadline_ns;
	/* When it is asked again, if there were too many; XM_NEVER: it waits for a stream. */
	uint64_t again_ns;
	uint64_t pause_ns; /* the next one */
};

/* What the appliance could lend, as its last PONG said. */
struct xm_session_offer {
	uint64_t free, free_run; /* bytes */
	uint32_t load;		 /* thousandths */
};

/* What each tick looks at comes first: the rest takes 120 KiB. */
struct xm_session {
	enum xm_session_state state;
	bool ended;
	bool leaving; /* since the last WELCOME it said so */
	bool wants;   /* it asks for extents, of us or of others */
	uint32_t number;
	uint32_t appliance;   /* as traces name it */
	uint64_t deadline_ns; /* of connecting and greeting */
	uint64_t retry_at_ns, retry_ns;
	uint64_t ping_at_ns;
	uint64_t due_ns; /* of a request: the earliest deadline, or time to ask
			  * again; or before it */
	uint64_t now_ns; /* of the event under way */
	struct xm_trace *trace; /* NULL at first; the owner may set it */
	uint64_t heard_ns; /* last message */
	uint64_t timeout_ns;
	uint64_t sent; /* messages */
	struct xm_session_offer offer;
	uint64_t leaving_at_ns; /* leases end then; XM_NEVER: it did not say */
	struct xm_session_request requests[XM_SESSION_REQUESTS];
	struct xm_hello hello; /* the next one; client and secret from WELCOME */
	struct xm_welcome welcome;
	struct xm_message say; /* HELLO, PING or BYE under way */

	struct xm_owed owed;
	/* What requests say, of those that are not free. */
	struct xm_message messages[XM_SESSION_REQUESTS];
};

/* `hello` needs name, transport, library and flags; it is copied. timeout_ns bounds one
 * attempt to connect and greet. */
void xm_session_init(struct xm_session *, const struct xm_hello *,
		     uint64_t timeout_ns);
/* Nothing is owed or being asked: what the appliance holds for this client is what
 * its owner was told, and not more. */
bool xm_session_is_settled(const struct xm_session *);
void xm_session_step(struct xm_session *, const struct xm_session_event *,
		     struct xm_session_effects *ret);

#endif
