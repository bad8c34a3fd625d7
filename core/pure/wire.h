/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control messages, and their form as bytes.
 *
 * The form: a 4-byte head (kind, flags 0, and the body's size, all
 * little-endian), a 4-byte request number, then the fields in the order of
 * the structs below, integers little-endian at their natural width, texts and
 * byte strings as a 2-byte length and the bytes. docs/PROTOCOL.md is the
 * table. Encoding and decoding are total: any bytes at all decode to a
 * message or to -EPROTO, every field is bounds-checked, trailing bytes are
 * an error, texts hold printable UTF-8 or ASCII without control characters.
 *
 * Floor: ground.
 */
#ifndef XM_WIRE_H
#define XM_WIRE_H

#include "common/base.h"
#include "core/pure/channel.h"
#include "core/pure/transport.h"

#define XM_PROTOCOL_VERSION 1
#define XM_PROTOCOL_VERSION_MIN 1

#define XM_NAME_SIZE 64	  /* with its NUL: a region's, a client's name */
#define XM_WORDS_SIZE 192 /* with its NUL: a sentence for a person */
#define XM_SECRET_SIZE 16
#define XM_LIST_MAX 16 /* regions in one LISTED */

enum xm_message_kind {
	XM_HELLO = 1, /* client: who I am; first on every stream */
	XM_WELCOME,   /* appliance: you are known as; here are my terms */
	XM_REFUSED,   /* appliance: no, to request N; words say why */
	XM_TICKET,    /* client: let a connection of this lane in */
	XM_TICKETED,  /* appliance: with this ticket, there */
	XM_ALLOC,      /* client: an extent of this size, for this region */
	XM_ALLOCATED,     /* appliance: yours, under this key and epoch */
	XM_TRIM,      /* client: make the first bytes an extent of their own */
	XM_FREE,      /* client: take this extent back */
	XM_FREED,      /* appliance: it is no longer yours */
	XM_LIST,      /* client: regions from this cursor on */
	XM_LISTED,    /* appliance: those, and the next cursor (0: no more) */
	XM_STATUS,    /* client: how are you? */
	XM_STATE,     /* appliance: so */
	XM_PING,      /* client: I live; keep my leases */
	XM_PONG,      /* appliance: seen */
	XM_BYE,	      /* client: I end; everything of mine is given back */
	XM_LEAVING,   /* appliance: I shall stop; leases end in so many ms */
	XM_MESSAGE_KINDS,
};

/* HELLO.flags */
#define XM_HELLO_OBSERVER UINT32_C(1) /* asks STATUS and LIST only; no lease */

struct xm_hello {
	uint16_t version_min, version_max;
	uint32_t flags;
	uint64_t client;		/* 0: new; else: resume as this one */
	uint8_t secret[XM_SECRET_SIZE]; /* of that client, from WELCOME */
	char name[XM_NAME_SIZE];	/* "host:pid program", for people */
	char transport[32];		/* scheme of the data path wanted */
	char library[32];		/* its version, for the log */
};

struct xm_welcome {
	uint16_t version;
	uint64_t client;
	uint8_t secret[XM_SECRET_SIZE];
	uint64_t incarnation; /* of the appliance: changes when it restarts */
	uint32_t lease_ms;    /* silence that ends the client's leases */
	uint32_t granule;     /* extents are multiples of this many bytes */
	char name[XM_NAME_SIZE];
	char provider[64]; /* the interface's, with its version */
	char library[32];
};

struct xm_refused {
	int32_t code;	   /* errno, positive: ENOSPC, EACCES, ESTALE, ... */
	uint64_t free;	   /* bytes free in all */
	uint64_t free_run; /* the largest extent that could be had now */
	uint64_t soon;	   /* bytes on their way to being free */
	char words[XM_WORDS_SIZE];
};

struct xm_ticket {
	uint32_t lane; /* whose earlier connection it takes the place of */
};

struct xm_ticketed {
	uint8_t ticket[XM_TICKET_SIZE];
	struct xm_locator locator;
};

struct xm_alloc {
	uint64_t size;
	char region[XM_NAME_SIZE]; /* "": anonymous */
};

struct xm_allocated {
	uint64_t extent; /* its number at this appliance */
	uint64_t size;	 /* as asked, rounded up to the granule */
	uint64_t epoch;
	struct xm_remote_mr remote;
};

struct xm_trim {
	uint64_t extent;
	uint64_t size; /* the first bytes, a multiple of the granule */
};

struct xm_free {
	uint64_t extent;
};

struct xm_list {
	uint64_t cursor;
};

struct xm_list_entry {
	char region[XM_NAME_SIZE];
	char owner[XM_NAME_SIZE];
	uint64_t client;
	uint64_t extent;
	uint64_t size;
	uint64_t epoch;
};

struct xm_listed {
	uint64_t cursor;
	uint32_t count;
	struct xm_list_entry entries[XM_LIST_MAX];
};

struct xm_state {
	char name[XM_NAME_SIZE];
	char provider[64];
	char library[32];
	uint64_t incarnation;
	uint64_t uptime_ms;
	uint64_t pool, free, free_run, leased, quarantined; /* bytes */
	uint32_t clients, clients_max;
	uint32_t extents, extents_max;
	uint64_t messages;	/* understood, since start */
	uint64_t malformed;	/* streams closed for nonsense */
	uint64_t refused;	/* requests answered with REFUSED */
	uint64_t expired;	/* clients whose leases ended by silence */
	uint8_t leaving;	/* 1: draining */
};

struct xm_leaving {
	uint32_t ms;
};

struct xm_message {
	enum xm_message_kind kind;
	uint32_t request; /* echoed in the answer; 0 in notices */
	union {
		struct xm_hello hello;
		struct xm_welcome welcome;
		struct xm_refused refused;
		struct xm_ticket ticket;
		struct xm_ticketed ticketed;
		struct xm_alloc alloc;
		struct xm_allocated allocated;
		struct xm_trim trim;
		struct xm_free free;
		struct xm_list list;
		struct xm_listed listed;
		struct xm_state state;
		struct xm_leaving leaving;
	} u; /* FREED, STATUS, PING, PONG and BYE have no body */
};

/* Writes the message into `bytes` (at least XM_MESSAGE_SIZE_MAX) and returns
 * its size. Texts are cut at their NUL. Any message fits. */
size_t xm_wire_encode(const struct xm_message *, uint8_t *bytes);

/* 0, or -EPROTO and *ret untouched. Every byte of *ret is written on
 * success, so that equal messages compare equal with memcmp. */
int xm_wire_decode(const uint8_t *bytes, size_t size, struct xm_message *ret);

/* "ALLOC", "ALLOCATED", ...; "?" for no kind. */
const char *xm_message_name(enum xm_message_kind);

#endif
