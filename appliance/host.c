/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events in, effects out; see host.h. Floor: first.
 */
#include <errno.h>
#include <string.h>

#include "appliance/host.h"
#include "core/pure/wire.h"
#include "common/words.h"

#define EVENTS_MAX 64
/* A link that had no room is asked again after so long, unless something else
 * comes first: a report mostly does, and makes room. */
#define ROOM (10 * XM_MS)

#define STRANGER_WORDS 640
#define STRANGERS_SAID 5 /* in a second */
#define COPIES_MAX 4 /* in a turn: each may take half a millisecond */
#define STRANGERS_MAX 4	 /* in a turn: each stands for steps of handshakes */

/* A command that its interface could not take yet. */
struct queued {
	struct xm_command command;
	struct xm_link link;
};

struct xm_host {
	struct xm_service *service;
	const struct xm_channel_ops *channel_ops;
	struct xm_channel *channel;
	const struct xm_link_ops *link_ops;
	void *link;
	const struct xm_store_link_ops *store_ops; /* NULL: there is no store */
	void *store;
	uint64_t deadline_ns;
	bool drained;
	/* Commands that wait, by place. The service never has more outstanding than
	 * there are. */
	struct xm_link waiting[XM_SERVICE_PLACES_MAX], unused;
	size_t commands_count;
	/* Likewise those that the store could not take yet. */
	struct xm_store_command told[XM_STORE_COMMANDS_MAX];
	uint32_t told_begin, told_count;
	/* Lines about strangers: when there may be more, how many were left out. */
	uint64_t strangers_ns, strangers_unsaid;
	unsigned strangers_said;
	int copied; /* in this turn */
	bool zeroing; /* a piece is to be zeroed */
	uint64_t zero_extent, zero_offset, zero_size;
	uint64_t zero_ns; /* not before */
	enum xm_service_effect_kind sizing; /* RETURN, TAKE; 0: neither */
	uint64_t size_offset, size_size;
	struct xm_service_effects effects;
	struct xm_message message;
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
};

static size_t commands_max(const struct xm_service_options *o)
{
	return XM_SERVICE_COMMANDS_MAX(o->clients_max, o->extents_max);
}

static size_t lay_out(const struct xm_service_options *o, size_t *ret_service)
{
	size_t commands = xm_align_up(sizeof(struct xm_host), 16);

	*ret_service = xm_align_up(
		commands + commands_max(o) * sizeof(struct queued), 16);
	return *ret_service + xm_service_size(o);
}

size_t xm_host_size(const struct xm_service_options *o)
{
	size_t service;

	return lay_out(o, &service);
}

struct xm_host *xm_host_init(const struct xm_service_options *o,
			     const struct xm_channel_ops *channel_ops,
			     struct xm_channel *channel,
			     const struct xm_link_ops *link_ops, void *link,
			     void *memory, uint64_t now_ns)
{
	struct xm_host *h = memory;
	struct queued *queued = (void *)((uint8_t *)memory +
					 xm_align_up(sizeof(*h), 16));
	size_t service;

	lay_out(o, &service);
	memset(h, 0, sizeof(*h));
	h->channel_ops = channel_ops;
	h->channel = channel;
	h->link_ops = link_ops;
	h->link = link;
	for (uint32_t i = 0; i < XM_SERVICE_PLACES_MAX; i++)
		xm_list_open(&h->waiting[i]);
	xm_list_open(&h->unused);
	for (size_t i = 0; i < commands_max(o); i++)
		xm_list_push_back(&h->unused, &queued[i].link);
	h->service = xm_service_init(o, (uint8_t *)memory + service, now_ns);
	h->deadline_ns = XM_NEVER;
	return h;
}

struct xm_service *xm_host_service(struct xm_host *h)
{
	return h->service;
}

uint64_t xm_host_held(const struct xm_host *h)
{
	return xm_service_held(h->service);
}

void xm_host_set_store(struct xm_host *h, const struct xm_store_link_ops *ops, void *link)
{
	h->store_ops = ops;
	h->store = link;
}

