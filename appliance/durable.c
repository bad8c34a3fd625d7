/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extents that outlive the appliance (OFFER with KEEP and DURABLE, DRAFT, PERSIST), as far as
 * the service has to do with it: what the store process (store_link.h) is told, and when.
 *
 * For each extent it is told one thing of a kind at a time:
 *
 *	KEEP	the extent's entry: its place, token and label. OFFERED says that it is durable.
 *	FORGET	it is given back, or its time is over. It is zeroed when the store has
 *		forgotten it, so no extent of a later owner is told of before.
 *	DRAFT	some of its bytes, to be taken aside. DRAFTED says that they are.
 *	PERSIST	its draft. PERSISTED says that it is durable. A draft can have several runs
 *		(DRAFT with ALSO), which become durable together or not at all.
 *
 * Why bytes are drafted first. Writes are one-sided: nobody here sees that one lands while the
 * store copies the page, half old and half new. So the client writes to none of the pages
 * while they are drafted. Only it knows whether it kept to that: if it has waited for the answer
 * for too long, and goes on writing, it never says PERSIST, and the draft is nothing. A draft
 * is named by a number that is used once, so no PERSIST that comes late means a later one.
 *
 * DRAFT with BACK goes the other way. What an owner that has died had written and not made
 * durable may be half of something: seals that are still those of before. Who claims such an
 * extent has it as the store does.
 *
 * The entry has the token that is tied to the extent. It is not used up by a claim: when the
 * claimer unties it, it stays tied for the next time. Were it not, the bytes would be lost
 * with the appliance, or with the claimer, until that has tied another one.
 *
 * If the store has failed, what is asked for is refused, and memory goes on as without one.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "appliance/service_parts.h"

#define BIT(kind) (1U << (kind))
#define NO_DRAFT "there is no such draft any more: draft the bytes again"

static bool is_told(const struct xm_service_extent *e, uint32_t kinds)
{
	return ((e->durable.wants | e->durable.out) & kinds) != 0;
}

static void want(struct xm_service *s, struct xm_service_extent *e,
		 enum xm_store_command_kind kind)
{
	e->durable.wants |= BIT(kind);
	xm_slots_add(&s->storing, xm_service_extent_slot(s, e));
}

/* True: it cannot be done here, and that was said. */
static bool refused(struct xm_service *s, const struct xm_service_extent *e,
		    uint32_t kinds, const struct xm_service_requester *requester,
		    struct xm_service_effects *ret)
{
	if (!s->options.durable)
		xm_service_refuse_plainly(s, ret, requester, EOPNOTSUPP,
					  "this appliance has no durable store: "
					  "its extmemd was begun without --store");
	else if (s->store_failed != 0)
		xm_service_refuse_plainly(s, ret, requester, EIO,
					  "the durable store of this appliance has "
					  "failed, as its log says: nothing becomes "
					  "durable until it begins again");
	else if (is_told(e, kinds | BIT(XM_STORE_FORGET)))
		xm_service_refuse_plainly(s, ret, requester, EAGAIN,
					  "the store is busy with this memory: ask again");
	else
		return false;
	return true;
}

bool xm_durable_tie(struct xm_service *s, struct xm_service_extent *e, uint32_t ms,
		    const struct xm_service_requester *requester,
		    struct xm_service_effects *ret)
{
	if (refused(s, e, BIT(XM_STORE_KEEP), requester, ret))
		return false;
	e->durable.ms = ms;
	e->durable.fresh = !e->durable.stored;
	e->durable.stored = true;
	e->durable.tier = *requester;
	memcpy(e->durable.owner, s->clients[e->owner].identity,
	       sizeof(e->durable.owner));
	want(s, e, XM_STORE_KEEP);
	return true;
}

void xm_durable_forget(struct xm_service *s, struct xm_service_extent *e)
{
	if (!e->durable.stored)
		return;
	e->durable.stored = false;
	e->durable.wants = 0;
	e->durable.tier.serial = e->durable.persister.serial = 0;
	e->durable.draft = 0;
	if (s->store_failed == 0)
		want(s, e, XM_STORE_FORGET);
}

bool xm_durable_is_settled(const struct xm_service_extent *e)
{
	return (e->durable.wants | e->durable.out) == 0;
}

