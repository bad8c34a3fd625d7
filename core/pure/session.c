/* SPDX-License-Identifier: BSD-3-Clause */
/* The session machine; see session.h. */
#include "core/pure/session.h"

#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"

#define RETRY_FIRST (50 * XM_MS)
#define RETRY_MOST XM_SECOND

static struct xm_session_effect *effect(struct xm_session_effects *fx,
					enum xm_session_effect_kind kind)
{
	struct xm_session_effect *e;

	XM_ASSERT(fx->count < XM_COUNT(fx->list));
	e = &fx->list[fx->count++];
	memset(e, 0, sizeof(*e));
	e->kind = kind;
	return e;
}

static void note(const struct xm_session *s, enum xm_trace_id id, uint64_t a,
		 uint64_t b, uint64_t c)
{
	xm_trace_put(s->trace, s->now_ns, id, s->appliance, a, b, c);
}

void xm_session_init(struct xm_session *s, const struct xm_hello *hello,
		     uint64_t timeout_ns)
{
	/* The rest is written before it is read. */
	memset(s, 0, offsetof(struct xm_session, owed));
	xm_owed_init(&s->owed);
	s->hello = *hello;
	s->hello.version_min = XM_PROTOCOL_VERSION_MIN;
	s->hello.version_max = XM_PROTOCOL_VERSION;
	s->timeout_ns = timeout_ns;
	s->due_ns = XM_NEVER;
	s->retry_ns = RETRY_FIRST;
}

static uint32_t next_number(struct xm_session *s)
{
	if (++s->number == 0)
		s->number = 1;
	return s->number;
}

/* What the request says. */
static struct xm_message *message_of(struct xm_session *s,
				     const struct xm_session_request *request)
{
	return &s->messages[request - s->requests];
}

/* HELLO, and PING and BYE, which have no body. */
static void say(struct xm_session *s, enum xm_message_kind kind,
		struct xm_session_effects *fx)
{
	s->say.kind = kind;
	s->say.request = next_number(s);
	if (kind == XM_HELLO)
		s->say.u.hello = s->hello;
	effect(fx, XM_SESSION_SEND)->message = &s->say;
	s->sent++;
}

static void answer(struct xm_session_request *request, int status,
		   const struct xm_message *message,
		   struct xm_session_effects *fx)
{
	struct xm_session_effect *e = effect(fx, XM_SESSION_ANSWER);

	e->token = request->token;
	e->status = status;
	e->message = message;
	if (!request->abandoned)
		request->number = 0;
}

/* --- what is owed ------------------------------------------------------------- */

static void settle_next(struct xm_session *s, struct xm_session_effects *fx)
{
	struct xm_message *m;

	if (s->state != XM_SESSION_READY)
		return;
	m = xm_owed_next(&s->owed);
	if (m == NULL)
		return;
	if (m->request == 0)
		m->request = next_number(s);
	effect(fx, XM_SESSION_SEND)->message = m;
	s->sent++;
}

/* A request was sent, and how it ends will not be known. */
static void owe_outcome(struct xm_session *s,
			const struct xm_session_request *request)
{
	if (!request->asks)
		xm_owed_outcome(&s->owed, message_of(s, request),
				request->number);
}

static void give_back(struct xm_session *s, uint64_t extent)
{
	note(s, XM_TRACE_SESSION_LATE_GRANT, extent, 0, 0);
	xm_owed_extent(&s->owed, extent);
}

bool xm_session_is_settled(const struct xm_session *s)
{
	for (unsigned i = 0; i < XM_SESSION_REQUESTS; i++) {
		if (s->requests[i].number != 0 && s->requests[i].sent)
			return false;
	}
	return xm_owed_is_empty(&s->owed);
}

/* --- the stream --------------------------------------------------------------- */

static void cut_off(struct xm_session *s, struct xm_session_request *request,
		    struct xm_session_effects *fx)
{
	owe_outcome(s, request);
	if (request->abandoned) {
		request->number = 0;
		return;
	}
	note(s, XM_TRACE_SESSION_CUT, request->number, 0, 0);
	answer(request, -ENOTCONN, NULL, fx);
}

