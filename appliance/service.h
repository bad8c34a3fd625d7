/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MACHINE: what an appliance decides. Who is a client, who holds which bytes
 * of the pool under which key and epoch, when a lease has ended, and when an
 * extent may go to somebody else.
 *
 *	client:	NEW -> KNOWN <-> SILENT -> EXPIRED -> (forgotten)
 *	extent:	FREE -> EXPOSING -> LEASED -> CONCEALING -> QUARANTINE
 *		-> ZEROING -> FREE
 *
 * NEW is a stream that has not said HELLO; it has no client number yet.
 *
 * One function, xm_service_step(): an event with the time and fresh entropy
 * inside it goes in, effects come out. It does nothing itself: the host
 * (host.h) sends, drops and zeroes, the interface process (target.h) exposes,
 * conceals, admits and expels, and both report back by events.
 *
 * The inequality that isolation rests on: an extent becomes FREE only after
 *   1. its own key is concealed (CONCEALED, or EXPELLED for its owner), and
 *   2. every other key that covers its bytes is concealed too (`guard`), and
 *   3. where the transport does not revoke: the former owner has no
 *      connection any more, or, where connections are not counted either
 *      (!admits), a whole lease time has passed since 1, and
 *   4. its bytes were zeroed after 1-3.
 * So no accepted access under an old key can reach the next owner.
 *
 * TRIM: the head becomes a new extent with a key of its own; the tail keeps
 * the old number and the old key, which goes on covering the head until the
 * tail is given. That is why an extent has a `guard`: the extent whose key
 * also opens its bytes. A key that dies hands its guard on, as chains are
 * possible (a trimmed head may be trimmed again).
 *
 * Bounds: peers_max streams, clients_max clients, extents_max extents,
 * extents_per_client_max of them for one client, XM_SERVICE_TICKETS_MAX
 * unanswered and XM_SERVICE_UNUSED_MAX unused tickets a client. At most
 * XM_SERVICE_EFFECTS_MAX effects a step; a step with more to do asks to be
 * stepped again at once. At most one command is outstanding per extent and
 * one expulsion per client, so XM_SERVICE_COMMANDS_MAX() bounds the queue to
 * the interface. Memory is handed over once, xm_service_size() bytes.
 *
 * Nothing a peer sends can break an assertion: it is refused in words, or
 * its stream is dropped, and counted.
 *
 * Floor: ground.
 */
#ifndef XM_SERVICE_H
#define XM_SERVICE_H

#include "common/base.h"
#include "common/extent.h"
#include "core/pure/trace.h"
#include "core/pure/transport.h"
#include "core/pure/wire.h"

#define XM_SERVICE_EFFECTS_MAX 12
#define XM_SERVICE_SENDS_MAX 2 /* messages among them */
#define XM_SERVICE_ENTROPY_SIZE 32
#define XM_SERVICE_TICKETS_MAX 8 /* TICKET requests under way, per client */
#define XM_SERVICE_UNUSED_MAX 64 /* tickets given out and not used */
#define XM_SERVICE_NONE UINT32_MAX
#define XM_SERVICE_SLOTS_MAX (UINT32_C(1) << 20) /* of clients; of extents */

/* Commands that can be outstanding at once. */
#define XM_SERVICE_COMMANDS_MAX(clients_max, extents_max)                     \
	((size_t)(extents_max) +                                              \
	 (size_t)(clients_max) * (XM_SERVICE_TICKETS_MAX + 1))

struct xm_service_options {
	char name[XM_NAME_SIZE]; /* of the appliance, for people */
	char transport[32];	 /* scheme of the data path */
	char provider[64];
	char library[32];
	uint64_t incarnation;
	uint64_t pool_size; /* a multiple of the granule */
	uint32_t granule;   /* a power of two */
	uint32_t peers_max;
	uint32_t clients_max;
	uint32_t extents_max;
	uint32_t extents_per_client_max;
	uint32_t lease_ms;
	uint64_t handshake_ns;	/* a stream without an accepted HELLO ends */
	uint64_t zero_size_max; /* bytes zeroed in one effect */
	bool revokes, admits;	/* of the interface's transport */
	struct xm_locator locator;
};

