/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control messages to bytes and back.
 *
 * Each message's fields are named once, in order, by a function that works in
 * both directions: a cursor either puts each field into bytes or gets it out
 * of them, so the two forms cannot drift apart. A cursor that ran out of
 * bytes, or met something that is not allowed, is `bad` from then on; getting
 * from it gives zeros and moves nothing.
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

#define HEAD_SIZE 8 /* kind, flags, body size, request */

#define TEXT_SIZE_MAX(size) (2 + (size) - 1)
#define LISTED_SIZE_MAX                                                       \
	(HEAD_SIZE + 8 + 4 +                                                  \
	 XM_LIST_MAX * (2 + XM_REGION_ID_SIZE + 2 +                           \
			2 * TEXT_SIZE_MAX(XM_NAME_SIZE) + 4 * 8))

_Static_assert(LISTED_SIZE_MAX == 2932, "the bound in this file's comment");
_Static_assert(LISTED_SIZE_MAX <= XM_MESSAGE_SIZE_MAX, "any message fits");
_Static_assert(XM_MESSAGE_KINDS <= 256, "a kind is one byte");

struct cursor {
	uint8_t *put;	    /* encoding: where to, else NULL */
	const uint8_t *get; /* decoding: where from, else NULL */
	size_t at, size;
	bool bad;
};

/* --- whole numbers, little-endian -------------------------------------- */

static bool cursor_has(struct cursor *c, size_t size)
{
	if (c->bad || c->size - c->at < size) {
		/* We never run out of our own bytes: any message fits. */
		XM_ASSERT(!c->put);
		c->bad = true;
	}
	return !c->bad;
}

static uint64_t pass_integer(struct cursor *c, unsigned size, uint64_t value)
{
	if (!cursor_has(c, size))
		return 0;
	if (c->put) {
		for (unsigned i = 0; i < size; i++)
			c->put[c->at + i] = (uint8_t)(value >> (8 * i));
	} else {
		value = 0;
		for (unsigned i = 0; i < size; i++)
			value |= (uint64_t)c->get[c->at + i] << (8 * i);
	}
	c->at += size;
	return value;
}

static void pass_u16(struct cursor *c, uint16_t *value)
{
	*value = (uint16_t)pass_integer(c, 2, *value);
}

static void pass_u32(struct cursor *c, uint32_t *value)
{
	*value = (uint32_t)pass_integer(c, 4, *value);
}

static void pass_u64(struct cursor *c, uint64_t *value)
{
	*value = pass_integer(c, 8, *value);
}

/* Two's complement, as in memory. */
static void pass_i32(struct cursor *c, int32_t *value)
{
	uint32_t bits;

	memcpy(&bits, value, sizeof(bits));
	pass_u32(c, &bits);
	memcpy(value, &bits, sizeof(bits));
}

/* --- bytes and texts ----------------------------------------------------- */

/* A 2-byte length of `size`, neither more nor less, and the bytes. */
static void pass_bytes(struct cursor *c, uint8_t *bytes, uint16_t size)
{
	uint16_t length = size;

	pass_u16(c, &length);
	if (length != size)
		c->bad = true;
	if (!cursor_has(c, size))
		return;
	if (c->put)
		memcpy(c->put + c->at, bytes, size);
	else
		memcpy(bytes, c->get + c->at, size);
	c->at += size;
}

/* What there is up to the end of the body. */
static void pass_rest(struct cursor *c, struct xm_reserved *m)
{
	XM_ASSERT(!c->put || m->size <= XM_RESERVED_SIZE);
	if (!c->put && !c->bad && c->size - c->at > XM_RESERVED_SIZE)
		c->bad = true;
	if (!c->put && !c->bad)
		m->size = (uint16_t)(c->size - c->at);
	if (!cursor_has(c, m->size))
		return;
	if (c->put)
		memcpy(c->put + c->at, m->bytes, m->size);
	else
		memcpy(m->bytes, c->get + c->at, m->size);
	c->at += m->size;
}

