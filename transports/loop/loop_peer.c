/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections of the loop transport; see loop.c. The lock is held throughout. */
#include <errno.h>
#include <string.h>

#include "transports/loop/loop_parts.h"

uint32_t xm_loop_peer_claim(struct xm_transport *t)
{
	for (uint32_t i = 0; i < XM_LOOP_PEERS_MAX; i++)
		if (t->peers[i].state == PEER_FREE) {
			memset(&t->peers[i], 0, sizeof(t->peers[i]));
			return i;
		}
	return XM_LOOP_PEERS_MAX;
}

/* What was done for a peer that is gone has an unknown outcome, officially. */
static void done_cancel(struct xm_transport *t, uint32_t peer)
{
	for (uint32_t i = 0; i < t->done_count; i++) {
		struct loop_done *d = &t->done[(t->done_first + i) % t->depth];

		if (d->peer == peer) {
			d->peer = XM_LOOP_PEERS_MAX;
			d->status = -ECANCELED;
		}
	}
}

/* Nothing flies on this connection any more. */
static void leave(struct xm_transport *t, uint32_t index)
{
	if (!t->target && t->peers[index].remote)
		t->path->leave(t, index);
	done_cancel(t, index);
}

static void peer_down(struct xm_transport *t, uint32_t index, int status)
{
	struct loop_peer *peer = &t->peers[index];

	if (peer->state != PEER_UP)
		return;
	leave(t, index);
	peer->state = PEER_DEAD;
	peer->remote = NULL;
	peer->say_down = true;
	peer->status = status;
	xm_loop_wake(t);
}

/* Ends the connection at both ends; the near one is told nothing. */
void xm_loop_peer_close(struct xm_transport *t, uint32_t index)
{
	struct loop_peer *peer = &t->peers[index];

	leave(t, index);
	if (peer->remote)
		peer_down(peer->remote, peer->remote_index, -ENOTCONN);
	memset(peer, 0, sizeof(*peer));
}

void xm_loop_client_drop(struct xm_transport *t, uint64_t client)
{
	for (uint32_t i = 0; i < XM_LOOP_PEERS_MAX; i++) {
		struct loop_peer *peer = &t->peers[i];

		if (peer->state != PEER_UP || peer->client != client)
			continue;
		peer_down(peer->remote, peer->remote_index, -ENOTCONN);
		peer_down(t, i, -ECANCELED);
	}
}

/* What the client had on this lane makes room for what comes. */
static void lane_drop(struct xm_transport *t, uint64_t client, uint32_t lane)
{
	for (uint32_t i = 0; i < XM_LOOP_PEERS_MAX; i++) {
		struct loop_peer *peer = &t->peers[i];

		if (peer->state != PEER_UP || peer->client != client ||
		    peer->lane != lane)
			continue;
		peer_down(peer->remote, peer->remote_index, -ENOTCONN);
		peer_down(t, i, -ECANCELED);
	}
}

static uint64_t ticket_use(struct xm_transport *t, const uint8_t *bytes,
			   uint32_t *ret_lane)
{
	for (uint32_t i = 0; i < XM_LOOP_TICKETS_MAX; i++) {
		uint64_t client = t->tickets[i].client;

		if (client && memcmp(t->tickets[i].bytes, bytes,
				     XM_TICKET_SIZE) == 0) {
			*ret_lane = t->tickets[i].lane;
			memset(&t->tickets[i], 0, sizeof(t->tickets[i]));
			return client;
		}
	}
	return 0;
}

void xm_loop_peer_connect(struct xm_transport *t, uint32_t index,
			 const char *name, const uint8_t *ticket)
{
	struct loop_peer *peer = &t->peers[index];
	struct xm_transport *remote = xm_loop_find(t->path, name);
	uint32_t lane = 0, remote_index;
	uint64_t client = remote ? ticket_use(remote, ticket, &lane) : 0;

	if (client)
		lane_drop(remote, client, lane);
	remote_index = client ? xm_loop_peer_claim(remote) : XM_LOOP_PEERS_MAX;

	peer->state = PEER_UP;
	if (remote_index == XM_LOOP_PEERS_MAX) {
		peer_down(t, index, -ECONNREFUSED);
		return;
	}
	peer->remote = remote;
	peer->remote_index = remote_index;
	peer->client = client;
	peer->say_up = true;
	remote->peers[remote_index] = (struct loop_peer){
		.state = PEER_UP,
		.remote = t,
		.remote_index = index,
		.client = client,
		.lane = lane,
		.say_up = true,
	};
	t->path->join(t, index);
	xm_loop_wake(remote);
}
