/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The channel contract: how control messages move between a client and an appliance.
 *
 * A channel carries whole messages over an ordered stream, for example TCP. It is apart
 * from the transport (transport.h) since the appliance has a process for each: the
 * control process never opens libfabric, and the interface process never parses a
 * message. Messages are rare: no fault waits for one.
 *
 *  - Nothing blocks, except wait(), which blocks no longer than it is told, and
 *    resolve().
 *  - Messages to one peer arrive whole, once and in order, or the peer goes DOWN. A
 *    message is 1 to XM_MESSAGE_SIZE_MAX bytes (wire.h says of what).
 *  - A peer is a small number. connect() returns one; an accepted peer gets one and
 *    is reported UP. DOWN is reported once for each peer, and its number is used
 *    again only after disconnect().
 *  - A stream of another protocol (wrong magic, or a message size of 0 or above the
 *    maximum) is closed and its peer reported DOWN with -EPROTO.
 *  - A stream to or from another machine is encrypted, and both sides have shown who
 *    they are, before it is UP; or the user has said that it need not be. Who connects
 *    and does not get so far is a STRANGER.
 *  - send() returns -EAGAIN if the queue to the peer is full, and has taken nothing.
 *  - One thread at a time for each instance.
 *
 * Framing: each direction of a stream starts with the 4 bytes "XMC1"; then each message
 * is its size, 4 bytes little-endian, and its bytes. A message of 3 bytes is 7 on the
 * stream.
 */
#ifndef XM_CHANNEL_H
#define XM_CHANNEL_H

#include "common/base.h"

#define XM_MESSAGE_SIZE_MAX 4096
#define XM_IDENTITY_SIZE 64 /* with its NUL */
/* Of encrypted streams: handshakes at once that others began, and bytes that one may
 * send before it is known who sends them. */
#define XM_CHANNEL_HANDSHAKES_MAX 64
#define XM_CHANNEL_HANDSHAKE_SIZE (16 * 1024)

enum xm_channel_event_kind {
	XM_CHANNEL_UP = 1,  /* connect() succeeded, or a peer was accepted */
	XM_CHANNEL_DOWN,    /* status: why */
	XM_CHANNEL_MESSAGE, /* bytes, size: valid until the next poll() */
	/* Somebody connected and was turned away: status, words. No peer. */
	XM_CHANNEL_STRANGER,
};

struct xm_channel_event {
	enum xm_channel_event_kind kind;
	int status;
	uint32_t peer;
	bool accepted; /* UP: the peer connected to us */
	/* UP: who the peer is, as it was proved: the name in a certificate, "uid:N" for
	 * a user of this machine; "": nothing was proved. Valid until the next poll(). */
	const char *identity;
	/* DOWN, STRANGER: more than the status says, or NULL. Likewise. */
	const char *words;
	const uint8_t *bytes;
	size_t size;
};

struct xm_channel_options {
	const char *address; /* as given by the user, whole */
	bool target;	     /* listen at the address; otherwise only connect */
	uint32_t peers_max;  /* streams at once; one more is closed at accept */
	/* A stream that has not sent its first whole message after so long is
	 * closed with -ETIMEDOUT. 0: no limit. The clock is the channel's own. */
	uint64_t handshake_ns;
	/* Path of a credential file (transports/tls.h), or NULL: without one, the other
	 * side is on this machine, unless... */
	const char *auth;
	bool insecure_plaintext; /* ...anybody on the network may be the other side */
};

struct xm_channel;

struct xm_channel_ops {
	const char *scheme;
	/* On failure *ret is untouched, and `words` has a sentence that says why. After
	 * success they may have a remark about credentials, after renew() too. */
	int (*open)(const struct xm_channel_options *, char *words,
		    size_t words_size, struct xm_channel **ret);
	void (*close)(struct xm_channel *);
	/* Looks up an address, for all later connect() calls with it; after a failure, a
	 * second call looks it up again. This may wait for
	 * the system's resolver and reads the environment, so it is called on the thread
	 * that opens a client or adds an appliance to it; meanwhile another thread may
	 * be in the channel's other functions. -EINVAL malformed, -EADDRNOTAVAIL no such
	 * host, -EHOSTUNREACH the resolver does not answer, -ENOMEM; connect() returns
	 * the same. */
	int (*resolve)(struct xm_channel *, const char *address);
	/* Starts a connection to an address that was resolved; UP or DOWN
	 * follows. */
	int (*connect)(struct xm_channel *, const char *address,
		       uint32_t *ret);
	void (*disconnect)(struct xm_channel *, uint32_t peer);
	int (*send)(struct xm_channel *, uint32_t peer, const void *bytes,
		    size_t size);
	/* Accepts, reads and writes what can be. Returns 1 with an event, or 0. */
	int (*poll)(struct xm_channel *, struct xm_channel_event *ret);
	void (*wait)(struct xm_channel *, int fd, uint64_t timeout_ns);
	/* Reads the credentials again. Streams stay up, but for those whose credentials
	 * are no longer accepted. -errno and a sentence: nothing is changed. */
	int (*renew)(struct xm_channel *, char *words, size_t words_size);
	/* The address that peers should use; a port of 0 is replaced by the one that
	 * the system chose. Valid until close(). */
	const char *(*address)(struct xm_channel *);
};

/* Writes a sentence for a DOWN or a failed connect(): what is wrong at `address` and
 * what to do, without a full stop. `up`: the peer had been UP. In channel.c. */
void xm_channel_explain(const char *address, int status, bool up, char *words,
			size_t words_size);

/* The channels of all schemes, ended by NULL; defined by transports/table.c. */
extern const struct xm_channel_ops *const xm_channels[];

#endif