/* The client's extent, if something of it may be made durable now. */
static struct xm_service_extent *extent_of(struct xm_service *s, uint64_t number,
					   uint32_t client,
					   const struct xm_service_requester *requester,
					   struct xm_service_effects *ret)
{
	struct xm_service_extent *e = xm_lease_named(s, number, client, requester, ret);

	if (e == NULL)
		return NULL;
	if (!e->durable.stored && s->options.durable && s->store_failed == 0) {
		xm_service_refuse_plainly(s, ret, requester, EINVAL,
					  "this extent is not durable: keep it so "
					  "first (OFFER)");
		return NULL;
	}
	return refused(s, e, BIT(XM_STORE_DRAFT) | BIT(XM_STORE_PERSIST), requester,
		       ret) ? NULL : e;
}

static void on_draft(struct xm_service *s, const struct xm_service_event *event,
		     uint32_t client, const struct xm_service_requester *requester,
		     struct xm_service_effects *ret)
{
	const struct xm_draft *m = &event->message->u.draft;
	struct xm_service_extent *e = extent_of(s, m->extent, client, requester, ret);

	if (e == NULL)
		return;
	if (m->size == 0 || m->size > XM_DRAFT_MAX ||
	    !xm_is_aligned(m->offset | m->size, XM_STORE_BLOCK) ||
	    !xm_span_fits(m->offset, m->size, e->size)) {
		xm_service_refuse_plainly(s, ret, requester, EINVAL,
					  "whole pages within the extent, 4 MiB at "
					  "most, become durable at once");
		return;
	}
	e->durable.also = (m->flags & XM_DRAFT_ALSO) != 0;
	if (e->durable.also && e->durable.draft == 0) {
		xm_service_refuse_plainly(s, ret, requester, EAGAIN, NO_DRAFT);
		return;
	}
	e->durable.offset = m->offset;
	e->durable.size = m->size;
	e->durable.zeros = (m->flags & XM_DRAFT_ZEROS) != 0;
	e->durable.back = (m->flags & XM_DRAFT_BACK) != 0;
	e->durable.draft = 0;
	e->durable.persister = *requester;
	if (e->durable.back && e->durable.untouched)
		xm_service_answer(s, ret, requester, XM_DRAFTED);
	else
		want(s, e, XM_STORE_DRAFT);
}

static void on_persist(struct xm_service *s, const struct xm_service_event *event,
		     uint32_t client, const struct xm_service_requester *requester,
		     struct xm_service_effects *ret)
{
	const struct xm_persist *m = &event->message->u.persist;
	struct xm_service_extent *e = extent_of(s, m->extent, client, requester, ret);

	if (e == NULL)
		return;
	if (m->draft == 0 || m->draft != e->durable.draft) {
		xm_service_refuse_plainly(s, ret, requester, EAGAIN, NO_DRAFT);
		return;
	}
	e->durable.draft = 0;
	e->durable.persister = *requester;
	want(s, e, XM_STORE_PERSIST);
}

/* --- to the store --------------------------------------------------------- */

static void entry_of(const struct xm_service_extent *e, struct xm_store_entry *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->offset = e->offset;
	ret->size = e->size;
	ret->epoch = e->epoch;
	ret->keep_ms = e->durable.ms;
	ret->member = e->member;
	ret->id = e->id;
	memcpy(ret->region, e->region, sizeof(ret->region));
	memcpy(ret->owner, e->durable.owner, sizeof(ret->owner));
	memcpy(ret->identity, e->offer.identity, sizeof(ret->identity));
	memcpy(ret->token, e->offer.token, sizeof(ret->token));
	ret->label = e->offer.label;
}

/* The first thing that the extent wants to be told. */
static void tell(struct xm_service *s, struct xm_service_extent *e,
		 struct xm_store_command *ret)
{
	enum xm_store_command_kind kind = XM_STORE_KEEP;

	while ((e->durable.wants & BIT(kind)) == 0)
		kind++;
	e->durable.wants &= ~BIT(kind);
	e->durable.out |= BIT(kind);
	s->store_out++;
	ret->kind = kind;
	ret->slot = xm_service_extent_slot(s, e);
	ret->extent = e->number;
	if (kind == XM_STORE_KEEP) {
		ret->fresh = e->durable.fresh;
		entry_of(e, &ret->entry);
	} else if (kind == XM_STORE_DRAFT) {
		ret->tenant = e->tenant;
		ret->zeros = e->durable.zeros;
		ret->also = e->durable.also;
		ret->back = e->durable.back;
		ret->offset = e->offset + e->durable.offset;
		ret->size = e->durable.size;
	}
}

