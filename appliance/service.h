/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MACHINE: what an appliance decides. It knows who is a client, which client
 * owns which bytes of the pool, under which keys they can be reached, when a
 * lease has ended, and when bytes may go to another client.
 *
 *	client:	NEW -> KNOWN <-> SILENT -> EXPIRED -> (forgotten)
 *	extent:	FREE -> OWNED -> PARTING -> ZEROING -> FREE
 *		OWNED -> ORPHAN -> OWNED, or PARTING
 *	grant:	EXPOSING -> LIVE -> CONCEALING -> QUARANTINE -> (gone), or REVOKED
 *
 * NEW is a stream that has not said HELLO; it has no client number yet.
 *
 * Three things are kept apart:
 *   extent  a run of bytes of the pool, a multiple of the granule;
 *   owner   the client that may free it, and whose end frees it;
 *   grant   one key that opens a run of bytes to one client.
 * Each extent begins with one owner and one grant of that owner's. Others of it are
 * readings: an owner may let others read (readings.c). A reading ends with its reader, or
 * with its extent's sharing, and at the latest as the extent has another owner, or none;
 * then it is REVOKED until its reader says that it knows.
 *
 * An extent changes hands with its bytes by OFFER and CLAIM (tokens.c). OFFER
 * ties a token to it: it is an ORPHAN from then on or, with KEEP, from its
 * owner's end on. Whoever has the token may CLAIM an ORPHAN, once no undead
 * grant covers it: the rule below, without the zeroing. It stays tied to the
 * token for the rest of its time, so a claimer that ends half-way leaves an
 * ORPHAN again, until its owner says OFFER with KEEP and 0 ms (it unties the
 * token), or XM_SERVICE_CLAIM_TERM has passed. An ORPHAN whose
 * time is over is PARTING. So there are never two owners, and a way back to the
 * bytes as long as the token's time lasts.
 *
 * One function, xm_service_step(): an event with the time and fresh entropy
 * inside it goes in, effects come out. It does nothing itself: the host
 * (host.h) sends, drops and zeroes, the interface process (target.h) exposes,
 * conceals, admits and expels, and both report back by events.
 *
 * Isolation rests on one rule. A grant is *undead* from the moment EXPOSE is
 * commanded until no access under its key can happen any more:
 *   1. its key is concealed (CONCEALED, or EXPELLED for its client), and
 *   2. where the transport does not revoke: its client has no connection any
 *      more or, where connections are not counted either (!admits), a whole
 *      lease time has passed since 1. This is the grant's QUARANTINE.
 * An extent that was freed stays PARTING until no undead grant covers a byte
 * of it, and is then zeroed. So no accepted access under an old key can reach
 * the next owner.
 *
 * An extent can be covered by several grants because of TRIM: the first bytes
 * become a new extent with a grant of its own, the rest keeps the old number,
 * and the old grant goes on covering both. Example: A of 8 MiB is trimmed by
 * 2 MiB. The new extent B (the first 2 MiB) is covered by two grants, A (the
 * last 6 MiB) by one. If B is freed first, its bytes wait until A is freed,
 * because A's key still opens them. A grant covers whole extents, never a
 * part of one: extents are only ever cut, and bytes return to the pool only
 * when no grant covers them. So each extent need only count its grants.
 *
 * Bounds: peers_max streams, clients_max clients, extents_max extents and as
 * many grants of owners and of readers each, extents_per_client_max for one client,
 * XM_SERVICE_COVERS_MAX undead grants over one byte (TRIM is refused beyond; readings of an
 * extent, which cannot be cut, do not count),
 * XM_SERVICE_TICKETS_MAX tickets of one client, each for handshake_ns. At most
 * XM_SERVICE_EFFECTS_MAX effects a step; a step with more to do asks to be
 * stepped again at once. At most one command is outstanding per grant and per
 * ticket, and one expulsion per client, so XM_SERVICE_COMMANDS_MAX() bounds the
 * queue to the interface. Memory is handed over once, xm_service_size() bytes.
 * A step looks at the records it changes: a request at a few, a client's end at
 * that client's extents and grants, and at each extent once more for each grant
 * that covers it (2, mostly). Only a tick looks at every client and stream, and
 * LIST at XM_LIST_MAX extents; a tick also looks at all extents that a token is tied to,
 * an OFFER and a CLAIM at those of this token, and at few others.
 *
 * The pool can shrink, and grow again up to the size that it began with (shrink.c). What
 * lies beyond its new size is lent to nobody; free bytes there go back to the host at once,
 * and owners of the others are asked for them (WANTED). Nobody's memory is taken away.
 *
 * A client that comes back on another stream proves itself by its secret and, if it
 * began with a certificate, by one of the same name; else by an identity of the same
 * tenant. So a secret that got out is of no use to others.
 *
 * The pool may be other appliances' memory: then STATUS says whose (lineage.h), and COPY and
 * RESIZE are refused, as both would wait for them.
 *
 * Clients are of tenants (tenants.h): what a tenant may have is refused beyond its quota,
 * and LIST and STATUS show it its own alone. At first all are of one tenant, which may
 * have everything.
 *
 * The pool can be divided into places (places.c), a run of it for each tenant, of which
 * one interface process alone can reach each. Whatever becomes of that process, its end
 * (INTERFACE_LOST) ends what is in its place, and nothing else.
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
#include "common/list.h"
#include "common/log_rules.h"
#include "appliance/lineage.h"
#include "appliance/store_link.h"
#include "appliance/tenants.h"
#include "common/slots.h"
#include "core/pure/channel.h"
#include "core/pure/trace.h"
#include "core/pure/transport.h"
#include "core/pure/wire.h"

