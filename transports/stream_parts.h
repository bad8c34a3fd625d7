/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the stream channel share; only their test includes it, too.
 *
 *	stream.c	the operations of channel.h
 *	stream_peer.c	one stream, from connect or accept to its end
 *	stream_listen.c	accepting
 *
 * Floor: skin.
 */
#ifndef XM_STREAM_PARTS_H
#define XM_STREAM_PARTS_H

#include <stdatomic.h>

#include "transports/address.h"
#include "transports/frame.h"
#include "transports/stream.h"
#include "transports/stream_io.h"
#include "transports/tls.h"

#define XM_STREAM_SHAKES 4 /* steps of handshakes in one turn */
#define XM_STREAM_LISTENER UINT32_MAX /* in epoll data; else the peer's index */

enum xm_stream_state {
	XM_STREAM_FREE,
	XM_STREAM_CONNECTING, /* the socket is not connected yet */
	XM_STREAM_SHAKING,    /* the handshake of stream_io is under way */
	XM_STREAM_OPEN,	      /* bytes flow */
	XM_STREAM_FAILED, /* DOWN is reported once all messages are taken */
	XM_STREAM_DOWN,	  /* reported; waits for disconnect() */
};

/* A text, and the addresses that were found for it. */
struct xm_stream_target {
	struct xm_stream_target *next;
	char text[XM_ADDRESS_SIZE];
	/* Why there are no addresses; or 0, and then nothing changes any more. */
	_Atomic int status;
	uint32_t count;
	struct xm_address addresses[XM_ADDRESSES_MAX];
};

/* The machine, or what one may have all the addresses of: 0 for a unix socket, 4 bytes of
 * an IPv4 address, 8 of an IPv6 one. */
struct xm_stream_source {
	uint8_t bytes[8];
};

struct xm_stream_peer {
	enum xm_stream_state state;
	const struct xm_stream_io_ops *io_ops;
	struct xm_stream_io io;
	bool io_begun;
	int status; /* of FAILED */
	bool accepted;
	bool opened;	  /* the handshake is done */
	uint32_t renewals; /* of the channel, when it began */
	bool up;	  /* reported */
	unsigned watched; /* what epoll looks out for: XM_WANTS_... */
	uint64_t deadline_ns; /* of the handshake and the first message */
	struct xm_frames frames;
	const struct xm_stream_target *target; /* of connect() */
	uint32_t address; /* of the target's, to be tried next */
	char from[64];	  /* of accept(), for people */
	struct xm_stream_source source; /* likewise */
};

struct xm_channel {
	struct xm_tls *tls; /* our credentials, or NULL */
	uint32_t renewals;  /* how often they were read again */
	bool insecure_plaintext;
	unsigned shakes; /* of this turn */
	uint32_t evicted; /* made room for others, and not reported yet */
	char words[512]; /* of the last STRANGER */
	int epoll;
	int listener; /* or -1 */
	bool accepting;
	uint64_t accept_ns; /* when it may accept again */
	uint64_t handshake_ns;
	uint32_t peers_max, peers_high; /* above, none was ever used */
	uint32_t peers_count, cursor;
	/* Newest first. resolve() runs beside the other functions: it puts a target at
	 * the head, and writes the addresses of one whose status is not 0. */
	struct xm_stream_target *_Atomic targets;
	char address[XM_ADDRESS_SIZE + 32];
	struct xm_stream_peer peers[];
};

/* --- stream_peer.c -------------------------------------------------------- */

/* A free place, with a buffer. -ENOSPC, -ENOMEM. */
int xm_stream_peer_new(struct xm_channel *, struct xm_stream_peer **ret);
void xm_stream_peer_free(struct xm_channel *, struct xm_stream_peer *);
/* What accept() gave. */
void xm_stream_peer_accepted(struct xm_channel *, struct xm_stream_peer *,
			     int fd, const struct sockaddr *from);
/* Tries the target's addresses that are left until one does not fail at once;
 * fails with `status` when none is left. */
void xm_stream_peer_try(struct xm_channel *, struct xm_stream_peer *,
			int status);
/* Epoll says that the socket can be read or written. */
void xm_stream_peer_ready(struct xm_channel *, struct xm_stream_peer *,
			  bool readable);
/* Ends an open stream whose certificate is no longer accepted. */
void xm_stream_peer_check(struct xm_channel *, struct xm_stream_peer *);
/* Sends what it can. */
void xm_stream_peer_flush(struct xm_channel *, struct xm_stream_peer *);
/* The stream is over: messages that came whole are still delivered, then
 * DOWN. */
void xm_stream_peer_fail(struct xm_channel *, struct xm_stream_peer *,
			 int status);
/* A last word is sent, and what is unread thrown away, so that closing does not
 * reset the connection. */
void xm_stream_peer_farewell(struct xm_channel *, struct xm_stream_peer *);
/* The next thing to report about it; false: nothing. */
bool xm_stream_peer_event(struct xm_channel *, struct xm_stream_peer *,
			  struct xm_channel_event *ret);

/* --- stream_listen.c ------------------------------------------------------ */

int xm_stream_listen(struct xm_channel *, const char *address, char *words,
		     size_t words_size);
void xm_stream_accept(struct xm_channel *);
/* Begins to accept again when it is time; returns when, or XM_NEVER. */
uint64_t xm_stream_accept_again(struct xm_channel *, uint64_t now_ns);

#endif
