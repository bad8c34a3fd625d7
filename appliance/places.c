/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service machine's pool, divided into places: each tenant's memory is a run of bytes
 * of its own, which one interface process reaches, and no other does. So one that dies, or
 * whose parser an attacker has made his own, has no byte of another tenant's, and takes
 * none with it.
 *
 * A client's place is that of the tenant as which it began; what it is lent lies there, and
 * nobody of another place can claim it. Where nothing is divided there is one place,
 * everybody's, and all this decides nothing.
 *
 * What an interface reports counts where it is about its own place, and nowhere else: it
 * may lie.
 *
 * When an interface is lost, so is all that was in its place: whatever ended it could write
 * there. Its clients' leases end at once, since no key of theirs opens anything any more,
 * and so do orphans. Free bytes, too, may be anything then. So nothing of the place is lent
 * until all of it was zeroed, once its extents have come back. What the service
 * commands after that waits for the process that takes the lost one's place.
 *
 * Each place has an allocator of its own. It counts in offsets of the whole pool, for
 * which all that lies before the place is taken from it at the start, as one range.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "appliance/service_parts.h"
#include "core/pure/plant.h"

#define DROPS_MAX 2 /* streams dropped in one step */

static uint32_t ranges_max(const struct xm_service_options *o)
{
	return o->extents_max + (o->places_count > 1);
}

size_t xm_places_memory_size(const struct xm_service_options *o)
{
	return xm_max(o->places_count, 1U) *
	       xm_align_up(xm_extent_memory_size(ranges_max(o)), 16);
}

const char *xm_places_wrong(const struct xm_service_options *o)
{
	uint64_t at = 0;

	if (o->places_count > XM_SERVICE_PLACES_MAX)
		return "there are more places than there can be tenants";
	for (uint32_t i = 0; i < o->places_count; i++) {
		const struct xm_service_place *p = &o->places[i];

		if (p->offset != at || p->size == 0 ||
		    !xm_is_aligned(p->size, o->granule))
			return "places must lie one behind the other, in granules";
		at += p->size;
	}
	if (o->places_count > 0 && at != o->pool_size)
		return "the places must be the whole pool";
	return o->places_count > 1 && o->durable
		? "what is durable cannot be divided among tenants" : NULL;
}

void xm_places_init(struct xm_service *s, uint8_t *ranges)
{
	const struct xm_service_options *o = &s->options;
	size_t each = xm_align_up(xm_extent_memory_size(ranges_max(o)), 16);

	s->places_count = xm_max(o->places_count, 1U);
	s->places[0].size = o->pool_size;
	s->places[0].locator = o->locator;
	for (uint32_t i = 0; i < s->places_count; i++) {
		struct xm_service_place *p = &s->places[i];

		if (i < o->places_count)
			*p = o->places[i];
		xm_extent_init(&s->pools[i], p->offset + p->size, o->granule,
			       ranges_max(o), ranges + i * each);
		if (p->offset > 0)
			XM_ASSERT(xm_extent_take_at(&s->pools[i], 0, p->offset) == 0);
	}
	s->options.places = NULL; /* the caller's */
}

uint32_t xm_place_of(const struct xm_service *s, uint32_t tenant)
{
	if (s->places[0].tenant[0] == '\0')
		return 0;
	for (uint32_t i = 0; tenant != XM_TENANT_NONE && i < s->places_count; i++)
		if (memcmp(s->places[i].tenant, s->tenants.list[tenant].name,
			   XM_TENANT_NAME_SIZE) == 0)
			return i;
	return XM_SERVICE_NONE;
}

uint64_t xm_place_free(const struct xm_service *s, uint32_t place)
{
	if (place == XM_SERVICE_NONE || s->unclean[place] > 0)
		return 0;
	return s->places_count > 1 ? s->pools[place].free : xm_shrink_free(s);
}

uint64_t xm_place_free_run(const struct xm_service *s, uint32_t place)
{
	return place == XM_SERVICE_NONE || s->unclean[place] > 0
		? 0 : xm_extent_free_run(&s->pools[place]);
}

int xm_place_take(struct xm_service *s, uint32_t place, uint64_t size,
		  uint64_t *ret_offset)
{
	return s->unclean[place] > 0
		? -ENOSPC : xm_extent_take(&s->pools[place], size, 0, ret_offset);
}

uint64_t xm_place_size(const struct xm_service *s, uint32_t place)
{
	if (place == XM_SERVICE_NONE)
		return 0;
	return s->places_count > 1 ? s->places[place].size : xm_shrink_pool(s);
}

