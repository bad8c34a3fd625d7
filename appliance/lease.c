/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The extents' half of the service machine: TAKE, TRIM, GIVE, LIST, and the
 * way of an extent from its owner back into the pool. See service.h for the
 * states and for the conditions under which an extent becomes FREE.
 *
 * Records are scanned, not listed: extents_max is some thousands, and none of
 * this is on the path of a fault. Zeroing is memset in pieces, one piece out
 * at a time, never a hole punched into the pool: a hole would detach the
 * pages that the interface has registered with its device.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"
#include "appliance/service_parts.h"


static struct xm_service_extent *extent_find(struct xm_service *s,
					     uint64_t number)
{
	uint64_t slot = number & (XM_SERVICE_SLOTS_MAX - 1);

	if (slot >= s->options.extents_max ||
	    s->extents[slot].state == XM_EXTENT_FREE ||
	    s->extents[slot].number != number)
		return NULL;
	return &s->extents[slot];
}

static uint32_t extent_slot(const struct xm_service *s,
			    const struct xm_service_extent *e)
{
	return (uint32_t)(e - s->extents);
}

/* A record for bytes that are already taken from the pool; the caller has
 * seen that extents_count is below the maximum. */
static struct xm_service_extent *extent_new(struct xm_service *s,
					    uint32_t client, uint64_t offset,
					    uint64_t size)
{
	struct xm_service_extent *e = s->extents;
	uint32_t serial;

	while (e->state != XM_EXTENT_FREE)
		e++;
	XM_ASSERT(extent_slot(s, e) < s->options.extents_max);
	serial = e->serial + 1;
	memset(e, 0, sizeof(*e));
	e->serial = serial;
	e->number = (uint64_t)serial << XM_SLOT_BITS | extent_slot(s, e);
	e->state = XM_EXTENT_EXPOSING;
	e->client = client;
	e->guard = XM_SERVICE_NONE;
	e->trimming = XM_SERVICE_NONE;
	e->offset = offset;
	e->size = size;
	e->epoch = ++s->epoch;
	s->extents_count++;
	s->clients[client].extents++;
	return e;
}

/* It no longer belongs to a client that is there. */
static void extent_disown(struct xm_service *s, struct xm_service_extent *e)
{
	if (e->client == XM_SERVICE_NONE)
		return;
	XM_ASSERT(s->clients[e->client].extents > 0);
	s->clients[e->client].extents--;
	e->client = XM_SERVICE_NONE;
}

static void extent_free(struct xm_service *s, struct xm_service_extent *e)
{
	extent_disown(s, e);
	e->state = XM_EXTENT_FREE;
	s->extents_count--;
}

static void expose(struct xm_service_extent *e,
		   const struct xm_service *s,
		   const struct xm_service_event *event,
		   struct xm_service_effects *ret)
{
	struct xm_service_effect *effect =
		xm_service_effect(ret, XM_SERVICE_EXPOSE);

	effect->extent = e->number;
	effect->client = s->clients[e->client].number;
	effect->offset = e->offset;
	effect->size = e->size;
	effect->rights = XM_RIGHTS_ALL;
	memcpy(&effect->key, event->entropy, sizeof(effect->key));
}

static void conceal(const struct xm_service *s, struct xm_service_extent *e,
		    struct xm_service_effects *ret)
{
	struct xm_service_effect *effect =
		xm_service_effect(ret, XM_SERVICE_CONCEAL);

	e->state = XM_EXTENT_CONCEALING;
	effect->extent = e->number;
	effect->client = s->clients[e->client].number;
	effect->remote = e->remote;
}

/* --- requests ------------------------------------------------------------- */

/* What stands against `count` more extents for this client, or false. */
static bool refused_for_count(struct xm_service *s, uint32_t client,
			      const struct xm_service_asker *asker,
			      struct xm_service_effects *ret)
{
	struct xm_words words;