static void pass_label(struct cursor *c, struct xm_label *m)
{
	XM_ASSERT(!c->put || m->size <= XM_LABEL_SIZE);
	pass_u16(c, &m->size);
	if (m->size > XM_LABEL_SIZE)
		c->bad = true;
	if (!cursor_has(c, m->size))
		return;
	if (c->put)
		memcpy(c->put + c->at, m->bytes, m->size);
	else
		memcpy(m->bytes, c->get + c->at, m->size);
	c->at += m->size;
}

static void pass_locator(struct cursor *c, struct xm_locator *locator)
{
	uint16_t length;

	XM_ASSERT(!c->put || locator->size <= XM_LOCATOR_SIZE);
	length = (uint16_t)locator->size;
	pass_u16(c, &length);
	if (length > XM_LOCATOR_SIZE)
		c->bad = true;
	if (!cursor_has(c, length))
		return;
	locator->size = length;
	if (c->put)
		memcpy(c->put + c->at, locator->bytes, length);
	else
		memcpy(locator->bytes, c->get + c->at, length);
	c->at += length;
}

/* Printable, and one byte. Most are. */
static bool is_ascii(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x7f;
}

/* The size of the printable character that begins here, or 0: UTF-8 as in
 * RFC 3629 (shortest form, no surrogates, up to U+10FFFF), without U+0000 to
 * U+001F and U+007F to U+009F, which steer terminals. */
