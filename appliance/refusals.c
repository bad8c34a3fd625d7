/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a client may not have more memory: what it asks for that this appliance has not got,
 * what its tenant may have, and how many extents there are. Each refusal says what to do.
 *
 * Floor: ground.
 */
#include <errno.h>

#include "appliance/service_parts.h"
#include "core/pure/plant.h"

/* For a planted bug. */
static uint64_t bytes_of(const struct xm_service *s, uint32_t client)
{
	uint64_t bytes = 0;

	XM_LIST_EACH (link, &s->clients[client].owned)
		bytes += XM_CONTAINER(link, struct xm_service_extent, owned)->size;
	return bytes;
}

/* A refusal for the quota of a tenant, whose words the caller writes. NULL: nobody to
 * tell. */
static struct xm_message *refuse_for_tenant(struct xm_service *s, uint32_t tenant,
					    const struct xm_service_requester *requester,
					    struct xm_service_effects *ret,
					    struct xm_words *ret_words)
{
	struct xm_message *message = xm_service_refuse(
		s, ret, requester, tenant == XM_TENANT_NONE ? EACCES : ENOSPC,
		ret_words);

	if (message != NULL)
		message->u.refused.soon = xm_service_use(s, tenant)->parting;
	return message;
}

bool xm_refused_for_bytes(struct xm_service *s, uint32_t client, uint64_t size,
			  const struct xm_service_requester *requester,
			  struct xm_service_effects *ret)
{
	uint32_t tenant = s->clients[client].tenant;
	struct xm_tenant_use use = *xm_service_use(s, tenant);
	struct xm_words words;

	if (XM_PLANTED(quota_by_client))
		use.bytes = bytes_of(s, client);
	if (!xm_tenant_denies_bytes(&s->tenants, tenant, &use, size, NULL))
		return false;
	if (refuse_for_tenant(s, tenant, requester, ret, &words) != NULL)
		xm_tenant_denies_bytes(&s->tenants, tenant, &use, size, &words);
	return true;
}

/* Refuses when the client, or its tenant (if `counts`), may have no more extents. */
static bool refused_for_owner(struct xm_service *s, uint32_t client, bool counts,
			      const struct xm_service_requester *requester,
			      struct xm_service_effects *ret)
{
	uint32_t tenant = s->clients[client].tenant;
	const struct xm_tenant_use *use = xm_service_use(s, tenant);
	struct xm_words words;

	if (counts && xm_tenant_denies_extent(&s->tenants, tenant, use, NULL)) {
		if (refuse_for_tenant(s, tenant, requester, ret, &words) != NULL)
			xm_tenant_denies_extent(&s->tenants, tenant, use, &words);
		return true;
	}
	if (s->clients[client].extents >= s->options.extents_per_client_max) {
		if (xm_service_refuse(s, ret, requester, ENOSPC, &words) != NULL) {
			xm_words_add(&words, "you hold all ");
			xm_words_number(&words,
					s->options.extents_per_client_max);
			xm_words_add(&words, " extents a client may have: give"
					     " some back, or take larger ones");
		}
		return true;
	}
	return false;
}

bool xm_refused_for_reading(struct xm_service *s, uint32_t client,
			    const struct xm_service_requester *requester,
			    struct xm_service_effects *ret)
{
	uint32_t tenant = s->clients[client].tenant;
	struct xm_tenant_use use = *xm_service_use(s, tenant);
	struct xm_words words;

	use.extents += use.readings;
	if (!xm_tenant_denies_extent(&s->tenants, tenant, &use, NULL))
		return false;
	if (refuse_for_tenant(s, tenant, requester, ret, &words) != NULL) {
		xm_tenant_denies_extent(&s->tenants, tenant, &use, &words);
		xm_words_add(&words, " (those that its clients read count, too)");
	}
	return true;
}