#define XM_SERVICE_EFFECTS_MAX 16
#define XM_SERVICE_SENDS_MAX 2 /* messages among them */
#define XM_SERVICE_ENTROPY_SIZE 32
#define XM_SERVICE_TICKETS_MAX 16 /* of one client: one for each of its lanes */
#define XM_SERVICE_COVERS_MAX 64 /* undead grants that cover one extent, but readings */
/* How many of a client's newest extents are searched for the one that an earlier
 * request got (ALLOC of 0 bytes). A client of session.h has at most 32 requests
 * unanswered. */
#define XM_SERVICE_ASKED_MAX 64
/* So long after a claim the token is tied to the extent, if the claimer does not untie it:
 * a client's whole call takes 30 s, if it is not asked for more. */
#define XM_SERVICE_CLAIM_TERM (300 * XM_SECOND)
/* What is tied to a token for longer than that counts as kept: kept_percent. */
#define XM_SERVICE_KEPT_MS (3600 * 1000)
#define XM_SERVICE_NONE UINT32_MAX
#define XM_SERVICE_UNMOVED (30 * XM_SECOND) /* of what is asked back */
#define XM_SERVICE_PLACES_MAX XM_TENANTS_MAX
#define XM_SERVICE_SLOTS_MAX (UINT32_C(1) << 20) /* of clients; of extents */

/* Commands that can be outstanding at once. */
#define XM_SERVICE_COMMANDS_MAX(clients_max, extents_max)                     \
	((size_t)(extents_max) * 2 +                                          \
	 (size_t)(clients_max) * (XM_SERVICE_TICKETS_MAX + 1))

/* A run of the pool that one interface process reaches, and no other. */
struct xm_service_place {
	char tenant[XM_TENANT_NAME_SIZE]; /* whose it is; "": everybody's */
	uint64_t offset, size;		  /* multiples of the granule */
	struct xm_locator locator;	  /* of its interface */
};