static void go_away(struct xm_session *s, int status, uint64_t now_ns,
		    struct xm_session_effects *fx)
{
	for (unsigned i = 0; i < XM_SESSION_REQUESTS; i++) {
		struct xm_session_request *request = &s->requests[i];

		if (request->number != 0 && request->sent)
			cut_off(s, request, fx);
	}
	xm_owed_again(&s->owed);
	note(s, XM_TRACE_SESSION_AWAY, (uint64_t)(int64_t)status, 0, 0);
	s->state = XM_SESSION_AWAY;
	if (s->say.kind == XM_REFUSED)
		s->say.kind = 0; /* of an earlier stream */
	s->retry_at_ns = xm_time_after(now_ns, s->retry_ns);
	s->retry_ns = xm_min(2 * s->retry_ns, RETRY_MOST);
	effect(fx, XM_SESSION_DISCONNECT);
	effect(fx, XM_SESSION_IS_AWAY)->status = status;
}

static void send_request(struct xm_session *s,
			 struct xm_session_request *request,
			 struct xm_session_effects *fx)
{
	request->sent = true;
	request->again_ns = XM_NEVER;
	effect(fx, XM_SESSION_SEND)->message = message_of(s, request);
	s->sent++;
}

static void send_or_turn_away(struct xm_session *s, struct xm_session_request *request,
			      struct xm_session_effects *fx)
{
	if (s->owed.returns > 0 && xm_message_claims(message_of(s, request)))
		answer(request, -EAGAIN, NULL, fx);
	else
		send_request(s, request, fx);
}

/* What we held there is not known there any more. */
static void forget_lease(struct xm_session *s, struct xm_session_effects *fx)
{
	if (s->hello.client == 0)
		return;
	if (XM_PLANTED(old_lease_kept)) {
		s->hello.client = 0;
		return;
	}
	note(s, XM_TRACE_SESSION_LOST, s->hello.client, 0, 0);
	xm_owed_init(&s->owed);
	s->hello.client = 0;
	memset(s->hello.secret, 0, sizeof(s->hello.secret));
	effect(fx, XM_SESSION_IS_LOST);
	/* What waits to be sent, and names an extent, means one of that lease. */
	for (unsigned i = 0; i < XM_SESSION_REQUESTS; i++) {
		struct xm_session_request *request = &s->requests[i];

		if (request->number != 0 &&
		    (xm_message_names_extent(message_of(s, request)) ||
		     request->asks))
			answer(request, -ESTALE, NULL, fx);
	}
}

static void on_welcome(struct xm_session *s, const struct xm_session_event *ev,
		       struct xm_session_effects *fx)
{
	const struct xm_welcome *w = &ev->message->u.welcome;

	if (s->hello.client != 0 && (w->client != s->hello.client ||
				     w->incarnation != s->welcome.incarnation))
		forget_lease(s, fx);
	s->welcome = *w;
	s->leaving = s->wants = false; /* it says so again */
	s->hello.client = w->client;
	memcpy(s->hello.secret, w->secret, sizeof(w->secret));
	s->state = XM_SESSION_READY;
	s->retry_ns = RETRY_FIRST;
	s->ping_at_ns = ev->now_ns;
	note(s, XM_TRACE_SESSION_READY, w->incarnation,
	     w->lease_ms * XM_MS, 0);
	effect(fx, XM_SESSION_IS_READY);
	for (unsigned i = 0; i < XM_SESSION_REQUESTS; i++) {
		struct xm_session_request *request = &s->requests[i];

		if (request->number == 0)
			continue;
		send_or_turn_away(s, request, fx);
	}
}

static void on_greeting(struct xm_session *s,
			const struct xm_session_event *ev,
			struct xm_session_effects *fx)
{
	const struct xm_message *m = ev->message;
	bool observes = (s->hello.flags & XM_HELLO_OBSERVER) != 0;

	/* An observer is given no number. */
	if (m->kind == XM_WELCOME &&
	    (m->u.welcome.client != 0) != observes &&
	    m->u.welcome.lease_ms > 0 &&
	    m->u.welcome.version >= XM_PROTOCOL_VERSION_MIN &&
	    m->u.welcome.version <= XM_PROTOCOL_VERSION) {
		on_welcome(s, ev, fx);
	} else if (m->kind == XM_REFUSED) {
		/* As a client whose lease is over we may come back new. */
		if (m->u.refused.code == ESTALE)
			forget_lease(s, fx);
		go_away(s, m->u.refused.code == ESTALE ? -ESTALE : -EACCES,
			ev->now_ns, fx);
		s->say = *m; /* its words, for whoever asks why */
	} else {
		go_away(s, -EPROTO, ev->now_ns, fx);
	}
}