bool xm_refused_for_claim(struct xm_service *s, uint32_t client,
			  const struct xm_service_extent *e,
			  const struct xm_service_requester *requester,
			  struct xm_service_effects *ret)
{
	/* What is its tenant's already does not count once more. */
	bool counts = e->tenant != s->clients[client].tenant;

	if (e->place != s->clients[client].place) {
		xm_service_refuse_plainly(
			s, ret, requester, EACCES, "this memory is another tenant's, and "
			"this appliance keeps tenants apart (isolate): no other"
			" tenant's client can reach it");
		return true;
	}
	return refused_for_owner(s, client, counts, requester, ret) ||
	       (counts &&
		xm_refused_for_bytes(s, client, e->size, requester, ret));
}

bool xm_refused_for_count(struct xm_service *s, uint32_t client,
			  const struct xm_service_requester *requester,
			  struct xm_service_effects *ret)
{
	struct xm_words words;

	if (refused_for_owner(s, client, true, requester, ret))
		return true;
	if (s->extents_count >= s->options.extents_max) {
		if (xm_service_refuse(s, ret, requester, ENOSPC, &words) != NULL) {
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

bool xm_refused_for_features(struct xm_service *s, const struct xm_alloc *alloc,
			     const struct xm_service_requester *requester,
			     struct xm_service_effects *ret)
{
	static const char *const names[] = { "keep", "share", "durable" };
	struct xm_words words;

	if (alloc->flags == 0 && alloc->bank == XM_BANK_MEMORY)
		return false;
	if (xm_service_refuse(s, ret, requester, EOPNOTSUPP, &words) == NULL)
		return true;
	xm_words_add(&words, "this appliance lends memory to one client at a"
			     " time, and only while that one lives; asked was:");
	for (uint32_t i = 0; i < XM_COUNT(names); i++) {
		if ((alloc->flags >> i & 1) == 0)
			continue;
		xm_words_add(&words, " ");
		xm_words_add(&words, names[i]);
	}
	if ((alloc->flags >> XM_COUNT(names)) != 0)
		xm_words_add(&words, " an unknown flag");
	if (alloc->bank != XM_BANK_MEMORY) {
		xm_words_add(&words, " bank ");
		xm_words_number(&words, alloc->bank);
	}
	return true;
}

void xm_refuse_for_space(struct xm_service *s, uint32_t place, uint64_t size,
			 const struct xm_service_requester *requester,
			 struct xm_service_effects *ret)
{
	struct xm_words words;
	uint64_t run = xm_place_free_run(s, place);
	uint64_t free = xm_place_free(s, place);
	uint64_t all = s->places_count > 1 ? s->places[place].size : s->size.limit;
	/* What others get back does not help, where each has memory of its own. */
	uint64_t soon = s->unclean[place] > 0 ? all
		: s->places_count > 1
		? xm_service_use(s, s->peers[requester->peer].tenant)->parting
		: s->bytes_parting;
	struct xm_message *message =
		xm_service_refuse(s, ret, requester, ENOSPC, &words);

	if (message == NULL)
		return;
	message->u.refused.soon = soon;
	xm_words_add(&words, "asked ");
	xm_words_bytes(&words, size);
	if (size > all) {
		xm_words_add(&words, s->places_count > 1
				? ", all memory of your tenant here is "
				: ", the whole pool is ");
		xm_words_bytes(&words, all);
	} else if (size <= free) {
		xm_words_add(&words, ", free ");
		xm_words_bytes(&words, free);
		xm_words_add(&words, " but in pieces of at most ");
		xm_words_bytes(&words, run);
		xm_words_add(&words, ": take smaller extents");
	} else {
		xm_words_add(&words, ", free ");
		xm_words_bytes(&words, free);
		if (soon > 0)
			xm_words_add(&words, " and more soon, being zeroed:"
					     " try again, or");
		else
			xm_words_add(&words, ":");
		xm_words_add(&words, " ask less or another appliance");
	}
}