	if (s->leaving) {
		xm_service_refuse_plainly(
			s, ret, asker, ESHUTDOWN,
			"this appliance is draining: take memory elsewhere");
		return true;
	}
	if (s->clients[client].extents >= s->options.extents_per_client_max) {
		if (xm_service_refuse(s, ret, asker, ENOSPC, &words) != NULL) {
			xm_words_add(&words, "you hold all ");
			xm_words_number(&words,
					s->options.extents_per_client_max);
			xm_words_add(&words, " extents a client may have: give"
					     " some back, or take larger ones");
		}
		return true;
	}
	if (s->extents_count >= s->options.extents_max) {
		if (xm_service_refuse(s, ret, asker, ENOSPC, &words) != NULL) {
			xm_words_add(&words, "all ");
			xm_words_number(&words, s->options.extents_max);
			xm_words_add(&words,
				     " extents of this appliance are in use"
				     " (extents-max): ask another appliance");
		}
		return true;
	}
	return false;
}

/* What former owners are being parted from. */
static uint64_t bytes_soon(const struct xm_service *s)
{
	uint64_t soon = 0;

	for (uint32_t i = 0; i < s->options.extents_max; i++) {
		const struct xm_service_extent *e = &s->extents[i];

		if (e->state == XM_EXTENT_CONCEALING ||
		    e->state == XM_EXTENT_QUARANTINE ||
		    e->state == XM_EXTENT_ZEROING)
			soon += e->size;
	}
	return soon;
}

static void refuse_for_space(struct xm_service *s, uint64_t size,
			     const struct xm_service_asker *asker,
			     struct xm_service_effects *ret)
{
	struct xm_words words;
	uint64_t run = xm_extent_free_run(s->pool);

	struct xm_message *message =
		xm_service_refuse(s, ret, asker, ENOSPC, &words);

	if (message == NULL)
		return;
	message->u.refused.soon = bytes_soon(s);
	xm_words_add(&words, "asked ");
	xm_words_bytes(&words, size);
	if (size > s->options.pool_size) {
		xm_words_add(&words, ", the whole pool is ");
		xm_words_bytes(&words, s->options.pool_size);
	} else if (size <= s->pool->free) {
		xm_words_add(&words, ", free ");
		xm_words_bytes(&words, s->pool->free);
		xm_words_add(&words, " but in pieces of at most ");
		xm_words_bytes(&words, run);
		xm_words_add(&words, ": take smaller extents");
	} else {
		xm_words_add(&words, ", free ");
		xm_words_bytes(&words, s->pool->free);
		if (s->quarantined + s->zeroing > 0)
			xm_words_add(&words, " and more soon, being zeroed:"
					     " try again, or");
		else
			xm_words_add(&words, ":");
		xm_words_add(&words, " ask less or another appliance");
	}
}

void xm_lease_take(struct xm_service *s, const struct xm_service_event *event,
		   uint32_t client, const struct xm_service_asker *asker,
		   struct xm_service_effects *ret)
{
	const struct xm_take *take = &event->message->u.take;
	struct xm_service_extent *e;
	uint64_t offset, size;

	if (refused_for_count(s, client, asker, ret))
		return;
	if (take->size == 0) {
		xm_service_refuse_plainly(s, ret, asker, EINVAL,
					  "asked for an extent of 0 bytes: ask"
					  " for at least 1");
		return;
	}
	if (take->size > s->options.pool_size) {
		refuse_for_space(s, take->size, asker, ret);
		return;
	}
	size = xm_align_up(take->size, s->options.granule);
	if (xm_extent_take(s->pool, size, 0, &offset) != 0) {
		refuse_for_space(s, size, asker, ret);
		return;
	}
	e = extent_new(s, client, offset, size);
	memcpy(e->region, take->region, sizeof(e->region));
	e->asker = *asker;
	e->asked = true;
	expose(e, s, event, ret);
}

/* The extent a client names, if it is its own and nothing is under way. */
static struct xm_service_extent *extent_named(struct xm_service *s,
					      uint64_t number, uint32_t client,
					      const struct xm_service_asker *by,
					      struct xm_service_effects *ret)
{
	struct xm_service_extent *e = extent_find(s, number);

