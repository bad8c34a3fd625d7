/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service machine's pool, as it shrinks and grows.
 *
 * The pool is one span of bytes of which the machine lends those below `limit`. A smaller
 * goal lowers the limit at once. Beyond it, free bytes are given to the host piece by piece
 * (RETURN), from the limit upwards; `at` is how far that has come. Extents there stay their
 * owners', who are told that they are WANTED; they are given to the host as they become
 * free, which brings `at` down to them. A larger goal takes pieces from the host again
 * (TAKE), and the limit rises with each one that is there.
 *
 *	example: of 10 GiB, 6 are lent, 1 of them beyond the first 8. The goal becomes 8
 *	GiB. 1 GiB is the host's within a second, 1 GiB is asked back. A client moves half
 *	of that to another appliance, and it is the host's, too. The other half stays.
 *
 * A piece is the host's only between two of its own reports, so at most one RETURN or TAKE
 * is out, and nothing beyond the limit can be lent meanwhile.
 *
 * A pool that is divided into places stays as it is: each is a tenant's, whole.
 *
 * What is WANTED is said again with each PING, since a notice can be lost with its stream,
 * or come before its client knows what to do with the extent. After XM_SERVICE_UNMOVED the
 * log says what has not moved.
 *
 * Floor: ground.
 */
#include <errno.h>

#include "appliance/service_parts.h"
#include "core/pure/plant.h"

static uint64_t unit(const struct xm_service *s)
{
	return xm_max(s->options.pool_unit, s->options.granule);
}

/* How much of these bytes lies at or beyond the limit. */
static uint64_t beyond(const struct xm_service *s, uint64_t offset,
		       uint64_t size)
{
	uint64_t from = xm_max(offset, s->size.limit);

	return offset + size > from ? offset + size - from : 0;
}

uint64_t xm_shrink_free(const struct xm_service *s)
{
	uint64_t over = s->options.pool_size - s->size.limit;

	uint64_t bytes = 0;

	for (uint32_t i = 0; i < s->places_count; i++)
		bytes += s->pools[i].free;
	return bytes - (over - s->size.beyond);
}

uint64_t xm_shrink_pool(const struct xm_service *s)
{
	const struct xm_service_size *z = &s->size;
	uint64_t bytes = z->limit + z->beyond;
	struct xm_extent_range range;

	/* What is free and still on its way to the host. */
	if (z->busy && z->returns)
		bytes += z->size;
	for (uint64_t at = xm_max(z->at, z->limit); at < s->options.pool_size;) {
		XM_ASSERT(xm_extent_next(&s->pools[0], at, &range) == 0);
		if (!range.taken)
			bytes += range.offset + range.size - at;
		at = range.offset + range.size;
	}
	return bytes;
}

/* --- the goal -------------------------------------------------------------- */

static void say(struct xm_service_effects *ret, enum xm_level level,
		const char *before, uint64_t bytes, const char *after,
		uint64_t more, const char *end)
{
	struct xm_service_effect *effect =
		xm_service_effect(ret, XM_SERVICE_LOG);
	struct xm_words words;

	effect->level = level;
	xm_words_begin(&words, effect->words, sizeof(effect->words));
	xm_words_add(&words, before);
	xm_words_bytes(&words, bytes);
	xm_words_add(&words, after);
	if (end == NULL)
		return;
	xm_words_bytes(&words, more);
	xm_words_add(&words, end);
}

static void lower_limit(struct xm_service *s, uint64_t limit)
{
	struct xm_service_size *z = &s->size;

	z->limit = limit;
	z->beyond = 0;
	if (!XM_PLANTED(lends_beyond))
		xm_extent_set_limit(&s->pools[0], limit);
	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];

		if (e->state != XM_EXTENT_FREE)
			z->beyond += beyond(s, e->offset, e->size);
	}
}

/* What is below the new one is there. */
static void raise_limit(struct xm_service *s, uint64_t limit)
{
	struct xm_service_size *z = &s->size;
	struct xm_extent_range range;

	for (uint64_t at = z->limit; at < limit; at = range.offset + range.size) {
		XM_ASSERT(xm_extent_next(&s->pools[0], at, &range) == 0);
		if (range.taken)
			z->beyond -= xm_min(range.offset + range.size, limit) -
				     at;
	}
	z->limit = limit;
	xm_extent_set_limit(&s->pools[0], limit);
}