struct xm_service_options {
	char name[XM_NAME_SIZE]; /* of the appliance, for people */
	char transport[32];	 /* scheme of the data path */
	char provider[64];
	char library[32];
	char zone[XM_ZONE_SIZE]; /* appliances in one zone may fail together */
	uint64_t incarnation;
	uint64_t pool_size; /* a multiple of the granule; the most there can be */
	uint64_t pool_unit; /* what the host can be given back; 0: the granule */
	uint32_t granule;   /* a power of two */
	uint32_t peers_max;
	uint32_t clients_max;
	uint32_t extents_max;
	uint32_t extents_per_client_max;
	uint32_t kept_percent; /* of the pool, at most, is kept */
	uint32_t lease_ms;
	uint64_t handshake_ns;	/* for a stream's first accepted HELLO, and for
				 * the use of a ticket */
	uint64_t zero_size_max; /* bytes zeroed in one effect */
	bool revokes, admits;	/* of the interface's transport */
	bool durable;		/* there is a store (store_link.h) */
	bool filed;		/* its pool is a file on a disk, for STATUS */
	bool borrowed;		/* its pool is other appliances' memory */
	uint64_t identity;	/* stays when it begins again (lineage.h), for STATUS; or 0 */
	uint32_t confined;	/* of its interfaces, for STATUS; confine.h */
	struct xm_locator locator;
	/* One behind the other, from 0 to the pool's size; read once, at the start. None:
	 * the whole pool is everybody's, behind `locator`. */
	const struct xm_service_place *places;
	uint32_t places_count;
};

enum xm_service_event_kind {
	XM_SERVICE_TICK = 1,	/* the deadline of the last step, or sooner */
	XM_SERVICE_PEER_UP,	/* peer, identity */
	XM_SERVICE_PEER_DOWN,	/* peer, status */
	XM_SERVICE_MESSAGE,	/* peer, message */
	XM_SERVICE_MALFORMED,	/* peer: bytes that are no message */
	XM_SERVICE_EXPOSED,	/* grant, status, remote */
	XM_SERVICE_CONCEALED,	/* grant */
	XM_SERVICE_ADMITTED,	/* client, cookie, status */
	XM_SERVICE_RETRACTED,	/* client, cookie, status: 0, it was not used */
	XM_SERVICE_EXPELLED,	/* client */
	XM_SERVICE_CONNECTIONS, /* client, connections */
	XM_SERVICE_ZEROED,	/* extent, as in ZERO */
	XM_SERVICE_DRAIN,	/* drain_ms: LEAVING to all; no new leases */
	XM_SERVICE_STAY,	/* as if it had not been asked to */
	XM_SERVICE_RELOAD,	/* lease_ms, for clients from now on */
	XM_SERVICE_TENANTS,	/* tenants: who they are from now on */
	XM_SERVICE_RESIZE,	/* size: the pool is to be so large */
	XM_SERVICE_RETURNED,	/* the host has the bytes of RETURN */
	XM_SERVICE_TAKEN,	/* status: those of TAKE are there, or not */
	XM_SERVICE_STORED,	/* extent, store_kind, status */
	XM_SERVICE_STORE_ENDED, /* status: it answers nothing any more */
	/* place: its interface process has ended, and no command that it was sent will
	 * be answered */
	XM_SERVICE_INTERFACE_LOST,
	XM_SERVICE_INTERFACE_BACK, /* place, locator: there is another one */
	XM_SERVICE_LENDERS, /* lineage: whose memory the pool is from now on */
};

struct xm_service_event {
	enum xm_service_event_kind kind;
	uint64_t now_ns;
	uint8_t entropy[XM_SERVICE_ENTROPY_SIZE]; /* fresh, secret */
	uint32_t peer;
	const char *identity; /* PEER_UP: channel.h; NULL is "" */
	int status;
	const struct xm_message *message;
	uint64_t extent;
	uint64_t grant;
	uint64_t client;
	uint32_t cookie;
	uint32_t connections; /* up now */
	uint32_t place; /* whose interface reports it */
	const struct xm_locator *locator;
	struct xm_remote_mr remote;
	uint32_t lease_ms, drain_ms;
	const struct xm_tenants *tenants;
	const struct xm_lineage *lineage;
	uint64_t size;
	enum xm_store_command_kind store_kind;
};

