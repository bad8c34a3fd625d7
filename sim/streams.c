/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control streams: the channel contract over the fabric's links. Messages of
 * one stream arrive in order; a stream may break, and the other end may never
 * hear of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/fabric.h"
#include "sim/fibers.h"
#include "sim/links.h"
#include "sim/oracle.h"
#include "sim/os.h"
#include "sim/tenants.h"
#include "sim/weather.h"
#include "sim/world.h"

#define STREAMS 64 /* at one process, most */

enum parcel_kind { PARCEL_UP, PARCEL_MESSAGE, PARCEL_END };

struct parcel {
	struct parcel *next;
	enum parcel_kind kind;
	int status;
	size_t size;
	uint8_t bytes[];
};

/* One end of a stream. What is sent to it waits in `coming`, in order, and
 * after arrival in `here` for its process to poll. */
struct end {
	struct xm_channel *channel; /* NULL: gone */
	uint32_t peer, node;
	bool told_up, told_down;
	struct parcel *coming, **coming_last;
	struct parcel *here, **here_last;
	uint64_t last_ns; /* arrival of the last one sent */
};

struct stream {
	struct stream *next_all;
	struct end ends[2]; /* 0 connected, 1 listened */
	bool half; /* what the first says of its end is lost on the way */
};

struct xm_channel {
	struct xm_channel *next_all;
	struct process *process;
	uint32_t incarnation;
	bool open, target;
	char address[64], identity[XM_IDENTITY_SIZE];
	uint32_t peers_max; /* streams; more are refused */
	struct end *peers[STREAMS];
	struct parcel *last; /* the one whose bytes poll() handed out */
	uint32_t turn;
	uint32_t here; /* parcels, at all its ends; 0: nothing to look for */
};

static struct {
	struct xm_channel *channels;
	struct stream *streams;
} f;

static struct end *other_end(struct stream *s, const struct end *e)
{
	return e == &s->ends[0] ? &s->ends[1] : &s->ends[0];
}

static struct stream *stream_of(struct end *e)
{
	for (struct stream *s = f.streams; s != NULL; s = s->next_all) {
		if (e == &s->ends[0] || e == &s->ends[1])
			return s;
	}
	XM_ASSERT(false);
	return NULL;
}

static void attach_listener(struct stream *s);

/* One parcel comes to an end, if the link lets it. */
static void arrive_parcel(void *argument, uint64_t which)
{
	struct stream *s = argument;
	struct end *to = &s->ends[which], *from = other_end(s, to);
	struct parcel *p = to->coming;

	if (p == NULL)
		return;
	if (links_blocked(from->node, to->node)) {
		world_at(world_now() + LINKS_RETRY, arrive_parcel, s, which);
		return;
	}
	to->coming = p->next;
	if (to->coming == NULL)
		to->coming_last = &to->coming;
	p->next = NULL;
	if (which == 1 && p->kind == PARCEL_UP)
		attach_listener(s);
	if (to->channel == NULL) {
		free(p);
		return;
	}
	*to->here_last = p;
	to->here_last = &p->next;
	to->channel->here++;
	world_wake(sim_door(to->channel->process));
}

static void send_parcel(struct stream *s, struct end *to,
			enum parcel_kind kind, int status, const void *bytes,
			size_t size)
{
	struct parcel *p = malloc(sizeof(*p) + size);
	struct end *from = other_end(s, to);

	XM_ASSERT(p != NULL);
	p->next = NULL;
	p->kind = kind;
	p->status = status;
	p->size = size;
	if (size > 0)
		memcpy(p->bytes, bytes, size);
	*to->coming_last = p;
	to->coming_last = &p->next;
	to->last_ns = xm_max(links_arrive(from->node, to->node, size + 64),
			     to->last_ns + 1);
	world_at(to->last_ns, arrive_parcel, s, to == &s->ends[1]);
}

static struct xm_channel *listener_at(uint32_t node)
{
	for (struct xm_channel *c = f.channels; c != NULL; c = c->next_all) {
		if (c->open && c->target && c->process->node == node &&
		    c->process->alive &&
		    c->process->incarnation == c->incarnation)
			return c;
	}
	return NULL;
}

