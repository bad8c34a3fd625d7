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
	memset(s, 0, offsetof(struct xm_session, settle));
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

static void owe(struct xm_session *s, uint64_t extent, uint32_t request)
{
	if (s->owed_count == XM_SESSION_OWED_MAX)
		return;
	s->owed[(s->owed_first + s->owed_count++) % XM_SESSION_OWED_MAX] =
		(struct xm_session_owed){ .extent = extent,
					  .request = request };
}

static void owe_return(struct xm_session *s, const uint8_t *token)
{
	struct xm_session_owed owed = { .returns = true };

	if (s->owed_count == XM_SESSION_OWED_MAX)
		return;
	memcpy(owed.token, token, sizeof(owed.token));
	s->owed[(s->owed_first + s->owed_count++) % XM_SESSION_OWED_MAX] = owed;
	s->returns++;
}

/* A request was sent, and how it ends will not be known. */
static void owe_outcome(struct xm_session *s,
			const struct xm_session_request *request)
{
	const struct xm_message *message = message_of(s, request);

	switch (message->kind) {
	case XM_ALLOC:
		if (!XM_PLANTED(cut_alloc_forgotten))
			owe(s, 0, request->number);
		break;
	case XM_FREE:
		if (!XM_PLANTED(cut_free_forgotten))
			owe(s, message->u.free.extent, 0);
		break;
	case XM_TRIM:
		if (s->unsure_count < XM_SESSION_UNSURE_MAX)
			s->unsure[s->unsure_count++] = (struct xm_session_owed){
				.extent = message->u.trim.extent,
				.request = request->number,
			};
		break;
	case XM_CLAIM:
		owe_return(s, message->u.claim.token);
		break;
	case XM_OFFER:
		if (xm_message_returns(message))
			owe_return(s, message->u.offer.token);
		break;
	default:
		break;
	}
}

/* The extent is being freed: so is what an unanswered TRIM may have cut off it. */
static void owe_heads(struct xm_session *s, uint64_t extent)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->unsure_count; i++) {
		if (s->unsure[i].extent != extent)
			s->unsure[kept++] = s->unsure[i];
		else if (!XM_PLANTED(cut_trim_forgotten))
			owe(s, 0, s->unsure[i].request);
	}
	s->unsure_count = kept;
}

static void settle_next(struct xm_session *s, struct xm_session_effects *fx)
{
	const struct xm_session_owed *owed = &s->owed[s->owed_first];

	if (s->state != XM_SESSION_READY || s->settling != 0 ||
	    s->owed_count == 0)
		return;
	memset(&s->settle, 0, sizeof(s->settle));
	if (owed->returns) {
		s->settle.kind = XM_OFFER;
		s->settle.u.offer.flags = XM_OFFER_RETURN;
		memcpy(s->settle.u.offer.token, owed->token, XM_TOKEN_SIZE);
		s->settle.request = next_number(s);
	} else if (owed->request != 0) {
		s->settle.kind = XM_ALLOC; /* of 0 bytes: a question */
		s->settle.request = owed->request;
	} else {
		s->settle.kind = XM_FREE;
		s->settle.u.free.extent = owed->extent;
		s->settle.request = next_number(s);
	}
	s->settling = s->settle.request;
	effect(fx, XM_SESSION_SEND)->message = &s->settle;
	s->sent++;
}

static void give_back(struct xm_session *s, uint64_t extent)
{
	note(s, XM_TRACE_SESSION_LATE_GRANT, extent, 0, 0);
	owe(s, extent, 0);
}

static void on_settled(struct xm_session *s, const struct xm_message *m)
{
	const struct xm_session_owed *owed = &s->owed[s->owed_first];
	bool asked = owed->request != 0;

	s->settling = 0;
	if (owed->returns && m->kind == XM_OFFERED)
		return; /* there may be others */
	s->returns -= owed->returns;
	s->owed_first = (s->owed_first + 1) % XM_SESSION_OWED_MAX;
	s->owed_count--;
	if (asked && m->kind == XM_ALLOCATED)
		give_back(s, m->u.allocated.extent);
}

bool xm_session_is_settled(const struct xm_session *s)
{
	for (unsigned i = 0; i < XM_SESSION_REQUESTS; i++) {
		if (s->requests[i].number != 0 && s->requests[i].sent)
			return false;
	}
	return s->owed_count == 0 && s->unsure_count == 0;
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
	s->settling = 0; /* it is asked again */
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
	effect(fx, XM_SESSION_SEND)->message = message_of(s, request);
	s->sent++;
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
	s->owed_count = 0;
	s->returns = 0;
	s->unsure_count = 0;
	s->hello.client = 0;
	memset(s->hello.secret, 0, sizeof(s->hello.secret));
	effect(fx, XM_SESSION_IS_LOST);
	/* A TRIM or OFFER that waits to be sent names an extent of that lease. */
	for (unsigned i = 0; i < XM_SESSION_REQUESTS; i++) {
		struct xm_session_request *request = &s->requests[i];

		if (request->number != 0 &&
		    (message_of(s, request)->kind == XM_TRIM ||
		     message_of(s, request)->kind == XM_OFFER))
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
		if (s->returns > 0 && message_of(s, request)->kind == XM_CLAIM)
			answer(request, -EAGAIN, NULL, fx);
		else
			send_request(s, request, fx);
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
	case XM_OFFER: return kind == XM_OFFERED;
	case XM_PERSIST: return kind == XM_PERSISTED;
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
	case XM_PARTED: /* we have parted with it before */
		return true;
	default:
		return false;
	}
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
	if (s->settling != 0 && m->request == s->settling) {
		on_settled(s, m);
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
		owe(s, ev->message->u.free.extent, 0);
	if (xm_message_returns(ev->message) && s->hello.client != 0)
		owe_return(s, ev->message->u.offer.token);
	e->status = status;
	e->token = ev->token;
}

static void on_request(struct xm_session *s, const struct xm_session_event *ev,
		       struct xm_session_effects *fx)
{
	if (ev->message->kind == XM_FREE) {
		owe_heads(s, ev->message->u.free.extent);
		if (s->state != XM_SESSION_READY) {
			turn_away(s, ev, -ENOTCONN, fx);
			return;
		}
	}
	if (ev->message->kind == XM_CLAIM && s->returns > 0) {
		turn_away(s, ev, -EAGAIN, fx);
		return;
	}
	for (unsigned i = 0; i < XM_SESSION_REQUESTS; i++) {
		struct xm_session_request *request = &s->requests[i];

		if (request->number != 0)
			continue;
		request->number = next_number(s);
		request->sent = false;
		request->abandoned = false;
		request->token = ev->token;
		request->deadline_ns = ev->deadline_ns;
		s->due_ns = xm_min(s->due_ns, ev->deadline_ns);
		*message_of(s, request) = *ev->message;
		message_of(s, request)->request = request->number;
		if (s->state == XM_SESSION_READY)
			send_request(s, request, fx);
		return;
	}
	note(s, XM_TRACE_SESSION_BUSY, 0, 0, 0);
	turn_away(s, ev, -EAGAIN, fx);
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
			s->due_ns = xm_min(s->due_ns, request->deadline_ns);
			continue;
		}
		request->abandoned = request->sent &&
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
