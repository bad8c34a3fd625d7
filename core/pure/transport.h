/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transport contract: how bytes move by one-sided reads and writes.
 *
 * A transport is one of the three skins of extmem (the others: channel.h for
 * control messages, mapper.h for pages). It knows nothing of regions, leases
 * or pages. The client opens one per lane and initiates; the appliance's
 * interface process opens one and is the target.
 *
 * The contract, tested by tests/conformance/conformance.c against every transport:
 *
 *  - Nothing blocks, except wait(), which blocks no longer than it is told.
 *  - Who sleeps loses nothing: from arm() on, until the next poll() by anybody,
 *    its descriptor is readable as soon as poll() may have something.
 *  - Every accepted operation completes exactly once, through poll(), with
 *    its token, in any order. A refused one (negative return) never does.
 *  - -EAGAIN: nothing was accepted; poll and try again.
 *  - A write completes with status 0 only when its bytes are in the far
 *    memory (delivery, not transmission).
 *  - When a peer goes down (DOWN event) or disconnect() is called, every
 *    token outstanding there still completes, with -ECANCELED. The effect of
 *    such an operation is unknown: it may have happened, or happen yet.
 *  - DOWN is reported at most once per connect(); the peer number is not used
 *    again before disconnect() has been called on it.
 *  - After conceal() returns, no remote access can touch those bytes. A
 *    transport that cannot promise this has limits.revokes == false, and the
 *    service waits in quarantine instead.
 *  - An access with a wrong key, outside the exposed span, or without the
 *    right to it (a write to a span that was exposed for reading) changes
 *    nothing and completes with an error (-EACCES where the provider tells, else
 *    -ECANCELED with the peer DOWN). It is never status 0.
 *  - One thread at a time per instance; the caller holds the lock.
 *
 * Errors are -errno with these meanings: -EAGAIN try again; -ENOTCONN the
 * peer is not up; -ECANCELED peer down, outcome unknown; -EACCES refused by
 * the remote side; -EINVAL a caller's mistake or a malformed address; -ENOSYS
 * not built in or no such provider; -EOPNOTSUPP this transport cannot do that
 * (its limits say so); -ENOMEM, -ENOSPC a limit was reached;
 * -EADDRINUSE, -ECONNREFUSED, -ETIMEDOUT as in the sockets API. After a
 * failed open, connect, listen, expose or register_memory, words() says why.
 *
 * Every function is required; there are no NULL slots. What differs between
 * transports is a field of limits.
 */
#ifndef XM_TRANSPORT_H
#define XM_TRANSPORT_H

#include "common/base.h"

#define XM_TICKET_SIZE 16   /* bytes; proof of admission, used once */
#define XM_SPANS_MAX 40	    /* of registered memory, each instance */
#define XM_LOCATOR_SIZE 192 /* bytes; an opaque remote address, most */

/* What an exposed span may be used for; any of them, or'ed. */
#define XM_RIGHT_READ UINT32_C(1)
#define XM_RIGHT_WRITE UINT32_C(2)
#define XM_RIGHTS_ALL (XM_RIGHT_READ | XM_RIGHT_WRITE)

/* Where an interface process can be reached: a provider's own address. */
struct xm_locator {
	uint32_t size;
	uint8_t bytes[XM_LOCATOR_SIZE];
};

/* Names a span of remote memory; made by expose(), carried by the control
 * channel, used by read() and write(). */
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
	bool admits;	    /* connects only with a ticket; else keys alone */
	bool reports_death; /* DOWN without being asked when the peer dies */
	bool registers;	    /* local memory must be registered first */
	bool waits;	    /* wait() blocks; else it naps for a moment */
	bool tells;	    /* a target's poll() says MOVED */
	bool restricts;	    /* a span can be exposed with fewer than all rights */
};

enum xm_transport_event_kind {
	XM_TRANSPORT_DONE = 1, /* token, status */
	XM_TRANSPORT_UP,       /* initiator: peer can be used from now on */
	XM_TRANSPORT_DOWN,     /* initiator: peer is gone; status says why */
	XM_TRANSPORT_JOINED,   /* target: a connection of `client` is up */
	XM_TRANSPORT_LEFT,     /* target: a connection of `client` is gone */
	/* target: this poll() seems to have moved bytes for somebody. A hint for
	 * who decides how long to go on polling; once per poll(), at most. */
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
	/* target, where addresses are host:port: the port of the data path; 0:
	 * any free one. And the numeric host that clients are told to connect
	 * to; NULL: the one of `address`, or, where that is every host of this
	 * machine, the one at which a client reached control. */
	uint16_t data_port;
	const char *advertise;
	/* target: the pool is mapped from several files, each but the last of
	 * so many bytes, one behind the other; 0: from one. */
	uint64_t bank_size;
};

struct xm_transport; /* each transport's own, begins with nothing public */

struct xm_transport_ops {
	const char *scheme; /* "loop", "ofi+tcp", "ofi+shm", "ofi+verbs", ... */