static bool end_attach(struct end *e, struct xm_channel *c)
{
	for (uint32_t i = 0; i < c->peers_max; i++) {
		if (c->peers[i] != NULL)
			continue;
		c->peers[i] = e;
		e->channel = c;
		e->peer = i;
		return true;
	}
	return false;
}

/* A connection request arrives at the listener's host: its kernel answers, even if
 * the process hangs. A stream beyond the limit is accepted and then closed. */
static void attach_listener(struct stream *s)
{
	struct xm_channel *c = listener_at(s->ends[1].node);

	if (c == NULL) {
		send_parcel(s, &s->ends[0], PARCEL_END, -ECONNREFUSED, NULL,
			    0);
		return;
	}
	send_parcel(s, &s->ends[0], PARCEL_UP, 0, NULL, 0);
	if (end_attach(&s->ends[1], c))
		return;
	sim_counts.faults[SIM_FAULT_STREAMS]++;
	send_parcel(s, &s->ends[0], PARCEL_END, -ECONNRESET, NULL, 0);
}

static int channel_open(const struct xm_channel_options *o, char *words,
			size_t words_size, struct xm_channel **ret)
{
	struct xm_channel *c;

	if (!o->target && weather_no_memory()) {
		snprintf(words, words_size, "no memory, says the weather");
		return -ENOMEM;
	}
	c = calloc(1, sizeof(*c));
	XM_ASSERT(c != NULL);
	XM_ASSERT(o->peers_max > 0 && o->peers_max <= STREAMS);
	c->peers_max = o->peers_max;
	c->process = world_current();
	c->incarnation = c->process->incarnation;
	c->open = true;
	c->target = o->target;
	for (size_t i = 0; i + 1 < sizeof(c->address) && o->address[i]; i++)
		c->address[i] = o->address[i];
	c->next_all = f.channels;
	f.channels = c;
	*ret = c;
	return 0;
}

static void end_close(struct end *e, int status)
{
	struct stream *s = stream_of(e);
	struct end *other = other_end(s, e);

	for (const struct parcel *p = e->here; p != NULL; p = p->next)
		e->channel->here--;
	e->channel->peers[e->peer] = NULL;
	e->channel = NULL;
	if ((other->channel != NULL || other == &s->ends[1]) && !s->half)
		send_parcel(s, other, PARCEL_END, status, NULL, 0);
}

static void channel_end(struct xm_channel *c)
{
	if (!c->open)
		return;
	c->open = false;
	for (uint32_t i = 0; i < STREAMS; i++) {
		if (c->peers[i] != NULL)
			end_close(c->peers[i], -ECONNRESET);
	}
}

static int channel_resolve(struct xm_channel *c, const char *address)
{
	(void)c;
	(void)address;
	return 0;
}

static int channel_connect(struct xm_channel *c, const char *address,
			   uint32_t *ret)
{
	struct stream *s = calloc(1, sizeof(*s));

	XM_ASSERT(s != NULL);
	for (unsigned i = 0; i < 2; i++) {
		s->ends[i].coming_last = &s->ends[i].coming;
		s->ends[i].here_last = &s->ends[i].here;
	}
	s->next_all = f.streams;
	f.streams = s;
	s->ends[0].node = c->process->node;
	s->ends[1].node = appliance_node(appliance_of(address));
	if (!end_attach(&s->ends[0], c))
		return -ENOSPC;
	send_parcel(s, &s->ends[1], PARCEL_UP, 0, NULL, 0);
	*ret = s->ends[0].peer;
	return 0;
}

static void channel_disconnect(struct xm_channel *c, uint32_t peer)
{
	XM_ASSERT(c->peers[peer] != NULL);
	end_close(c->peers[peer], -ECONNRESET);
}

static int channel_send(struct xm_channel *c, uint32_t peer, const void *bytes,
			size_t size)
{
	struct end *e = c->peers[peer];
	struct stream *s = stream_of(e);

	XM_ASSERT(size > 0 && size <= XM_MESSAGE_SIZE_MAX);
	if (c->target)
		law_listed(c->process->node, peer, bytes, size);
	send_parcel(s, other_end(s, e), PARCEL_MESSAGE, 0, bytes, size);
	return 0;
}

static bool channel_next(struct xm_channel *c, struct end *e,
			 struct xm_channel_event *ret)
{
	struct parcel *p = e->here;

