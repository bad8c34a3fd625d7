/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control messages to bytes and back.
 *
 * Each message's fields are named once, in order, by a function that works in
 * both directions, with a cursor (wire_cursor.h).
 *
 * Bounds: a message is 8 bytes and a body of at most XM_MESSAGE_SIZE_MAX - 8;
 * the largest, a full LISTED, has 2,932 (see the assertion below). Decoding
 * looks at every byte once.
 *
 * The form is canonical: what decodes to a message is exactly what that
 * message encodes to. So there is one length for everything of fixed size, no
 * flag in the head, figures come by rising tag, and nothing follows the last
 * field. What the fields mean together is not looked at here: whether a version
 * range is sensible or an extent exists is the machines' business.
 *
 * Our own words are made fit while they are encoded (a byte that is not
 * printable UTF-8 becomes '?'), so that a strange program name cannot make a
 * peer hang up on us. A peer's words are not mended but refused.
 *
 * Floor: ground.
 */
#include "core/pure/wire.h"

#include <errno.h>
#include <string.h>

#include "core/pure/wire_cursor.h"

#define HEAD_SIZE 8 /* kind, flags, body size, request */

#define TEXT_SIZE_MAX(size) (2 + (size) - 1)
#define LISTED_SIZE_MAX                                                       \
	(HEAD_SIZE + 8 + 4 +                                                  \
	 XM_LIST_MAX * (2 + XM_REGION_ID_SIZE + 2 +                           \
			2 * TEXT_SIZE_MAX(XM_NAME_SIZE) + 4 * 8))

_Static_assert(LISTED_SIZE_MAX == 2932, "the bound in this file's comment");
_Static_assert(LISTED_SIZE_MAX <= XM_MESSAGE_SIZE_MAX, "any message fits");
_Static_assert(XM_MESSAGE_KINDS <= 256, "a kind is one byte");

#define PASS_TEXT(cursor, array) xm_pass_text(cursor, array, sizeof(array))
#define PASS_ID(cursor, id) xm_pass_bytes(cursor, (id).bytes, XM_REGION_ID_SIZE)

static void pass_label(struct xm_cursor *c, struct xm_label *m)
{
	xm_pass_some(c, m->bytes, &m->size, XM_LABEL_SIZE);
}

static void pass_locator(struct xm_cursor *c, struct xm_locator *m)
{
	uint16_t size = (uint16_t)m->size;

	XM_ASSERT(!c->put || m->size <= XM_LOCATOR_SIZE);
	xm_pass_some(c, m->bytes, &size, XM_LOCATOR_SIZE);
	m->size = size;
}

/* --- the messages -------------------------------------------------------- */

static void pass_hello(struct xm_cursor *c, struct xm_hello *m)
{
	xm_pass_u16(c, &m->version_min);
	xm_pass_u16(c, &m->version_max);
	xm_pass_u32(c, &m->flags);
	xm_pass_u64(c, &m->client);
	xm_pass_bytes(c, m->secret, sizeof(m->secret));
	PASS_TEXT(c, m->name);
	PASS_TEXT(c, m->transport);
	PASS_TEXT(c, m->library);
}

static void pass_welcome(struct xm_cursor *c, struct xm_welcome *m)
{
	xm_pass_u16(c, &m->version);
	xm_pass_u64(c, &m->client);
	xm_pass_bytes(c, m->secret, sizeof(m->secret));
	xm_pass_u64(c, &m->incarnation);
	xm_pass_u32(c, &m->lease_ms);
	xm_pass_u32(c, &m->granule);
	xm_pass_u64(c, &m->features);
	PASS_TEXT(c, m->name);
	PASS_TEXT(c, m->provider);
	PASS_TEXT(c, m->library);
	PASS_TEXT(c, m->zone);
}

static void pass_refused(struct xm_cursor *c, struct xm_refused *m)
{
	xm_pass_i32(c, &m->code);
	xm_pass_u64(c, &m->free);
	xm_pass_u64(c, &m->free_run);
	xm_pass_u64(c, &m->soon);
	PASS_TEXT(c, m->words);
}

static void pass_ticketed(struct xm_cursor *c, struct xm_ticketed *m)
{
	xm_pass_bytes(c, m->ticket, sizeof(m->ticket));
	pass_locator(c, &m->locator);
}