bool xm_host_is_drained(const struct xm_host *h)
{
	return h->drained;
}

/* --- effects -------------------------------------------------------------- */

static void command_done(struct xm_host *h, struct queued *q)
{
	xm_list_remove(&q->link);
	xm_list_push_back(&h->unused, &q->link);
	h->commands_count--;
}

static void commands_push(struct xm_host *h)
{
	for (uint32_t i = 0; h->commands_count > 0 && i < XM_SERVICE_PLACES_MAX; i++) {
		XM_LIST_EACH_SAFE (link, &h->waiting[i]) {
			struct queued *q = XM_CONTAINER(link, struct queued, link);

			if (h->link_ops->command(h->link, i, &q->command) != 0)
				break;
			command_done(h, q);
		}
	}
}

static void store_push(struct xm_host *h)
{
	while (h->told_count > 0 &&
	       h->store_ops->command(h->store, &h->told[h->told_begin]) == 0) {
		h->told_begin = (h->told_begin + 1) % XM_STORE_COMMANDS_MAX;
		h->told_count--;
	}
}

static void store_tell(struct xm_host *h)
{
	XM_ASSERT(h->told_count < XM_STORE_COMMANDS_MAX);
	h->told[(h->told_begin + h->told_count++) % XM_STORE_COMMANDS_MAX] =
		h->effects.store;
}

static void command(struct xm_host *h, enum xm_command_kind kind,
		    const struct xm_service_effect *effect)
{
	struct xm_link *link = xm_list_front(&h->unused);
	struct xm_command *c;

	XM_ASSERT(link != NULL);
	xm_list_remove(link);
	xm_list_push_back(&h->waiting[effect->place], link);
	h->commands_count++;
	c = &XM_CONTAINER(link, struct queued, link)->command;
	memset(c, 0, sizeof(*c));
	c->kind = kind;
	c->client = effect->client;
	c->grant = effect->grant;
	c->offset = effect->offset;
	c->size = effect->size;
	c->rights = effect->rights;
	c->key = effect->key;
	c->remote = effect->remote;
	c->cookie = effect->cookie;
	c->lane = effect->lane;
	memcpy(c->ticket, effect->ticket, sizeof(c->ticket));
}

/* False: that peer does not take it, and should go. */
static bool send(struct xm_host *h, const struct xm_service_effect *effect)
{
	size_t size = xm_wire_encode(effect->message, h->bytes);

	return h->channel_ops->send(h->channel, effect->peer, h->bytes,
				    size) == 0;
}

static void step(struct xm_host *h, struct xm_service_event *event);

/* Peers whose queue was full: each is dropped, and the service hears of it. The
 * effects are used up by then, as this steps again. */
static void drop_lost(struct xm_host *h, const uint32_t *lost, uint32_t count,
		      uint64_t now_ns)
{
	for (uint32_t i = 0; i < count; i++) {
		struct xm_service_event event = {
			.kind = XM_SERVICE_PEER_DOWN,
			.now_ns = now_ns,
			.peer = lost[i],
			.status = -ENOBUFS,
		};

		if (lost[i] == XM_SERVICE_NONE ||
		    (i > 0 && lost[i] == lost[i - 1]))
			continue;
		h->channel_ops->disconnect(h->channel, lost[i]);
		step(h, &event);
	}
}

static void zero_begin(struct xm_host *h, const struct xm_service_effect *effect)
{
	XM_ASSERT(!h->zeroing);
	h->zeroing = true;
	h->zero_extent = effect->extent;
	h->zero_offset = effect->offset;
	h->zero_size = effect->size;
}

