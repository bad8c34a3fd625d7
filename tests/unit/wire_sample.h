/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages for tests: any kind, with random but valid contents, often at
 * their limits. Every byte is written, so that memcmp() compares them.
 */
#ifndef XM_TESTS_WIRE_SAMPLE_H
#define XM_TESTS_WIRE_SAMPLE_H

#include <string.h>

#include "common/rand.h"
#include "core/pure/wire.h"

/* A text of 0 .. size - 1 bytes, often of one of these two lengths. */
static inline void sample_text(struct xm_rand *r, char *ret, size_t size)
{
	static const char *const characters[] = { "a", "Z", " ", "~", "\xc3\xa9",
						  "\xe2\x82\xac",
						  "\xf0\x9f\x90\x98" };
	size_t length = xm_rand_chance(r, 250) ? 0
			: xm_rand_chance(r, 333) ? size - 1
						 : xm_rand_below(r, size);
	size_t at = 0;

	while (at < length) {
		const char *c = characters[xm_rand_below(
			r, XM_COUNT(characters))];

		if (strlen(c) > length - at)
			c = "x";
		memcpy(ret + at, c, strlen(c));
		at += strlen(c);
	}
}

static inline uint64_t sample_u64(struct xm_rand *r)
{
	switch (xm_rand_below(r, 4)) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	default:
		return xm_rand_next(r) >> xm_rand_below(r, 64);
	}
}

#define SAMPLE_TEXT(r, array) sample_text(r, array, sizeof(array))

/* Known tags and unknown ones, by rising tag. */
static inline void sample_figures(struct xm_rand *r, struct xm_figures *m)
{
	uint16_t tag = 0;

	m->count = xm_rand_chance(r, 300)
			   ? XM_FIGURES_MAX
			   : (uint16_t)xm_rand_below(r, XM_FIGURES_MAX + 1);
	for (uint16_t i = 0; i < m->count; i++) {
		tag = (uint16_t)(tag + 1 + (xm_rand_chance(r, 200)
						    ? xm_rand_below(r, 900)
						    : 0));
		m->tags[i] = tag;
		m->values[i] = sample_u64(r);
	}
}

static inline void sample_id(struct xm_rand *r, struct xm_region_id *m)
{
	xm_rand_fill(r, m->bytes, sizeof(m->bytes));
}

static inline void sample_listed(struct xm_rand *r, struct xm_listed *m)
{
	m->cursor = sample_u64(r);
	m->count = xm_rand_chance(r, 300)
			   ? XM_LIST_MAX
			   : (uint32_t)xm_rand_below(r, XM_LIST_MAX + 1);
	for (uint32_t i = 0; i < m->count; i++) {
		struct xm_list_entry *e = &m->entries[i];

		sample_id(r, &e->id);
		e->member = (uint16_t)sample_u64(r);
		SAMPLE_TEXT(r, e->region);
		SAMPLE_TEXT(r, e->owner);
		e->client = sample_u64(r);
		e->extent = sample_u64(r);
		e->size = sample_u64(r);
		e->epoch = sample_u64(r);
	}
}

static inline void sample_handshake(struct xm_rand *r, struct xm_message *m)
{
	struct xm_hello *hello = &m->u.hello;
	struct xm_welcome *welcome = &m->u.welcome;

	if (m->kind == XM_HELLO) {
		hello->version_min = (uint16_t)sample_u64(r);
		hello->version_max = (uint16_t)sample_u64(r);
		hello->flags = (uint32_t)sample_u64(r);
		hello->client = sample_u64(r);
		xm_rand_fill(r, hello->secret, XM_SECRET_SIZE);
		SAMPLE_TEXT(r, hello->name);
		SAMPLE_TEXT(r, hello->transport);
		SAMPLE_TEXT(r, hello->library);
	} else {
		welcome->version = (uint16_t)sample_u64(r);
		welcome->client = sample_u64(r);
		xm_rand_fill(r, welcome->secret, XM_SECRET_SIZE);
		welcome->incarnation = sample_u64(r);
		welcome->lease_ms = (uint32_t)sample_u64(r);
		welcome->granule = (uint32_t)sample_u64(r);
		welcome->features = sample_u64(r);
		SAMPLE_TEXT(r, welcome->zone);
		SAMPLE_TEXT(r, welcome->name);
		SAMPLE_TEXT(r, welcome->provider);
		SAMPLE_TEXT(r, welcome->library);
	}
}

static inline void sample_label(struct xm_rand *r, struct xm_label *m)
{
	m->size = (uint16_t)xm_rand_below(r, XM_LABEL_SIZE + 1);
	xm_rand_fill(r, m->bytes, m->size);
}

static inline void sample_hand_over(struct xm_rand *r, struct xm_message *m)
{
	struct xm_claimed *claimed = &m->u.claimed;

	if (m->kind == XM_OFFER || m->kind == XM_GRANT) {
		m->u.offer.extent = sample_u64(r);
		m->u.offer.flags = (uint32_t)sample_u64(r);
		m->u.offer.ms = (uint32_t)sample_u64(r);
		xm_rand_fill(r, m->u.offer.token, XM_TOKEN_SIZE);
		SAMPLE_TEXT(r, m->u.offer.identity);
		sample_label(r, &m->u.offer.label);
	} else if (m->kind == XM_CLAIM || m->kind == XM_OPEN) {
		xm_rand_fill(r, m->u.claim.token, XM_TOKEN_SIZE);
		m->u.claim.after = sample_u64(r);
	} else if (m->kind == XM_PARTED || m->kind == XM_REVOKED) {
		m->u.parted.extent = sample_u64(r);
	} else {
		claimed->extent = sample_u64(r);
		claimed->size = sample_u64(r);
		claimed->epoch = sample_u64(r);
		claimed->remote.key = sample_u64(r);
		claimed->remote.base = sample_u64(r);
		sample_id(r, &claimed->id);
		SAMPLE_TEXT(r, claimed->region);
		sample_label(r, &claimed->label);
	}
}