static void pass_alloc(struct xm_cursor *c, struct xm_alloc *m)
{
	xm_pass_u64(c, &m->size);
	PASS_ID(c, m->id);
	PASS_TEXT(c, m->region);
	xm_pass_u16(c, &m->member);
	xm_pass_u16(c, &m->bank);
	xm_pass_u32(c, &m->flags);
	xm_pass_u32(c, &m->keep_ms);
}

static void pass_allocated(struct xm_cursor *c, struct xm_allocated *m)
{
	xm_pass_u64(c, &m->extent);
	xm_pass_u64(c, &m->size);
	xm_pass_u64(c, &m->epoch);
	xm_pass_u64(c, &m->remote.key);
	xm_pass_u64(c, &m->remote.base);
}

static void pass_trim(struct xm_cursor *c, struct xm_trim *m)
{
	xm_pass_u64(c, &m->extent);
	xm_pass_u64(c, &m->size);
}

static void pass_entry(struct xm_cursor *c, struct xm_list_entry *m)
{
	PASS_ID(c, m->id);
	xm_pass_u16(c, &m->member);
	PASS_TEXT(c, m->region);
	PASS_TEXT(c, m->owner);
	xm_pass_u64(c, &m->client);
	xm_pass_u64(c, &m->extent);
	xm_pass_u64(c, &m->size);
	xm_pass_u64(c, &m->epoch);
}

static void pass_listed(struct xm_cursor *c, struct xm_listed *m)
{
	XM_ASSERT(!c->put || m->count <= XM_LIST_MAX);
	xm_pass_u64(c, &m->cursor);
	xm_pass_u32(c, &m->count);
	if (m->count > XM_LIST_MAX)
		c->bad = true;
	for (uint32_t i = 0; i < m->count && !c->bad; i++)
		pass_entry(c, &m->entries[i]);
}

/* Rising tags, so that there is one form; 0 is no tag. */
static void pass_figures(struct xm_cursor *c, struct xm_figures *m)
{
	uint16_t last = 0;

	XM_ASSERT(!c->put || m->count <= XM_FIGURES_MAX);
	xm_pass_u16(c, &m->count);
	if (m->count > XM_FIGURES_MAX)
		c->bad = true;
	for (uint16_t i = 0; i < m->count && !c->bad; i++) {
		xm_pass_u16(c, &m->tags[i]);
		xm_pass_u64(c, &m->values[i]);
		XM_ASSERT(!c->put || m->tags[i] > last);
		if (m->tags[i] <= last)
			c->bad = true;
		last = m->tags[i];
	}
}

static void pass_state(struct xm_cursor *c, struct xm_state *m)
{
	PASS_TEXT(c, m->name);
	PASS_TEXT(c, m->provider);
	PASS_TEXT(c, m->library);
	PASS_TEXT(c, m->zone);
	pass_figures(c, &m->figures);
}

static void pass_offer(struct xm_cursor *c, struct xm_offer *m)
{
	xm_pass_u64(c, &m->extent);
	xm_pass_u32(c, &m->flags);
	xm_pass_u32(c, &m->ms);
	xm_pass_bytes(c, m->token, sizeof(m->token));
	PASS_TEXT(c, m->identity);
	pass_label(c, &m->label);
}

static void pass_claimed(struct xm_cursor *c, struct xm_claimed *m)
{
	xm_pass_u64(c, &m->extent);
	xm_pass_u64(c, &m->size);
	xm_pass_u64(c, &m->epoch);
	xm_pass_u64(c, &m->remote.key);
	xm_pass_u64(c, &m->remote.base);
	PASS_ID(c, m->id);
	PASS_TEXT(c, m->region);
	pass_label(c, &m->label);
}

/* Each returns false for a kind of another subject, or of none. */
static bool pass_connection(struct xm_cursor *c, struct xm_message *m)
{
	switch (m->kind) {
	case XM_HELLO:
		pass_hello(c, &m->u.hello);
		break;
	case XM_WELCOME:
		pass_welcome(c, &m->u.welcome);
		break;
	case XM_REFUSED:
		pass_refused(c, &m->u.refused);
		break;
	case XM_TICKETED:
		pass_ticketed(c, &m->u.ticketed);
		break;
	case XM_LEAVING:
		xm_pass_u32(c, &m->u.leaving.ms);
		break;
	case XM_PONG:
		pass_figures(c, &m->u.pong.figures);
		break;
	case XM_TICKET:
		xm_pass_u32(c, &m->u.ticket.lane);
		break;
	case XM_PING:
	case XM_BYE:
		break;
	default: /* a peer may say any number */
		return false;
	}
	return true;
}

