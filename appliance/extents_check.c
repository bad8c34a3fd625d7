/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is always true of extents and grants, for the simulator and the tests: all of it is
 * counted anew, by ways that extents.c does not take.
 *
 * Floor: ground.
 */
#include "appliance/service_parts.h"

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

/* Counted anew, not by the neighbours. */
static const char *check_grants(const struct xm_service *s,
				const struct xm_service_extent *e)
{
	uint32_t covers = 0;

	for (uint32_t i = 0; i < xm_service_grants_max(&s->options); i++) {
		const struct xm_service_grant *g = &s->grants[i];

		if (g->state == XM_GRANT_FREE ||
		    g->state == XM_GRANT_REVOKED ||
		    !overlap(g->offset, g->size, e->offset, e->size))
			continue;
		covers++;
		if (e->offset < g->offset ||
		    e->offset + e->size > g->offset + g->size)
			return "a grant covers a part of an extent";
	}
	if (e->state == XM_EXTENT_ZEROING && covers > 0)
		return "an extent is zeroed while a key opens it";
	if (covers != e->covers)
		return "an extent's grants are miscounted";
	return NULL;
}

/* What is tied to tokens is counted, and there is no more of it than may be kept. */
static const char *check_kept(const struct xm_service *s)
{
	const struct xm_service_options *o = &s->options;
	uint64_t kept = 0, resting = 0;

	for (uint32_t i = 0; i < o->extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];

		kept += e->offer.kept ? e->size : 0;
		if (e->state == XM_EXTENT_ORPHAN && e->durable.stored)
			resting += e->size;
	}
	if (kept != s->bytes_kept)
		return "what is kept is miscounted";
	if (resting != s->bytes_resting)
		return "what rests on the store is miscounted";
	if (kept > xm_max(o->pool_size / 100 * o->kept_percent, s->bytes_restored))
		return "more is kept than may be";
	return NULL;
}

/* One owner; no other client's key opens what it owns; an orphan has a way back. */
static const char *check_owner(const struct xm_service *s,
			       const struct xm_service_extent *e)
{
	uint32_t slot = xm_service_extent_slot(s, e);
	bool offered = xm_slots_has(&s->offered, slot);

	if (e->state == XM_EXTENT_ORPHAN && e->owner != XM_SERVICE_NONE)
		return "an orphan has an owner";
	if (e->state == XM_EXTENT_ORPHAN && !offered)
		return "an orphan has no token";
	if (offered && e->state != XM_EXTENT_ORPHAN &&
	    e->state != XM_EXTENT_OWNED)
		return "what is not lent is offered";
	for (uint32_t i = 0; e->state == XM_EXTENT_OWNED &&
			     i < xm_service_grants_max(&s->options); i++) {
		const struct xm_service_grant *g = &s->grants[i];

		if (g->state != XM_GRANT_FREE && g->client != e->owner &&
		    !g->reads &&
		    overlap(g->offset, g->size, e->offset, e->size))
			return "another client's key opens what is owned";
	}
	return NULL;
}

/* Who reads an extent reads alone, and of one that has an owner; the others' keys are about to
 * die. */
static const char *check_readers(const struct xm_service *s,
				 const struct xm_service_extent *e)
{
	uint32_t slot = xm_service_extent_slot(s, e);
	bool shared = xm_slots_has(&s->shared, slot);
	bool ends = xm_slots_has(&s->ending, slot);

	if (shared && e->state != XM_EXTENT_OWNED)
		return "what has no owner is shared";
	for (uint32_t i = 0; i < xm_service_grants_max(&s->options); i++) {
		const struct xm_service_grant *g = &s->grants[i];

		if (g->state == XM_GRANT_FREE || !g->reads || g->extent != slot ||
		    g->state == XM_GRANT_REVOKED)
			continue;
		if (g->rights != XM_RIGHT_READ)
			return "a reader may write";
		if (!shared && !ends &&
		    (g->state == XM_GRANT_LIVE || g->state == XM_GRANT_EXPOSING) &&
		    !g->settled)
			return "a reading outlives what allows it";
	}
	return NULL;
}

static uint64_t pool_free(const struct xm_service *s)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < s->places_count; i++)
		bytes += s->pools[i].free;
	return bytes;
}

const char *xm_service_extents_check(const struct xm_service *s)
{
	uint64_t held = 0;

	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];
		const char *broken;

		if (e->state == XM_EXTENT_FREE)
			continue;
		held += e->size;
		if (!xm_span_fits(e->offset, e->size, s->options.pool_size))
			return "an extent lies outside the pool";
		broken = check_grants(s, e);
		if (broken == NULL)
			broken = check_owner(s, e);
		if (broken == NULL)
			broken = check_readers(s, e);
		if (broken != NULL)
			return broken;
		for (uint32_t j = 0; j < i; j++) {
			const struct xm_service_extent *f = &s->extents[j];

			if (f->state != XM_EXTENT_FREE &&
			    overlap(e->offset, e->size, f->offset, f->size))
				return "two extents overlap";
		}
	}
	if (held != s->bytes_owned + s->bytes_parting + s->bytes_orphaned ||
	    held + pool_free(s) != s->options.pool_size)
		return "bytes of the pool are neither free nor held";
	return check_kept(s);
}