enum xm_service_effect_kind {
	XM_SERVICE_SEND = 1, /* peer, message */
	XM_SERVICE_DROP,     /* peer: forget it, no PEER_DOWN wanted */
	XM_SERVICE_EXPOSE,   /* grant, client, offset in its place, size, rights, key */
	XM_SERVICE_CONCEAL,  /* grant, client, remote */
	XM_SERVICE_ADMIT,    /* client, cookie, lane, ticket */
	XM_SERVICE_RETRACT,  /* client, cookie, ticket */
	XM_SERVICE_EXPEL,    /* client */
	XM_SERVICE_ZERO,     /* extent (0: of a place), offset, size */
	XM_SERVICE_COPY,     /* from, offset, size: at once, before what follows */
	XM_SERVICE_RETURN,   /* offset, size: give these bytes to the host */
	XM_SERVICE_TAKE,     /* offset, size: take them from it again */
	XM_SERVICE_STORE,    /* `store` of the effects */
	XM_SERVICE_LOG,	     /* level, words */
};

struct xm_service_effect {
	enum xm_service_effect_kind kind;
	uint32_t peer;
	const struct xm_message *message; /* lies in the effects */
	uint64_t extent, grant, client, offset, size, key, from;
	struct xm_remote_mr remote;
	uint32_t cookie, lane, rights;
	uint32_t place; /* EXPOSE to EXPEL: whose interface is to do it */
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
	struct xm_store_command store;
};

enum xm_service_peer_state {
	XM_PEER_FREE, /* no such stream */
	XM_PEER_NEW,  /* no HELLO accepted yet */
	XM_PEER_CLIENT,
	XM_PEER_OBSERVER,
	XM_PEER_ENDED, /* said BYE */
	XM_PEER_LOST,  /* its client has ended with its interface: to be dropped */
};

struct xm_service_peer {
	enum xm_service_peer_state state;
	uint32_t client; /* slot */
	uint32_t tenant; /* of `identity` */
	uint64_t serial; /* tells this stream from an earlier one */
	uint64_t heard_ns;
	char identity[XM_IDENTITY_SIZE];
};

/* Which request of which stream is to be answered. The answer is dropped if
 * that stream has ended meanwhile; `serial` tells it from a later one that has
 * the same number. */
struct xm_service_requester {
	uint32_t peer;
	uint32_t request;
	uint64_t serial;
};

enum xm_service_ticket_state {
	XM_TICKET_UNUSED, /* the record is */
	XM_TICKET_ADMITTING,
	XM_TICKET_ISSUED,
	XM_TICKET_RETRACTING,
};

/* How long it is good for. The interface alone sees whether a ticket was used,
 * so each one is retracted when its time is over, and is gone then either way. */
struct xm_service_ticket {
	enum xm_service_ticket_state state;
	uint32_t client; /* slot */
	uint64_t until_ns;
	struct xm_service_requester requester;
	struct xm_link link; /* ISSUED: in `issued` */
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
	uint32_t tenant; /* of `identity` */
	uint32_t place;	 /* of the tenant that it began as */
	uint32_t extents; /* that it owns, those on their way back too */
	uint32_t connections;
	uint64_t number;
	uint64_t heard_ns, lease_ns;
	uint8_t secret[XM_SECRET_SIZE];
	char name[XM_NAME_SIZE]; /* as it says; proves nothing */
	char identity[XM_IDENTITY_SIZE]; /* of the stream that began it */
	bool bye;  /* answer `requester` once it is expelled */
	bool told; /* that we drain */
	uint64_t again_ns; /* when its PING had it told again what is WANTED */
	struct xm_service_requester requester;
	struct xm_service_ticket tickets[XM_SERVICE_TICKETS_MAX];
	struct xm_link owned;	    /* its extents */
	struct xm_link grants;	    /* its grants, but those in QUARANTINE */
	struct xm_link revoked;	    /* its readings that are REVOKED */
	uint32_t readings; /* of others' extents, in any state */
	struct xm_link quarantined; /* those, where they wait for connections */
};