static void pass_copy(struct xm_cursor *c, struct xm_copy_bytes *m)
{
	xm_pass_u64(c, &m->from);
	xm_pass_u64(c, &m->from_offset);
	xm_pass_u64(c, &m->to);
	xm_pass_u64(c, &m->to_offset);
	xm_pass_u64(c, &m->size);
}

static bool pass_extent(struct xm_cursor *c, struct xm_message *m)
{
	switch (m->kind) {
	case XM_ALLOC:
		pass_alloc(c, &m->u.alloc);
		break;
	case XM_ALLOCATED:
		pass_allocated(c, &m->u.allocated);
		break;
	case XM_TRIM:
		pass_trim(c, &m->u.trim);
		break;
	case XM_FREE:
		xm_pass_u64(c, &m->u.free.extent);
		break;
	case XM_WANTED:
		xm_pass_u64(c, &m->u.wanted.extent);
		xm_pass_u32(c, &m->u.wanted.ms);
		break;
	case XM_PERSIST:
		xm_pass_u64(c, &m->u.persist.extent);
		xm_pass_u64(c, &m->u.persist.draft);
		break;
	case XM_DRAFT:
		xm_pass_u64(c, &m->u.draft.extent);
		xm_pass_u64(c, &m->u.draft.offset);
		xm_pass_u64(c, &m->u.draft.size);
		xm_pass_u32(c, &m->u.draft.flags);
		break;
	case XM_DRAFTED:
		xm_pass_u64(c, &m->u.drafted.draft);
		break;
	case XM_DAMAGE:
		xm_pass_u64(c, &m->u.damage.extent);
		xm_pass_u64(c, &m->u.damage.offset);
		break;
	case XM_DAMAGED:
		xm_pass_u64(c, &m->u.damaged.offset);
		xm_pass_u64(c, &m->u.damaged.size);
		break;
	case XM_COPY_BYTES:
		pass_copy(c, &m->u.copy);
		break;
	case XM_FREED:
	case XM_PERSISTED:
	case XM_COPIED:
		break;
	default: /* a peer may say any number */
		return false;
	}
	return true;
}

static bool pass_hand_over(struct xm_cursor *c, struct xm_message *m)
{
	switch (m->kind) {
	case XM_OFFER:
	case XM_GRANT:
		pass_offer(c, &m->u.offer);
		break;
	case XM_CLAIM:
	case XM_OPEN:
		xm_pass_bytes(c, m->u.claim.token, XM_TOKEN_SIZE);
		xm_pass_u64(c, &m->u.claim.after);
		break;
	case XM_CLAIMED:
		pass_claimed(c, &m->u.claimed);
		break;
	case XM_PARTED:
	case XM_REVOKED:
		xm_pass_u64(c, &m->u.parted.extent);
		break;
	case XM_OFFERED:
		break;
	default: /* a peer may say any number */
		return false;
	}
	return true;
}

static bool pass_operator(struct xm_cursor *c, struct xm_message *m)
{
	switch (m->kind) {
	case XM_LIST:
		xm_pass_u64(c, &m->u.list.cursor);
		break;
	case XM_LISTED:
		pass_listed(c, &m->u.listed);
		break;
	case XM_STATE:
		pass_state(c, &m->u.state);
		break;
	case XM_DRAIN:
		xm_pass_u64(c, &m->u.drain.incarnation);
		xm_pass_u32(c, &m->u.drain.on);
		break;
	case XM_RESIZE:
		xm_pass_u64(c, &m->u.resize.incarnation);
		xm_pass_u64(c, &m->u.resize.size);
		break;
	case XM_STATUS:
		break;
	default: /* a peer may say any number */
		return false;
	}
	return true;
}

/* False when there is no such kind. */
static bool pass_body(struct xm_cursor *c, struct xm_message *m)
{
	return pass_connection(c, m) || pass_extent(c, m) || pass_hand_over(c, m) ||
	       pass_operator(c, m);
}

