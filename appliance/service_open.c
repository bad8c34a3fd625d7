/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service machine's options, its memory, and its laws. Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "appliance/service_parts.h"

int xm_service_options_check(const struct xm_service_options *o, char *words)
{
	struct xm_words w;
	const char *wrong = NULL;

	if (!xm_is_power_of_two(o->granule) || o->granule < 64)
		wrong = "the granule must be a power of two of at least 64";
	else if (o->pool_size == 0 || !xm_is_aligned(o->pool_size, o->granule))
		wrong = "the pool must be a multiple of the granule, above 0";
	else if (o->pool_unit != 0 && !xm_is_power_of_two(o->pool_unit))
		wrong = "the unit of the pool must be a power of two";
	else if (o->clients_max == 0 || o->clients_max > XM_SERVICE_SLOTS_MAX)
		wrong = "clients-max must be 1 to 1048576";
	else if (o->extents_max == 0 || o->extents_max > XM_SERVICE_SLOTS_MAX)
		wrong = "extents-max must be 1 to 1048576";
	else if (o->extents_per_client_max == 0)
		wrong = "extents-per-client must be at least 1";
	else if (o->peers_max < o->clients_max)
		wrong = "there must be room for a stream of each client";
	else if (o->lease_ms * XM_MS < XM_TERM_MIN_NS)
		wrong = "the lease must be at least 8 ms";
	else if (o->handshake_ns < XM_TERM_MIN_NS)
		wrong = "the handshake timeout must be at least 8 ms";
	else if (o->zero_size_max == 0)
		wrong = "zeroing must make progress";
	else
		wrong = xm_places_wrong(o);
	if (wrong == NULL)
		return 0;
	xm_words_begin(&w, words, XM_WORDS_SIZE);
	xm_words_add(&w, wrong);
	return -EINVAL;
}

/* The next `size` bytes, for an array: NULL where there is no memory yet. */
static void *lay_down(size_t *at, uint8_t *memory, size_t size)
{
	size_t from = *at;

	*at = xm_align_up(from + size, 16);
	return memory == NULL ? NULL : memory + from;
}

/* Where the arrays lie behind the struct; returns the size of all. */
static size_t lay_out(const struct xm_service_options *o, uint8_t *memory,
		      struct xm_service *ret, uint8_t **ret_ranges)
{
	size_t clients_bits = xm_slots_memory_size(o->clients_max);
	size_t extents_bits = xm_slots_memory_size(o->extents_max);
	size_t grants_bits = xm_slots_memory_size(xm_service_grants_max(o));
	size_t at = xm_align_up(sizeof(*ret), 16);
	struct xm_service none = { 0 };
	void *bits[9];

	if (ret == NULL)
		ret = &none;
	ret->peers = lay_down(&at, memory, o->peers_max * sizeof(*ret->peers));
	ret->clients = lay_down(&at, memory,
				o->clients_max * sizeof(*ret->clients));
	ret->extents = lay_down(&at, memory,
				o->extents_max * sizeof(*ret->extents));
	ret->grants = lay_down(&at, memory,
			       xm_service_grants_max(o) * sizeof(*ret->grants));
	ret->pools = lay_down(&at, memory,
			      xm_max(o->places_count, 1U) * sizeof(*ret->pools));
	for (unsigned i = 0; i < XM_COUNT(bits); i++)
		bits[i] = lay_down(&at, memory,
				   i == 0   ? clients_bits
				   : i == 2 ? grants_bits
					    : extents_bits);
	if (memory != NULL) {
		size_t head = sizeof(*ret);

		memset(memory + head, 0, at - head);
		xm_slots_init(&ret->clients_free, o->clients_max, bits[0]);
		xm_slots_init(&ret->extents_free, o->extents_max, bits[1]);
		xm_slots_init(&ret->grants_free, xm_service_grants_max(o),
			      bits[2]);
		xm_slots_init(&ret->lent, o->extents_max, bits[3]);
		xm_slots_init(&ret->zeroing, o->extents_max, bits[4]);
		xm_slots_init(&ret->offered, o->extents_max, bits[5]);
		xm_slots_init(&ret->storing, o->extents_max, bits[6]);
		xm_slots_init(&ret->shared, o->extents_max, bits[7]);
		xm_slots_init(&ret->ending, o->extents_max, bits[8]);
	}
	ret->buckets = lay_down(&at, memory,
				o->extents_max * sizeof(*ret->buckets));
	ret->share_buckets = lay_down(&at, memory,
				      o->extents_max * sizeof(*ret->share_buckets));
	*ret_ranges = lay_down(&at, memory, xm_places_memory_size(o));
	return at;
}

size_t xm_service_size(const struct xm_service_options *o)
{
	uint8_t *ranges;

	return lay_out(o, NULL, NULL, &ranges);
}

struct xm_service *xm_service_init(const struct xm_service_options *o,
				   void *memory, uint64_t now_ns)
{
	struct xm_service *s = memory;
	uint8_t *ranges;

	memset(s, 0, sizeof(*s));
	lay_out(o, memory, s, &ranges);
	s->options = *o;
	xm_places_init(s, ranges);
	xm_tenants_everybody(&s->tenants);
	s->started_ns = now_ns;
	s->last_ns = now_ns;
	s->tick_ns = now_ns;
	s->lease_ns_min = o->lease_ms * XM_MS;
	s->zeroing_now = s->cleaning = XM_SERVICE_NONE;
	s->size.goal = s->size.limit = s->size.at = o->pool_size;
	xm_slots_fill(&s->clients_free);
	xm_slots_fill(&s->extents_free);
	xm_slots_fill(&s->grants_free);
	xm_list_open(&s->waiting);
	xm_list_open(&s->issued);
	for (uint32_t i = 0; i < o->extents_max; i++) {
		xm_list_open(&s->buckets[i]);
		xm_list_open(&s->share_buckets[i]);
	}
	for (uint32_t i = 0; i < o->clients_max; i++) {
		xm_list_open(&s->clients[i].owned);
		xm_list_open(&s->clients[i].grants);
		xm_list_open(&s->clients[i].revoked);
		xm_list_open(&s->clients[i].quarantined);
	}
	return s;
}

const char *xm_service_check(const struct xm_service *s)
{
	const char *broken = xm_service_extents_check(s);

	if (broken == NULL)
		broken = xm_service_tenants_check(s);
	if (broken == NULL)
		broken = xm_places_check(s);
	return broken != NULL ? broken : xm_shrink_check(s);
}
