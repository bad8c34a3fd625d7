/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control turn: one session (session.h) for each appliance of a client. It
 * hands channel events to the sessions and carries their effects out: connects,
 * disconnects, sends, and reports.
 *
 * What a session learns is handed on by report(): answers to requests, and the
 * states READY, AWAY, LOST and LEAVING of an appliance. report() is called from
 * within the turn, and must only store what it is told.
 *
 * One thread at a time. Floor: first; no clock, no system call but through the
 * channel.
 */
#ifndef XM_CONTROL_H
#define XM_CONTROL_H

#include "common/base.h"
#include "core/pure/channel.h"
#include "core/pure/layout.h"
#include "core/pure/session.h"
#include "common/words.h"

#define XM_ADDRESS_SIZE 128
#define XM_WORDS_MORE 256 /* of a channel, with the NUL */

enum xm_control_report_kind {
	XM_CONTROL_ANSWER = 1, /* token, status, message (or NULL) */
	XM_CONTROL_READY,
	XM_CONTROL_AWAY, /* status; message: a REFUSED, or NULL */
	XM_CONTROL_LOST,    /* what was held there is gone */
	XM_CONTROL_LEAVING, /* it drains; what is held there works until it ends */
	XM_CONTROL_WANTED, /* it asks for extent `token` back */
	XM_CONTROL_REVOKED, /* reading `token` is over */
};

/* `message` is valid during the call only. */
struct xm_control_report {
	enum xm_control_report_kind kind;
	uint32_t appliance;
	int status;
	uint64_t token;
	const struct xm_message *message;
	const char *words; /* AWAY: more than the status says, or NULL; likewise */
};

struct xm_control_peer {
	uint32_t channel; /* index in channels */
	uint32_t peer;
	bool connected; /* peer is valid */
	struct xm_session session;
	char address[XM_ADDRESS_SIZE];
	char words[XM_WORDS_MORE]; /* why the stream went down, or "" */
};

struct xm_control {
	uint32_t count;
	struct xm_control_peer peers[XM_APPLIANCES_MAX];
	uint32_t channels_count;
	const struct xm_channel_ops *ops[XM_APPLIANCES_MAX];
	struct xm_channel *channels[XM_APPLIANCES_MAX];
	void (*report)(void *owner, const struct xm_control_report *);
	void *owner;
	struct xm_trace *trace; /* NULL at first; of those added later */
	struct xm_session_effects effects;
	struct xm_message message;
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
};

void xm_control_init(struct xm_control *,
		     void (*report)(void *, const struct xm_control_report *),
		     void *owner);
/* Adds an appliance, which is reached over this open channel; resolve() has been
 * called there. The caller closes channels. Returns the appliance's index. Appliances
 * can be added between turns at any time. */
uint32_t xm_control_add(struct xm_control *, const char *address,
			const struct xm_channel_ops *, struct xm_channel *,
			const struct xm_hello *, uint64_t timeout_ns);
/* Polls every channel, ticks every session. */
void xm_control_turn(struct xm_control *, uint64_t now_ns);
/* An ANSWER report with this token follows, by the deadline. */
void xm_control_request(struct xm_control *, uint32_t appliance,
			const struct xm_message *, uint64_t token,
			uint64_t deadline_ns, uint64_t now_ns);
/* Says BYE everywhere and hangs up. */
void xm_control_end(struct xm_control *, uint64_t now_ns);

#endif