size_t xm_wire_encode(const struct xm_message *message, uint8_t *bytes)
{
	struct xm_cursor body = { .put = bytes + HEAD_SIZE,
			       .size = XM_MESSAGE_SIZE_MAX - HEAD_SIZE };
	struct xm_cursor head = { .put = bytes, .size = HEAD_SIZE };
	bool known;

	/* A cursor that puts does not change the message: it stores back the
	 * values it has read, into a copy where that copy is the caller's
	 * constant. */
	struct xm_message copy = *message;

	known = pass_body(&body, &copy);
	XM_ASSERT(known);
	xm_pass_integer(&head, 1, (uint64_t)message->kind);
	xm_pass_integer(&head, 1, 0);
	xm_pass_integer(&head, 2, body.at);
	xm_pass_u32(&head, &copy.request);
	return HEAD_SIZE + body.at;
}

int xm_wire_decode(const uint8_t *bytes, size_t size, struct xm_message *ret)
{
	struct xm_cursor c = { .get = bytes, .size = size };
	struct xm_message message;
	uint64_t kind, flags, body_size;

	memset(&message, 0, sizeof(message));
	kind = xm_pass_integer(&c, 1, 0);
	flags = xm_pass_integer(&c, 1, 0);
	body_size = xm_pass_integer(&c, 2, 0);
	xm_pass_u32(&c, &message.request);
	if (c.bad || size > XM_MESSAGE_SIZE_MAX || flags != 0 ||
	    body_size != size - HEAD_SIZE)
		return -EPROTO;
	message.kind = (enum xm_message_kind)kind;
	if (!pass_body(&c, &message) || c.bad || c.at != c.size)
		return -EPROTO;
	memcpy(ret, &message, sizeof(message));
	return 0;
}

const char *xm_message_name(enum xm_message_kind kind)
{
	static const char *const names[] = {
		[XM_HELLO] = "HELLO",	    [XM_WELCOME] = "WELCOME",
		[XM_REFUSED] = "REFUSED",   [XM_TICKET] = "TICKET",
		[XM_TICKETED] = "TICKETED", [XM_ALLOC] = "ALLOC",
		[XM_ALLOCATED] = "ALLOCATED", [XM_TRIM] = "TRIM",
		[XM_FREE] = "FREE",	    [XM_FREED] = "FREED",
		[XM_LIST] = "LIST",	    [XM_LISTED] = "LISTED",
		[XM_STATUS] = "STATUS",	    [XM_STATE] = "STATE",
		[XM_PING] = "PING",	    [XM_PONG] = "PONG",
		[XM_BYE] = "BYE",	    [XM_LEAVING] = "LEAVING",
		[XM_WANTED] = "WANTED",	    [XM_OFFER] = "OFFER",
		[XM_CLAIM] = "CLAIM",	    [XM_GRANT] = "GRANT",
		[XM_PARTED] = "PARTED",	    [XM_PERSIST] = "PERSIST",
		[XM_COPY_BYTES] = "COPY",   [XM_DRAIN] = "DRAIN",
		[XM_OFFERED] = "OFFERED",   [XM_CLAIMED] = "CLAIMED",
		[XM_PERSISTED] = "PERSISTED",
		[XM_RESIZE] = "RESIZE",	    [XM_DRAFT] = "DRAFT",
		[XM_DRAFTED] = "DRAFTED",   [XM_OPEN] = "OPEN",
		[XM_REVOKED] = "REVOKED",   [XM_COPIED] = "COPIED",
		[XM_DAMAGE] = "DAMAGE",	    [XM_DAMAGED] = "DAMAGED",
	};

	_Static_assert(XM_COUNT(names) == XM_MESSAGE_KINDS, "all are named");
	if ((size_t)kind >= XM_COUNT(names) || !names[kind])
		return "?";
	return names[kind];
}

void xm_figures_add(struct xm_figures *f, enum xm_figure tag, uint64_t value)
{
	XM_ASSERT(f->count < XM_FIGURES_MAX && tag <= UINT16_MAX);
	XM_ASSERT(f->count == 0 || f->tags[f->count - 1] < tag);
	f->tags[f->count] = (uint16_t)tag;
	f->values[f->count++] = value;
}

uint64_t xm_figures_get(const struct xm_figures *f, enum xm_figure tag)
{
	for (uint16_t i = 0; i < f->count; i++)
		if (f->tags[i] == tag)
			return f->values[i];
	return 0;
}
