/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections at the data port that are no link of ours: who connects there and says
 * nothing, or half of what he should, keeps a descriptor, and up to 5 ms of the process
 * once he says something (target.c). The provider has no limit for them, and no call by
 * which they could be ended, so they are found among our own descriptors: sockets at our
 * port whose other end is no link's. There may be STRANGERS_MAX, for STRANGER_NS each;
 * beyond that the oldest is shut down, and the provider closes it as soon as it reads from
 * it. A client's request is whole in its first segment, so it is a stranger for less than
 * one look.
 *
 * Descriptors are taken lowest first, so a run of GAP unused ones is taken for the end.
 * Where fi_getpeer() does not tell who a link's other end is, nobody is a stranger.
 *
 * Floor: skin of the transport.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "transports/ofi/ofi.h"

#define STRANGER_NS (2 * XM_SECOND)
#define LOOK_NS (500 * XM_MS)
#define LOOK_BUSY_NS (20 * XM_MS) /* while there are some */
#define FIRST 3
#define GAP 64

/* Host and port of a socket as one number, which no two open ones share, but by chance. */
static uint64_t number_of(const struct ofi_address *a)
{
	const uint8_t *bytes = (const uint8_t *)&a->u;
	uint64_t n = UINT64_C(14695981039346656037); /* FNV-1a */
	size_t size = a->u.any.sa_family == AF_INET
		? offsetof(struct sockaddr_in, sin_zero) : sizeof(a->u.in6);

	for (size_t i = 0; i < size && i < a->size; i++)
		n = (n ^ bytes[i]) * UINT64_C(1099511628211);
	return n;
}

uint64_t xm_ofi_peer_number(struct xm_transport *t, struct fid_ep *ep)
{
	struct ofi_address a;
	size_t size = sizeof(a.u);
	int error;

	memset(&a, 0, sizeof(a));
	error = fi_getpeer(ep, &a.u, &size);
	/* Who has hung up already tells nothing about the provider. Else all links would be
	 * strangers. */
	if (error != 0 && error != -FI_ENOTCONN)
		t->target.strangers.port = 0;
	if (error != 0)
		return 0;
	a.size = (socklen_t)size;
	return number_of(&a);
}

static uint16_t port_of(const struct ofi_address *a)
{
	if (a->u.any.sa_family == AF_INET)
		return a->u.in.sin_port;
	return a->u.any.sa_family == AF_INET6 ? a->u.in6.sin6_port : 0;
}

int xm_ofi_strangers_begin(struct xm_transport *t)
{
	struct ofi_strangers *all = &t->target.strangers;
	struct ofi_address ours;
	size_t size = sizeof(ours.u);

	for (all->room = 16; all->room < 2 * (size_t)t->links_max;)
		all->room *= 2;
	all->peers = calloc(all->room, sizeof(*all->peers));
	if (all->peers == NULL)
		return -ENOMEM;
	memset(&ours, 0, sizeof(ours));
	if (t->scheme->inet && fi_getname(&t->target.pep->fid, &ours.u, &size) == 0)
		all->port = port_of(&ours);
	return 0;
}

void xm_ofi_strangers_end(struct xm_transport *t)
{
	free(t->target.strangers.peers);
	t->target.strangers.peers = NULL;
}

static uint64_t *place_of(struct ofi_strangers *all, uint64_t peer)
{
	size_t i = peer & (all->room - 1);

	while (all->peers[i] != 0 && all->peers[i] != peer)
		i = (i + 1) & (all->room - 1);
	return &all->peers[i];
}

static void links_gather(struct xm_transport *t)
{
	struct ofi_strangers *all = &t->target.strangers;

	memset(all->peers, 0, all->room * sizeof(*all->peers));
	for (uint32_t i = 0; i < t->links_used; i++)
		if (t->links[i].state != OFI_LINK_FREE && t->links[i].peer != 0)
			*place_of(all, t->links[i].peer) = t->links[i].peer;
}

/* Its descriptor may be another connection's since the last look: a client's. */
static bool is_still(const struct ofi_stranger *s)
{
	struct ofi_address far;

	memset(&far, 0, sizeof(far));
	far.size = sizeof(far.u);
	return getpeername(s->fd, &far.u.any, &far.size) == 0 &&
	       number_of(&far) == s->peer;
}

static void end(struct ofi_stranger *s)
{
	if (is_still(s))
		(void)shutdown(s->fd, SHUT_RDWR);
	s->ended = true;
}

/* One more look at this one. */
static void note(struct ofi_strangers *all, int fd, uint64_t peer, uint64_t now_ns)
{
	struct ofi_stranger *oldest = &all->list[0];

	for (uint32_t i = 0; i < all->count; i++) {
		struct ofi_stranger *s = &all->list[i];

		if (s->fd == fd && s->peer == peer) {
			s->seen = true;
			if (!s->ended && now_ns - s->since_ns >= STRANGER_NS)
				end(s);
			return;
		}
		if (!s->ended && (oldest->ended || s->since_ns < oldest->since_ns))
			oldest = s;
	}
	if (all->count == OFI_STRANGERS_MAX) {
		if (!oldest->ended)
			end(oldest);
	} else {
		oldest = &all->list[all->count++];
	}
	*oldest = (struct ofi_stranger){ .fd = fd, .seen = true, .peer = peer,
					 .since_ns = now_ns };
}

static void forget_unseen(struct ofi_strangers *all)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < all->count; i++)
		if (all->list[i].seen)
			all->list[kept++] = all->list[i];
	all->count = kept;
}

void xm_ofi_strangers_look(struct xm_transport *t, uint64_t now_ns)
{
	struct ofi_strangers *all = &t->target.strangers;
	int gap = 0;

	if (all->port == 0 || now_ns < all->look_ns)
		return;
	for (uint32_t i = 0; i < all->count; i++)
		all->list[i].seen = false;
	links_gather(t);
	for (int fd = FIRST; gap < GAP; fd++) {
		struct ofi_address near, far;
		uint64_t peer;

		near.size = far.size = sizeof(near.u);
		if (getsockname(fd, &near.u.any, &near.size) != 0) {
			gap = errno == EBADF ? gap + 1 : 0;
			continue;
		}
		gap = 0;
		if (port_of(&near) != all->port ||
		    getpeername(fd, &far.u.any, &far.size) != 0)
			continue;
		peer = number_of(&far);
		if (*place_of(all, peer) != peer)
			note(all, fd, peer, now_ns);
	}
	forget_unseen(all);
	all->look_ns = now_ns + (all->count > 0 ? LOOK_BUSY_NS : LOOK_NS);
}