/* Above 60 lines because each kind of message has a case of its own. */
static inline void sample_message(struct xm_rand *r, enum xm_message_kind kind,
				  struct xm_message *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->kind = kind;
	ret->request = (uint32_t)sample_u64(r);
	switch (kind) {
	case XM_HELLO:
	case XM_WELCOME:
		sample_handshake(r, ret);
		break;
	case XM_REFUSED:
		ret->u.refused.code = (int32_t)(uint32_t)sample_u64(r);
		ret->u.refused.free = sample_u64(r);
		ret->u.refused.free_run = sample_u64(r);
		ret->u.refused.soon = sample_u64(r);
		SAMPLE_TEXT(r, ret->u.refused.words);
		break;
	case XM_TICKETED:
		xm_rand_fill(r, ret->u.ticketed.ticket, XM_TICKET_SIZE);
		ret->u.ticketed.locator.size =
			(uint32_t)xm_rand_below(r, XM_LOCATOR_SIZE + 1);
		xm_rand_fill(r, ret->u.ticketed.locator.bytes,
			     ret->u.ticketed.locator.size);
		break;
	case XM_ALLOC:
		ret->u.alloc.size = sample_u64(r);
		sample_id(r, &ret->u.alloc.id);
		SAMPLE_TEXT(r, ret->u.alloc.region);
		ret->u.alloc.member = (uint16_t)sample_u64(r);
		ret->u.alloc.bank = (uint16_t)sample_u64(r);
		ret->u.alloc.flags = (uint32_t)sample_u64(r);
		ret->u.alloc.keep_ms = (uint32_t)sample_u64(r);
		break;
	case XM_ALLOCATED:
		ret->u.allocated.extent = sample_u64(r);
		ret->u.allocated.size = sample_u64(r);
		ret->u.allocated.epoch = sample_u64(r);
		ret->u.allocated.remote.key = sample_u64(r);
		ret->u.allocated.remote.base = sample_u64(r);
		break;
	case XM_TRIM:
		ret->u.trim.extent = sample_u64(r);
		ret->u.trim.size = sample_u64(r);
		break;
	case XM_FREE:
		ret->u.free.extent = sample_u64(r);
		break;
	case XM_LIST:
		ret->u.list.cursor = sample_u64(r);
		break;
	case XM_LISTED:
		sample_listed(r, &ret->u.listed);
		break;
	case XM_STATE:
		SAMPLE_TEXT(r, ret->u.state.name);
		SAMPLE_TEXT(r, ret->u.state.provider);
		SAMPLE_TEXT(r, ret->u.state.library);
		SAMPLE_TEXT(r, ret->u.state.zone);
		sample_figures(r, &ret->u.state.figures);
		break;
	case XM_PONG:
		sample_figures(r, &ret->u.pong.figures);
		break;
	case XM_WANTED:
		ret->u.wanted.extent = sample_u64(r);
		ret->u.wanted.ms = (uint32_t)sample_u64(r);
		break;
	case XM_OFFER:
	case XM_CLAIM:
	case XM_CLAIMED:
	case XM_PARTED:
	case XM_GRANT:
	case XM_OPEN:
	case XM_REVOKED:
		sample_hand_over(r, ret);
		break;
	case XM_PERSIST:
		ret->u.persist.extent = sample_u64(r);
		ret->u.persist.draft = sample_u64(r);
		break;
	case XM_DRAFT:
		ret->u.draft.extent = sample_u64(r);
		ret->u.draft.offset = sample_u64(r);
		ret->u.draft.size = sample_u64(r);
		ret->u.draft.flags = (uint32_t)sample_u64(r);
		break;
	case XM_DRAFTED:
		ret->u.drafted.draft = sample_u64(r);
		break;
	case XM_DAMAGE:
		ret->u.damage.extent = sample_u64(r);
		ret->u.damage.offset = sample_u64(r);
		break;
	case XM_DAMAGED:
		ret->u.damaged.offset = sample_u64(r);
		ret->u.damaged.size = sample_u64(r);
		break;
	case XM_COPY_BYTES:
		ret->u.copy.from = sample_u64(r);
		ret->u.copy.from_offset = sample_u64(r);
		ret->u.copy.to = sample_u64(r);
		ret->u.copy.to_offset = sample_u64(r);
		ret->u.copy.size = sample_u64(r);
		break;
	case XM_DRAIN:
		ret->u.drain.incarnation = sample_u64(r);
		ret->u.drain.on = (uint32_t)sample_u64(r);
		break;
	case XM_RESIZE:
		ret->u.resize.incarnation = sample_u64(r);
		ret->u.resize.size = sample_u64(r);
		break;
	case XM_LEAVING:
		ret->u.leaving.ms = (uint32_t)sample_u64(r);
		break;
	default: /* the others have no body */
		break;
	}
}

#endif