static void apply(struct xm_host *h, uint64_t now_ns)
{
	uint32_t lost[XM_SERVICE_SENDS_MAX];
	uint32_t lost_count = 0;

	for (uint32_t i = 0; i < h->effects.count; i++) {
		const struct xm_service_effect *e = &h->effects.effects[i];

		switch (e->kind) {
		case XM_SERVICE_SEND:
			if (!send(h, e))
				lost[lost_count++] = e->peer;
			break;
		case XM_SERVICE_DROP:
			h->channel_ops->disconnect(h->channel, e->peer);
			for (uint32_t j = 0; j < lost_count; j++)
				if (lost[j] == e->peer)
					lost[j] = XM_SERVICE_NONE;
			break;
		case XM_SERVICE_EXPOSE:
			command(h, XM_COMMAND_EXPOSE, e);
			break;
		case XM_SERVICE_CONCEAL:
			command(h, XM_COMMAND_CONCEAL, e);
			break;
		case XM_SERVICE_ADMIT:
			command(h, XM_COMMAND_ADMIT, e);
			break;
		case XM_SERVICE_RETRACT:
			command(h, XM_COMMAND_RETRACT, e);
			break;
		case XM_SERVICE_EXPEL:
			command(h, XM_COMMAND_EXPEL, e);
			break;
		case XM_SERVICE_ZERO:
			zero_begin(h, e);
			break;
		case XM_SERVICE_COPY:
			h->link_ops->copy(h->link, e->from, e->offset, e->size);
			h->copied++;
			break;
		case XM_SERVICE_RETURN:
		case XM_SERVICE_TAKE:
			XM_ASSERT(h->sizing == 0);
			h->sizing = e->kind;
			h->size_offset = e->offset;
			h->size_size = e->size;
			break;
		case XM_SERVICE_STORE:
			store_tell(h);
			break;
		case XM_SERVICE_LOG:
			h->link_ops->log(h->link, e->level, e->words);
			break;
		}
	}
	h->deadline_ns = h->effects.deadline_ns;
	h->drained = h->effects.drained;
	drop_lost(h, lost, lost_count, now_ns);
}

static void step(struct xm_host *h, struct xm_service_event *event)
{
	h->link_ops->draw(h->link, event->entropy, sizeof(event->entropy));
	xm_service_step(h->service, event, &h->effects);
	memset(event->entropy, 0, sizeof(event->entropy));
	apply(h, event->now_ns);
}

/* --- events --------------------------------------------------------------- */

/* Whoever knocks ten thousand times a second shall not fill the log. */
static void log_stranger(struct xm_host *h, uint64_t now_ns, const char *why)
{
	char text[STRANGER_WORDS];
	struct xm_words words;

	if (now_ns >= h->strangers_ns)
		h->strangers_said = 0;
	if (h->strangers_said == STRANGERS_SAID) {
		h->strangers_unsaid++;
		return;
	}
	if (h->strangers_said++ == 0)
		h->strangers_ns = xm_time_after(now_ns, XM_SECOND);
	xm_words_begin(&words, text, sizeof(text));
	xm_words_add(&words, "turned away ");
	xm_words_add(&words, why);
	if (h->strangers_unsaid > 0) {
		xm_words_add(&words, "; and since the last line ");
		xm_words_number(&words, h->strangers_unsaid);
		xm_words_add(&words, " more");
	}
	h->strangers_unsaid = 0;
	h->link_ops->log(h->link, XM_LEVEL_WARNING, text);
}

static void on_channel(struct xm_host *h, uint64_t now_ns,
		       const struct xm_channel_event *from)
{
	struct xm_service_event event = { .now_ns = now_ns,
					  .peer = from->peer,
					  .status = from->status };

	switch (from->kind) {
	case XM_CHANNEL_UP:
		event.kind = XM_SERVICE_PEER_UP;
		event.identity = from->identity;
		break;
	case XM_CHANNEL_DOWN:
		/* First, as the number is free for others after it. */
		h->channel_ops->disconnect(h->channel, from->peer);
		event.kind = XM_SERVICE_PEER_DOWN;
		break;
	case XM_CHANNEL_MESSAGE:
		event.kind = XM_SERVICE_MALFORMED;
		if (xm_wire_decode(from->bytes, from->size, &h->message) == 0) {
			event.kind = XM_SERVICE_MESSAGE;
			event.message = &h->message;
		}
		break;
	case XM_CHANNEL_STRANGER:
		log_stranger(h, now_ns, from->words);
		return;
	}
	step(h, &event);
}