/* What ties a token to an extent. */
struct xm_service_offer {
	uint8_t token[XM_TOKEN_SIZE];
	uint32_t keep_ms;  /* from its owner's end on; 0: not beyond until_ns */
	uint64_t until_ns; /* when it ends, if it was parted with */
	uint64_t by;	   /* number of the client that has parted with it, or 0 */
	uint64_t tied_by;  /* number of the client that has tied it */
	bool kept;	   /* for longer than XM_SERVICE_KEPT_MS: in `bytes_kept` */
	struct xm_link link; /* in the bucket of its token */
	bool claimed; /* OWNED by who has the token; else by who has tied it */
	uint32_t tenant;     /* claimed: what it was counted to before */
	uint64_t confirm_ns; /* claimed: by then its owner unties the token */
	char identity[XM_IDENTITY_SIZE]; /* who alone may claim it */
	struct xm_label label;
};

/* Who may read an extent besides its owner; see readings.c. */
struct xm_service_share {
	uint8_t token[XM_TOKEN_SIZE];
	uint64_t until_ns; /* for those who come */
	char identity[XM_IDENTITY_SIZE]; /* who alone may */
	struct xm_label label;
	struct xm_link link; /* in the bucket of its token */
};

/* Bytes of an extent. */
#define XM_SERVICE_DAMAGE_MAX 256
struct xm_service_damage {
	uint64_t extent, offset, size;
};

/* What the store has of an extent, and is to be told; see durable.c. */
struct xm_service_durable {
	bool stored; /* it has an entry there, or will have */
	bool fresh;  /* KEEP: its first one */
	uint32_t wants, out; /* a bit of each kind of command: to be told; told */
	uint32_t ms; /* so long it waits without an owner */
	uint64_t offset, size; /* DRAFT */
	bool zeros, also, back; /* likewise */
	bool untouched; /* since the start nobody has had it who could write to it */
	uint64_t draft;	       /* the number of what was drafted last; 0: none */
	struct xm_service_requester tier, persister; /* of KEEP; of DRAFT, PERSIST */
	char owner[XM_IDENTITY_SIZE]; /* who tied it */
};

enum xm_service_extent_state {
	XM_EXTENT_FREE,	   /* the record is unused */
	XM_EXTENT_OWNED,
	XM_EXTENT_PARTING, /* freed; some grant covers it still */
	XM_EXTENT_ORPHAN,  /* without an owner; waits to be claimed */
	XM_EXTENT_ZEROING,
};

struct xm_service_extent {
	enum xm_service_extent_state state;
	uint32_t serial;
	uint32_t owner;	   /* slot of a client; NONE: it has ended */
	uint32_t tenant;   /* of the owner, and after its end still */
	uint32_t place;	   /* that its bytes lie in */
	uint32_t grant;	   /* slot of the owner's own; NONE: it is quarantined */
	uint32_t covers;   /* undead grants that cover it */
	uint32_t trimming; /* slot of the extent being cut off it, or NONE */
	uint64_t number, epoch;
	uint64_t offset, size;
	uint64_t zeroed;      /* bytes */
	bool wanted; /* its owner was told that it is */
	uint32_t request;     /* its owner's, that it was made for; 0: claimed */
	struct xm_link owned; /* in the owner's list */
	struct xm_link piece; /* ring of those cut from one another, by offset */
	struct xm_region_id id;
	uint16_t member; /* which of the region's copies or columns */
	char region[XM_NAME_SIZE];
	struct xm_service_offer offer; /* while it is in `offered` */
	struct xm_service_share share; /* while it is in `shared` */
	struct xm_link readings; /* grants of it that are not its owner's */
	struct xm_service_durable durable;
};

