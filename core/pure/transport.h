/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transport contract: how bytes move by one-sided reads and writes.
 *
 * A transport is one of three contracts by which extmem meets the world; the others are
 * channel.h for control messages and mapper.h for pages. It knows nothing of regions,
 * leases or pages. A client opens one instance for each lane, as the initiator; the
 * appliance's interface process opens one, as the target.
 *
 * The contract, tested by tests/conformance/conformance.c against every transport:
 *
 *  - Nothing blocks, except wait(), which blocks no longer than it is told.
 *  - A thread that sleeps misses nothing: after arm(), and until the next poll() on
 *    any thread, the descriptor of arm() becomes readable as soon as poll() may return
 *    an event.
 *  - Every accepted operation completes exactly once, through poll(), with its token.
 *    Operations complete in any order. One that was refused (a negative return) does
 *    not complete.
 *  - -EAGAIN: nothing was accepted; call poll() and try again.
 *  - A write completes with status 0 only when its bytes are in the remote memory
 *    (delivery, not transmission).
 *  - When a peer goes down (DOWN event), or disconnect() is called, every token
 *    outstanding there still completes, with -ECANCELED. The outcome of such an
 *    operation is unknown: it may have happened, or may still happen.
 *  - DOWN is reported at most once for each connect(). The peer's number is used again
 *    only after disconnect().
 *  - After conceal() has returned, no remote access can touch those bytes. A transport
 *    that cannot promise this has limits.revokes == false; the appliance then keeps the
 *    bytes in quarantine before it gives them to another client.
 *  - An access with a wrong key, outside the exposed span, or without the
 *    right to it (a write to a span that was exposed for reading) changes
 *    nothing and completes with an error (-EACCES where the provider tells, else
 *    -ECANCELED with the peer DOWN). It is never status 0.
 *  - One thread at a time for each instance; the caller holds a lock.
 *
 * Errors are -errno:
 *
 *	-EAGAIN		try again after poll()
 *	-ENOTCONN	the peer is not up
 *	-ECANCELED	the peer went down; the outcome is unknown
 *	-EACCES		the remote side refused the access
 *	-EINVAL		a mistake of the caller's, or a malformed address
 *	-ENOSYS		not built in, or no such provider
 *	-EOPNOTSUPP	this transport cannot do that, as its limits say
 *	-ENOMEM, -ENOSPC	a limit was reached
 *	-EADDRINUSE, -ECONNREFUSED, -ETIMEDOUT	as in the sockets API
 *
 * After a failed open, connect, listen, expose or register_memory, last_error() says why.
 *
 * Every function is required: no entry is NULL. Transports differ in their limits.
 */
#ifndef XM_TRANSPORT_H
#define XM_TRANSPORT_H

#include "common/base.h"

#define XM_TICKET_SIZE 16   /* bytes; a proof of admission, good for one connect() */
#define XM_SPANS_MAX 40	    /* spans of registered memory, for each instance */
#define XM_LOCATOR_SIZE 192 /* bytes; an opaque remote address has at most so many */

/* What an exposed span may be used for; any of them, or'ed. */
#define XM_RIGHT_READ UINT32_C(1)
#define XM_RIGHT_WRITE UINT32_C(2)
#define XM_RIGHTS_ALL (XM_RIGHT_READ | XM_RIGHT_WRITE)

/* Where an interface process can be reached: a provider's own address. */
struct xm_locator {
	uint32_t size;
	uint8_t bytes[XM_LOCATOR_SIZE];
};

/* Names a span of remote memory: expose() makes it, the control channel carries it, and
 * read() and write() use it. */
struct xm_remote_mr {
	uint64_t key;
	uint64_t base; /* the address at which offset 0 of the span lies */
};