static void log_failure(struct xm_host *h, const struct xm_report *report,
			const char *what)
{
	char text[XM_WORDS_SIZE + XM_REPORT_WORDS_SIZE];
	char why[XM_REPORT_WORDS_SIZE];
	struct xm_words words;

	xm_words_copy(why, report->words, sizeof(why));
	xm_words_begin(&words, text, sizeof(text));
	xm_words_add(&words, "the interface could not ");
	xm_words_add(&words, what);
	xm_words_add(&words, ": ");
	xm_words_add(&words, why);
	h->link_ops->log(h->link, XM_LEVEL_WARNING, text);
}

static void on_report(struct xm_host *h, uint64_t now_ns, uint32_t place,
		      const struct xm_report *report)
{
	struct xm_service_event event = {
		.now_ns = now_ns,
		.place = place,
		.status = report->status,
		.grant = report->grant,
		.client = report->client,
		.cookie = report->cookie,
		.connections = report->connections,
		.remote = report->remote,
	};

	switch (report->kind) {
	case XM_REPORT_EXPOSED:
		event.kind = XM_SERVICE_EXPOSED;
		if (report->status != 0)
			log_failure(h, report, "expose memory");
		break;
	case XM_REPORT_CONCEALED:
		event.kind = XM_SERVICE_CONCEALED;
		break;
	case XM_REPORT_ADMITTED:
		event.kind = XM_SERVICE_ADMITTED;
		if (report->status != 0)
			log_failure(h, report, "admit a connection");
		break;
	case XM_REPORT_RETRACTED:
		event.kind = XM_SERVICE_RETRACTED;
		break;
	case XM_REPORT_EXPELLED:
		event.kind = XM_SERVICE_EXPELLED;
		break;
	case XM_REPORT_CONNECTIONS:
		event.kind = XM_SERVICE_CONNECTIONS;
		break;
	default: /* the interface is not to be trusted with our life */
		return;
	}
	step(h, &event);
}

static void on_store(struct xm_host *h, uint64_t now_ns,
		     const struct xm_store_report *report)
{
	struct xm_service_event event = {
		.kind = report->kind == 0 ? XM_SERVICE_STORE_ENDED
					  : XM_SERVICE_STORED,
		.now_ns = now_ns,
		.extent = report->extent,
		.store_kind = report->kind,
		.status = report->status,
	};

	/* What it was not told yet, it will not be. */
	if (report->kind == 0)
		h->told_count = 0;
	step(h, &event);
}

static void zero_piece(struct xm_host *h, uint64_t now_ns)
{
	struct xm_service_event event = { .kind = XM_SERVICE_ZEROED, .now_ns = now_ns,
					  .extent = h->zero_extent };

	if (h->link_ops->zero(h->link, h->zero_offset, h->zero_size) != 0) {
		h->zero_ns = now_ns + ROOM;
		return;
	}
	h->zeroing = false;
	step(h, &event);
}

static void size_piece(struct xm_host *h, uint64_t now_ns)
{
	struct xm_service_event event = { .kind = XM_SERVICE_RETURNED,
					  .now_ns = now_ns };

	if (h->sizing == XM_SERVICE_RETURN) {
		h->link_ops->release(h->link, h->size_offset, h->size_size);
	} else {
		event.kind = XM_SERVICE_TAKEN;
		event.status = h->link_ops->take(h->link, h->size_offset,
						 h->size_size);
	}
	h->sizing = 0;
	step(h, &event);
}

/* True: there is more. */
static bool store_turn(struct xm_host *h, uint64_t now_ns)
{
	struct xm_store_report report;
	int i = 0;

	if (h->store_ops == NULL)
		return false;
	for (; i < EVENTS_MAX && h->store_ops->poll(h->store, &report) > 0; i++)
		on_store(h, now_ns, &report);
	return i == EVENTS_MAX;
}

