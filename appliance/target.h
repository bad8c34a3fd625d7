/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the interface process does: it carries out the control process's commands
 * on a transport, and reports the outcome of each, in the order of the commands.
 * It decides nothing.
 *
 * It also counts each client's connections. Changed counts are reported ahead of
 * every outcome, so that the control process never decides on an older count.
 * They are kept as numbers, not as a queue of events: while the control process
 * is stopped, they change in place and nothing piles up.
 *
 * Floor: first (one thread, no system calls); the same code runs in the
 * interface process, in tests and in the simulator.
 */
#ifndef XM_TARGET_H
#define XM_TARGET_H

#include "common/base.h"
#include "core/pure/transport.h"

enum xm_command_kind {
	XM_COMMAND_EXPOSE = 1, /* client, grant, offset, size, rights, key */
	XM_COMMAND_CONCEAL,    /* client, grant, remote */
	XM_COMMAND_ADMIT,      /* client, cookie, lane, ticket */
	XM_COMMAND_RETRACT,    /* client, cookie, ticket */
	XM_COMMAND_EXPEL,      /* client */
	XM_COMMAND_BEAT,       /* whether it still goes round */
};

struct xm_command {
	enum xm_command_kind kind;
	uint32_t cookie, lane, rights;
	uint64_t client, grant, offset, size, key;
	struct xm_remote_mr remote;
	uint8_t ticket[XM_TICKET_SIZE];
};

enum xm_report_kind {
	XM_REPORT_EXPOSED = 1, /* client, grant, status, remote, words */
	XM_REPORT_CONCEALED,   /* client, grant */
	XM_REPORT_ADMITTED,    /* client, cookie, status, words */
	XM_REPORT_RETRACTED,   /* client, cookie, status: 0, it was not used */
	XM_REPORT_EXPELLED,    /* client */
	XM_REPORT_CONNECTIONS, /* client, connections */
	XM_REPORT_BEAT,	       /* it does */
};

#define XM_REPORT_WORDS_SIZE 256

struct xm_report {
	enum xm_report_kind kind;
	int status;
	uint32_t cookie;
	uint32_t connections;
	uint64_t client, grant;
	struct xm_remote_mr remote;
	char words[XM_REPORT_WORDS_SIZE]; /* why, when status is not 0 */
};

struct xm_target_client {
	uint64_t client; /* 0: unused */
	uint32_t connections;
	bool changed; /* since it was last reported */
};

struct xm_target {
	const struct xm_transport_ops *ops;
	struct xm_transport *transport;
	struct xm_target_client *clients;
	uint32_t clients_max;
	uint32_t clients_count; /* admitted and not expelled */
	uint32_t changed;
	uint64_t unknown; /* connections of clients that are not admitted */
};

/* `memory` holds clients_max clients and stays the caller's. */
void xm_target_init(struct xm_target *, const struct xm_transport_ops *,
		    struct xm_transport *, struct xm_target_client *memory,
		    uint32_t clients_max);
/* Polls the transport; the number of events seen. */
int xm_target_poll(struct xm_target *);
/* The next count of connections that has changed since it was last returned.
 * False: there is none. The caller takes all of them before it does a
 * command. */
bool xm_target_report(struct xm_target *, struct xm_report *ret);
/* Does one command; *ret is its answer. */
void xm_target_do(struct xm_target *, const struct xm_command *,
		  struct xm_report *ret);

#endif