struct xm_transport_limits {
	char transport[32]; /* "ofi+tcp" */
	char provider[64];  /* "tcp", "shm", "verbs;ofi_rxm"; "loop" */
	char version[32];   /* of the library and provider: "1.17 / 117.0" */
	char endpoint[16];  /* "MSG", "RDM", "none" */
	char mr_mode[96];   /* in words: "basic", "virt_addr prov_key" */
	char progress[16];  /* "auto", "manual", and how it is used */
	uint64_t size_max;  /* bytes in one read or write */
	uint32_t depth_max; /* operations outstanding at once, per instance */
	uint32_t peers_max;
	uint32_t scatter_max; /* pieces in one scatter(), at least 1 */
	bool revokes;	    /* conceal() takes effect before it returns */
	bool admits;	    /* a connection needs a ticket; else keys alone protect */
	bool reports_death; /* DOWN comes by itself when the peer dies */
	bool registers;	    /* local memory must be registered first */
	bool waits;	    /* wait() sleeps until an event; else for a moment */
	bool tells;	    /* a target's poll() reports MOVED */
	bool pins;	    /* what a target exposes is pinned, as far as the provider says */
	bool restricts;	    /* a span can be exposed with fewer than all rights */
};

enum xm_transport_event_kind {
	XM_TRANSPORT_DONE = 1, /* token, status */
	XM_TRANSPORT_UP,       /* initiator: peer can be used from now on */
	XM_TRANSPORT_DOWN,     /* initiator: peer is gone; status says why */
	XM_TRANSPORT_JOINED,   /* target: a connection of `client` is up */
	XM_TRANSPORT_LEFT,     /* target: a connection of `client` is gone */
	/* target: this poll() has probably moved bytes for a client. A hint for how long
	 * to go on polling; at most once in a poll(). */
	XM_TRANSPORT_MOVED,
};

struct xm_transport_event {
	enum xm_transport_event_kind kind;
	int status;	 /* 0 or -errno */
	uint32_t peer;	 /* UP, DOWN */
	uint64_t token;	 /* DONE */
	uint64_t client; /* JOINED, LEFT */
};

struct xm_transport_options {
	const char *address;  /* whole address: "ofi+tcp://host:7470" */
	const char *provider; /* forced libfabric provider name, or NULL */
	bool target;	      /* will listen, admit and expose */
	uint32_t depth;	      /* outstanding operations wanted; 0: default */
	uint32_t clients_max; /* target: clients at once; 0: default */
	uint32_t spans_max;   /* target: spans exposed at once, at least; 0: 4,096 */
	/* target, where addresses are host:port: the port for data (0: any free one), and
	 * the numeric host that clients are told to connect to (NULL: the host of
	 * `address`; if that means every host of this machine, the one at which a client
	 * reached control). */
	uint16_t data_port;
	const char *advertise;
	/* target: the pool is mapped from several files, one behind the other, each but
	 * the last of so many bytes; 0: from one file. */
	uint64_t bank_size;
};

struct xm_transport; /* each transport's own, begins with nothing public */

struct xm_transport_ops {
	const char *scheme; /* "loop", "ofi+tcp", "ofi+shm", "ofi+verbs", ... */
	/* An address of this scheme. open() of it, not as a target, succeeds if the
	 * transport can be used on this machine; no appliance need be there. */
	const char *sample;
	/* A target's exposed memory is pinned, so it counts against RLIMIT_MEMLOCK. */
	bool pins;

	/* Opens an instance: one set of connections with one completion queue. The
	 * options need not outlive the call. On failure *ret is untouched and `words` (at least 256
	 * bytes) gets a sentence; otherwise `words` is untouched. */
	int (*open)(const struct xm_transport_options *, char *words,
		    size_t words_size, struct xm_transport **ret);
	/* Drops every connection. Tokens that are outstanding do not complete. */
	void (*close)(struct xm_transport *);
	void (*limits)(struct xm_transport *, struct xm_transport_limits *ret);
	/* The sentence for the last failure of this instance. */
	const char *(*last_error)(struct xm_transport *);

