/* SPDX-License-Identifier: BSD-3-Clause */
/* The target's side of the loop transport; see loop.c. */
#include <errno.h>
#include <string.h>

#include "transports/loop/loop_parts.h"

int xm_loop_listen(struct xm_transport *t, void *pool, size_t pool_size,
		       struct xm_locator *ret)
{
	int error;

	if (!t->target || t->listening || !pool || pool_size == 0)
		return xm_loop_fail(t, -EINVAL, "listen: not a target, no pool, or the "
				       "second time");
	t->pool = pool;
	t->pool_size = pool_size;
	error = t->path->listen(t);
	if (error)
		return error;
	pthread_mutex_lock(&xm_loop_lock);
	if (xm_loop_find(t->path, t->name)) {
		error = -EADDRINUSE;
	} else {
		t->listening = true;
		t->next = xm_loop_registry;
		xm_loop_registry = t;
	}
	pthread_mutex_unlock(&xm_loop_lock);
	if (error)
		return xm_loop_fail(t, error, "the name is in use");
	memset(ret, 0, sizeof(*ret));
	ret->size = (uint32_t)strlen(t->name);
	memcpy(ret->bytes, t->name, ret->size);
	return 0;
}

int xm_loop_admit(struct xm_transport *t, uint64_t client, uint32_t lane,
		      const uint8_t *ticket)
{
	int error = -ENOSPC;

	if (!t->listening || client == 0)
		return xm_loop_fail(t, -EINVAL, "admit: not listening, or no client");
	pthread_mutex_lock(&xm_loop_lock);
	for (uint32_t i = 0; i < XM_LOOP_TICKETS_MAX && error; i++) {
		if (t->tickets[i].client)
			continue;
		t->tickets[i].client = client;
		t->tickets[i].lane = lane;
		memcpy(t->tickets[i].bytes, ticket, XM_TICKET_SIZE);
		error = 0;
	}
	pthread_mutex_unlock(&xm_loop_lock);
	return error ? xm_loop_fail(t, error, "too many tickets not used yet") : 0;
}

int xm_loop_retract(struct xm_transport *t, uint64_t client,
		    const uint8_t *ticket)
{
	int error = -ENOENT;

	if (client == 0)
		return error;
	pthread_mutex_lock(&xm_loop_lock);
	for (uint32_t i = 0; i < XM_LOOP_TICKETS_MAX && error; i++) {
		if (t->tickets[i].client != client ||
		    memcmp(t->tickets[i].bytes, ticket, XM_TICKET_SIZE) != 0)
			continue;
		memset(&t->tickets[i], 0, sizeof(t->tickets[i]));
		error = 0;
	}
	pthread_mutex_unlock(&xm_loop_lock);
	return error;
}

static void span_end(struct xm_transport *t, uint32_t index)
{
	t->exposures[index].client = 0;
	t->path->conceal(t, index);
}

void xm_loop_expel(struct xm_transport *t, uint64_t client)
{
	if (client == 0)
		return;
	pthread_mutex_lock(&xm_loop_lock);
	xm_loop_client_drop(t, client);
	for (uint32_t i = 0; i < XM_LOOP_TICKETS_MAX; i++)
		if (t->tickets[i].client == client)
			memset(&t->tickets[i], 0, sizeof(t->tickets[i]));
	for (uint32_t i = 0; i < XM_LOOP_EXPOSED_MAX; i++)
		if (t->exposures[i].client == client)
			span_end(t, i);
	pthread_mutex_unlock(&xm_loop_lock);
}

int xm_loop_expose(struct xm_transport *t, uint64_t client,
		       uint64_t offset, uint64_t size, uint32_t rights,
		       uint64_t key, struct xm_remote_mr *ret)
{
	int error = -ENOSPC;

	if (!t->listening || client == 0 || size == 0 ||
	    !xm_span_fits(offset, size, t->pool_size))
		return xm_loop_fail(t, -EINVAL, "expose: outside the pool");
	if (rights == 0 || (rights & ~XM_RIGHTS_ALL) != 0)
		return xm_loop_fail(t, -EINVAL, "expose: no such rights");
	pthread_mutex_lock(&xm_loop_lock);
	for (uint32_t i = 0; i < XM_LOOP_EXPOSED_MAX; i++) {
		if (t->exposures[i].client == client &&
		    t->exposures[i].key == key) {
			error = -EINVAL;
			break;
		}
		if (t->exposures[i].client == 0 && error == -ENOSPC)
			error = (int)i;
	}
	if (error >= 0) {
		t->exposures[error] =
			(struct loop_exposure){ client, offset, size, rights, key };
		t->path->expose(t, (uint32_t)error);
		*ret = (struct xm_remote_mr){ t->exposures[error].key, 0 };
		error = 0;
	}
	pthread_mutex_unlock(&xm_loop_lock);
	if (error == -EINVAL)
		return xm_loop_fail(t, error, "expose: the key is in use");
	return error ? xm_loop_fail(t, error, "too many spans exposed") : 0;
}

void xm_loop_conceal(struct xm_transport *t, uint64_t client,
			 const struct xm_remote_mr *remote)
{
	pthread_mutex_lock(&xm_loop_lock);
	for (uint32_t i = 0; i < XM_LOOP_EXPOSED_MAX; i++)
		if (t->exposures[i].client == client &&
		    t->exposures[i].key == remote->key)
			span_end(t, i);
	pthread_mutex_unlock(&xm_loop_lock);
}
