/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the service machine says: effects, answers, refusals, lines for the log,
 * and its figures. Floor: ground.
 */
#include <string.h>

#include "appliance/service_parts.h"

struct xm_service_effect *xm_service_effect(struct xm_service_effects *ret,
					    enum xm_service_effect_kind kind)
{
	struct xm_service_effect *effect;

	XM_ASSERT(ret->count < XM_SERVICE_EFFECTS_MAX);
	effect = &ret->effects[ret->count++];
	memset(effect, 0, sizeof(*effect));
	effect->kind = kind;
	return effect;
}

struct xm_message *xm_service_send(struct xm_service_effects *ret, uint32_t peer,
				   uint32_t request, enum xm_message_kind kind)
{
	struct xm_service_effect *effect;
	struct xm_message *message;

	XM_ASSERT(ret->sends < XM_SERVICE_SENDS_MAX);
	message = &ret->messages[ret->sends++];
	memset(message, 0, sizeof(*message));
	message->kind = kind;
	message->request = request;
	effect = xm_service_effect(ret, XM_SERVICE_SEND);
	effect->peer = peer;
	effect->message = message;
	return message;
}

void xm_service_tell(struct xm_service_effects *ret, enum xm_level level,
		     const struct xm_service_client *client, const char *what)
{
	struct xm_service_effect *effect =
		xm_service_effect(ret, XM_SERVICE_LOG);
	struct xm_words words;

	effect->level = level;
	xm_words_begin(&words, effect->words, sizeof(effect->words));
	xm_words_add(&words, "client ");
	xm_words_number(&words, client->number >> XM_SLOT_BITS);
	xm_words_add(&words, ".");
	xm_words_number(&words, client->number & (XM_SERVICE_SLOTS_MAX - 1));
	xm_words_add(&words, " (");
	xm_words_add(&words, client->name);
	xm_words_add(&words, ") ");
	xm_words_add(&words, what);
}

bool xm_service_requester_lives(const struct xm_service *s,
			    const struct xm_service_requester *requester)
{
	return s->peers[requester->peer].state != XM_PEER_FREE &&
	       s->peers[requester->peer].serial == requester->serial;
}

struct xm_message *xm_service_answer(const struct xm_service *s,
				     struct xm_service_effects *ret,
				     const struct xm_service_requester *requester,
				     enum xm_message_kind kind)
{
	if (!xm_service_requester_lives(s, requester))
		return NULL;
	return xm_service_send(ret, requester->peer, requester->request, kind);
}

struct xm_message *xm_service_refuse(struct xm_service *s,
				     struct xm_service_effects *ret,
				     const struct xm_service_requester *requester,
				     int code, struct xm_words *ret_words)
{
	struct xm_message *message;
	uint32_t tenant;

	s->refused++;
	message = xm_service_answer(s, ret, requester, XM_REFUSED);
	if (message == NULL)
		return NULL;
	xm_trace_put(s->trace, s->last_ns, XM_TRACE_SERVICE_REFUSED,
		     s->peers[requester->peer].state == XM_PEER_CLIENT
			     ? s->clients[s->peers[requester->peer].client].number
			     : 0,
		     (uint64_t)(int64_t)-code, 0, 0);
	message->u.refused.code = code;
	tenant = s->peers[requester->peer].tenant;
	message->u.refused.free = xm_service_could_take(s, tenant);
	message->u.refused.free_run =
		xm_min(message->u.refused.free,
		       xm_place_free_run(s, xm_place_of(s, tenant)));
	xm_service_use(s, tenant)->refused++;
	xm_words_begin(ret_words, message->u.refused.words, XM_WORDS_SIZE);
	return message;
}

void xm_service_refuse_plainly(struct xm_service *s,
			       struct xm_service_effects *ret,
			       const struct xm_service_requester *requester, int code,
			       const char *sentence)
{
	struct xm_words words;

	if (xm_service_refuse(s, ret, requester, code, &words) != NULL)
		xm_words_add(&words, sentence);
}

void xm_service_names(const struct xm_service *s, struct xm_state *ret)
{
	const struct xm_service_options *o = &s->options;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, o->name, sizeof(ret->name));
	memcpy(ret->provider, o->provider, sizeof(ret->provider));
	memcpy(ret->library, o->library, sizeof(ret->library));
	memcpy(ret->zone, o->zone, sizeof(ret->zone));
}

void xm_service_add_lenders(const struct xm_service *s, uint64_t bytes, struct xm_figures *f)
{
	/* What is not sent reads as 0. */
	if (s->options.borrowed)
		xm_figures_add(f, XM_FIGURE_BORROWED, bytes);
	if (s->options.identity != 0)
		xm_figures_add(f, XM_FIGURE_IDENTITY, s->options.identity);
	for (uint32_t i = 0; i < s->lineage.count; i++)
		xm_figures_add(f, (enum xm_figure)(XM_FIGURE_LENDER + i), s->lineage.ids[i]);
}

static uint64_t free_run(const struct xm_service *s)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < s->places_count; i++)
		most = xm_max(most, xm_place_free_run(s, i));
	return most;
}

void xm_service_state(const struct xm_service *s, uint64_t now_ns,
		      struct xm_state *ret)
{
	const struct xm_service_options *o = &s->options;
	struct xm_figures *f = &ret->figures;

	xm_service_names(s, ret);
	xm_figures_add(f, XM_FIGURE_INCARNATION, o->incarnation);
	xm_figures_add(f, XM_FIGURE_UPTIME_MS,
		       (now_ns - s->started_ns) / XM_MS);
	xm_figures_add(f, XM_FIGURE_POOL, xm_shrink_pool(s));
	xm_figures_add(f, XM_FIGURE_FREE, xm_shrink_free(s));
	xm_figures_add(f, XM_FIGURE_FREE_RUN, free_run(s));
	xm_figures_add(f, XM_FIGURE_LEASED, s->bytes_owned + s->bytes_orphaned);
	xm_figures_add(f, XM_FIGURE_QUARANTINED, s->bytes_parting);
	xm_figures_add(f, XM_FIGURE_CLIENTS, s->clients_count);
	xm_figures_add(f, XM_FIGURE_CLIENTS_MAX, o->clients_max);
	xm_figures_add(f, XM_FIGURE_EXTENTS, s->extents_count);
	xm_figures_add(f, XM_FIGURE_EXTENTS_MAX, o->extents_max);
	xm_figures_add(f, XM_FIGURE_MESSAGES, s->messages);
	xm_figures_add(f, XM_FIGURE_MALFORMED, s->malformed);
	xm_figures_add(f, XM_FIGURE_REFUSED, s->refused);
	xm_figures_add(f, XM_FIGURE_EXPIRED, s->expired);
	xm_figures_add(f, XM_FIGURE_LEAVING, s->leaving);
	xm_figures_add(f, XM_FIGURE_LOAD,
		       (uint64_t)s->clients_count * 1000 / o->clients_max);
	xm_figures_add(f, XM_FIGURE_LAPSED, s->lapsed);
	if (s->bytes_orphaned > 0) /* else it reads as 0 */
		xm_figures_add(f, XM_FIGURE_ORPHANED, s->bytes_orphaned);
	xm_figures_add(f, XM_FIGURE_GOAL, s->size.goal);
	xm_figures_add(f, XM_FIGURE_WANTED, s->size.beyond);
	if (o->confined != 0) /* else it reads as 0 */
		xm_figures_add(f, XM_FIGURE_CONFINED, o->confined);
	if (o->filed)
		xm_figures_add(f, XM_FIGURE_FILED, 1);
	xm_service_add_lenders(s, xm_shrink_pool(s), f);
}