enum xm_service_grant_state {
	XM_GRANT_FREE, /* the record is unused */
	XM_GRANT_EXPOSING,
	XM_GRANT_LIVE,
	XM_GRANT_CONCEALING,
	XM_GRANT_QUARANTINE,
	XM_GRANT_REVOKED, /* its key is dead, and its reader may not know */
};

struct xm_service_grant {
	enum xm_service_grant_state state;
	uint32_t serial;
	uint32_t client; /* slot; NONE: it has ended */
	uint32_t extent; /* slot of the extent it was made for */
	uint32_t rights; /* XM_RIGHT_ */
	bool head;	 /* EXPOSING: the extent is being cut off by TRIM */
	bool asked;	 /* `requester` waits for an answer */
	bool parts;	 /* CONCEALING: by OFFER */
	bool claim;	 /* EXPOSING: to a claimer */
	bool reads;	 /* it is a reading: */
	bool settled;	 /* its reader knows that it ends, or never knew of it */
	uint64_t reader; /* the client's number */
	uint64_t of;	 /* the extent's */
	struct xm_link reading; /* among the extent's, until it is gone */
	uint64_t number;
	uint64_t offset, size; /* the bytes it covers */
	uint64_t until_ns;     /* QUARANTINE: not before, where time decides */
	struct xm_remote_mr remote;
	struct xm_link link; /* in a list of its client, or `waiting` */
	struct xm_service_requester requester;
};

/* How large the pool is, and is to be; see shrink.c. */
struct xm_service_size {
	uint64_t goal;	/* bytes */
	uint64_t limit; /* nothing is lent at or beyond it; below it all is there */
	uint64_t beyond; /* bytes of extents there, in any state */
	uint64_t at; /* free bytes from the limit to there are the host's */
	bool busy;   /* a RETURN (or else a TAKE) is out, for these: */
	bool returns;
	uint64_t offset, size;
	bool telling; /* some owners have not been told, none of them below */
	uint32_t telling_at; /* this slot of an extent */
	bool again; /* some below it are to be told again: the next round does */
	bool shrinks; /* since the goal was lowered; not all is the host's yet */
	uint64_t said_ns; /* that something stays; 0: it was not */
	uint64_t began_ns;
};