/* Does this kind of message answer that kind of request? */
static bool answers(enum xm_message_kind kind, enum xm_message_kind request)
{
	switch (request) {
	case XM_TICKET: return kind == XM_TICKETED;
	case XM_ALLOC:
	case XM_TRIM: return kind == XM_ALLOCATED;
	case XM_FREE: return kind == XM_FREED;
	case XM_GRANT:
	case XM_OFFER: return kind == XM_OFFERED;
	case XM_DRAFT: return kind == XM_DRAFTED;
	case XM_PERSIST: return kind == XM_PERSISTED;
	case XM_COPY_BYTES: return kind == XM_COPIED;
	case XM_DAMAGE: return kind == XM_DAMAGED;
	case XM_OPEN:
	case XM_CLAIM: return kind == XM_CLAIMED;
	case XM_LIST: return kind == XM_LISTED;
	case XM_DRAIN:
	case XM_RESIZE:
	case XM_STATUS: return kind == XM_STATE;
	default: return false;
	}
}

static void note_answer(struct xm_session *s, const struct xm_message *m,
			const struct xm_session_request *request)
{
	if (m->kind == XM_REFUSED && m->u.refused.code > 0)
		note(s, XM_TRACE_SESSION_REFUSED, request->number,
		     (uint64_t)m->u.refused.code, 0);
	else if (!answers(m->kind, message_of(s, request)->kind))
		note(s, XM_TRACE_SESSION_NONSENSE, request->number, 0, 0);
	else if (m->kind == XM_ALLOCATED)
		note(s, XM_TRACE_SESSION_ALLOCATED, m->u.allocated.extent,
		     m->u.allocated.size, m->u.allocated.epoch);
	else if (m->kind == XM_FREED)
		note(s, XM_TRACE_SESSION_FREED, request->number, 0, 0);
}

static void is_leaving(struct xm_session *s, uint64_t at_ns,
		       struct xm_session_effects *fx)
{
	s->leaving_at_ns = at_ns;
	if (s->leaving)
		return;
	s->leaving = true;
	note(s, XM_TRACE_SESSION_LEAVING, 0, 0, 0);
	effect(fx, XM_SESSION_IS_LEAVING);
}

/* Messages that answer no request. False: it is none of them. */
static bool on_notice(struct xm_session *s, const struct xm_session_event *ev,
		      struct xm_session_effects *fx)
{
	const struct xm_message *m = ev->message;
	const struct xm_figures *figures = &m->u.pong.figures;

	switch (m->kind) {
	case XM_PONG:
		s->offer.free = xm_figures_get(figures, XM_FIGURE_FREE);
		s->offer.free_run = xm_figures_get(figures, XM_FIGURE_FREE_RUN);
		s->offer.load =
			(uint32_t)xm_figures_get(figures, XM_FIGURE_LOAD);
		if (xm_figures_get(figures, XM_FIGURE_LEAVING) != 0 &&
		    !s->leaving)
			is_leaving(s, XM_NEVER, fx);
		/* Or it was told to stay after all. */
		s->leaving = xm_figures_get(figures, XM_FIGURE_LEAVING) != 0;
		s->wants = xm_figures_get(figures, XM_FIGURE_WANTED) != 0;
		return true;
	case XM_LEAVING:
		is_leaving(s, xm_time_after(ev->now_ns,
					    m->u.leaving.ms * XM_MS), fx);
		return true;
	case XM_WANTED:
		s->wants = true;
		effect(fx, XM_SESSION_IS_WANTED)->token = m->u.wanted.extent;
		return true;
	case XM_REVOKED:
		effect(fx, XM_SESSION_IS_REVOKED)->token = m->u.parted.extent;
		return true;
	case XM_PARTED: /* we have parted with it before */
		return true;
	default:
		return false;
	}
}

/* There were too many requests: this one is asked again. False: that is too late. */
static bool wait_for_quota(struct xm_session *s, struct xm_session_request *request,
			   const struct xm_message *m)
{
	uint64_t again_ns = xm_time_after(s->now_ns, request->pause_ns);

	if (m->kind != XM_REFUSED || m->u.refused.code != EDQUOT ||
	    again_ns >= request->deadline_ns || XM_PLANTED(quota_impatient))
		return false;
	note(s, XM_TRACE_SESSION_PATIENT, request->number, request->pause_ns, 0);
	request->sent = false;
	request->again_ns = again_ns;
	request->pause_ns = xm_min(2 * request->pause_ns, XM_SESSION_AGAIN_MOST);
	s->due_ns = xm_min(s->due_ns, again_ns);
	return true;
}

