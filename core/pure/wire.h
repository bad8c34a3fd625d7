/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control messages, and their form as bytes.
 *
 * The form: an 8-byte head (kind, flags 0, the body's size, a request number),
 * then the fields in the order of the structs below, integers little-endian at
 * their natural width, texts and byte strings as a 2-byte length and the
 * bytes. docs/PROTOCOL.md has the table.
 *
 * Encoding and decoding are total. Any bytes at all decode to one message or to
 * -EPROTO: every field is bounds-checked, bytes behind the last field are an
 * error, and texts hold printable UTF-8 without control characters. The form is
 * canonical: bytes that decode encode to themselves.
 *
 * Two things let the protocol grow without a new version:
 *   figures   STATE and PONG carry numbers as pairs of a tag and a value. A
 *             receiver asks for the tags it knows; others are kept, and not
 *             looked at. A figure that was not sent reads as 0.
 *   features  WELCOME says in bits what an appliance can do beyond lending
 *             memory. Flags that need a feature it has not are refused with
 *             EOPNOTSUPP.
 *
 * Floor: ground.
 */
#ifndef XM_WIRE_H
#define XM_WIRE_H

#include "common/base.h"
#include "core/pure/channel.h"
#include "core/pure/region_id.h"
#include "core/pure/transport.h"

#define XM_PROTOCOL_VERSION 2
#define XM_PROTOCOL_VERSION_MIN 2

#define XM_NAME_SIZE 64	  /* with its NUL: a region's, a client's name */
#define XM_ZONE_SIZE 32	  /* with its NUL */
#define XM_WORDS_SIZE 192 /* with its NUL: a sentence for a person */
#define XM_SECRET_SIZE 16
#define XM_TOKEN_SIZE 16 /* proves the right to claim an extent */
#define XM_LABEL_SIZE 128
#define XM_LIST_MAX 16	     /* extents in one LISTED */
#define XM_LENDERS_MAX 16    /* whose memory may be in one pool, at whatever remove */
#define XM_FIGURES_MAX 64    /* in one STATE or PONG */

enum xm_message_kind {
	XM_HELLO = 1, /* client: who I am; first on every stream */
	XM_WELCOME,   /* appliance: you are known as this client, on these terms */
	XM_REFUSED,   /* appliance: no, to request N; words say why */
	XM_TICKET,    /* client: let a connection of this lane in */
	XM_TICKETED,  /* appliance: connect there, with this ticket */
	XM_ALLOC,     /* client: an extent of this size, for this region */
	XM_ALLOCATED, /* appliance: it is yours, under this key and epoch */
	XM_TRIM,      /* client: make the first bytes an extent of their own */
	XM_FREE,      /* client: this extent is not needed any more */
	XM_FREED,     /* appliance: it is no longer yours */
	XM_LIST,      /* client: the extents from this cursor on */
	XM_LISTED,    /* appliance: those, and the next cursor (0: no more) */
	XM_STATUS,    /* client: how is the appliance? */
	XM_STATE,     /* appliance: its names and figures */
	XM_PING,      /* client: I live; keep my leases */
	XM_PONG,      /* appliance: seen; and some figures */
	XM_BYE,	      /* client: I end; everything of mine is freed */
	XM_LEAVING,   /* appliance: I shall stop; leases end in so many ms */
	XM_WANTED,    /* appliance: free this extent within so many ms */
	XM_OFFER,  /* client: whoever has this token may claim this extent */
	XM_CLAIM,  /* client: give me the next extent of this token */
	XM_GRANT,  /* client: whoever has this token may read this extent */
	XM_PARTED, /* appliance: an extent that you have offered was claimed */
	XM_PERSIST, /* client: make this draft durable */
	XM_COPY_BYTES, /* client: copy these bytes to another extent of mine */
	XM_DRAIN, /* anybody: lend nothing more, until told otherwise; STATE answers */
	XM_OFFERED, /* appliance: so it is */
	XM_CLAIMED, /* appliance: it is yours, with its bytes */
	XM_RESIZE, /* anybody: lend so many bytes at most; STATE answers */
	XM_PERSISTED, /* appliance: it is on its disk */
	XM_DRAFT, /* client: take these bytes aside; I write none of them meanwhile */
	XM_DRAFTED, /* appliance: you may again; this is the draft's number */
	XM_OPEN, /* client: let me read the next extent of this token */
	XM_REVOKED, /* appliance: you read this extent no more */
	XM_COPIED, /* appliance: they are there */
	XM_DAMAGE, /* client: which bytes of this extent has your disk lost? */
	XM_DAMAGED, /* appliance: the next of them, behind what you know */
	XM_MESSAGE_KINDS,
};

/* HELLO.flags */
#define XM_HELLO_OBSERVER UINT32_C(1) /* asks STATUS and LIST only; no lease */

/* WELCOME.features. The first three are also ALLOC.flags, which ask for it. */
#define XM_FEATURE_KEEP UINT64_C(1)    /* OFFER with XM_OFFER_KEEP */
#define XM_FEATURE_SHARE UINT64_C(2)   /* GRANT, OPEN, REVOKED */
#define XM_FEATURE_DURABLE UINT64_C(4) /* DRAFT, PERSIST */
#define XM_FEATURE_CLAIM UINT64_C(8)   /* OFFER, CLAIM, PARTED */
#define XM_FEATURE_COPY UINT64_C(16)   /* COPY */
#define XM_FEATURE_WANTED UINT64_C(32) /* may ask for extents back */

/* OFFER.flags */
#define XM_OFFER_KEEP UINT32_C(1) /* it stays mine; to be claimed after my end */
#define XM_OFFER_RETURN UINT32_C(2) /* what I have claimed by it: an extent at a time */
#define XM_OFFER_DURABLE UINT32_C(4) /* with KEEP: beyond the appliance's end, too */
#define XM_OFFER_FOR_EVER UINT32_MAX /* OFFER.ms */

/* In CLAIMED, OPEN.after, REVOKED and FREE: of this extent a reading is meant, not the
 * extent. */
#define XM_READING (UINT64_C(1) << 63)

/* ALLOC.bank */
#define XM_BANK_MEMORY 0 /* its RAM */
#define XM_BANK_FILE 1	 /* a file behind it: larger and slower */

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
	uint64_t features;    /* XM_FEATURE_ */
	char name[XM_NAME_SIZE];
	char provider[64]; /* the interface's, with its version */
	char library[32];
	char zone[XM_ZONE_SIZE]; /* what fails together has one; "": unknown */
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
	uint64_t size; /* 0: what extent did a request of this number get? */
	struct xm_region_id id; /* of the region this is for */
	char region[XM_NAME_SIZE]; /* its name; "": anonymous */
	uint16_t member;	   /* which of the region's copies or columns */
	uint16_t bank;		   /* XM_BANK_ */
	uint32_t flags;		   /* XM_FEATURE_KEEP, _SHARE, _DURABLE */
	uint32_t keep_ms;	   /* with KEEP: so long without its client */
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
	struct xm_region_id id;
	uint16_t member;
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

/* Tags of figures. Numbers are never used for another meaning. */
enum xm_figure {
	XM_FIGURE_INCARNATION = 1,
	XM_FIGURE_UPTIME_MS,
	XM_FIGURE_POOL,	       /* bytes lent in all */
	XM_FIGURE_FREE,	       /* of these, free */
	XM_FIGURE_FREE_RUN,    /* the largest extent that could be had now */
	XM_FIGURE_LEASED,      /* bytes that clients own, or orphaned */
	XM_FIGURE_QUARANTINED, /* bytes on their way to being free */
	XM_FIGURE_CLIENTS,
	XM_FIGURE_CLIENTS_MAX,
	XM_FIGURE_EXTENTS,
	XM_FIGURE_EXTENTS_MAX,
	XM_FIGURE_MESSAGES,  /* understood, since the start */
	XM_FIGURE_MALFORMED, /* streams closed for nonsense */
	XM_FIGURE_REFUSED,   /* requests answered with REFUSED */
	XM_FIGURE_EXPIRED,   /* clients whose leases ended by silence */
	XM_FIGURE_LEAVING,   /* 1: it drains */
	XM_FIGURE_LOAD,	     /* clients, in thousandths of clients_max */
	XM_FIGURE_LAPSED,    /* tickets that were not used in time */
	XM_FIGURE_ORPHANED,  /* bytes without an owner that wait to be claimed */
	XM_FIGURE_GOAL,	     /* bytes that the pool is to have */
	XM_FIGURE_WANTED,    /* bytes beyond that, which clients own: asked back */
	XM_FIGURE_CONFINED,  /* EXTMEM_CONFINED_ of extmem_status(), or'ed */
	XM_FIGURE_FILED,     /* 1: the pool is a file on a disk */
	XM_FIGURE_BORROWED,  /* bytes of the pool that are other appliances' */
	XM_FIGURE_IDENTITY,  /* the same after each start at its address; 0: unknown */
	/* Identities of lenders, and of who they borrow from; XM_LENDERS_MAX tags. */
	XM_FIGURE_LENDER,
};

/* By rising tag. */
struct xm_figures {
	uint16_t count;
	uint16_t tags[XM_FIGURES_MAX];
	uint64_t values[XM_FIGURES_MAX];
};

struct xm_state {
	char name[XM_NAME_SIZE];
	char provider[64];
	char library[32];
	char zone[XM_ZONE_SIZE];
	struct xm_figures figures; /* all of the above */
};

struct xm_pong {
	struct xm_figures figures; /* FREE, FREE_RUN, LEAVING, LOAD, WANTED */
};

struct xm_leaving {
	uint32_t ms;
};

struct xm_wanted {
	uint64_t extent;
	uint32_t ms;
};

struct xm_drain {
	uint64_t incarnation; /* that is meant: another one refuses */
	uint32_t on;	      /* 0: lend again */
};

/* What a claimer has to know of an extent, in its client's own form. */
struct xm_label {
	uint16_t size;
	uint8_t bytes[XM_LABEL_SIZE];
};

struct xm_offer {
	uint64_t extent;
	uint32_t flags; /* XM_OFFER_ */
	uint32_t ms;	/* so long it waits without an owner; 0 with KEEP: not at all */
	uint8_t token[XM_TOKEN_SIZE];
	char identity[XM_IDENTITY_SIZE]; /* who alone may claim it; "": anybody */
	struct xm_label label;
};

struct xm_claim {
	uint8_t token[XM_TOKEN_SIZE];
	uint64_t after; /* the extent that the last CLAIMED was about; 0: none */
};

struct xm_claimed {
	uint64_t extent, size, epoch;
	struct xm_remote_mr remote;
	struct xm_region_id id;
	char region[XM_NAME_SIZE];
	struct xm_label label;
};

struct xm_parted_extent {
	uint64_t extent;
};

struct xm_resize {
	uint64_t incarnation; /* that is meant: another one refuses */
	uint64_t size;	      /* bytes */
};

/* DRAFT.flags */
#define XM_DRAFT_ZEROS UINT32_C(1) /* the bytes are zero, whatever lies there */
/* Besides what the extent's last draft has: one PERSIST makes all of it durable, or nothing. */
#define XM_DRAFT_ALSO UINT32_C(2)
/* The other way round: what is durable of these bytes is put where they lie, as after a
 * restart. It ends the extent's draft, and is none. */
#define XM_DRAFT_BACK UINT32_C(4)
#define XM_DRAFT_MAX (4 * XM_MIB) /* bytes of a draft, in XM_DRAFT_RUNS runs at most */
#define XM_DRAFT_RUNS 6

/* Whole pages of an extent that was offered with XM_OFFER_DURABLE. */
struct xm_draft {
	uint64_t extent, offset, size; /* at most XM_DRAFT_MAX */
	uint32_t flags;
};

struct xm_drafted {
	uint64_t draft;
};

struct xm_persist {
	uint64_t extent, draft;
};

struct xm_damage {
	uint64_t extent;
	uint64_t offset; /* what lies before is known */
};

struct xm_damaged {
	uint64_t offset, size; /* whole pages; size 0: there are no more */
};

#define XM_COPY_MAX (2 * XM_MIB) /* bytes of one COPY */

/* Whole pages. Nobody may write to them there or here meanwhile. */
struct xm_copy_bytes {
	uint64_t from, from_offset; /* an extent, and where in it */
	uint64_t to, to_offset;	    /* another one */
	uint64_t size;		    /* bytes, XM_COPY_MAX at most */
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
		struct xm_pong pong;
		struct xm_leaving leaving;
		struct xm_wanted wanted;
		struct xm_drain drain;
		struct xm_offer offer;
		struct xm_claim claim;
		struct xm_claimed claimed;
		struct xm_parted_extent parted;
		struct xm_resize resize;
		struct xm_draft draft;
		struct xm_drafted drafted;
		struct xm_persist persist;
		struct xm_copy_bytes copy;
		struct xm_damage damage;
		struct xm_damaged damaged;
	} u; /* GRANT has `offer`, OPEN `claim`, REVOKED `parted`. FREED, OFFERED, PERSISTED,
	      * COPIED, STATUS, PING and BYE have no body */
};