static size_t character_size(const uint8_t *bytes, size_t size)
{
	uint32_t code, least;
	size_t count;

	if (bytes[0] < 0x80)
		return is_ascii(bytes[0]);
	if ((bytes[0] & 0xe0) == 0xc0) {
		count = 2;
		code = bytes[0] & 0x1f;
		least = 0xa0;
	} else if ((bytes[0] & 0xf0) == 0xe0) {
		count = 3;
		code = bytes[0] & 0x0f;
		least = 0x800;
	} else if ((bytes[0] & 0xf8) == 0xf0) {
		count = 4;
		code = bytes[0] & 0x07;
		least = 0x10000;
	} else {
		return 0;
	}
	if (count > size)
		return 0;
	for (size_t i = 1; i < count; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < least || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return count;
}

static void put_text(struct cursor *c, const char *text, size_t size)
{
	uint16_t length = 0;
	uint8_t *bytes;
	size_t count;

	while (length < size - 1 && text[length])
		length++;
	pass_u16(c, &length);
	cursor_has(c, length); /* any message fits, or it does not return */
	bytes = c->put + c->at;
	memcpy(bytes, text, length);
	for (size_t i = 0; i < length; i += count) {
		count = is_ascii(bytes[i])
				? 1 : character_size(bytes + i, length - i);
		if (count == 0) {
			bytes[i] = '?';
			count = 1;
		}
	}
	c->at += length;
}

static void get_text(struct cursor *c, char *text, size_t size)
{
	uint16_t length = 0;
	const uint8_t *bytes;
	size_t count;

	pass_u16(c, &length);
	if (length > size - 1)
		c->bad = true;
	if (!cursor_has(c, length))
		return;
	bytes = c->get + c->at;
	for (size_t i = 0; i < length; i += count) {
		count = is_ascii(bytes[i])
				? 1 : character_size(bytes + i, length - i);
		if (count == 0) {
			c->bad = true;
			return;
		}
	}
	memcpy(text, bytes, length);
	c->at += length;
}

/* `size` counts the NUL that ends it in memory, and is not on the wire. */
static void pass_text(struct cursor *c, char *text, size_t size)
{
	if (c->put)
		put_text(c, text, size);
	else
		get_text(c, text, size);
}

#define PASS_TEXT(cursor, array) pass_text(cursor, array, sizeof(array))
#define PASS_ID(cursor, id) pass_bytes(cursor, (id).bytes, XM_REGION_ID_SIZE)

/* --- the messages -------------------------------------------------------- */

static void pass_hello(struct cursor *c, struct xm_hello *m)
{
	pass_u16(c, &m->version_min);
	pass_u16(c, &m->version_max);
	pass_u32(c, &m->flags);
	pass_u64(c, &m->client);
	pass_bytes(c, m->secret, sizeof(m->secret));
	PASS_TEXT(c, m->name);
	PASS_TEXT(c, m->transport);
	PASS_TEXT(c, m->library);
}

static void pass_welcome(struct cursor *c, struct xm_welcome *m)
{
	pass_u16(c, &m->version);
	pass_u64(c, &m->client);
	pass_bytes(c, m->secret, sizeof(m->secret));
	pass_u64(c, &m->incarnation);
	pass_u32(c, &m->lease_ms);
	pass_u32(c, &m->granule);
	pass_u64(c, &m->features);
	PASS_TEXT(c, m->name);
	PASS_TEXT(c, m->provider);
	PASS_TEXT(c, m->library);
	PASS_TEXT(c, m->zone);
}

static void pass_refused(struct cursor *c, struct xm_refused *m)
{
	pass_i32(c, &m->code);
	pass_u64(c, &m->free);
	pass_u64(c, &m->free_run);
	pass_u64(c, &m->soon);
	PASS_TEXT(c, m->words);
}

static void pass_ticketed(struct cursor *c, struct xm_ticketed *m)
{
	pass_bytes(c, m->ticket, sizeof(m->ticket));
	pass_locator(c, &m->locator);
}

static void pass_alloc(struct cursor *c, struct xm_alloc *m)
{
	pass_u64(c, &m->size);
	PASS_ID(c, m->id);
	PASS_TEXT(c, m->region);
	pass_u16(c, &m->member);
	pass_u16(c, &m->bank);
	pass_u32(c, &m->flags);
	pass_u32(c, &m->keep_ms);
}

static void pass_allocated(struct cursor *c, struct xm_allocated *m)
{
	pass_u64(c, &m->extent);
	pass_u64(c, &m->size);
	pass_u64(c, &m->epoch);
	pass_u64(c, &m->remote.key);
	pass_u64(c, &m->remote.base);
}

static void pass_trim(struct cursor *c, struct xm_trim *m)
{
	pass_u64(c, &m->extent);
	pass_u64(c, &m->size);
}

static void pass_entry(struct cursor *c, struct xm_list_entry *m)
{
	PASS_ID(c, m->id);
	pass_u16(c, &m->member);
	PASS_TEXT(c, m->region);
	PASS_TEXT(c, m->owner);
	pass_u64(c, &m->client);
	pass_u64(c, &m->extent);
	pass_u64(c, &m->size);
	pass_u64(c, &m->epoch);
}

static void pass_listed(struct cursor *c, struct xm_listed *m)
{
	XM_ASSERT(!c->put || m->count <= XM_LIST_MAX);
	pass_u64(c, &m->cursor);
	pass_u32(c, &m->count);
	if (m->count > XM_LIST_MAX)
		c->bad = true;
	for (uint32_t i = 0; i < m->count && !c->bad; i++)
		pass_entry(c, &m->entries[i]);
}

/* Rising tags, so that there is one form; 0 is no tag. */
static void pass_figures(struct cursor *c, struct xm_figures *m)
{
	uint16_t last = 0;

	XM_ASSERT(!c->put || m->count <= XM_FIGURES_MAX);
	pass_u16(c, &m->count);
	if (m->count > XM_FIGURES_MAX)
		c->bad = true;
	for (uint16_t i = 0; i < m->count && !c->bad; i++) {
		pass_u16(c, &m->tags[i]);
		pass_u64(c, &m->values[i]);
		XM_ASSERT(!c->put || m->tags[i] > last);
		if (m->tags[i] <= last)
			c->bad = true;
		last = m->tags[i];
	}
}

static void pass_state(struct cursor *c, struct xm_state *m)
{
	PASS_TEXT(c, m->name);
	PASS_TEXT(c, m->provider);
	PASS_TEXT(c, m->library);
	PASS_TEXT(c, m->zone);
	pass_figures(c, &m->figures);
}

static void pass_offer(struct cursor *c, struct xm_offer *m)
{
	pass_u64(c, &m->extent);
	pass_u32(c, &m->flags);
	pass_u32(c, &m->ms);
	pass_bytes(c, m->token, sizeof(m->token));
	PASS_TEXT(c, m->identity);
	pass_label(c, &m->label);
}

static void pass_claimed(struct cursor *c, struct xm_claimed *m)
{
	pass_u64(c, &m->extent);
	pass_u64(c, &m->size);
	pass_u64(c, &m->epoch);
	pass_u64(c, &m->remote.key);
	pass_u64(c, &m->remote.base);
	PASS_ID(c, m->id);
	PASS_TEXT(c, m->region);
	pass_label(c, &m->label);
}

/* False when there is no such kind. A line or two for each kind of message: longer than
 * 60 lines, and no clearer in parts. */
static bool pass_body(struct cursor *c, struct xm_message *m)
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
		pass_u64(c, &m->u.free.extent);
		break;
	case XM_LIST:
		pass_u64(c, &m->u.list.cursor);
		break;
	case XM_LISTED:
		pass_listed(c, &m->u.listed);
		break;
	case XM_STATE:
		pass_state(c, &m->u.state);
		break;
	case XM_LEAVING:
		pass_u32(c, &m->u.leaving.ms);
		break;
	case XM_PONG:
		pass_figures(c, &m->u.pong.figures);
		break;
	case XM_WANTED:
		pass_u64(c, &m->u.wanted.extent);
		pass_u32(c, &m->u.wanted.ms);
		break;
	case XM_OFFER:
		pass_offer(c, &m->u.offer);
		break;
	case XM_CLAIM:
		pass_bytes(c, m->u.claim.token, XM_TOKEN_SIZE);
		pass_u64(c, &m->u.claim.after);
		break;
	case XM_CLAIMED:
		pass_claimed(c, &m->u.claimed);
		break;
	case XM_PARTED:
		pass_u64(c, &m->u.parted.extent);
		break;
	case XM_PERSIST:
		pass_u64(c, &m->u.persist.extent);
		pass_u64(c, &m->u.persist.offset);
		pass_u64(c, &m->u.persist.size);
		break;
	case XM_GRANT:
	case XM_COPY_BYTES:
		pass_rest(c, &m->u.reserved);
		break;
	case XM_DRAIN:
		pass_u64(c, &m->u.drain.incarnation);
		pass_u32(c, &m->u.drain.on);
		break;
	case XM_RESIZE:
		pass_u64(c, &m->u.resize.incarnation);
		pass_u64(c, &m->u.resize.size);
		break;
	case XM_TICKET:
		pass_u32(c, &m->u.ticket.lane);
		break;
	case XM_FREED:
	case XM_OFFERED:
	case XM_PERSISTED:
	case XM_STATUS:
	case XM_PING:
	case XM_BYE:
		break;
	case XM_MESSAGE_KINDS:
	default: /* a peer may say any number */
		return false;
	}
	return true;
}