static void tell_all(struct xm_service *s)
{
	for (uint32_t i = 0; i < s->options.extents_max; i++)
		s->extents[i].wanted = false;
	s->size.telling = s->size.beyond > 0;
	s->size.telling_at = 0;
	s->size.again = false;
}

int xm_shrink_resize(struct xm_service *s, uint64_t size, uint64_t now_ns,
		     struct xm_service_effects *ret)
{
	struct xm_service_size *z = &s->size;

	if (s->places[0].tenant[0] != '\0' || s->options.borrowed)
		return -EOPNOTSUPP;
	if (size > s->options.pool_size)
		return -EINVAL;
	size = xm_min(xm_align_up(size, unit(s)), s->options.pool_size);
	if (size == z->goal)
		return 0;
	z->goal = size;
	z->shrinks = size < z->limit;
	z->began_ns = now_ns;
	z->said_ns = 0;
	if (z->shrinks) {
		lower_limit(s, size);
		z->at = size;
	}
	tell_all(s);
	xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_RESIZED, size,
		     z->beyond, 0, 0);
	if (z->shrinks)
		say(ret, XM_LEVEL_INFO, "the pool shrinks to ", size, "; ",
		    z->beyond, " beyond that are lent, and asked back");
	else
		say(ret, XM_LEVEL_INFO, "the pool grows to ", size, "", 0,
		    NULL);
	return 0;
}

void xm_shrink_freed(struct xm_service *s, uint64_t offset, uint64_t size)
{
	struct xm_extent_range range;
	uint64_t bytes = beyond(s, offset, size);

	if (bytes == 0)
		return;
	s->size.beyond -= bytes;
	/* With its free neighbours: a page of the host's may lie in several. */
	offset = xm_max(offset, s->size.limit);
	XM_ASSERT(xm_extent_next(&s->pools[0], offset, &range) == 0);
	s->size.at = xm_min(s->size.at, xm_max(range.offset, s->size.limit));
}

/* --- owners ---------------------------------------------------------------- */

static bool is_wanted(const struct xm_service *s,
		      const struct xm_service_extent *e)
{
	return e->state == XM_EXTENT_OWNED && e->owner != XM_SERVICE_NONE &&
	       e->offset + e->size > s->size.limit;
}

void xm_shrink_tell_again(struct xm_service *s, uint32_t client, uint64_t now_ns)
{
	struct xm_service_client *c = &s->clients[client];

	if (s->size.beyond == 0 ||
	    (c->again_ns != 0 &&
	     now_ns - c->again_ns < c->lease_ns / XM_SHRINK_AGAIN))
		return;
	c->again_ns = now_ns;
	XM_LIST_EACH (link, &c->owned)
		XM_CONTAINER(link, struct xm_service_extent, owned)->wanted =
			false;
	/* A round that has begun goes on to its end: nobody can keep it from others. */
	s->size.again = s->size.telling;
	s->size.telling = true;
}

bool xm_shrink_tell(struct xm_service *s, struct xm_service_effects *ret)
{
	struct xm_service_size *z = &s->size;
	uint32_t slot;

	for (; z->telling; z->telling_at = slot + 1) {
		struct xm_service_extent *e;
		struct xm_message *m;
		uint32_t peer;

		slot = xm_slots_next(&s->lent, z->telling_at);
		if (slot == XM_SLOTS_NONE)
			break;
		e = &s->extents[slot];
		if (!is_wanted(s, e) || e->wanted ||
		    e->grant == XM_SERVICE_NONE ||
		    s->grants[e->grant].state != XM_GRANT_LIVE)
			continue;
		peer = s->clients[e->owner].peer;
		if (peer == XM_SERVICE_NONE)
			continue;
		if (ret->sends == XM_SERVICE_SENDS_MAX) {
			z->telling_at = slot;
			return true;
		}
		m = xm_service_send(ret, peer, 0, XM_WANTED);
		m->u.wanted.extent = e->number;
		m->u.wanted.ms = UINT32_MAX;
		e->wanted = true;
		xm_trace_put(s->trace, s->last_ns, XM_TRACE_SERVICE_WANTED,
			     e->number, s->clients[e->owner].number, 0, 0);
	}
	z->telling = z->again;
	z->telling_at = 0;
	z->again = false;
	return z->telling;
}

/* --- the host -------------------------------------------------------------- */

