/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The channel contract: control messages between a client and an appliance.
 *
 * A channel carries whole messages over an ordered stream. It is apart from
 * the transport because the appliance's two processes need one each: the
 * control process never opens libfabric, the interface process never reads a
 * message. Rare by design: nothing on the path of a fault uses it.
 *
 *  - Nothing blocks, except wait(), no longer than it is told, and resolve().
 *  - Messages to one peer arrive whole, once and in order, or the peer goes
 *    DOWN. A message is 1 .. XM_MESSAGE_SIZE_MAX bytes of wire.h.
 *  - DOWN is reported once per peer that was reported (UP) or connected; its
 *    number is used again only after disconnect().
 *  - A stream that is not ours (another protocol, a length of 0 or beyond
 *    the maximum, the wrong magic) is closed: DOWN with -EPROTO.
 *  - send() -EAGAIN: the queue to that peer is full; nothing was taken.
 *  - One thread at a time per instance.
 *
 * Framing: 4-byte magic "XMC1" once at the start of a stream in each
 * direction, then per message a 4-byte little-endian size and the bytes.
 */
#ifndef XM_CHANNEL_H
#define XM_CHANNEL_H

#include "common/base.h"

#define XM_MESSAGE_SIZE_MAX 4096

enum xm_channel_event_kind {
	XM_CHANNEL_UP = 1,  /* connect() succeeded, or a peer was accepted */
	XM_CHANNEL_DOWN,    /* status: why */
	XM_CHANNEL_MESSAGE, /* bytes, size: valid until the next poll() */
};

struct xm_channel_event {
	enum xm_channel_event_kind kind;
	int status;
	uint32_t peer;
	bool accepted; /* UP: it came to us */
	const uint8_t *bytes;
	size_t size;
};

struct xm_channel_options {
	const char *address; /* as given by the user, whole */
	bool target;	     /* listen there; else only connect */
	uint32_t peers_max;  /* streams at once; more are closed at accept */
	/* A stream that has not sent its first whole message by then is
	 * closed with -ETIMEDOUT. 0: never. The clock is the channel's own. */
	uint64_t handshake_ns;
};

struct xm_channel;

struct xm_channel_ops {
	const char *scheme;
	/* As transport.h: *ret untouched on failure, words filled in. */
	int (*open)(const struct xm_channel_options *, char *words,
		    size_t words_size, struct xm_channel **ret);
	void (*close)(struct xm_channel *);
	/* Looks an address up, for every connect() to it. It may wait for the
	 * system's resolver, and reads the environment: so it is called as a
	 * client is opened, on the thread that opens it. Whatever goes wrong,
	 * connect() says. */
	void (*resolve)(struct xm_channel *, const char *address);
	/* Starts a connection to an address that was resolved; UP or DOWN
	 * follows. */
	int (*connect)(struct xm_channel *, const char *address,
		       uint32_t *ret);
	void (*disconnect)(struct xm_channel *, uint32_t peer);
	int (*send)(struct xm_channel *, uint32_t peer, const void *bytes,
		    size_t size);
	/* One event at a time; 0: none. Accepts, reads, writes as needed. */
	int (*poll)(struct xm_channel *, struct xm_channel_event *ret);
	void (*wait)(struct xm_channel *, int fd, uint64_t timeout_ns);
	/* The address peers should use, e.g. with the port that port 0
	 * became. Valid until close(). */
	const char *(*address)(struct xm_channel *);
};

/* The sentence for a DOWN or a failed connect(): what is wrong at `address`
 * and what to do, without a full stop. `up`: it had been UP. channel.c. */
void xm_channel_explain(const char *address, int status, bool up, char *words,
			size_t words_size);

/* Every scheme's channel, ended by NULL; defined by transports/table.c. */
extern const struct xm_channel_ops *const xm_channels[];

#endif