	/* Another's extent and none at all get the same answer: numbers are
	 * not to be found out by asking. */
	if (e == NULL || e->client != client ||
	    e->state != XM_EXTENT_LEASED) {
		xm_service_refuse_plainly(s, ret, by, ESTALE,
					  "you hold no such extent here: it was"
					  " given back, or its lease ended");
		return NULL;
	}
	if (e->trimming != XM_SERVICE_NONE) {
		xm_service_refuse_plainly(s, ret, by, EBUSY,
					  "this extent is being trimmed: wait"
					  " for that answer first");
		return NULL;
	}
	return e;
}

void xm_lease_trim(struct xm_service *s, const struct xm_service_event *event,
		   uint32_t client, const struct xm_service_asker *asker,
		   struct xm_service_effects *ret)
{
	const struct xm_trim *trim = &event->message->u.trim;
	struct xm_service_extent *tail, *head;
	uint64_t offset;

	tail = extent_named(s, trim->extent, client, asker, ret);
	if (tail == NULL || refused_for_count(s, client, asker, ret))
		return;
	if (trim->size == 0 || trim->size >= tail->size ||
	    !xm_is_aligned(trim->size, s->options.granule)) {
		struct xm_words words;

		if (xm_service_refuse(s, ret, asker, EINVAL, &words) == NULL)
			return;
		xm_words_add(&words, "the head must be a multiple of ");
		xm_words_bytes(&words, s->options.granule);
		xm_words_add(&words, ", more than 0 and less than the "
				     "extent's ");
		xm_words_bytes(&words, tail->size);
		return;
	}
	offset = tail->offset;
	/* As many ranges as extents, so this cannot fail. */
	XM_ASSERT(xm_extent_split(s->pool, offset, offset + trim->size) == 0);
	tail->offset += trim->size;
	tail->size -= trim->size;
	head = extent_new(s, client, offset, trim->size);
	memcpy(head->region, tail->region, sizeof(head->region));
	head->head = true;
	head->guard = extent_slot(s, tail);
	tail->trimming = extent_slot(s, head);
	head->asker = *asker;
	head->asked = true;
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_TRIM,
		     tail->number, head->size, head->number, 0);
	expose(head, s, event, ret);
}

void xm_lease_give(struct xm_service *s, const struct xm_service_event *event,
		   uint32_t client, const struct xm_service_asker *asker,
		   struct xm_service_effects *ret)
{
	struct xm_service_extent *e;

	e = extent_named(s, event->message->u.give.extent, client, asker, ret);
	if (e == NULL)
		return;
	e->asker = *asker;
	e->asked = true;
	conceal(s, e, ret);
}

void xm_lease_list(struct xm_service *s, const struct xm_service_event *event,
		   const struct xm_service_asker *asker,
		   struct xm_service_effects *ret)
{
	struct xm_message *answer;
	struct xm_listed *listed;
	uint64_t at = event->message->u.list.cursor;

	answer = xm_service_answer(s, ret, asker, XM_LISTED);
	if (answer == NULL)
		return;
	listed = &answer->u.listed;
	for (; at < s->options.extents_max; at++) {
		const struct xm_service_extent *e = &s->extents[at];
		struct xm_list_entry *entry;

		if (e->state != XM_EXTENT_LEASED)
			continue;
		if (listed->count == XM_LIST_MAX) {
			listed->cursor = at;
			return;
		}
		entry = &listed->entries[listed->count++];
		memcpy(entry->region, e->region, sizeof(entry->region));
		memcpy(entry->owner, s->clients[e->client].name,
		       sizeof(entry->owner));
		entry->client = s->clients[e->client].number;
		entry->extent = e->number;
		entry->size = e->size;
		entry->epoch = e->epoch;
	}
}

/* --- what the interface reports ------------------------------------------- */

/* A head that could not be exposed goes back to the extent it came from. */
static void trim_undo(struct xm_service *s, struct xm_service_extent *head,
		      struct xm_service_extent *tail)
{
	uint64_t size = head->size + tail->size;

	/* The bytes between the two calls belong to nobody else: one step. */
	XM_ASSERT(xm_extent_give(s->pool, tail->offset, NULL) == 0);
	XM_ASSERT(xm_extent_resize(s->pool, head->offset, size) == 0);
	tail->offset = head->offset;
	tail->size = size;
	tail->trimming = XM_SERVICE_NONE;
	extent_free(s, head);
}