struct xm_service {
	struct xm_service_options options;
	struct xm_tenants tenants;
	struct xm_tenant_use uses[XM_TENANTS_MAX + 1]; /* the last: of no tenant */
	struct xm_service_peer *peers;
	struct xm_service_client *clients;
	struct xm_service_extent *extents;
	struct xm_service_grant *grants;
	struct xm_service_place places[XM_SERVICE_PLACES_MAX];
	uint32_t places_count; /* 1, if the pool is not divided */
	struct xm_extent *pools; /* of each place, in offsets of the whole pool */
	bool losing; /* streams in LOST */
	/* Bytes from the beginning of each place on that are to be zeroed before any of the
	 * place is lent. */
	uint64_t unclean[XM_SERVICE_PLACES_MAX];
	uint32_t cleaning; /* the one a ZERO effect is out for, or NONE, */
	uint64_t cleaning_left; /* and its `unclean` then */
	bool cleaned; /* the last ZERO was for a place */
	struct xm_trace *trace; /* NULL at first; the owner may set it */
	uint64_t started_ns, last_ns;
	uint64_t tick_ns;      /* the next */
	uint64_t lease_ns_min; /* of all leases ever promised */
	uint64_t epoch, serial;
	uint32_t peers_count, clients_count, extents_count;
	struct xm_slots clients_free, extents_free, grants_free;
	struct xm_slots lent;	/* extents in OWNED and ORPHAN */
	struct xm_slots offered; /* those of them that a token is tied to */
	struct xm_link *buckets; /* extents_max: the same ones, by their tokens */
	struct xm_slots shared; /* extents that others may read */
	struct xm_link *share_buckets; /* the same ones, by their tokens */
	struct xm_slots ending; /* extents whose readings are to end */
	uint32_t readings; /* in any state */
	struct xm_slots zeroing; /* extents in ZEROING */
	struct xm_slots storing; /* extents of which the store is to be told */
	uint32_t stored_last;	/* the one it was told of last */
	uint32_t store_out;	/* commands that it has not answered */
	uint64_t drafted;	/* the number of the last draft */
	int store_failed;	/* 0, or why it answers nothing any more */
	uint32_t failing_at;	/* what it was told of extents below has failed */
	uint32_t zeroing_now;	/* the one a ZERO effect is out for, or NONE */
	uint32_t zeroed_last;	/* the one zeroed last: the next is behind it */
	uint32_t quarantined;	/* grants in QUARANTINE */
	uint32_t concealing;	/* grants in CONCEALING */
	uint32_t expelling;	/* clients in EXPIRED */
	struct xm_link waiting; /* of these the ones that time ends, earliest first */
	struct xm_link issued; /* tickets, the one that ends first in front */
	uint64_t lapsed;       /* tickets that were not used in time */
	uint64_t bytes_owned, bytes_parting; /* PARTING and ZEROING */
	uint64_t bytes_orphaned;
	uint64_t bytes_resting; /* of these: whose bytes are on the store */
	uint64_t bytes_kept; /* of those in `offered` */
	/* What the disk has lost of extents that it brought back, by their numbers, in the order
	 * of their bytes. */
	struct xm_service_damage damage[XM_SERVICE_DAMAGE_MAX];
	uint32_t damage_count;
	uint64_t bytes_restored; /* of those, at the start: they stay, whatever may be kept */
	struct xm_service_size size;
	struct xm_lineage lineage; /* whose memory the pool is */
	uint64_t looks; /* at extents and grants: what steps cost, for tests */
	bool leaving;
	uint32_t leaving_ms;
	bool telling; /* some clients have not been sent LEAVING yet, */
	uint32_t telling_at; /* none of them below this slot */
	uint64_t messages, malformed, refused, expired;
};

/* How many grants there may be: one of each extent's owner, and those of readers. (A number
 * has XM_SERVICE_SLOTS_MAX for its slot.) */
static inline uint32_t xm_service_grants_max(const struct xm_service_options *o)
{
	return xm_min(2 * o->extents_max, XM_SERVICE_SLOTS_MAX);
}

static inline uint32_t xm_service_readings_max(const struct xm_service_options *o)
{
	return xm_service_grants_max(o) - o->extents_max;
}

/* 0, or -EINVAL and a sentence in `words` (XM_WORDS_SIZE). */
int xm_service_options_check(const struct xm_service_options *, char *words);
/* Bytes of memory (aligned as malloc does) for options that passed. */
size_t xm_service_size(const struct xm_service_options *);
/* The pool is taken to be zeroed. The memory stays the caller's. */
struct xm_service *xm_service_init(const struct xm_service_options *,
				   void *memory, uint64_t now_ns);
void xm_service_step(struct xm_service *, const struct xm_service_event *,
		     struct xm_service_effects *ret);
/* At the start, before the first step: an extent that the store has kept is an orphan, in
 * its slot. -EINVAL: there is no room for it there. */
int xm_service_restore(struct xm_service *, uint32_t slot,
		       const struct xm_store_entry *, uint64_t now_ns);
/* Then, by rising offsets: these bytes of that extent are damaged, and nobody may read them.
 * -ENOSPC: there are too many such runs. */
int xm_service_damaged(struct xm_service *, uint32_t slot, uint64_t offset,
		       uint64_t size);
/* Bytes that would be lost if the appliance ended now: those of clients, and those that wait
 * for a token and are not on the store. */
uint64_t xm_service_held(const struct xm_service *);
/* What STATUS answers to who sees all. */
void xm_service_state(const struct xm_service *, uint64_t now_ns,
		      struct xm_state *ret);
/* The laws, for tests and the simulator: NULL, or the one that is broken. */
const char *xm_service_check(const struct xm_service *);

#endif