enum xm_service_event_kind {
	XM_SERVICE_TICK = 1,	/* the deadline of the last step, or sooner */
	XM_SERVICE_PEER_UP,	/* peer */
	XM_SERVICE_PEER_DOWN,	/* peer, status */
	XM_SERVICE_MESSAGE,	/* peer, message */
	XM_SERVICE_MALFORMED,	/* peer: bytes that are no message */
	XM_SERVICE_EXPOSED,	/* extent, status, far */
	XM_SERVICE_CONCEALED,	/* extent */
	XM_SERVICE_ADMITTED,	/* client, cookie, status */
	XM_SERVICE_EXPELLED,	/* client */
	XM_SERVICE_CONNECTIONS, /* client, connections, joined */
	XM_SERVICE_ZEROED,	/* extent */
	XM_SERVICE_DRAIN,	/* drain_ms: LEAVING to all; no new leases */
	XM_SERVICE_RELOAD,	/* lease_ms, for clients from now on */
};

struct xm_service_event {
	enum xm_service_event_kind kind;
	uint64_t now_ns;
	uint8_t entropy[XM_SERVICE_ENTROPY_SIZE]; /* fresh, secret */
	uint32_t peer;
	int status;
	const struct xm_message *message;
	uint64_t extent;
	uint64_t client;
	uint32_t cookie;
	uint32_t connections; /* up now; CONNECTIONS, CONCEALED */
	uint64_t joined;      /* ever */
	struct xm_remote_mr remote;
	uint32_t lease_ms, drain_ms;
};

enum xm_service_effect_kind {
	XM_SERVICE_SEND = 1, /* peer, message */
	XM_SERVICE_DROP,     /* peer: forget it, no PEER_DOWN wanted */
	XM_SERVICE_EXPOSE,   /* extent, client, offset, size, rights, key */
	XM_SERVICE_CONCEAL,  /* extent, client, far */
	XM_SERVICE_ADMIT,    /* client, cookie, lane, ticket */
	XM_SERVICE_EXPEL,    /* client */
	XM_SERVICE_ZERO,     /* extent, offset, size */
	XM_SERVICE_LOG,	     /* level, words */
};

enum xm_level { XM_LEVEL_ERROR, XM_LEVEL_WARNING, XM_LEVEL_INFO, XM_LEVEL_DEBUG };

struct xm_service_effect {
	enum xm_service_effect_kind kind;
	uint32_t peer;
	const struct xm_message *message; /* lies in the effects */
	uint64_t extent, client, offset, size, key;
	struct xm_remote_mr remote;
	uint32_t cookie, lane, rights;
	uint8_t ticket[XM_TICKET_SIZE];
	enum xm_level level;
	char words[XM_WORDS_SIZE];
};

struct xm_service_effects {
	uint64_t deadline_ns; /* TICK then, at the latest; XM_NEVER: none */
	bool drained;	      /* asked to drain, and no client is left */
	uint32_t count, sends;
	struct xm_service_effect effects[XM_SERVICE_EFFECTS_MAX];
	struct xm_message messages[XM_SERVICE_SENDS_MAX];
};

enum xm_service_peer_state {
	XM_PEER_FREE, /* no such stream */
	XM_PEER_NEW,  /* no HELLO accepted yet */
	XM_PEER_CLIENT,
	XM_PEER_OBSERVER,
	XM_PEER_ENDED, /* said BYE */
};

struct xm_service_peer {
	enum xm_service_peer_state state;
	uint32_t client; /* slot */
	uint64_t serial; /* tells this stream from an earlier one */
	uint64_t heard_ns;
};