static void expose_failed(struct xm_service *s, struct xm_service_extent *e,
			  int status, struct xm_service_effects *ret)
{
	struct xm_words words;

	if (xm_service_refuse(s, ret, &e->asker, status < 0 ? -status : EIO,
			      &words) != NULL) {
		xm_words_add(&words, "the interface could not expose ");
		xm_words_bytes(&words, e->size);
		xm_words_add(&words, status == -ENOMEM || status == -ENOSPC
				? " (out of registrations or locked memory:"
				  " ulimit -l on the appliance)"
				: ": see the appliance's log");
	}
	if (e->head) {
		trim_undo(s, e, &s->extents[e->guard]);
		return;
	}
	/* Nobody ever had a key to it, so its bytes are still zero. */
	XM_ASSERT(xm_extent_give(s->pool, e->offset, NULL) == 0);
	extent_free(s, e);
}

void xm_lease_exposed(struct xm_service *s,
		      const struct xm_service_event *event,
		      struct xm_service_effects *ret)
{
	struct xm_service_extent *e = extent_find(s, event->extent);
	struct xm_message *answer;

	/* Its owner may have ended meanwhile; then it is CONCEALING, and the
	 * expulsion that was sent after the exposure takes care of it. */
	if (e == NULL || e->state != XM_EXTENT_EXPOSING)
		return;
	if (event->status != 0) {
		xm_trace_put(s->trace, event->now_ns,
			     XM_TRACE_SERVICE_UNEXPOSED, e->number,
			     (uint64_t)(int64_t)event->status, 0, 0);
		expose_failed(s, e, event->status, ret);
		return;
	}
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_EXPOSED,
		     e->number, s->clients[e->client].number, 0, 0);
	e->remote = event->remote;
	e->state = XM_EXTENT_LEASED;
	e->asked = false;
	if (e->head)
		s->extents[e->guard].trimming = XM_SERVICE_NONE;
	answer = xm_service_answer(s, ret, &e->asker, XM_TAKEN);
	if (answer != NULL) {
		answer->u.taken.extent = e->number;
		answer->u.taken.size = e->size;
		answer->u.taken.epoch = e->epoch;
		answer->u.taken.remote = e->remote;
		xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_TAKEN,
			     s->clients[e->client].number, e->number, e->size,
			     e->epoch);
	} else if (!e->head) {
		/* The stream that asked is gone, so the client will never
		 * learn of it. A head stays: it holds the client's bytes. */
		xm_trace_put(s->trace, event->now_ns,
			     XM_TRACE_SERVICE_UNWANTED, e->number, 0, 0, 0);
		conceal(s, e, ret);
	}
}

/* The extent's key opens nothing any more. */
static void key_died(struct xm_service *s, struct xm_service_extent *dead,
		     uint64_t now_ns)
{
	uint64_t until_ns =
		xm_time_after(now_ns, s->clients[dead->client].lease_ns);
	uint32_t slot = extent_slot(s, dead);
	uint32_t i;

	for (i = 0; i < s->options.extents_max; i++) {
		struct xm_service_extent *e = &s->extents[i];

		if (e->state == XM_EXTENT_FREE || e->guard != slot)
			continue;
		e->guard = dead->guard;
		e->until_ns = until_ns; /* if it waits there already */
	}
	dead->state = XM_EXTENT_QUARANTINE;
	dead->until_ns = until_ns;
	s->quarantined++;
	xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_QUARANTINED,
		     dead->number, until_ns - now_ns, 0, 0);
	if (dead->guard != XM_SERVICE_NONE)
		xm_trace_put(s->trace, now_ns, XM_TRACE_SERVICE_GUARDED,
			     dead->number, 0, 0, 0);
}

void xm_lease_concealed(struct xm_service *s,
			const struct xm_service_event *event,
			struct xm_service_effects *ret)
{
	struct xm_service_extent *e = extent_find(s, event->extent);

	if (e == NULL || e->state != XM_EXTENT_CONCEALING)
		return;
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_CONCEALED,
		     e->number, s->clients[e->client].number, 0, 0);
	key_died(s, e, event->now_ns);
	if (e->asked) {
		e->asked = false;
		xm_service_answer(s, ret, &e->asker, XM_GAVE);
	}
}