	if (p == NULL || e->told_down)
		return false;
	e->here = p->next;
	if (e->here == NULL)
		e->here_last = &e->here;
	c->here--;
	free(c->last);
	c->last = p;
	memset(ret, 0, sizeof(*ret));
	ret->peer = e->peer;
	switch (p->kind) {
	case PARCEL_UP:
		ret->kind = XM_CHANNEL_UP;
		ret->accepted = c->target;
		tenants_identity(other_end(stream_of(e), e)->node, c->identity);
		ret->identity = c->identity;
		break;
	case PARCEL_END:
		ret->kind = XM_CHANNEL_DOWN;
		ret->status = p->status;
		e->told_down = true;
		break;
	case PARCEL_MESSAGE:
		ret->kind = XM_CHANNEL_MESSAGE;
		ret->bytes = p->bytes;
		ret->size = p->size;
		break;
	}
	return true;
}

static int channel_poll(struct xm_channel *c, struct xm_channel_event *ret)
{
	if (c->here == 0)
		return 0;
	for (uint32_t i = 0; i < STREAMS; i++) {
		uint32_t peer = (c->turn + i) % STREAMS;

		if (c->peers[peer] != NULL &&
		    channel_next(c, c->peers[peer], ret)) {
			if (c->target && ret->kind == XM_CHANNEL_MESSAGE)
				oracle_heard(c->process->node, peer);
			c->turn = peer + 1;
			return 1;
		}
	}
	return 0;
}

static void channel_wait(struct xm_channel *c, int fd, uint64_t timeout_ns)
{
	if (sim_kicked(fd))
		return;
	for (uint32_t i = 0; c->here > 0 && i < STREAMS; i++) {
		if (c->peers[i] != NULL && c->peers[i]->here != NULL &&
		    !c->peers[i]->told_down)
			return;
	}
	world_wait(sim_door(c->process), timeout_ns);
}

static const char *channel_address(struct xm_channel *c)
{
	return c->address;
}

/* Nobody has credentials here. */
static int channel_renew(struct xm_channel *c, char *words, size_t words_size)
{
	(void)c;
	(void)words;
	(void)words_size;
	return 0;
}

const struct xm_channel_ops fabric_channel = {
	.scheme = "sim",
	.open = channel_open,
	.close = channel_end,
	.resolve = channel_resolve,
	.connect = channel_connect,
	.disconnect = channel_disconnect,
	.send = channel_send,
	.poll = channel_poll,
	.wait = channel_wait,
	.renew = channel_renew,
	.address = channel_address,
};

uint32_t fabric_peer_node(uint32_t node, uint32_t peer)
{
	const struct xm_channel *c = listener_at(node);

	if (c == NULL || c->peers[peer] == NULL)
		return UINT32_MAX;
	return other_end(stream_of(c->peers[peer]), c->peers[peer])->node;
}

void fabric_hang_up(uint32_t a, uint32_t b, bool half)
{
	for (struct stream *s = f.streams; s != NULL; s = s->next_all) {
		if (s->ends[0].node != a || s->ends[1].node != b)
			continue;
		s->half = half;
		for (unsigned i = 0; i < (half ? 1 : 2); i++) {
			if (s->ends[i].channel != NULL)
				send_parcel(s, &s->ends[i], PARCEL_END,
					    -ECONNRESET, NULL, 0);
		}
	}
}

/* --- life and death ------------------------------------------------------------- */

void streams_process_died(const struct process *p)
{
	for (struct xm_channel *c = f.channels; c != NULL; c = c->next_all) {
		if (c->process == p && c->incarnation == p->incarnation)
			channel_end(c);
	}
}

void streams_open(void)
{
	f.channels = NULL;
	f.streams = NULL;
}

static void free_parcels(struct parcel *p)
{
	while (p != NULL) {
		struct parcel *next = p->next;

		free(p);
		p = next;
	}
}

void streams_close(void)
{
	for (struct stream *s = f.streams, *next; s; s = next) {
		next = s->next_all;
		for (unsigned i = 0; i < 2; i++) {
			free_parcels(s->ends[i].coming);
			free_parcels(s->ends[i].here);
		}
		free(s);
	}
	for (struct xm_channel *c = f.channels, *next; c; c = next) {
		next = c->next_all;
		free(c->last);
		free(c);
	}
	streams_open();
}