	/* One instance: one set of connections, one completion queue. The
	 * options are not kept. On failure *ret is untouched. `words` (at
	 * least 256 bytes) receives a sentence when open fails, and is
	 * untouched else. */
	int (*open)(const struct xm_transport_options *, char *words,
		    size_t words_size, struct xm_transport **ret);
	/* Completes nothing more; every connection is dropped. */
	void (*close)(struct xm_transport *);
	void (*limits)(struct xm_transport *, struct xm_transport_limits *ret);
	/* The sentence that belongs to the last failure of this instance. */
	const char *(*words)(struct xm_transport *);

	/* --- initiator ------------------------------------------------- */
	/* Starts a connection; UP or DOWN follows from poll(). *ret is the
	 * peer's number, small and dense (below limits.peers_max). */
	int (*connect)(struct xm_transport *, const struct xm_locator *,
		       const uint8_t ticket[XM_TICKET_SIZE], uint32_t *ret);
	/* Outstanding tokens complete with -ECANCELED in later polls; until
	 * they have, their local memory may still be written to by nobody:
	 * after disconnect() returns the transport touches none of it. */
	void (*disconnect)(struct xm_transport *, uint32_t peer);
	/* Makes local memory usable in read() and write(). Cheap and a no-op
	 * where limits.registers is false. The memory outlives the transport
	 * or is deregistered first. At most XM_SPANS_MAX
	 * spans. */
	int (*register_memory)(struct xm_transport *, void *memory, size_t size);
	void (*deregister_memory)(struct xm_transport *, void *memory, size_t size);
	/* One-sided access: `size` bytes (1 .. limits.size_max) between far
	 * memory at `offset` of the span, and local memory, which belongs to
	 * the transport until the token completes. */
	int (*read)(struct xm_transport *, uint32_t peer,
		    const struct xm_remote_mr *, uint64_t offset, void *local,
		    size_t size, uint64_t token);
	int (*write)(struct xm_transport *, uint32_t peer,
		     const struct xm_remote_mr *, uint64_t offset, const void *local,
		     size_t size, uint64_t token);

	/* A write of `count` (1 .. limits.scatter_max) pieces of `piece` bytes:
	 * the k-th, at near + k * piece, to offsets[k] of the span. One
	 * operation, one token; where it fails, any of its pieces may have
	 * happened. */
	int (*scatter)(struct xm_transport *, uint32_t peer,
		       const struct xm_remote_mr *, const uint64_t *offsets,
		       uint32_t count, const void *local, size_t piece,
		       uint64_t token);

	/* --- target ---------------------------------------------------- */
	/* Begins to accept; *ret is what connect() takes elsewhere. `pool`
	 * is the one memory area all exposed spans lie in. */
	int (*listen)(struct xm_transport *, void *pool, size_t pool_size,
		      struct xm_locator *ret);
	/* Lets one connection in that presents this ticket, as `client`
	 * (any non-zero number). It takes the place of the connection that
	 * the client has on this lane, if any: that one is closed before the
	 * new one is accepted, so that nothing posted on it can happen after
	 * anything posted on the new one. Lanes are apart. */
	int (*admit)(struct xm_transport *, uint64_t client, uint32_t lane,
		     const uint8_t ticket[XM_TICKET_SIZE]);
	/* Drops the client's connections and unused tickets and conceals all
	 * that was exposed to it. */
	void (*expel)(struct xm_transport *, uint64_t client);
	/* Opens [offset, offset + size) of the pool to this client, with the
	 * given XM_RIGHT_s. `key` is the key wanted; *ret has the one to use
	 * (providers may choose). -EOPNOTSUPP: some right was left out, and
	 * limits.restricts is false; nobody gets more than was asked for. */
	int (*expose)(struct xm_transport *, uint64_t client, uint64_t offset,
		      uint64_t size, uint32_t rights, uint64_t key,
		      struct xm_remote_mr *ret);
	void (*conceal)(struct xm_transport *, uint64_t client,
			const struct xm_remote_mr *);

	/* --- both ------------------------------------------------------ */
	/* Makes progress and returns up to `count` events, 0 if none. Never
	 * fails: what goes wrong is an event. */
	int (*poll)(struct xm_transport *, struct xm_transport_event *ret,
		    int count);
	/* Gets ready to be slept on by somebody who must not keep the instance
	 * to himself meanwhile: returns the descriptor, the same each time, that
	 * is readable once poll() may have something (and perhaps when it has
	 * not). -EAGAIN: it may have something now. -ENOSYS: nothing here tells
	 * (limits.waits is false): look again after a nap. */
	int (*arm)(struct xm_transport *);
	/* arm(), then sleeps until that descriptor or `fd` (or -1) is readable,
	 * or timeout_ns has passed. May return early. */
	void (*wait)(struct xm_transport *, int fd, uint64_t timeout_ns);
};

/* Those that were built in, ended by NULL; defined by transports/table.c.
 * The one link-time arrow that points up. */
extern const struct xm_transport_ops *const xm_transports[];

#endif
