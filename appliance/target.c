/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands on a transport; see target.h. Floor: first.
 */
#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"
#include "appliance/target.h"
#include "common/words.h"

#define EVENTS_MAX 32

void xm_target_init(struct xm_target *t, const struct xm_transport_ops *ops,
		    struct xm_transport *transport,
		    struct xm_target_client *memory, uint32_t clients_max)
{
	memset(t, 0, sizeof(*t));
	memset(memory, 0, clients_max * sizeof(*memory));
	t->ops = ops;
	t->transport = transport;
	t->clients = memory;
	t->clients_max = clients_max;
}

static struct xm_target_client *client_find(struct xm_target *t,
					    uint64_t client)
{
	uint32_t i;

	for (i = 0; i < t->clients_max; i++)
		if (t->clients[i].client == client)
			return &t->clients[i];
	return NULL;
}

static void client_forget(struct xm_target *t, uint64_t client)
{
	struct xm_target_client *c = client_find(t, client);

	if (c == NULL || client == 0)
		return;
	if (c->changed)
		t->changed--;
	t->clients_count--;
	memset(c, 0, sizeof(*c));
}

static void client_count(struct xm_target *t, uint64_t client, bool joined)
{
	struct xm_target_client *c = client_find(t, client);

	/* Its expulsion came first. */
	if (c == NULL || client == 0) {
		t->unknown++;
		return;
	}
	if (joined)
		c->connections++;
	else if (c->connections > 0)
		c->connections--;
	if (!c->changed) {
		c->changed = true;
		t->changed++;
	}
}

int xm_target_poll(struct xm_target *t)
{
	struct xm_transport_event events[EVENTS_MAX];
	int count = t->ops->poll(t->transport, events, EVENTS_MAX);
	int i;

	for (i = 0; i < count; i++) {
		if (events[i].kind == XM_TRANSPORT_JOINED)
			client_count(t, events[i].client, true);
		else if (events[i].kind == XM_TRANSPORT_LEFT)
			client_count(t, events[i].client, false);
	}
	return count;
}

bool xm_target_report(struct xm_target *t, struct xm_report *ret)
{
	struct xm_target_client *c = t->clients;

	if (t->changed == 0)
		return false;
	while (!c->changed)
		c++;
	memset(ret, 0, sizeof(*ret));
	ret->kind = XM_REPORT_CONNECTIONS;
	ret->client = c->client;
	ret->connections = c->connections;
	c->changed = false;
	t->changed--;
	return true;
}

static int admit(struct xm_target *t, const struct xm_command *command)
{
	struct xm_target_client *c;

	if (client_find(t, command->client) == NULL) {
		/* The control has no more clients than we have places, and
		 * expels one before it takes another; so this is our error. */
		c = client_find(t, 0);
		if (c == NULL)
			return -ENOSPC;
		c->client = command->client;
		t->clients_count++;
	}
	return t->ops->admit(t->transport, command->client, command->lane,
			     command->ticket);
}

void xm_target_do(struct xm_target *t, const struct xm_command *command,
		  struct xm_report *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->client = command->client;
	ret->grant = command->grant;
	ret->cookie = command->cookie;
	switch (command->kind) {
	case XM_COMMAND_EXPOSE:
		ret->kind = XM_REPORT_EXPOSED;
		ret->status = t->ops->expose(t->transport, command->client,
					     command->offset, command->size,
					     command->rights, command->key, &ret->remote);
		break;
	case XM_COMMAND_CONCEAL:
		ret->kind = XM_REPORT_CONCEALED;
		t->ops->conceal(t->transport, command->client, &command->remote);
		break;
	case XM_COMMAND_ADMIT:
		ret->kind = XM_REPORT_ADMITTED;
		ret->status = admit(t, command);
		break;
	case XM_COMMAND_RETRACT:
		ret->kind = XM_REPORT_RETRACTED;
		ret->status = t->ops->retract(t->transport, command->client,
					      command->ticket);
		return;
	case XM_COMMAND_EXPEL:
		ret->kind = XM_REPORT_EXPELLED;
		if (!XM_PLANTED(expiry_unfenced))
			t->ops->expel(t->transport, command->client);
		client_forget(t, command->client);
		break;
	case XM_COMMAND_BEAT:
		ret->kind = XM_REPORT_BEAT;
		break;
	}
	if (ret->status != 0)
		xm_words_copy(ret->words, t->ops->last_error(t->transport),
			      sizeof(ret->words));
}
