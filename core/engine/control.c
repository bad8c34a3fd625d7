/* SPDX-License-Identifier: BSD-3-Clause */
/* The control turn; see control.h. */
#include "core/engine/control.h"

#include <errno.h>
#include <string.h>

#include "core/pure/wire.h"

/* Events taken from one channel in one turn, so that a chatty appliance does
 * not keep the others' deadlines waiting. */
#define EVENTS_PER_TURN 64

void xm_control_init(struct xm_control *control,
		     void (*report)(void *, const struct xm_control_report *),
		     void *owner)
{
	/* Peers are large, and cleared as they are added. */
	control->count = 0;
	control->channels_count = 0;
	control->trace = NULL;
	control->effects.count = 0;
	control->report = report;
	control->owner = owner;
}

uint32_t xm_control_add(struct xm_control *control, const char *address,
			const struct xm_channel_ops *ops,
			struct xm_channel *channel,
			const struct xm_hello *hello, uint64_t timeout_ns)
{
	struct xm_control_peer *peer = &control->peers[control->count];
	uint32_t i = 0;
	size_t length = 0;

	XM_ASSERT(control->count < XM_APPLIANCES_MAX);
	while (i < control->channels_count && control->channels[i] != channel)
		i++;
	if (i == control->channels_count) {
		control->ops[i] = ops;
		control->channels[i] = channel;
		control->channels_count++;
	}
	while (address[length] != '\0')
		length++;
	XM_ASSERT(length < sizeof(peer->address));
	memcpy(peer->address, address, length + 1);
	peer->channel = i;
	peer->connected = false;
	peer->words[0] = '\0';
	xm_session_init(&peer->session, hello, timeout_ns);
	peer->session.appliance = control->count;
	peer->session.trace = control->trace;
	return control->count++;
}

static void step(struct xm_control *, uint32_t index,
		 const struct xm_session_event *);

static void hang_up(struct xm_control *control, struct xm_control_peer *peer)
{
	if (!peer->connected)
		return;
	control->ops[peer->channel]->disconnect(
		control->channels[peer->channel], peer->peer);
	peer->connected = false;
}

/* Carries out one effect; returns 0 or why the stream is of no use. */
static int carry_out(struct xm_control *control, uint32_t index,
		     const struct xm_session_effect *e)
{
	struct xm_control_peer *peer = &control->peers[index];
	struct xm_control_report report = {
		.appliance = index, .status = e->status, .token = e->token,
		.message = e->message,
	};
	int rc;

	switch (e->kind) {
	case XM_SESSION_CONNECT:
		XM_ASSERT(!peer->connected);
		rc = control->ops[peer->channel]->connect(
			control->channels[peer->channel], peer->address,
			&peer->peer);
		peer->connected = rc == 0;
		return rc;
	case XM_SESSION_DISCONNECT:
		hang_up(control, peer);
		return 0;
	case XM_SESSION_SEND:
		if (!peer->connected)
			return 0;
		return control->ops[peer->channel]->send(
			control->channels[peer->channel], peer->peer,
			control->bytes,
			xm_wire_encode(e->message, control->bytes));
	case XM_SESSION_ANSWER:
		report.kind = XM_CONTROL_ANSWER;
		break;
	case XM_SESSION_IS_READY:
		report.kind = XM_CONTROL_READY;
		break;
	case XM_SESSION_IS_AWAY:
		report.kind = XM_CONTROL_AWAY;
		if (peer->session.say.kind == XM_REFUSED)
			report.message = &peer->session.say;
		else if (peer->words[0] != '\0')
			report.words = peer->words;
		break;
	case XM_SESSION_IS_LOST:
		report.kind = XM_CONTROL_LOST;
		break;
	case XM_SESSION_IS_LEAVING:
		report.kind = XM_CONTROL_LEAVING;
		break;
	case XM_SESSION_IS_WANTED:
		report.kind = XM_CONTROL_WANTED;
		break;
	case XM_SESSION_IS_REVOKED:
		report.kind = XM_CONTROL_REVOKED;
		break;
	}
	control->report(control->owner, &report);
	return 0;
}

static void step(struct xm_control *control, uint32_t index,
		 const struct xm_session_event *ev)
{
	struct xm_session_event down = {
		.kind = XM_SESSION_DOWN, .now_ns = ev->now_ns,
	};
	uint32_t i;

	xm_session_step(&control->peers[index].session, ev,
			&control->effects);
	for (i = 0; i < control->effects.count; i++) {
		int rc = carry_out(control, index, &control->effects.list[i]);

		if (rc != 0 && down.status == 0)
			down.status = rc;
	}
	/* A stream that takes no more is as good as down. Going down sends
	 * nothing, so this ends. */
	if (down.status != 0)
		step(control, index, &down);
}

static void note_words(struct xm_control_peer *peer, const char *words)
{
	struct xm_words w;

	xm_words_begin(&w, peer->words, sizeof(peer->words));
	if (words != NULL)
		xm_words_add(&w, words);
}

static void on_channel(struct xm_control *control, uint32_t channel,
		       const struct xm_channel_event *ce, uint64_t now_ns)
{
	struct xm_session_event ev = { .now_ns = now_ns };
	uint32_t index = 0;

	while (index < control->count &&
	       (!control->peers[index].connected ||
		control->peers[index].channel != channel ||
		control->peers[index].peer != ce->peer))
		index++;
	if (index == control->count)
		return; /* it was hung up already */
	switch (ce->kind) {
	case XM_CHANNEL_UP:
		ev.kind = XM_SESSION_UP;
		control->peers[index].words[0] = '\0';
		break;
	case XM_CHANNEL_DOWN:
		ev.kind = XM_SESSION_DOWN;
		ev.status = ce->status;
		note_words(&control->peers[index], ce->words);
		break;
	case XM_CHANNEL_MESSAGE:
		ev.kind = XM_SESSION_MESSAGE;
		ev.message = &control->message;
		if (xm_wire_decode(ce->bytes, ce->size, &control->message)) {
			ev.kind = XM_SESSION_DOWN;
			ev.status = -EPROTO;
		}
		break;
	case XM_CHANNEL_STRANGER: /* nobody connects to a client */
		return;
	}
	step(control, index, &ev);
}

void xm_control_turn(struct xm_control *control, uint64_t now_ns)
{
	for (uint32_t c = 0; c < control->channels_count; c++) {
		struct xm_channel_event ce;

		for (unsigned n = 0; n < EVENTS_PER_TURN; n++) {
			if (control->ops[c]->poll(control->channels[c],
						  &ce) <= 0)
				break;
			on_channel(control, c, &ce, now_ns);
		}
	}
	for (uint32_t i = 0; i < control->count; i++) {
		struct xm_session_event ev = { .kind = XM_SESSION_TICK,
					       .now_ns = now_ns };

		step(control, i, &ev);
	}
}

void xm_control_request(struct xm_control *control, uint32_t appliance,
			const struct xm_message *message, uint64_t token,
			uint64_t deadline_ns, uint64_t now_ns)
{
	struct xm_session_event ev = {
		.kind = XM_SESSION_REQUEST, .now_ns = now_ns,
		.message = message, .token = token,
		.deadline_ns = deadline_ns,
	};

	XM_ASSERT(appliance < control->count);
	step(control, appliance, &ev);
}

void xm_control_end(struct xm_control *control, uint64_t now_ns)
{
	for (uint32_t i = 0; i < control->count; i++) {
		struct xm_session_event ev = { .kind = XM_SESSION_END,
					       .now_ns = now_ns };

		step(control, i, &ev);
	}
}