static bool tell_next(struct xm_service *s, struct xm_service_effects *ret)
{
	struct xm_service_extent *e;
	uint32_t slot;

	/* Round and round, as for zeroing. */
	slot = xm_slots_next(&s->storing, (uint64_t)s->stored_last + 1);
	if (slot == XM_SLOTS_NONE)
		slot = xm_slots_next(&s->storing, 0);
	if (slot == XM_SLOTS_NONE)
		return false;
	s->stored_last = slot;
	e = &s->extents[slot];
	memset(&ret->store, 0, sizeof(ret->store));
	tell(s, e, &ret->store);
	xm_service_effect(ret, XM_SERVICE_STORE);
	if (e->durable.wants == 0)
		xm_slots_remove(&s->storing, slot);
	return xm_slots_next(&s->storing, 0) != XM_SLOTS_NONE;
}

/* --- from it -------------------------------------------------------------- */

static void answer(struct xm_service *s, enum xm_message_kind kind, int status,
		   uint64_t draft, const struct xm_service_requester *requester,
		   struct xm_service_effects *ret)
{
	struct xm_message *m;

	if (!xm_service_requester_lives(s, requester))
		return;
	if (status == 0) {
		m = xm_service_answer(s, ret, requester, kind);
		if (m != NULL && kind == XM_DRAFTED)
			m->u.drafted.draft = draft;
	} else if (status == -EAGAIN) {
		xm_service_refuse_plainly(s, ret, requester, EAGAIN,
					  "the draft had to make room for those of "
					  "others: draft the bytes again");
	} else {
		xm_service_refuse_plainly(s, ret, requester, -status,
					  "the durable store has failed, as the "
					  "appliance's log says: what was not "
					  "durable before may be or not");
	}
}

static void ended(struct xm_service *s, struct xm_service_extent *e,
		  enum xm_store_command_kind kind, int status,
		  struct xm_service_effects *ret)
{
	if (kind == XM_STORE_DRAFT && status == 0 && !e->durable.back)
		e->durable.draft = ++s->drafted;
	if (kind == XM_STORE_KEEP)
		answer(s, XM_OFFERED, status, 0, &e->durable.tier, ret);
	else if (kind == XM_STORE_DRAFT)
		answer(s, XM_DRAFTED, status, e->durable.draft, &e->durable.persister,
		       ret);
	else if (kind == XM_STORE_PERSIST)
		answer(s, XM_PERSISTED, status, 0, &e->durable.persister, ret);
	xm_service_extent_settled(s, e);
}

void xm_durable_stored(struct xm_service *s, const struct xm_service_event *event,
		       struct xm_service_effects *ret)
{
	struct xm_service_extent *e = xm_service_extent_find(s, event->extent);
	enum xm_store_command_kind kind = event->store_kind;

	if (e == NULL || kind < XM_STORE_KEEP || kind > XM_STORE_PERSIST ||
	    (e->durable.out & BIT(kind)) == 0)
		return;
	e->durable.out &= ~BIT(kind);
	s->store_out--;
	ended(s, e, kind, event->status, ret);
}

/* One thing of one extent. */
static bool fail_one(struct xm_service *s, struct xm_service_extent *e,
		     struct xm_service_effects *ret)
{
	for (enum xm_store_command_kind kind = XM_STORE_KEEP;
	     kind <= XM_STORE_PERSIST; kind++) {
		if (!is_told(e, BIT(kind)))
			continue;
		s->store_out -= (e->durable.out & BIT(kind)) != 0;
		e->durable.wants &= ~BIT(kind);
		e->durable.out &= ~BIT(kind);
		ended(s, e, kind, s->store_failed, ret);
		return true;
	}
	return false;
}

static bool fail_next(struct xm_service *s, struct xm_service_effects *ret)
{
	for (; s->failing_at < s->options.extents_max; s->failing_at++) {
		struct xm_service_extent *e = &s->extents[s->failing_at];

		if (xm_slots_has(&s->storing, s->failing_at))
			xm_slots_remove(&s->storing, s->failing_at);
		if (e->state != XM_EXTENT_FREE && fail_one(s, e, ret))
			return true;
	}
	return false;
}