void xm_lease_end(struct xm_service *s, uint32_t client)
{
	uint32_t i;

	for (i = 0; i < s->options.extents_max; i++) {
		struct xm_service_extent *e = &s->extents[i];

		if (e->client != client)
			continue;
		if (e->state == XM_EXTENT_EXPOSING ||
		    e->state == XM_EXTENT_LEASED) {
			e->state = XM_EXTENT_CONCEALING;
			e->trimming = XM_SERVICE_NONE;
		}
	}
}

void xm_lease_expelled(struct xm_service *s, uint32_t client, uint64_t now_ns)
{
	uint32_t i;

	for (i = 0; i < s->options.extents_max; i++) {
		struct xm_service_extent *e = &s->extents[i];

		if (e->state == XM_EXTENT_FREE || e->client != client)
			continue;
		XM_ASSERT(e->state != XM_EXTENT_EXPOSING &&
			  e->state != XM_EXTENT_LEASED);
		if (e->state == XM_EXTENT_CONCEALING)
			key_died(s, e, now_ns);
		/* Expelling conceals everything of the client at once. */
		if (e->guard != XM_SERVICE_NONE)
			e->until_ns = xm_time_after(
				now_ns, s->clients[client].lease_ns);
		e->guard = XM_SERVICE_NONE;
		extent_disown(s, e);
	}
}

/* --- back into the pool --------------------------------------------------- */

static bool quarantine_is_over(const struct xm_service *s,
			       const struct xm_service_extent *e,
			       uint64_t now_ns)
{
	if (e->guard != XM_SERVICE_NONE && !XM_PLANTED(guard_ignored))
		return false;
	if (s->options.revokes || XM_PLANTED(quarantine_skipped))
		return true;
	if (s->options.admits)
		return e->client == XM_SERVICE_NONE ||
		       s->clients[e->client].connections == 0;
	return now_ns >= e->until_ns;
}

static void zero_next(struct xm_service *s, struct xm_service_extent *e,
		      struct xm_service_effects *ret)
{
	struct xm_service_effect *effect =
		xm_service_effect(ret, XM_SERVICE_ZERO);

	effect->extent = e->number;
	effect->offset = e->offset + e->zeroed;
	effect->size = xm_min(e->size - e->zeroed, s->options.zero_size_max);
	if (XM_PLANTED(unzeroed))
		effect->size = 0;
	s->zeroing_now = extent_slot(s, e);
}

void xm_lease_zeroed(struct xm_service *s,
		     const struct xm_service_event *event,
		     struct xm_service_effects *ret)
{
	struct xm_service_extent *e = extent_find(s, event->extent);

	if (e == NULL || e->state != XM_EXTENT_ZEROING ||
	    s->zeroing_now != extent_slot(s, e))
		return;
	e->zeroed += xm_min(e->size - e->zeroed, s->options.zero_size_max);
	s->zeroing_now = XM_SERVICE_NONE;
	if (e->zeroed < e->size) {
		zero_next(s, e, ret);
		return;
	}
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_ZEROED,
		     e->number, e->zeroed, e->size, 0);
	s->zeroing--;
	XM_ASSERT(xm_extent_give(s->pool, e->offset, NULL) == 0);
	xm_trace_put(s->trace, event->now_ns, XM_TRACE_SERVICE_FREED,
		     e->number, e->size, 0, 0);
	extent_free(s, e);
}

void xm_lease_work(struct xm_service *s, uint64_t now_ns,
		   struct xm_service_effects *ret)
{
	uint32_t i;

	for (i = 0; s->quarantined > 0 && i < s->options.extents_max; i++) {
		struct xm_service_extent *e = &s->extents[i];

		if (e->state == XM_EXTENT_QUARANTINE &&
		    quarantine_is_over(s, e, now_ns)) {
			e->state = XM_EXTENT_ZEROING;
			s->quarantined--;
			s->zeroing++;
		}
	}
	if (s->zeroing == 0 || s->zeroing_now != XM_SERVICE_NONE)
		return;
	for (i = 0; s->extents[i].state != XM_EXTENT_ZEROING; i++)
		;
	zero_next(s, &s->extents[i], ret);
}
