/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pools that are divided among tenants, in some of the runs with several: each has an
 * interface process of its own, which dies by itself, begins again, and lies about what
 * the others have. See appliance/places.c.
 */
#include <stdio.h>
#include <string.h>

#include "sim/counts.h"
#include "sim/notes.h"
#include "sim/places.h"
#include "sim/world.h"

#define SLOTS 64 /* of clients */
#define LIES 200 /* one poll in so many */

static uint64_t before[SLOTS]; /* numbers of other places' clients; 0: none */
static uint64_t lent, others; /* bytes of them that have an owner or wait for one */

static uint64_t some(uint64_t most)
{
	return xm_rand_below(world_rand(WORLD_PLACES), most);
}

void places_draw(struct sim_shape *s)
{
	s->apart = s->tenants > 1 && some(2) == 0;
}

uint32_t places_count(void)
{
	return sim_shape.apart ? sim_shape.tenants : 1;
}

void places_get(uint32_t place, uint64_t *ret_offset, uint64_t *ret_size)
{
	uint64_t granule = sim_shape.granule;
	uint64_t each = sim_shape.pool_size / places_count() / granule * granule;

	*ret_offset = place * each;
	*ret_size = place + 1 < places_count() ? each
					       : sim_shape.pool_size - place * each;
}

uint32_t places_some(void)
{
	return sim_shape.apart ? (uint32_t)some(sim_shape.tenants) : 0;
}

bool places_strike(void)
{
	return sim_shape.apart && some(4) == 0;
}

void places_options(const struct xm_locator *locators, struct xm_service_options *ret)
{
	static struct xm_service_place places[XM_SERVICE_PLACES_MAX];

	if (!sim_shape.apart)
		return;
	memset(places, 0, sizeof(places));
	for (uint32_t i = 0; i < sim_shape.tenants; i++) {
		snprintf(places[i].tenant, sizeof(places[i].tenant), "t%u", i);
		places_get(i, &places[i].offset, &places[i].size);
		places[i].locator = locators[i];
	}
	ret->places = places;
	ret->places_count = sim_shape.tenants;
}

/* --- lies --------------------------------------------------------------------------- */

static bool lie_of_client(const struct xm_service *s, uint32_t liar, struct xm_report *ret)
{
	const struct xm_service_client *c = &s->clients[some(s->options.clients_max)];

	if (c->state == XM_CLIENT_FREE || c->place == liar)
		return false;
	ret->client = c->number;
	ret->kind = some(2) == 0 ? XM_REPORT_EXPELLED : XM_REPORT_CONNECTIONS;
	return true;
}

static bool lie_of_grant(const struct xm_service *s, uint32_t liar, struct xm_report *ret)
{
	const struct xm_service_grant *g = &s->grants[some(xm_service_grants_max(&s->options))];

	if (g->state == XM_GRANT_FREE || s->extents[g->extent].place == liar)
		return false;
	ret->grant = g->number;
	ret->kind = some(2) == 0 ? XM_REPORT_EXPOSED : XM_REPORT_CONCEALED;
	ret->remote.key = some(UINT32_MAX);
	return true;
}

bool places_lie(const struct xm_service *s, uint32_t *ret_place, struct xm_report *ret)
{
	if (!sim_shape.apart || sim_shape.weather_ms == 0 || some(LIES) != 0)
		return false;
	memset(ret, 0, sizeof(*ret));
	*ret_place = places_some();
	if (some(2) == 0 ? !lie_of_client(s, *ret_place, ret)
			 : !lie_of_grant(s, *ret_place, ret))
		return false;
	sim_counts.faults[SIM_FAULT_LIAR]++;
	world_note("places.lie: the interface of place {place} reports what is another's",
		   *ret_place, 0, 0);
	return true;
}

/* --- a wild end ----------------------------------------------------------------------- */

static bool is_free(const struct xm_service *s, uint64_t offset)
{
	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];

		if (e->state != XM_EXTENT_FREE && offset - e->offset < e->size)
			return false;
	}
	return true;
}

void places_scribble(const struct xm_service *s, uint32_t place, struct sparse *pool)
{
	uint64_t offset, size;

	places_get(place, &offset, &size);
	for (uint64_t at = offset; at < offset + size; at += sim_shape.granule) {
		if (!is_free(s, at))
			continue;
		sparse_mark(pool, at, XM_PAGE);
		memset(pool->bytes + at, 0x5a, XM_PAGE);
	}
}

/* --- laws ----------------------------------------------------------------------------- */

/* Bytes of owners, and of those that wait for one, in this place or in all others. */
static uint64_t bytes_lent(const struct xm_service *s, uint32_t place, bool in_others)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];

		if ((e->state == XM_EXTENT_OWNED || e->state == XM_EXTENT_ORPHAN) &&
		    (e->place != place) == in_others)
			bytes += e->size;
	}
	return bytes;
}

void places_before(const struct xm_service *s, uint32_t place)
{
	XM_ASSERT(s->options.clients_max <= SLOTS);
	memset(before, 0, sizeof(before));
	for (uint32_t i = 0; i < s->options.clients_max; i++) {
		const struct xm_service_client *c = &s->clients[i];

		if (c->state == XM_CLIENT_KNOWN && c->place != place)
			before[i] = c->number;
	}
	lent = bytes_lent(s, place, false);
	others = bytes_lent(s, place, true);
}

void places_after(const struct xm_service *s, uint32_t place, uint32_t appliance)
{
	sim_counts.laws_asked++;
	for (uint32_t i = 0; i < s->options.clients_max; i++) {
		const struct xm_service_client *c = &s->clients[i];

		if (before[i] != 0 &&
		    (c->state != XM_CLIENT_KNOWN || c->number != before[i]))
			world_broken("place", "the end of the interface of place %u of "
				     "appliance %u ends a client of another", place,
				     appliance);
		if (c->state != XM_CLIENT_FREE && c->place == place)
			world_broken("place", "a client of place %u of appliance %u "
				     "outlives its interface", place, appliance);
	}
	if (bytes_lent(s, place, true) != others)
		world_broken("place", "the end of the interface of place %u of "
			     "appliance %u takes memory in another", place, appliance);
	if (bytes_lent(s, place, false) > 0)
		world_broken("place", "of the %llu bytes lent in place %u of appliance "
			     "%u some outlive its interface", (unsigned long long)lent,
			     place, appliance);
}