bool xm_durable_work(struct xm_service *s, struct xm_service_effects *ret)
{
	bool room = ret->count < XM_SERVICE_EFFECTS_MAX;

	if (s->store_failed != 0)
		return room && ret->sends == 0
			? fail_next(s, ret)
			: s->failing_at < s->options.extents_max;
	if (s->store_out >= XM_STORE_COMMANDS_MAX)
		return false;
	return room ? tell_next(s, ret) : true;
}

bool xm_durable_confirm(struct xm_service_extent *e)
{
	if (!e->durable.stored)
		return false;
	e->offer.claimed = false;
	e->offer.keep_ms = e->durable.ms;
	return true;
}

bool xm_durable_refuses_trim(struct xm_service *s, const struct xm_service_extent *e,
			     const struct xm_service_requester *requester,
			     struct xm_service_effects *ret)
{
	if (!e->durable.stored)
		return false;
	xm_service_refuse_plainly(s, ret, requester, EOPNOTSUPP,
				  "what is durable keeps its size: untie it first");
	return true;
}

/* --- at the start --------------------------------------------------------- */

int xm_service_restore(struct xm_service *s, uint32_t slot,
		       const struct xm_store_entry *entry, uint64_t now_ns)
{
	struct xm_service_extent *e = &s->extents[slot];
	struct xm_offer offer = { .ms = entry->keep_ms, .label = entry->label };
	struct xm_tenant_use *use;

	if (slot >= s->options.extents_max || e->state != XM_EXTENT_FREE ||
	    !xm_is_aligned(entry->offset | entry->size, s->options.granule) ||
	    xm_extent_take_at(&s->pools[0], entry->offset, entry->size) != 0)
		return -EINVAL;
	xm_service_extent_restore(s, e, entry);
	e->tenant = xm_tenants_of(&s->tenants, entry->owner);
	use = xm_service_use(s, e->tenant);
	use->bytes += e->size;
	use->extents++;
	e->durable.stored = e->durable.untouched = true;
	e->durable.ms = entry->keep_ms;
	memcpy(e->durable.owner, entry->owner, sizeof(e->durable.owner));
	memcpy(offer.token, entry->token, sizeof(offer.token));
	memcpy(offer.identity, entry->identity, sizeof(offer.identity));
	xm_offer_tie(s, e, &offer, 0);
	s->bytes_restored = s->bytes_kept;
	e->offer.until_ns = entry->keep_ms == XM_OFFER_FOR_EVER
				    ? XM_NEVER
				    : xm_time_after(now_ns, entry->keep_ms * XM_MS);
	return 0;
}

int xm_service_damaged(struct xm_service *s, uint32_t slot, uint64_t offset,
		       uint64_t size)
{
	const struct xm_service_extent *e = &s->extents[slot];
	struct xm_service_damage *last =
		s->damage_count == 0 ? NULL : &s->damage[s->damage_count - 1];

	if (last != NULL && last->extent == e->number &&
	    last->offset + last->size == offset)
		last->size += size;
	else if (s->damage_count < XM_SERVICE_DAMAGE_MAX)
		s->damage[s->damage_count++] = (struct xm_service_damage){
			e->number, offset, size };
	else
		return -ENOSPC;
	return 0;
}

static void on_damage(struct xm_service *s, const struct xm_service_event *event,
		     uint32_t client, const struct xm_service_requester *requester,
		     struct xm_service_effects *ret)
{
	const struct xm_damage *m = &event->message->u.damage;
	struct xm_service_extent *e = xm_lease_named(s, m->extent, client, requester, ret);
	struct xm_message *answer;

	if (e == NULL)
		return;
	answer = xm_service_answer(s, ret, requester, XM_DAMAGED);
	for (uint32_t i = 0; answer != NULL && i < s->damage_count; i++) {
		const struct xm_service_damage *d = &s->damage[i];

		if (d->extent != e->number || d->offset < m->offset)
			continue;
		answer->u.damaged.offset = d->offset;
		answer->u.damaged.size = d->size;
		return;
	}
}

void xm_durable_asked(struct xm_service *s, const struct xm_service_event *event,
		      uint32_t client, const struct xm_service_requester *requester,
		      struct xm_service_effects *ret)
{
	switch (event->message->kind) {
	case XM_DRAFT: on_draft(s, event, client, requester, ret); break;
	case XM_PERSIST: on_persist(s, event, client, requester, ret); break;
	default: on_damage(s, event, client, requester, ret);
	}
}