/* Writes the message into `bytes` (at least XM_MESSAGE_SIZE_MAX) and returns
 * its size. Texts are cut at their NUL. Any message fits. */
size_t xm_wire_encode(const struct xm_message *, uint8_t *bytes);

/* 0, or -EPROTO and *ret untouched. Every byte of *ret is written on
 * success, so that equal messages compare equal with memcmp. */
int xm_wire_decode(const uint8_t *bytes, size_t size, struct xm_message *ret);

/* "ALLOC", "ALLOCATED", ...; "?" for no kind. */
const char *xm_message_name(enum xm_message_kind);

/* Does it get what is to go back to its token if nobody hears of it? */
static inline bool xm_message_claims(const struct xm_message *m)
{
	return m->kind == XM_CLAIM || m->kind == XM_OPEN;
}

/* Does it name an extent? That is of one lease, and another's may have the same number. */
static inline bool xm_message_names_extent(const struct xm_message *m)
{
	switch (m->kind) {
	case XM_FREE:
	case XM_TRIM:
	case XM_OFFER:
	case XM_GRANT:
	case XM_DRAFT:
	case XM_PERSIST:
	case XM_COPY_BYTES:
	case XM_DAMAGE:
		return true;
	default:
		return false;
	}
}

/* Does it return what was claimed, or opened, by a token? */
static inline bool xm_message_returns(const struct xm_message *m)
{
	return m->kind == XM_OFFER && m->u.offer.flags == XM_OFFER_RETURN;
}

/* Adds a figure; its tag is above that of the last one. */
void xm_figures_add(struct xm_figures *, enum xm_figure, uint64_t value);
/* Its value; 0 when it was not sent. */
uint64_t xm_figures_get(const struct xm_figures *, enum xm_figure);

#endif