static void ask_host(struct xm_service *s, enum xm_service_effect_kind kind,
		     uint64_t offset, uint64_t end, struct xm_service_effects *ret)
{
	struct xm_service_size *z = &s->size;
	struct xm_service_effect *effect = xm_service_effect(ret, kind);
	uint64_t piece = xm_align_up(s->options.zero_size_max, unit(s));

	effect->offset = z->offset = offset;
	/* The next piece begins with a page of the host's. */
	effect->size = z->size = xm_min(end, (offset + piece) & -unit(s)) -
				 offset;
	z->busy = true;
	z->returns = kind == XM_SERVICE_RETURN;
}

void xm_shrink_done(struct xm_service *s, const struct xm_service_event *event,
		    struct xm_service_effects *ret)
{
	struct xm_service_size *z = &s->size;

	XM_ASSERT(z->busy);
	z->busy = false;
	if (event->kind == XM_SERVICE_RETURNED) {
		xm_trace_put(s->trace, event->now_ns,
			     XM_TRACE_SERVICE_RETURNED, z->size, z->offset, 0,
			     0);
		return;
	}
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_TAKEN, z->size,
		     z->offset, (uint64_t)(int64_t)event->status, 0);
	if (event->status == 0 && z->offset == z->limit && z->limit < z->goal)
		raise_limit(s, xm_min(z->offset + z->size, z->goal));
	/* The goal was another one meanwhile: they are the host's again. */
	if (z->offset + z->size > z->limit)
		z->at = xm_min(z->at, xm_max(z->offset, z->limit));
	if (event->status == 0 || z->limit >= z->goal)
		return;
	z->goal = z->limit;
	say(ret, XM_LEVEL_WARNING, "the pool stays at ", z->limit,
	    ": this machine has no more memory to spare", 0, NULL);
}

/* The next free bytes beyond the limit that are not the host's yet. */
static bool next_free(struct xm_service *s, struct xm_extent_range *ret)
{
	struct xm_service_size *z = &s->size;

	while (z->at < s->options.pool_size) {
		XM_ASSERT(xm_extent_next(&s->pools[0], z->at, ret) == 0);
		if (!ret->taken || XM_PLANTED(returns_lent))
			return true;
		z->at = ret->offset + ret->size;
	}
	return false;
}

static void say_what_stays(struct xm_service *s, uint64_t now_ns,
			   struct xm_service_effects *ret)
{
	struct xm_service_size *z = &s->size;

	if (!z->shrinks)
		return;
	if (z->beyond == 0) {
		z->shrinks = false;
		say(ret, XM_LEVEL_INFO, "the pool has ", z->limit,
		    " now, as was asked", 0, NULL);
	} else if (z->said_ns == 0 &&
		   now_ns - z->began_ns >= XM_SERVICE_UNMOVED) {
		z->said_ns = now_ns;
		say(ret, XM_LEVEL_WARNING, "the pool cannot shrink to ",
		    z->goal, " yet: ", z->beyond, " are lent to clients that "
		    "have no room elsewhere, or wait for a client, and stay "
		    "until these end");
	}
}

void xm_shrink_work(struct xm_service *s, uint64_t now_ns,
		    struct xm_service_effects *ret)
{
	struct xm_service_size *z = &s->size;
	struct xm_extent_range range;

	if (z->busy)
		return;
	if (z->limit < z->goal) {
		ask_host(s, XM_SERVICE_TAKE, z->limit, z->goal, ret);
		return;
	}
	if (z->at < z->limit)
		z->at = z->limit;
	if (!next_free(s, &range)) {
		say_what_stays(s, now_ns, ret);
		return;
	}
	ask_host(s, XM_SERVICE_RETURN, z->at, range.offset + range.size, ret);
	z->at = z->offset + z->size;
}

/* --- the laws -------------------------------------------------------------- */

const char *xm_shrink_check(const struct xm_service *s)
{
	const struct xm_service_size *z = &s->size;
	uint64_t bytes = 0;

	if (z->limit > z->goal || z->goal > s->options.pool_size)
		return "the pool's limit and goal are out of order";
	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];

		if (e->state == XM_EXTENT_FREE)
			continue;
		bytes += beyond(s, e->offset, e->size);
		if (z->busy && z->returns && e->offset < z->offset + z->size &&
		    z->offset < e->offset + e->size)
			return "bytes of an extent are given to the host";
	}
	if (bytes != z->beyond)
		return "bytes beyond the pool's limit are miscounted";
	return NULL;
}