uint64_t xm_host_turn(struct xm_host *h, uint64_t now_ns)
{
	struct xm_channel_event from;
	struct xm_report report;
	bool more = false;
	uint32_t place;
	int strangers = 0;
	int i;

	for (i = 0; i < EVENTS_MAX &&
		    h->link_ops->poll(h->link, &place, &report) > 0;
	     i++)
		on_report(h, now_ns, place, &report);
	more = i == EVENTS_MAX;
	more = store_turn(h, now_ns) || more;
	h->copied = 0;
	for (i = 0; i < EVENTS_MAX && strangers < STRANGERS_MAX &&
		    h->copied < COPIES_MAX && h->channel_ops->poll(h->channel, &from) > 0;
	     i++) {
		strangers += from.kind == XM_CHANNEL_STRANGER;
		on_channel(h, now_ns, &from);
	}
	more = more || i == EVENTS_MAX || strangers == STRANGERS_MAX ||
	       h->copied == COPIES_MAX;
	if (h->zeroing && now_ns >= h->zero_ns)
		zero_piece(h, now_ns);
	if (h->sizing != 0)
		size_piece(h, now_ns);
	if (now_ns >= h->deadline_ns) {
		struct xm_service_event tick = { .kind = XM_SERVICE_TICK,
						 .now_ns = now_ns };

		step(h, &tick);
	}
	commands_push(h);
	store_push(h);
	if (more || (h->zeroing && h->zero_ns <= now_ns) || h->sizing != 0)
		return now_ns;
	return h->commands_count + h->told_count == 0 && !h->zeroing ? h->deadline_ns
				      : xm_min(h->deadline_ns, now_ns + ROOM);
}

void xm_host_drain(struct xm_host *h, uint64_t now_ns, uint32_t ms)
{
	struct xm_service_event event = { .kind = XM_SERVICE_DRAIN,
					  .now_ns = now_ns,
					  .drain_ms = ms };

	step(h, &event);
}

void xm_host_stay(struct xm_host *h, uint64_t now_ns)
{
	struct xm_service_event event = { .kind = XM_SERVICE_STAY,
					  .now_ns = now_ns };

	step(h, &event);
}

void xm_host_interface_lost(struct xm_host *h, uint64_t now_ns, uint32_t place)
{
	struct xm_service_event event = { .kind = XM_SERVICE_INTERFACE_LOST,
					  .now_ns = now_ns,
					  .place = place };

	XM_LIST_EACH_SAFE (link, &h->waiting[place])
		command_done(h, XM_CONTAINER(link, struct queued, link));
	step(h, &event);
}

void xm_host_interface_back(struct xm_host *h, uint64_t now_ns, uint32_t place,
			    const struct xm_locator *locator)
{
	struct xm_service_event event = { .kind = XM_SERVICE_INTERFACE_BACK,
					  .now_ns = now_ns,
					  .place = place,
					  .locator = locator };

	step(h, &event);
}

void xm_host_reload(struct xm_host *h, uint64_t now_ns, uint32_t lease_ms)
{
	struct xm_service_event event = { .kind = XM_SERVICE_RELOAD,
					  .now_ns = now_ns,
					  .lease_ms = lease_ms };

	step(h, &event);
}

void xm_host_resize(struct xm_host *h, uint64_t now_ns, uint64_t size)
{
	struct xm_service_event event = { .kind = XM_SERVICE_RESIZE,
					  .now_ns = now_ns,
					  .size = size };

	step(h, &event);
}

void xm_host_set_tenants(struct xm_host *h, uint64_t now_ns,
			 const struct xm_tenants *tenants)
{
	struct xm_service_event event = { .kind = XM_SERVICE_TENANTS,
					  .now_ns = now_ns,
					  .tenants = tenants };

	step(h, &event);
}

void xm_host_set_lineage(struct xm_host *h, uint64_t now_ns,
			 const struct xm_lineage *lineage)
{
	struct xm_service_event event = { .kind = XM_SERVICE_LENDERS, .now_ns = now_ns,
					  .lineage = lineage };

	step(h, &event);
}

uint64_t xm_host_goal(const struct xm_host *h)
{
	return h->service->size.goal;
}
