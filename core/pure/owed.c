/* SPDX-License-Identifier: BSD-3-Clause */
/* What a session owes; see owed.h. */
#include "core/pure/owed.h"

#include <string.h>

#include "core/pure/plant.h"

void xm_owed_init(struct xm_owed *o)
{
	/* The rest is written before it is read. */
	o->settling = false;
	o->first = o->count = o->returns = 0;
	o->unsure_count = 0;
}

bool xm_owed_is_empty(const struct xm_owed *o)
{
	return o->count == 0 && o->unsure_count == 0;
}

static void owe(struct xm_owed *o, const struct xm_debt *debt)
{
	if (o->count == XM_OWED_MAX)
		return;
	o->list[(o->first + o->count++) % XM_OWED_MAX] = *debt;
	o->returns += debt->returns;
}

void xm_owed_extent(struct xm_owed *o, uint64_t extent)
{
	owe(o, &(struct xm_debt){ .extent = extent });
}

void xm_owed_return(struct xm_owed *o, const uint8_t *token)
{
	struct xm_debt debt = { .returns = true };

	memcpy(debt.token, token, sizeof(debt.token));
	owe(o, &debt);
}

void xm_owed_outcome(struct xm_owed *o, const struct xm_message *message,
		     uint32_t number)
{
	switch (message->kind) {
	case XM_ALLOC:
		if (!XM_PLANTED(cut_alloc_forgotten))
			owe(o, &(struct xm_debt){ .request = number });
		break;
	case XM_FREE:
		if (!XM_PLANTED(cut_free_forgotten))
			xm_owed_extent(o, message->u.free.extent);
		break;
	case XM_TRIM:
		if (o->unsure_count < XM_UNSURE_MAX)
			o->unsure[o->unsure_count++] = (struct xm_debt){
				.extent = message->u.trim.extent,
				.request = number,
			};
		break;
	case XM_CLAIM:
	case XM_OPEN:
		xm_owed_return(o, message->u.claim.token);
		break;
	case XM_OFFER:
		if (xm_message_returns(message))
			xm_owed_return(o, message->u.offer.token);
		break;
	default:
		break;
	}
}

void xm_owed_heads(struct xm_owed *o, uint64_t extent)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < o->unsure_count; i++) {
		if (o->unsure[i].extent != extent)
			o->unsure[kept++] = o->unsure[i];
		else if (!XM_PLANTED(cut_trim_forgotten))
			owe(o, &(struct xm_debt){
				       .request = o->unsure[i].request });
	}
	o->unsure_count = kept;
}

uint32_t xm_owed_trim(const struct xm_owed *o, uint64_t extent)
{
	for (uint32_t i = o->unsure_count; i > 0; i--) {
		if (o->unsure[i - 1].extent == extent)
			return o->unsure[i - 1].request;
	}
	return 0;
}

void xm_owed_trim_known(struct xm_owed *o, uint32_t number)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < o->unsure_count; i++) {
		if (o->unsure[i].request != number)
			o->unsure[kept++] = o->unsure[i];
	}
	o->unsure_count = kept;
}

struct xm_message *xm_owed_next(struct xm_owed *o)
{
	const struct xm_debt *debt = &o->list[o->first];
	struct xm_message *m = &o->settle;

	if (o->settling || o->count == 0)
		return NULL;
	memset(m, 0, sizeof(*m));
	if (debt->returns) {
		m->kind = XM_OFFER;
		m->u.offer.flags = XM_OFFER_RETURN;
		memcpy(m->u.offer.token, debt->token, XM_TOKEN_SIZE);
	} else if (debt->request != 0) {
		m->kind = XM_ALLOC; /* of 0 bytes: a question */
		m->request = debt->request;
	} else {
		m->kind = XM_FREE;
		m->u.free.extent = debt->extent;
	}
	o->settling = true;
	return m;
}

bool xm_owed_asks(const struct xm_owed *o, uint32_t number)
{
	return o->settling && o->settle.request == number;
}

void xm_owed_again(struct xm_owed *o)
{
	o->settling = false;
}

bool xm_owed_settled(struct xm_owed *o, const struct xm_message *m,
		     uint64_t *extent)
{
	const struct xm_debt *debt = &o->list[o->first];
	bool asked = debt->request != 0;

	o->settling = false;
	if (debt->returns && m->kind == XM_OFFERED)
		return false; /* there may be others */
	o->returns -= debt->returns;
	o->first = (o->first + 1) % XM_OWED_MAX;
	o->count--;
	if (!asked || m->kind != XM_ALLOCATED)
		return false;
	*extent = m->u.allocated.extent;
	return true;
}