size_t xm_wire_encode(const struct xm_message *message, uint8_t *bytes)
{
	struct cursor body = { .put = bytes + HEAD_SIZE,
			       .size = XM_MESSAGE_SIZE_MAX - HEAD_SIZE };
	struct cursor head = { .put = bytes, .size = HEAD_SIZE };
	bool known;

	/* A cursor that puts does not change the message: it stores back the
	 * values it has read, into a copy where that copy is the caller's
	 * constant. */
	struct xm_message copy = *message;

	known = pass_body(&body, &copy);
	XM_ASSERT(known);
	pass_integer(&head, 1, (uint64_t)message->kind);
	pass_integer(&head, 1, 0);
	pass_integer(&head, 2, body.at);
	pass_u32(&head, &copy.request);
	return HEAD_SIZE + body.at;
}

int xm_wire_decode(const uint8_t *bytes, size_t size, struct xm_message *ret)
{
	struct cursor c = { .get = bytes, .size = size };
	struct xm_message message;
	uint64_t kind, flags, body_size;

	memset(&message, 0, sizeof(message));
	kind = pass_integer(&c, 1, 0);
	flags = pass_integer(&c, 1, 0);
	body_size = pass_integer(&c, 2, 0);
	pass_u32(&c, &message.request);
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
		[XM_RESIZE] = "RESIZE",
	};

	_Static_assert(XM_COUNT(names) == XM_MESSAGE_KINDS, "all are named");
	if ((size_t)kind >= XM_COUNT(names) || !names[kind])
		return "?";
	return names[kind];
}

bool xm_message_is_reserved(enum xm_message_kind kind)
{
	return kind == XM_GRANT ||
	       kind == XM_COPY_BYTES;
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