/* Where an answer that takes a while goes: if that stream still lives. */
struct xm_service_asker {
	uint32_t peer;
	uint32_t request;
	uint64_t serial;
};

struct xm_service_ticket {
	bool used;
	struct xm_service_asker asker;
	uint8_t ticket[XM_TICKET_SIZE];
};

enum xm_service_client_state {
	XM_CLIENT_FREE,
	XM_CLIENT_KNOWN,
	XM_CLIENT_SILENT,  /* no stream, or nothing heard for half a lease */
	XM_CLIENT_EXPIRED, /* being expelled */
};

struct xm_service_client {
	enum xm_service_client_state state;
	uint32_t serial;
	uint32_t peer; /* or XM_SERVICE_NONE */
	uint32_t extents;
	uint32_t connections;
	uint64_t joined, admitted;
	uint64_t number;
	uint64_t heard_ns, lease_ns;
	uint8_t secret[XM_SECRET_SIZE];
	char name[XM_NAME_SIZE];
	bool bye; /* answer `asker` once it is expelled */
	bool told; /* of the drain */
	struct xm_service_asker asker;
	struct xm_service_ticket tickets[XM_SERVICE_TICKETS_MAX];
};

enum xm_service_extent_state {
	XM_EXTENT_FREE, /* the record is unused */
	XM_EXTENT_EXPOSING,
	XM_EXTENT_LEASED,
	XM_EXTENT_CONCEALING,
	XM_EXTENT_QUARANTINE,
	XM_EXTENT_ZEROING,
};

struct xm_service_extent {
	enum xm_service_extent_state state;
	uint32_t serial;
	uint32_t client; /* slot of the owner, or the former one, or NONE */
	uint32_t guard;	 /* the extent whose key covers this one too */
	uint32_t trimming; /* the head being cut off it, or NONE */
	bool head;	 /* EXPOSING: made by TRIM */
	bool asked;	 /* `asker` waits for an answer */
	uint64_t number, epoch;
	uint64_t offset, size;
	uint64_t until_ns; /* QUARANTINE: not before */
	uint64_t zeroed;   /* bytes */
	struct xm_remote_mr remote;
	struct xm_service_asker asker;
	char region[XM_NAME_SIZE];
};

struct xm_service {
	struct xm_service_options options;
	struct xm_service_peer *peers;
	struct xm_service_client *clients;
	struct xm_service_extent *extents;
	struct xm_extent *pool;
	struct xm_trace *trace; /* NULL at first; the owner may set it */
	uint64_t started_ns, last_ns;
	uint64_t tick_ns;      /* the next */
	uint64_t lease_ns_min; /* of all leases ever promised */
	uint64_t epoch, serial;
	uint32_t peers_count, clients_count, extents_count;
	uint32_t quarantined; /* extents in QUARANTINE */
	uint32_t zeroing;     /* extents in ZEROING */
	uint32_t zeroing_now; /* the one a ZERO effect is out for, or NONE */
	bool leaving;
	uint32_t leaving_ms;
	bool telling; /* some clients have not been sent LEAVING yet */
	uint64_t messages, malformed, refused, expired;
};

/* 0, or -EINVAL and a sentence in `words` (XM_WORDS_SIZE). */
int xm_service_options_check(const struct xm_service_options *, char *words);
/* Bytes of memory (aligned as malloc does) for options that passed. */
size_t xm_service_size(const struct xm_service_options *);
/* The pool is taken to be zeroed. The memory stays the caller's. */
struct xm_service *xm_service_init(const struct xm_service_options *,
				   void *memory, uint64_t now_ns);
void xm_service_step(struct xm_service *, const struct xm_service_event *,
		     struct xm_service_effects *ret);
/* What STATUS answers. */
void xm_service_state(const struct xm_service *, uint64_t now_ns,
		      struct xm_state *ret);
/* The laws, for tests and the simulator: NULL, or the one that is broken. */
const char *xm_service_check(const struct xm_service *);

#endif