static void on_message(struct xm_session *s, const struct xm_session_event *ev,
		       struct xm_session_effects *fx)
{
	const struct xm_message *m = ev->message;

	s->heard_ns = ev->now_ns;
	if (s->state == XM_SESSION_GREETING) {
		on_greeting(s, ev, fx);
		return;
	}
	if (s->state != XM_SESSION_READY)
		return;
	if (on_notice(s, ev, fx))
		return;
	if (xm_owed_asks(&s->owed, m->request)) {
		uint64_t extent;

		if (xm_owed_settled(&s->owed, m, &extent))
			give_back(s, extent);
		return;
	}
	for (unsigned i = 0; i < XM_SESSION_REQUESTS; i++) {
		struct xm_session_request *request = &s->requests[i];

		if (request->number == 0 || !request->sent ||
		    request->number != m->request)
			continue;
		if (request->abandoned) {
			request->number = 0;
			if (m->kind == XM_ALLOCATED)
				give_back(s, m->u.allocated.extent);
			return;
		}
		if (wait_for_quota(s, request, m))
			return;
		/* Any other refusal leaves it open. */
		if (request->asks &&
		    (m->kind != XM_REFUSED || m->u.refused.code == EINVAL))
			xm_owed_trim_known(&s->owed, request->number);
		/* Their number becomes our status: 0 would be a yes. */
		note_answer(s, m, request);
		if (m->kind == XM_REFUSED && m->u.refused.code == EBUSY &&
		    message_of(s, request)->kind == XM_FREE)
			owe_outcome(s, request); /* its TRIM is under way */
		if (m->kind == XM_REFUSED && m->u.refused.code > 0)
			answer(request, -(int)m->u.refused.code, m, fx);
		else if (answers(m->kind, message_of(s, request)->kind))
			answer(request, 0, m, fx);
		else
			go_away(s, -EPROTO, ev->now_ns, fx);
		return;
	}
	/* An answer to a request whose deadline has passed: nobody waits. */
	note(s, XM_TRACE_SESSION_STRAY, m->request, 0, 0);
}

/* A request that gets no place among those under way. */
static void turn_away(struct xm_session *s, const struct xm_session_event *ev,
		      int status, struct xm_session_effects *fx)
{
	struct xm_session_effect *e = effect(fx, XM_SESSION_ANSWER);

	if (ev->message->kind == XM_FREE && s->hello.client != 0)
		xm_owed_extent(&s->owed, ev->message->u.free.extent);
	if (xm_message_returns(ev->message) && s->hello.client != 0)
		xm_owed_return(&s->owed, ev->message->u.offer.token);
	e->status = status;
	e->token = ev->token;
}

/* A TRIM of 0 bytes becomes a question, under the number of the one that it asks about. */
static void request_begin(struct xm_session *s,
			  struct xm_session_request *request,
			  const struct xm_session_event *ev, uint32_t asked)
{
	struct xm_message *m = message_of(s, request);

	request->number = asked != 0 ? asked : next_number(s);
	request->sent = false;
	request->abandoned = false;
	request->asks = asked != 0;
	request->token = ev->token;
	request->deadline_ns = ev->deadline_ns;
	request->again_ns = XM_NEVER;
	request->pause_ns = XM_SESSION_AGAIN;
	s->due_ns = xm_min(s->due_ns, ev->deadline_ns);
	*m = *ev->message;
	if (request->asks)
		*m = (struct xm_message){ .kind = XM_ALLOC };
	m->request = request->number;
}

static void on_request(struct xm_session *s, const struct xm_session_event *ev,
		       struct xm_session_effects *fx)
{
	uint32_t asked = 0;

	if (ev->message->kind == XM_TRIM && ev->message->u.trim.size == 0) {
		asked = xm_owed_trim(&s->owed, ev->message->u.trim.extent);
		if (asked == 0) {
			turn_away(s, ev, -ENOENT, fx);
			return;
		}
	}
	if (ev->message->kind == XM_FREE) {
		xm_owed_heads(&s->owed, ev->message->u.free.extent);
		if (s->state != XM_SESSION_READY) {
			turn_away(s, ev, -ENOTCONN, fx);
			return;
		}
	}
	if (xm_message_claims(ev->message) && s->owed.returns > 0) {
		turn_away(s, ev, -EAGAIN, fx);
		return;
	}
	for (unsigned i = 0; i < XM_SESSION_REQUESTS; i++) {
		struct xm_session_request *request = &s->requests[i];

		if (request->number != 0)
			continue;
		request_begin(s, request, ev, asked);
		if (s->state == XM_SESSION_READY)
			send_request(s, request, fx);
		return;
	}
	note(s, XM_TRACE_SESSION_BUSY, 0, 0, 0);
	turn_away(s, ev, -EAGAIN, fx);
}