bool xm_place_reports(struct xm_service *s, const struct xm_service_event *event)
{
	const struct xm_service_grant *g;
	const struct xm_service_client *c;

	switch (event->kind) {
	case XM_SERVICE_EXPOSED:
	case XM_SERVICE_CONCEALED:
		g = xm_service_grant_find(s, event->grant);
		return g == NULL || s->extents[g->extent].place == event->place ||
		       XM_PLANTED(place_report_believed);
	case XM_SERVICE_ADMITTED:
	case XM_SERVICE_RETRACTED:
	case XM_SERVICE_EXPELLED:
	case XM_SERVICE_CONNECTIONS:
		c = xm_client_find(s, event->client);
		return c == NULL || c->place == event->place ||
		       XM_PLANTED(place_report_believed);
	default:
		return true;
	}
}

/* --- the end of an interface ------------------------------------------------------ */

static bool is_lost(uint32_t place, uint32_t lost)
{
	return place == lost || XM_PLANTED(place_spills);
}

void xm_place_lost(struct xm_service *s, uint32_t place, struct xm_service_effects *ret)
{
	struct xm_service_effect *effect = xm_service_effect(ret, XM_SERVICE_LOG);
	struct xm_words words;
	uint32_t clients = 0;

	XM_ASSERT(place < s->places_count);
	for (uint32_t i = 0; i < s->options.clients_max; i++) {
		struct xm_service_client *c = &s->clients[i];

		if (c->state == XM_CLIENT_FREE || !is_lost(c->place, place))
			continue;
		clients++;
		xm_client_lost(s, c);
	}
	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		struct xm_service_extent *e = &s->extents[i];

		if (e->state == XM_EXTENT_ORPHAN && is_lost(e->place, place))
			xm_service_extent_abandon(s, e);
	}
	s->unclean[place] = s->places[place].size;
	effect->level = XM_LEVEL_WARNING;
	xm_words_begin(&words, effect->words, sizeof(effect->words));
	xm_words_add(&words, "the interface of tenant ");
	xm_words_add(&words, s->places[place].tenant);
	xm_words_add(&words, " has ended: the memory of ");
	xm_words_number(&words, clients);
	xm_words_add(&words, " clients is lost; other tenants go on");
}

bool xm_place_drop(struct xm_service *s, struct xm_service_effects *ret)
{
	uint32_t drops = 0;

	for (uint32_t i = 0; s->losing && i < s->options.peers_max; i++) {
		if (s->peers[i].state != XM_PEER_LOST)
			continue;
		if (drops++ == DROPS_MAX)
			return true;
		xm_client_drop_peer(s, i, ret);
	}
	s->losing = false;
	return false;
}

/* A place of which all bytes are back and may be anything. */
static uint32_t next_unclean(const struct xm_service *s)
{
	uint32_t i = 0;

	while (i < s->places_count &&
	       (s->unclean[i] == 0 || s->pools[i].free != s->places[i].size))
		i++;
	return i < s->places_count ? i : XM_SERVICE_NONE;
}

bool xm_place_clean(struct xm_service *s, bool others, struct xm_service_effects *ret)
{
	struct xm_service_effect *effect;
	bool turn = !(others && s->cleaned);

	s->cleaning = turn ? next_unclean(s) : XM_SERVICE_NONE;
	s->cleaned = s->cleaning != XM_SERVICE_NONE;
	if (!s->cleaned)
		return false;
	s->cleaning_left = s->unclean[s->cleaning];
	effect = xm_service_effect(ret, XM_SERVICE_ZERO);
	effect->size = xm_min(s->cleaning_left, s->options.zero_size_max);
	effect->offset = s->places[s->cleaning].offset + s->cleaning_left -
			 effect->size;
	return true;
}

void xm_place_cleaned(struct xm_service *s)
{
	uint32_t place = s->cleaning;

	if (place == XM_SERVICE_NONE)
		return;
	/* Else another interface was lost meanwhile. */
	if (s->unclean[place] == s->cleaning_left)
		s->unclean[place] -= xm_min(s->cleaning_left,
					    s->options.zero_size_max);
	s->cleaning = XM_SERVICE_NONE;
}

/* --- the laws ------------------------------------------------------------------ */

const char *xm_places_check(const struct xm_service *s)
{
	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];
		const struct xm_service_place *p = &s->places[e->place];

		if (e->state == XM_EXTENT_FREE)
			continue;
		if (e->offset < p->offset ||
		    !xm_span_fits(e->offset - p->offset, e->size, p->size))
			return "an extent lies outside its place";
		if (s->unclean[e->place] > 0 && (e->state == XM_EXTENT_OWNED ||
						 e->state == XM_EXTENT_ORPHAN))
			return "memory of a lost interface is lent before it is zeroed";
		if (e->owner != XM_SERVICE_NONE &&
		    s->clients[e->owner].place != e->place)
			return "an extent lies in another place than its owner's";
	}
	return NULL;
}
