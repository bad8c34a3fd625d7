/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Quiet: once the weather is clear, what was begun for members and moves ends. Within T no
 * member is missing for which some appliance has room, nothing that another appliance has
 * room for lies at one that drains, or in an extent that was asked back; no guest is left;
 * and each extent that a client owns is a member's, or a ledger at an appliance that does not
 * drain.
 *
 * Asked when the threads of a client have ended, before it gives its region back.
 */
#include "core/client/client.h"
#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fibers.h"
#include "sim/laws.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/world.h"

#define QUIET (100 * XM_SECOND)
#define LOOK XM_SECOND

static const struct xm_keeper *keeper_of(const extmem *x)
{
	return &x->ask.keeper;
}

/* NULL: it does not answer, or not as the client knows it. */
static const struct xm_service *service_of(const extmem *x, uint32_t appliance)
{
	const struct xm_service *service = appliance_service(appliance);
	const struct xm_session *s =
		&keeper_of(x)->control.peers[appliance].session;

	return service != NULL && s->state == XM_SESSION_READY &&
			       s->welcome.incarnation ==
				       service->options.incarnation
		       ? service : NULL;
}

static bool has_room(const extmem *x, uint32_t appliance, uint64_t size)
{
	const struct xm_service *service = service_of(x, appliance);
	const struct xm_keeper_views *views = &keeper_of(x)->views;

	return service != NULL && !service->leaving &&
	       keeper_of(x)->control.peers[appliance].session.offer.free_run >=
		       size && /* or less, by a tenant's quota */
	       service->extents_count < service->options.extents_max &&
	       service->options.extents_per_client_max >=
		       service->options.extents_max &&
	       (!views->wanted ||
		views->ledgers[appliance].state == XM_LEDGER_HELD);
}

/* May an appliance have another copy, in place of the one that this member is, and has it
 * room? That is asked as the keeper asks. */
static bool fits(const extmem *x, const struct xm_segment *s, uint32_t member)
{
	struct xm_plan_offer offers[XM_APPLIANCES_MAX];
	struct xm_vacancy at;
	struct xm_plan_vacancy vacancy;
	uint64_t used[XM_APPLIANCES_MAX];

	xm_vacancy_set(&x->volume, s, member, &at);
	vacancy = xm_keeper_place(&at, 1);
	xm_keeper_offers(keeper_of(x), offers);
	xm_volume_region_at(&x->volume, &s->region_id, used);
	for (uint32_t a = 0; a < keeper_of(x)->control.count; a++) {
		offers[a].used = used[a];
		offers[a].ready &= has_room(x, a, at.size);
	}
	return xm_plan_spare(s->strategy, s->choice, offers,
			     keeper_of(x)->control.count, &vacancy) >= 0;
}

static const char *ask_segment(const extmem *x, const struct xm_segment *s)
{
	uint32_t leaving = xm_keeper_leaving(keeper_of(x));
	uint32_t wants = xm_keeper_wants(keeper_of(x));

	if (s->guest)
		return "a guest is neither filled nor dismissed";
	/* (What others read is not replaced.) */
	for (uint32_t k = 0; !s->lost && !s->held && !s->fixed && k < s->members_count;
	     k++) {
		const struct xm_member *m = &s->members[k];
		uint32_t bit = 1u << m->appliance;

		if (m->state != XM_MEMBER_IN && fits(x, s, k))
			return "a member is missing, and an appliance has room";
		if (m->state == XM_MEMBER_IN && fits(x, s, k) &&
		    ((leaving & bit) != 0 || (m->wanted && (wants & bit) != 0)))
			return "a copy lies where it should not, and an "
			       "appliance has room";
	}
	return NULL;
}

static bool is_members(const extmem *x, uint32_t appliance,
		       const struct xm_service_extent *e)
{
	for (uint32_t i = 0; i < x->volume.layout.count; i++) {
		const struct xm_segment *s = &x->volume.layout.segments[i];

		for (uint32_t k = 0; k < s->members_count; k++) {
			const struct xm_member *m = &s->members[k];

			if (m->appliance == appliance &&
			    m->state != XM_MEMBER_LOST &&
			    m->extent == e->number)
				return true;
		}
	}
	return false;
}

static const char *ask_extents(const extmem *x, uint32_t appliance)
{
	const struct xm_service *service = service_of(x, appliance);
	const struct xm_keeper_ledger *ledger =
		&keeper_of(x)->views.ledgers[appliance];
	uint64_t number = keeper_of(x)->control.peers[appliance].session.hello
				  .client;

	/* The session knows that it may have what half a TRIM has cut off, and frees it with
	 * the rest. */
	if (service == NULL ||
	    !xm_session_is_settled(
		    &keeper_of(x)->control.peers[appliance].session))
		return NULL;
	for (uint32_t i = 0; i < service->options.extents_max; i++) {
		const struct xm_service_extent *e = &service->extents[i];

		if (e->state != XM_EXTENT_OWNED ||
		    service->clients[e->owner].number != number)
			continue;
		if (ledger->state == XM_LEDGER_HELD &&
		    ledger->extent == e->number) {
			if (service->leaving &&
			    !xm_volume_needs(&x->volume, appliance))
				return "a ledger is left where it should not be";
			continue;
		}
		if (!is_members(x, appliance, e))
			return "an extent is no member's";
	}
	return NULL;
}

static const char *ask(const extmem *x)
{
	const char *broken = NULL;

	sim_counts.laws_asked++;
	for (uint32_t i = 0; broken == NULL && i < x->volume.layout.count; i++)
		broken = ask_segment(x, &x->volume.layout.segments[i]);
	for (uint32_t a = 0; broken == NULL && a < keeper_of(x)->control.count;
	     a++)
		broken = ask_extents(x, a);
	return broken;
}

void oracle_quiet(uint32_t client)
{
	const extmem *x = program_client(client);
	uint64_t until_ns = world_now() + QUIET;
	const char *broken;

	if (x == NULL || x->settings.members_max <= 1)
		return;
	while ((broken = ask(x)) != NULL) {
		if (world_now() >= until_ns)
			world_broken("quiet", "of client %u, %llu s after the "
				     "weather cleared: %s", client,
				     (unsigned long long)(QUIET / XM_SECOND),
				     broken);
		world_wait(&until_ns, LOOK);
	}
}