static void ask_again(struct xm_session *s, struct xm_session_request *request,
		      struct xm_session_effects *fx)
{
	request->again_ns = XM_NEVER;
	if (s->state == XM_SESSION_READY) /* else it waits for the next stream */
		send_or_turn_away(s, request, fx);
}

static void overdue(struct xm_session *s, uint64_t now_ns,
		    struct xm_session_effects *fx)
{
	s->due_ns = XM_NEVER;
	for (unsigned i = 0; i < XM_SESSION_REQUESTS; i++) {
		struct xm_session_request *request = &s->requests[i];

		if (request->number == 0 || request->abandoned)
			continue;
		if (now_ns < request->deadline_ns ||
		    XM_PLANTED(request_endless)) {
			if (now_ns >= request->again_ns)
				ask_again(s, request, fx);
			if (request->number == 0)
				continue;
			s->due_ns = xm_min(s->due_ns,
					   xm_min(request->deadline_ns,
						  request->again_ns));
			continue;
		}
		request->abandoned = request->sent && !request->asks &&
				     message_of(s, request)->kind == XM_ALLOC;
		if (!request->abandoned &&
		    (request->sent ||
		     xm_message_returns(message_of(s, request))))
			owe_outcome(s, request);
		note(s, XM_TRACE_SESSION_OVERDUE, request->number, 0, 0);
		answer(request, -ETIMEDOUT, NULL, fx);
	}
}

static void on_tick(struct xm_session *s, const struct xm_session_event *ev,
		    struct xm_session_effects *fx)
{
	/* Ticks are many. */
	if (ev->now_ns >= s->due_ns)
		overdue(s, ev->now_ns, fx);
	switch (s->state) {
	case XM_SESSION_AWAY:
		if (s->ended || ev->now_ns < s->retry_at_ns)
			break;
		s->state = XM_SESSION_CONNECTING;
		s->deadline_ns = xm_time_after(ev->now_ns, s->timeout_ns);
		note(s, XM_TRACE_SESSION_CONNECTING, 0, 0, 0);
		effect(fx, XM_SESSION_CONNECT);
		break;
	case XM_SESSION_CONNECTING:
	case XM_SESSION_GREETING:
		if (ev->now_ns >= s->deadline_ns)
			go_away(s, -ETIMEDOUT, ev->now_ns, fx);
		break;
	case XM_SESSION_READY:
		if (ev->now_ns < s->ping_at_ns ||
		    (s->hello.flags & XM_HELLO_OBSERVER) != 0)
			break;
		s->ping_at_ns = xm_time_after(
			ev->now_ns, s->welcome.lease_ms * XM_MS / 4);
		say(s, XM_PING, fx);
		break;
	}
}

void xm_session_step(struct xm_session *s, const struct xm_session_event *ev,
		     struct xm_session_effects *fx)
{
	fx->count = 0;
	s->now_ns = ev->now_ns;
	switch (ev->kind) {
	case XM_SESSION_TICK:
		on_tick(s, ev, fx);
		break;
	case XM_SESSION_UP:
		if (s->state != XM_SESSION_CONNECTING)
			break;
		s->state = XM_SESSION_GREETING;
		note(s, XM_TRACE_SESSION_GREETED, s->hello.client, 0, 0);
		say(s, XM_HELLO, fx);
		break;
	case XM_SESSION_DOWN:
		if (s->state != XM_SESSION_AWAY)
			go_away(s, ev->status, ev->now_ns, fx);
		break;
	case XM_SESSION_MESSAGE:
		on_message(s, ev, fx);
		break;
	case XM_SESSION_REQUEST:
		on_request(s, ev, fx);
		break;
	case XM_SESSION_END:
		s->ended = true;
		if (s->state == XM_SESSION_READY)
			say(s, XM_BYE, fx);
		if (s->state != XM_SESSION_AWAY)
			go_away(s, 0, ev->now_ns, fx);
		break;
	}
	settle_next(s, fx);
}