	/* --- initiator ------------------------------------------------- */
	/* Starts a connection; poll() reports UP or DOWN. *ret is the peer's number,
	 * below limits.peers_max. */
	int (*connect)(struct xm_transport *, const struct xm_locator *,
		       const uint8_t ticket[XM_TICKET_SIZE], uint32_t *ret);
	/* Outstanding tokens complete with -ECANCELED in later polls. Their local memory
	 * is the caller's again at once: after disconnect() has returned the transport
	 * does not touch it. */
	void (*disconnect)(struct xm_transport *, uint32_t peer);
	/* Makes local memory usable in read() and write(); does nothing if
	 * limits.registers is false. The memory must outlive the transport, or be
	 * deregistered first. At most XM_SPANS_MAX spans. */
	int (*register_memory)(struct xm_transport *, void *memory, size_t size);
	void (*deregister_memory)(struct xm_transport *, void *memory, size_t size);
	/* One-sided access: moves `size` bytes (1 .. limits.size_max) between the remote
	 * span, at `offset`, and local memory, which belongs to the transport until the
	 * token completes. */
	int (*read)(struct xm_transport *, uint32_t peer,
		    const struct xm_remote_mr *, uint64_t offset, void *local,
		    size_t size, uint64_t token);
	int (*write)(struct xm_transport *, uint32_t peer,
		     const struct xm_remote_mr *, uint64_t offset, const void *local,
		     size_t size, uint64_t token);

	/* Writes `count` (1 .. limits.scatter_max) pieces of `piece` bytes each: the k-th,
	 * from local + k * piece, to offsets[k] of the span. It is one operation with one
	 * token; if it fails, any of its pieces may have been written. */
	int (*scatter)(struct xm_transport *, uint32_t peer,
		       const struct xm_remote_mr *, const uint64_t *offsets,
		       uint32_t count, const void *local, size_t piece,
		       uint64_t token);

	/* --- target ---------------------------------------------------- */
	/* Begins to accept connections; *ret is the locator for connect(). `pool` is the
	 * memory in which all exposed spans lie. */
	int (*listen)(struct xm_transport *, void *pool, size_t pool_size,
		      struct xm_locator *ret);
	/* Admits one connection that presents this ticket, as a connection of `client`
	 * (any number but 0) on this lane. An earlier connection of the client on the
	 * same lane is closed first, so that nothing posted on it can happen after
	 * anything posted on the new one. */
	int (*admit)(struct xm_transport *, uint64_t client, uint32_t lane,
		     const uint8_t ticket[XM_TICKET_SIZE]);
	/* Takes back a ticket of the client: 0; -ENOENT: it was used already, or
	 * never admitted. */
	int (*retract)(struct xm_transport *, uint64_t client,
		       const uint8_t ticket[XM_TICKET_SIZE]);
	/* Drops the client's connections and unused tickets, and conceals everything
	 * that was exposed to it. */
	void (*expel)(struct xm_transport *, uint64_t client);
	/* Lets this client access [offset, offset + size) of the pool, with the given
	 * XM_RIGHT_s. `key` is the key wanted; *ret has the key to use, as a provider may
	 * choose another. -EOPNOTSUPP: a right was left out and limits.restricts is
	 * false; the client never gets more rights than were asked for. */
	int (*expose)(struct xm_transport *, uint64_t client, uint64_t offset,
		      uint64_t size, uint32_t rights, uint64_t key,
		      struct xm_remote_mr *ret);
	void (*conceal)(struct xm_transport *, uint64_t client,
			const struct xm_remote_mr *);

	/* --- both ------------------------------------------------------ */
	/* Makes progress and returns up to `count` events; 0: there is none. It does not
	 * fail: an error is an event. */
	int (*poll)(struct xm_transport *, struct xm_transport_event *ret,
		    int count);
	/* Prepares for a sleep of a thread that gives up its lock meanwhile. Returns a
	 * descriptor, always the same, that is readable once poll() may have an event
	 * (and perhaps when it has none). -EAGAIN: poll() may have one now. -ENOSYS:
	 * there is no such descriptor (limits.waits is false); poll again after a nap. */
	int (*arm)(struct xm_transport *);
	/* arm(), then sleeps until this descriptor or `fd` (-1: none) is readable, or
	 * timeout_ns has passed. It may return early. */
	void (*wait)(struct xm_transport *, int fd, uint64_t timeout_ns);
};

/* The transports that were built in, ended by NULL. Core declares them here and
 * transports/table.c defines them: the only dependence of core on that folder. */
extern const struct xm_transport_ops *const xm_transports[];

#endif
