/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of the service machine (appliance/service.c, lease.c), stepped by
 * hand, with a model of the interface: which keys open which bytes to whom.
 * The model answers commands when a test lets it, so every interleaving of
 * requests and acknowledgements can be told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "appliance/service.h"

#define GRANULE 4096
#define POOL (64 * GRANULE)
#define PEERS 12
#define CLIENTS 4
#define EXTENTS 16
#define PER_CLIENT 8
#define LEASE_MS 800
#define KEYS 4096
#define COMMANDS XM_SERVICE_COMMANDS_MAX(CLIENTS, EXTENTS)

struct key {
	uint64_t client, offset, size;
	bool alive;
};

struct rig {
	struct xm_service *service;
	struct xm_service_options options;
	struct xm_service_effects effects;
	uint64_t now_ns, draws;
	/* what the machine did */
	struct xm_message sent[PEERS]; /* the last to each */
	uint32_t sent_count[PEERS];
	bool dropped[PEERS];
	struct xm_service_effect commands[COMMANDS];
	size_t commands_count;
	bool zero_wanted;
	struct xm_service_effect zero;
	uint32_t requests;
	/* the interface */
	struct key keys[KEYS];
	uint32_t keys_count;
	int expose_status, admit_status;
	uint8_t bytes[POOL];
};

static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) +
		       UINT64_C(1442695040888963407);
	return (random_state >> 33) % below;
}

static void step(struct rig *r, struct xm_service_event event)
{
	const char *broken;
	uint32_t i;

	event.now_ns = r->now_ns;
	r->draws++;
	memcpy(event.entropy, &r->draws, sizeof(r->draws));
	xm_service_step(r->service, &event, &r->effects);
	for (i = 0; i < r->effects.count; i++) {
		struct xm_service_effect *e = &r->effects.effects[i];

		switch (e->kind) {
		case XM_SERVICE_SEND:
			CU_ASSERT_FATAL(e->peer < PEERS);
			r->sent[e->peer] = *e->message;
			r->sent_count[e->peer]++;
			break;
		case XM_SERVICE_DROP:
			r->dropped[e->peer] = true;
			break;
		case XM_SERVICE_ZERO:
			CU_ASSERT_FALSE_FATAL(r->zero_wanted);
			r->zero_wanted = true;
			r->zero = *e;
			break;
		case XM_SERVICE_LOG:
			break;
		default:
			CU_ASSERT_FATAL(r->commands_count < COMMANDS);
			r->commands[r->commands_count++] = *e;
		}
	}
	broken = xm_service_check(r->service);
	if (broken != NULL)
		printf("broken: %s\n", broken);
	CU_ASSERT_PTR_NULL_FATAL(broken);
}

static void tick(struct rig *r)
{
	step(r, (struct xm_service_event){ .kind = XM_SERVICE_TICK });
}

/* Lets time pass as the host would: tick by tick. */
static void pass(struct rig *r, uint64_t ms)
{
	uint64_t end_ns = r->now_ns + ms * XM_MS;

	while (r->now_ns < end_ns) {
		r->now_ns = xm_min(end_ns, r->now_ns + 50 * XM_MS);
		do
			tick(r);
		while (r->effects.deadline_ns <= r->now_ns);
	}
}

static void zero_one(struct rig *r)
{
	r->zero_wanted = false;
	memset(r->bytes + r->zero.offset, 0, r->zero.size);
	step(r, (struct xm_service_event){ .kind = XM_SERVICE_ZEROED,
					   .extent = r->zero.extent });
}

/* The interface does the oldest command and reports. */
static void acknowledge(struct rig *r)
{
	struct xm_service_effect c = r->commands[0];
	struct xm_service_event event = { .extent = c.extent,
					  .client = c.client,
					  .cookie = c.cookie };
	uint32_t i;

	memmove(r->commands, r->commands + 1,
		--r->commands_count * sizeof(c));
	switch (c.kind) {
	case XM_SERVICE_EXPOSE:
		event.kind = XM_SERVICE_EXPOSED;
		event.status = r->expose_status;
		if (event.status != 0)
			break;
		CU_ASSERT_FATAL(r->keys_count < KEYS);
		event.remote.key = r->keys_count;
		r->keys[r->keys_count++] =
			(struct key){ c.client, c.offset, c.size, true };
		break;
	case XM_SERVICE_CONCEAL:
		event.kind = XM_SERVICE_CONCEALED;
		r->keys[c.remote.key].alive = false;
		break;
	case XM_SERVICE_ADMIT:
		event.kind = XM_SERVICE_ADMITTED;
		event.status = r->admit_status;
		break;
	default:
		event.kind = XM_SERVICE_EXPELLED;
		for (i = 0; i < r->keys_count; i++)
			if (r->keys[i].client == c.client)
				r->keys[i].alive = false;
	}
	step(r, event);
}

static void settle(struct rig *r)
{
	while (r->commands_count > 0 || r->zero_wanted) {
		if (r->commands_count > 0)
			acknowledge(r);
		else
			zero_one(r);
	}
}

static void rig_open(struct rig *r)
{
	char words[XM_WORDS_SIZE];

	memset(r, 0, sizeof(*r));
	r->now_ns = 77 * XM_SECOND;
	r->options = (struct xm_service_options){
		.name = "test",
		.transport = "loop",
		.incarnation = 5,
		.pool_size = POOL,
		.granule = GRANULE,
		.peers_max = PEERS,
		.clients_max = CLIENTS,
		.extents_max = EXTENTS,
		.extents_per_client_max = PER_CLIENT,
		.lease_ms = LEASE_MS,
		.handshake_ns = 400 * XM_MS,
		.zero_size_max = 2 * GRANULE,
		.revokes = true,
		.admits = true,
	};
	CU_ASSERT_EQUAL_FATAL(xm_service_options_check(&r->options, words), 0);
}

static void rig_start(struct rig *r)
{
	void *memory = malloc(xm_service_size(&r->options));

	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	memset(memory, 0xa5, xm_service_size(&r->options));
	r->service = xm_service_init(&r->options, memory, r->now_ns);
}

static struct rig *rig_new(void)
{
	struct rig *r = malloc(sizeof(*r));

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	rig_open(r);
	rig_start(r);
	return r;
}

static void rig_free(struct rig *r)
{
	free(r->service);
	free(r);
}

/* --- what peers do -------------------------------------------------------- */

static void up(struct rig *r, uint32_t peer)
{
	r->dropped[peer] = false;
	step(r, (struct xm_service_event){ .kind = XM_SERVICE_PEER_UP,
					   .peer = peer });
}

static void down(struct rig *r, uint32_t peer)
{
	step(r, (struct xm_service_event){ .kind = XM_SERVICE_PEER_DOWN,
					   .status = -ECONNRESET,
					   .peer = peer });
}

static const struct xm_message *say(struct rig *r, uint32_t peer,
				    struct xm_message m)
{
	m.request = ++r->requests;
	memset(&r->sent[peer], 0, sizeof(r->sent[peer]));
	step(r, (struct xm_service_event){ .kind = XM_SERVICE_MESSAGE,
					   .peer = peer,
					   .message = &m });
	return &r->sent[peer];
}

static const struct xm_message *say_kind(struct rig *r, uint32_t peer,
					 enum xm_message_kind kind)
{
	return say(r, peer, (struct xm_message){ .kind = kind });
}

static struct xm_message hello(void)
{
	struct xm_message m = { .kind = XM_HELLO };

	m.u.hello.version_min = XM_PROTOCOL_VERSION_MIN;
	m.u.hello.version_max = XM_PROTOCOL_VERSION;
	memcpy(m.u.hello.name, "here:1 test", 12);
	memcpy(m.u.hello.transport, "loop", 5);
	return m;
}

/* A new client on a new stream. */
static struct xm_welcome join(struct rig *r, uint32_t peer)
{
	const struct xm_message *m;

	up(r, peer);
	m = say(r, peer, hello());
	CU_ASSERT_EQUAL_FATAL(m->kind, XM_WELCOME);
	CU_ASSERT_EQUAL(m->request, r->requests);
	return m->u.welcome;
}

static const struct xm_message *ask_take(struct rig *r, uint32_t peer,
					 uint64_t size)
{
	struct xm_message m = { .kind = XM_TAKE };

	m.u.take.size = size;
	memcpy(m.u.take.region, "r", 2);
	return say(r, peer, m);
}

static struct xm_taken take(struct rig *r, uint32_t peer, uint64_t size)
{
	ask_take(r, peer, size);
	settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[peer].kind, XM_TAKEN);
	return r->sent[peer].u.taken;
}

static const struct xm_message *ask_trim(struct rig *r, uint32_t peer,
					 uint64_t extent, uint64_t size)
{
	struct xm_message m = { .kind = XM_TRIM };

	m.u.trim.extent = extent;
	m.u.trim.size = size;
	return say(r, peer, m);
}

static const struct xm_message *ask_give(struct rig *r, uint32_t peer,
					 uint64_t extent)
{
	struct xm_message m = { .kind = XM_GIVE };

	m.u.give.extent = extent;
	return say(r, peer, m);
}

static bool refused(const struct xm_message *m, int code, const char *word)
{
	if (m->kind != XM_REFUSED || m->u.refused.code != code ||
	    strstr(m->u.refused.words, word) == NULL) {
		printf("    %s %d \"%s\", wanted %d with \"%s\"\n",
		       xm_message_name(m->kind), m->u.refused.code,
		       m->u.refused.words, code, word);
		return false;
	}
	return true;
}

/* A write under a key, at the remote side of the wire. True: it landed. */
static bool far_write(struct rig *r, const struct xm_remote_mr *remote, uint8_t value)
{
	struct key *key = &r->keys[remote->key];

	if (!key->alive)
		return false;
	memset(r->bytes + key->offset, value, key->size);
	return true;
}

static uint64_t offset_of(const struct rig *r, const struct xm_taken *t)
{
	return r->keys[t->remote.key].offset;
}

static bool is_zero(const struct rig *r, const struct xm_taken *t)
{
	uint64_t i;

	for (i = 0; i < t->size; i++)
		if (r->bytes[offset_of(r, t) + i] != 0)
			return false;
	return true;
}

static uint64_t pool_free(const struct rig *r)
{
	return r->service->pool->free;
}

/* --- clients -------------------------------------------------------------- */

static void a_client_is_told_the_terms(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = join(r, 0);

	CU_ASSERT_NOT_EQUAL(w.client, 0);
	CU_ASSERT_EQUAL(w.version, XM_PROTOCOL_VERSION);
	CU_ASSERT_EQUAL(w.lease_ms, LEASE_MS);
	CU_ASSERT_EQUAL(w.granule, GRANULE);
	CU_ASSERT_EQUAL(w.incarnation, 5);
	CU_ASSERT_STRING_EQUAL(w.name, "test");
	CU_ASSERT_EQUAL(say_kind(r, 0, XM_PING)->kind, XM_PONG);
	rig_free(r);
}

static void a_version_that_does_not_meet_is_refused_with_both(void)
{
	struct rig *r = rig_new();
	struct xm_message m = hello();

	up(r, 0);
	m.u.hello.version_min = XM_PROTOCOL_VERSION + 1;
	m.u.hello.version_max = XM_PROTOCOL_VERSION + 3;
	CU_ASSERT(refused(say(r, 0, m), EPROTONOSUPPORT, "2 to 4"));
	m.u.hello.version_min = 3;
	m.u.hello.version_max = 2;
	CU_ASSERT(refused(say(r, 0, m), EPROTONOSUPPORT, "speaks protocol 1"));
	/* A refused stream may try again. */
	m = hello();
	m.u.hello.version_max = XM_PROTOCOL_VERSION + 7;
	CU_ASSERT_EQUAL(say(r, 0, m)->kind, XM_WELCOME);
	CU_ASSERT_EQUAL(r->sent[0].u.welcome.version, XM_PROTOCOL_VERSION);
	rig_free(r);
}

static void another_transport_is_refused_by_name(void)
{
	struct rig *r = rig_new();
	struct xm_message m = hello();

	up(r, 0);
	memcpy(m.u.hello.transport, "ofi+shm", 8);
	CU_ASSERT(refused(say(r, 0, m), EPROTONOSUPPORT, "over loop, not over"
							 " ofi+shm"));
	rig_free(r);
}

static void nothing_goes_before_hello_and_no_hello_twice(void)
{
	static const enum xm_message_kind kinds[] = {
		XM_TICKET, XM_TAKE, XM_TRIM, XM_GIVE, XM_LIST,
		XM_STATUS, XM_PING, XM_BYE, XM_WELCOME, XM_TAKEN,
	};
	struct rig *r = rig_new();
	size_t i;

	for (i = 0; i < XM_COUNT(kinds); i++) {
		up(r, 0);
		CU_ASSERT_EQUAL(say_kind(r, 0, kinds[i])->kind, 0);
		CU_ASSERT_TRUE(r->dropped[0]);
	}
	CU_ASSERT_EQUAL(r->service->malformed, XM_COUNT(kinds));
	join(r, 0);
	CU_ASSERT_EQUAL(say(r, 0, hello())->kind, 0);
	CU_ASSERT_TRUE(r->dropped[0]);
	rig_free(r);
}

static void an_answer_from_a_client_ends_its_stream(void)
{
	static const enum xm_message_kind kinds[] = {
		XM_WELCOME, XM_REFUSED, XM_TICKETED, XM_TAKEN, XM_GAVE,
		XM_LISTED,  XM_STATE,	XM_PONG,     XM_LEAVING,
	};
	struct rig *r = rig_new();
	struct xm_message m;
	struct xm_welcome w = join(r, 0);
	size_t i;

	for (i = 0; i < XM_COUNT(kinds); i++) {
		say_kind(r, 0, kinds[i]);
		CU_ASSERT_TRUE(r->dropped[0]);
		/* It can come back: its lease lives. */
		up(r, 0);
		m = hello();
		m.u.hello.client = w.client;
		memcpy(m.u.hello.secret, w.secret, XM_SECRET_SIZE);
		CU_ASSERT_EQUAL_FATAL(say(r, 0, m)->kind, XM_WELCOME);
	}
	CU_ASSERT_EQUAL(r->service->malformed, XM_COUNT(kinds));
	rig_free(r);
}

static void one_client_more_than_the_limit_is_refused(void)
{
	struct rig *r = rig_new();
	uint32_t i;

	for (i = 0; i < CLIENTS; i++)
		join(r, i);
	up(r, CLIENTS);
	CU_ASSERT(refused(say(r, CLIENTS, hello()), EUSERS, "all the 4"));
	/* One leaves, and there is room. */
	say_kind(r, 2, XM_BYE);
	settle(r);
	CU_ASSERT_EQUAL(say(r, CLIENTS, hello())->kind, XM_WELCOME);
	rig_free(r);
}

static void a_client_resumes_with_its_secret_only(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = join(r, 0);
	struct xm_taken t = take(r, 0, GRANULE);
	struct xm_message m = hello();
	size_t i;

	down(r, 0);
	for (i = 0; i < XM_SECRET_SIZE; i++) {
		up(r, 1);
		m.u.hello.client = w.client;
		memcpy(m.u.hello.secret, w.secret, XM_SECRET_SIZE);
		m.u.hello.secret[i] ^= 1;
		CU_ASSERT(refused(say(r, 1, m), ESTALE, "does not know you"));
		down(r, 1);
	}
	up(r, 1);
	m.u.hello.client = w.client + 1;
	memcpy(m.u.hello.secret, w.secret, XM_SECRET_SIZE);
	CU_ASSERT(refused(say(r, 1, m), ESTALE, "restarted"));
	m.u.hello.client = w.client;
	CU_ASSERT_EQUAL(say(r, 1, m)->kind, XM_WELCOME);
	CU_ASSERT_EQUAL(r->sent[1].u.welcome.client, w.client);
	CU_ASSERT_TRUE(far_write(r, &t.remote, 1));
	ask_give(r, 1, t.extent);
	settle(r);
	CU_ASSERT_EQUAL(r->sent[1].kind, XM_GAVE);
	rig_free(r);
}

static void resuming_drops_the_half_open_stream(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = join(r, 0);
	struct xm_message m = hello();

	up(r, 1);
	m.u.hello.client = w.client;
	memcpy(m.u.hello.secret, w.secret, XM_SECRET_SIZE);
	CU_ASSERT_EQUAL(say(r, 1, m)->kind, XM_WELCOME);
	CU_ASSERT_TRUE(r->dropped[0]);
	CU_ASSERT_FALSE(r->dropped[1]);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	rig_free(r);
}

static void a_silent_client_loses_its_lease_and_its_memory_is_zeroed(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = join(r, 0);
	struct xm_taken t = take(r, 0, 5 * GRANULE);
	struct xm_message m = hello();

	far_write(r, &t.remote, 9);
	pass(r, LEASE_MS / 2);
	say_kind(r, 0, XM_PING);
	pass(r, LEASE_MS - 150);
	CU_ASSERT_EQUAL(r->commands_count, 0);
	CU_ASSERT_FALSE(r->dropped[0]);
	pass(r, 300);
	CU_ASSERT_TRUE(r->dropped[0]);
	CU_ASSERT_EQUAL(r->commands_count, 1);
	/* Until the interface says so, it is nobody's. */
	CU_ASSERT_EQUAL(pool_free(r), POOL - 5 * GRANULE);
	settle(r);
	CU_ASSERT_EQUAL(pool_free(r), POOL);
	CU_ASSERT_TRUE(is_zero(r, &t));
	CU_ASSERT_FALSE(far_write(r, &t.remote, 9));
	CU_ASSERT_EQUAL(r->service->expired, 1);
	CU_ASSERT_EQUAL(r->service->clients_count, 0);
	up(r, 1);
	m.u.hello.client = w.client;
	memcpy(m.u.hello.secret, w.secret, XM_SECRET_SIZE);
	CU_ASSERT(refused(say(r, 1, m), ESTALE, "lease ended"));
	rig_free(r);
}

static void a_client_whose_stream_broke_has_the_rest_of_its_lease(void)
{
	struct rig *r = rig_new();

	join(r, 0);
	take(r, 0, GRANULE);
	down(r, 0);
	CU_ASSERT_EQUAL(r->service->clients[0].state, XM_CLIENT_SILENT);
	pass(r, LEASE_MS - 100);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	pass(r, 200);
	settle(r);
	CU_ASSERT_EQUAL(r->service->clients_count, 0);
	CU_ASSERT_EQUAL(pool_free(r), POOL);
	rig_free(r);
}

static void when_i_was_stopped_i_declare_nobody_dead(void)
{
	struct rig *r = rig_new();

	join(r, 0);
	take(r, 0, GRANULE);
	pass(r, 100);
	r->now_ns += 3600 * XM_SECOND; /* SIGSTOP, a suspended machine */
	tick(r);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	CU_ASSERT_FALSE(r->dropped[0]);
	pass(r, LEASE_MS - 200);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	CU_ASSERT_EQUAL(r->commands_count, 0);
	/* But silence that it did listen to counts. */
	pass(r, 300);
	settle(r);
	CU_ASSERT_EQUAL(r->service->clients_count, 0);
	rig_free(r);
}

static void a_stream_that_never_says_hello_is_dropped(void)
{
	struct rig *r = rig_new();
	struct xm_message m = hello();
	int i;

	up(r, 0);
	up(r, 1);
	m.u.hello.version_min = m.u.hello.version_max = 99;
	for (i = 0; i < 7; i++) { /* refused HELLOs do not keep it alive */
		pass(r, 50);
		say(r, 1, m);
	}
	CU_ASSERT_FALSE(r->dropped[0]);
	pass(r, 100);
	CU_ASSERT_TRUE(r->dropped[0]);
	CU_ASSERT_TRUE(r->dropped[1]);
	CU_ASSERT_EQUAL(r->effects.deadline_ns, XM_NEVER);
	rig_free(r);
}

static void bye_gives_everything_back(void)
{
	struct rig *r = rig_new();
	struct xm_taken t;

	join(r, 0);
	t = take(r, 0, 7 * GRANULE);
	take(r, 0, GRANULE);
	far_write(r, &t.remote, 3);
	say_kind(r, 0, XM_BYE);
	CU_ASSERT_EQUAL(r->sent[0].kind, 0);
	settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_GAVE);
	CU_ASSERT_EQUAL(pool_free(r), POOL);
	CU_ASSERT_TRUE(is_zero(r, &t));
	say_kind(r, 0, XM_PING);
	CU_ASSERT_TRUE(r->dropped[0]);
	rig_free(r);
}

static void an_observer_asks_and_takes_nothing(void)
{
	struct rig *r = rig_new();
	struct xm_message m = hello();

	join(r, 0);
	take(r, 0, 2 * GRANULE);
	up(r, 1);
	m.u.hello.flags = XM_HELLO_OBSERVER;
	m.u.hello.transport[0] = '\0';
	CU_ASSERT_EQUAL(say(r, 1, m)->kind, XM_WELCOME);
	CU_ASSERT_EQUAL(r->sent[1].u.welcome.client, 0);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	CU_ASSERT(refused(ask_take(r, 1, 1), EPERM, "observer"));
	CU_ASSERT(refused(say_kind(r, 1, XM_TICKET), EPERM, "observer"));
	CU_ASSERT_EQUAL(say_kind(r, 1, XM_STATUS)->kind, XM_STATE);
	CU_ASSERT_EQUAL(r->sent[1].u.state.clients, 1);
	CU_ASSERT_EQUAL(r->sent[1].u.state.leased, 2 * GRANULE);
	CU_ASSERT_EQUAL(r->sent[1].u.state.free, POOL - 2 * GRANULE);
	CU_ASSERT_EQUAL(r->sent[1].u.state.pool, POOL);
	CU_ASSERT_EQUAL(say_kind(r, 1, XM_LIST)->kind, XM_LISTED);
	CU_ASSERT_EQUAL(r->sent[1].u.listed.count, 1);
	CU_ASSERT_STRING_EQUAL(r->sent[1].u.listed.entries[0].owner,
			       "here:1 test");
	say_kind(r, 1, XM_BYE);
	CU_ASSERT_TRUE(r->dropped[1]);
	rig_free(r);
}

/* --- tickets -------------------------------------------------------------- */

static void a_ticket_is_told_after_the_interface_knows_it(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = join(r, 0);

	CU_ASSERT_EQUAL(say_kind(r, 0, XM_TICKET)->kind, 0);
	CU_ASSERT_EQUAL(r->commands_count, 1);
	CU_ASSERT_EQUAL(r->commands[0].kind, XM_SERVICE_ADMIT);
	CU_ASSERT_EQUAL(r->commands[0].client, w.client);
	settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_TICKETED);
	CU_ASSERT_EQUAL(r->sent[0].request, r->requests);
	r->admit_status = -ENOSPC;
	say_kind(r, 0, XM_TICKET);
	settle(r);
	CU_ASSERT(refused(&r->sent[0], ENOSPC, "no more connections"));
	rig_free(r);
}

static void tickets_under_way_and_unused_are_limited(void)
{
	struct rig *r = rig_new();
	struct xm_welcome w = join(r, 0);
	uint32_t i;

	for (i = 0; i < XM_SERVICE_TICKETS_MAX; i++)
		CU_ASSERT_EQUAL(say_kind(r, 0, XM_TICKET)->kind, 0);
	CU_ASSERT(refused(say_kind(r, 0, XM_TICKET), EAGAIN, "at once"));
	settle(r);
	for (; i < XM_SERVICE_UNUSED_MAX; i++) {
		say_kind(r, 0, XM_TICKET);
		settle(r);
		CU_ASSERT_EQUAL(r->sent[0].kind, XM_TICKETED);
	}
	CU_ASSERT(refused(say_kind(r, 0, XM_TICKET), ENOSPC, "not used"));
	step(r, (struct xm_service_event){ .kind = XM_SERVICE_CONNECTIONS,
					   .client = w.client,
					   .connections = 1,
					   .joined = 1 });
	CU_ASSERT_EQUAL(say_kind(r, 0, XM_TICKET)->kind, 0);
	rig_free(r);
}

/* --- extents -------------------------------------------------------------- */

static void an_extent_is_told_after_it_is_exposed(void)
{
	struct rig *r = rig_new();
	struct xm_taken t;

	join(r, 0);
	CU_ASSERT_EQUAL(ask_take(r, 0, GRANULE + 1)->kind, 0);
	settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_TAKEN);
	t = r->sent[0].u.taken;
	CU_ASSERT_EQUAL(t.size, 2 * GRANULE);
	CU_ASSERT_NOT_EQUAL(t.epoch, 0);
	CU_ASSERT_TRUE(far_write(r, &t.remote, 1));
	rig_free(r);
}

static void sizes_that_make_no_sense_are_refused(void)
{
	struct rig *r = rig_new();

	join(r, 0);
	CU_ASSERT(refused(ask_take(r, 0, 0), EINVAL, "0 bytes"));
	CU_ASSERT(refused(ask_take(r, 0, POOL + 1), ENOSPC,
			  "whole pool is 256.0 KiB"));
	CU_ASSERT(refused(ask_take(r, 0, UINT64_MAX), ENOSPC, "whole pool"));
	CU_ASSERT(refused(ask_take(r, 0, UINT64_MAX - GRANULE), ENOSPC, ""));
	take(r, 0, POOL);
	CU_ASSERT(refused(ask_take(r, 0, 1), ENOSPC, "free 0 B"));
	CU_ASSERT_EQUAL(r->sent[0].u.refused.free, 0);
	CU_ASSERT_EQUAL(r->service->refused, 5);
	rig_free(r);
}

static void a_fragmented_pool_says_what_can_be_had(void)
{
	struct rig *r = rig_new();
	struct xm_taken t[4];
	uint32_t i;

	join(r, 0);
	for (i = 0; i < 4; i++)
		t[i] = take(r, 0, POOL / 4);
	ask_give(r, 0, t[0].extent);
	ask_give(r, 0, t[2].extent);
	settle(r);
	CU_ASSERT(refused(ask_take(r, 0, POOL / 2), ENOSPC,
			  "free 128.0 KiB but in pieces of at most 64.0 KiB"));
	CU_ASSERT_EQUAL(r->sent[0].u.refused.free, POOL / 2);
	CU_ASSERT_EQUAL(r->sent[0].u.refused.free_run, POOL / 4);
	take(r, 0, POOL / 4);
	rig_free(r);
}

static void memory_on_its_way_back_is_said_to_come(void)
{
	struct rig *r = rig_new();
	struct xm_taken t;

	join(r, 0);
	t = take(r, 0, POOL);
	ask_give(r, 0, t.extent);
	acknowledge(r); /* concealed; zeroing is under way */
	CU_ASSERT(refused(ask_take(r, 0, 1), ENOSPC, "more soon"));
	settle(r);
	take(r, 0, POOL);
	rig_free(r);
}

static void extents_are_limited_in_all_and_for_each_client(void)
{
	struct rig *r = rig_new();
	uint32_t i;

	for (i = 0; i < 3; i++)
		join(r, i);
	for (i = 0; i < PER_CLIENT; i++)
		take(r, 0, 1);
	CU_ASSERT(refused(ask_take(r, 0, 1), ENOSPC, "all 8 extents a client"));
	for (i = 0; i < PER_CLIENT; i++)
		take(r, 1, 1);
	CU_ASSERT(refused(ask_take(r, 2, 1), ENOSPC, "all 16 extents of this"));
	say_kind(r, 1, XM_BYE);
	settle(r);
	take(r, 2, 1);
	rig_free(r);
}

static void anothers_extent_is_as_good_as_none(void)
{
	struct rig *r = rig_new();
	struct xm_taken t;

	join(r, 0);
	join(r, 1);
	t = take(r, 0, 4 * GRANULE);
	CU_ASSERT(refused(ask_give(r, 1, t.extent), ESTALE, "no such"));
	CU_ASSERT(refused(ask_trim(r, 1, t.extent, GRANULE), ESTALE,
			  "no such"));
	CU_ASSERT(refused(ask_give(r, 0, t.extent + 1), ESTALE, ""));
	CU_ASSERT(refused(ask_give(r, 0, UINT64_MAX), ESTALE, ""));
	CU_ASSERT(refused(ask_give(r, 0, 0), ESTALE, ""));
	ask_give(r, 0, t.extent);
	/* Twice: it is on its way already. */
	CU_ASSERT(refused(ask_give(r, 0, t.extent), ESTALE, ""));
	settle(r);
	CU_ASSERT(refused(ask_give(r, 0, t.extent), ESTALE, ""));
	rig_free(r);
}

static void an_extent_that_cannot_be_exposed_is_refused_and_free(void)
{
	struct rig *r = rig_new();

	join(r, 0);
	r->expose_status = -ENOMEM;
	ask_take(r, 0, 3 * GRANULE);
	settle(r);
	CU_ASSERT(refused(&r->sent[0], ENOMEM, "ulimit -l"));
	CU_ASSERT_EQUAL(pool_free(r), POOL);
	CU_ASSERT_EQUAL(r->service->extents_count, 0);
	CU_ASSERT_EQUAL(r->service->clients[0].extents, 0);
	rig_free(r);
}

static void an_extent_whose_asker_is_gone_is_taken_back(void)
{
	struct rig *r = rig_new();

	join(r, 0);
	ask_take(r, 0, GRANULE);
	down(r, 0);
	up(r, 0); /* another stream under the same number */
	memset(&r->sent[0], 0, sizeof(r->sent[0]));
	settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, 0);
	CU_ASSERT_EQUAL(pool_free(r), POOL);
	rig_free(r);
}

static void the_list_goes_on_at_its_cursor(void)
{
	struct rig *r = malloc(sizeof(*r));
	struct xm_message m = { .kind = XM_LIST };
	uint32_t i;

	rig_open(r);
	r->options.extents_max = 40;
	r->options.extents_per_client_max = 40;
	rig_start(r);
	join(r, 0);
	for (i = 0; i < XM_LIST_MAX + 3; i++)
		take(r, 0, 1);
	say(r, 0, m);
	CU_ASSERT_EQUAL(r->sent[0].u.listed.count, XM_LIST_MAX);
	CU_ASSERT_NOT_EQUAL(r->sent[0].u.listed.cursor, 0);
	m.u.list.cursor = r->sent[0].u.listed.cursor;
	say(r, 0, m);
	CU_ASSERT_EQUAL(r->sent[0].u.listed.count, 3);
	CU_ASSERT_EQUAL(r->sent[0].u.listed.cursor, 0);
	m.u.list.cursor = UINT64_MAX;
	CU_ASSERT_EQUAL(say(r, 0, m)->u.listed.count, 0);
	rig_free(r);
}

/* --- isolation ------------------------------------------------------------ */

static void a_late_write_cannot_reach_the_next_owner(void)
{
	struct rig *r = rig_new();
	struct xm_taken old, new;

	join(r, 0);
	join(r, 1);
	old = take(r, 0, POOL);
	far_write(r, &old.remote, 1);
	ask_give(r, 0, old.extent);
	/* It was given, and the key still works: nobody else gets it. */
	CU_ASSERT_TRUE(far_write(r, &old.remote, 2));
	CU_ASSERT(refused(ask_take(r, 1, 1), ENOSPC, ""));
	acknowledge(r);
	CU_ASSERT_FALSE(far_write(r, &old.remote, 3));
	/* Halfway through the zeroing, not yet either. */
	zero_one(r);
	zero_one(r);
	CU_ASSERT(refused(ask_take(r, 1, 1), ENOSPC, ""));
	settle(r);
	new = take(r, 1, POOL);
	CU_ASSERT_TRUE(is_zero(r, &new));
	CU_ASSERT_FALSE(far_write(r, &old.remote, 4));
	CU_ASSERT_TRUE(is_zero(r, &new));
	CU_ASSERT_TRUE(new.epoch > old.epoch);
	CU_ASSERT_NOT_EQUAL(new.extent, old.extent);
	rig_free(r);
}

static void without_revocation_the_owner_must_be_disconnected_first(void)
{
	struct rig *r = malloc(sizeof(*r));
	struct xm_welcome w;
	struct xm_taken t;

	rig_open(r);
	r->options.revokes = false;
	rig_start(r);
	w = join(r, 0);
	t = take(r, 0, GRANULE);
	say_kind(r, 0, XM_TICKET);
	settle(r);
	step(r, (struct xm_service_event){ .kind = XM_SERVICE_CONNECTIONS,
					   .client = w.client,
					   .connections = 1,
					   .joined = 1 });
	ask_give(r, 0, t.extent);
	settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_GAVE);
	CU_ASSERT_EQUAL(pool_free(r), POOL - GRANULE);
	step(r, (struct xm_service_event){ .kind = XM_SERVICE_CONNECTIONS,
					   .client = w.client,
					   .connections = 0,
					   .joined = 1 });
	settle(r);
	CU_ASSERT_EQUAL(pool_free(r), POOL);
	rig_free(r);
}

static void without_connections_quarantine_lasts_a_lease(void)
{
	struct rig *r = malloc(sizeof(*r));
	struct xm_taken t, head;
	int i;

	rig_open(r);
	r->options.revokes = r->options.admits = false;
	rig_start(r);
	join(r, 0);
	t = take(r, 0, 4 * GRANULE);
	ask_trim(r, 0, t.extent, GRANULE);
	settle(r);
	head = r->sent[0].u.taken;
	ask_give(r, 0, head.extent);
	settle(r);
	/* The head's own quarantine is long over, but the tail's key opened
	 * it until now, and that one's begins here. */
	for (i = 0; i < 4; i++) {
		pass(r, LEASE_MS / 2);
		say_kind(r, 0, XM_PING);
	}
	ask_give(r, 0, t.extent);
	settle(r);
	pass(r, LEASE_MS / 2);
	say_kind(r, 0, XM_PING);
	pass(r, LEASE_MS / 2 - 100);
	CU_ASSERT_FALSE(r->zero_wanted);
	CU_ASSERT_EQUAL(pool_free(r), POOL - 4 * GRANULE);
	pass(r, 150);
	settle(r);
	CU_ASSERT_EQUAL(pool_free(r), POOL);
	rig_free(r);
}

static void zeroing_goes_in_pieces(void)
{
	struct rig *r = rig_new();
	struct xm_taken t;
	int pieces = 0;

	join(r, 0);
	t = take(r, 0, 9 * GRANULE);
	ask_give(r, 0, t.extent);
	acknowledge(r);
	while (r->zero_wanted) {
		CU_ASSERT(r->zero.size <= 2 * GRANULE);
		/* The answers of others go on in between. */
		CU_ASSERT_EQUAL(say_kind(r, 0, XM_PING)->kind, XM_PONG);
		zero_one(r);
		pieces++;
	}
	CU_ASSERT_EQUAL(pieces, 5);
	CU_ASSERT_EQUAL(pool_free(r), POOL);
	rig_free(r);
}

/* --- trim ----------------------------------------------------------------- */

static void trim_cuts_the_head_off(void)
{
	struct rig *r = rig_new();
	struct xm_taken t, head;

	join(r, 0);
	t = take(r, 0, 8 * GRANULE);
	far_write(r, &t.remote, 7);
	ask_trim(r, 0, t.extent, 3 * GRANULE);
	settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[0].kind, XM_TAKEN);
	head = r->sent[0].u.taken;
	CU_ASSERT_EQUAL(head.size, 3 * GRANULE);
	CU_ASSERT_NOT_EQUAL(head.extent, t.extent);
	CU_ASSERT_EQUAL(offset_of(r, &head), offset_of(r, &t));
	ask_give(r, 0, t.extent);
	settle(r);
	CU_ASSERT_EQUAL(pool_free(r), POOL - 3 * GRANULE);
	/* The head keeps its bytes, the tail is zeroed. */
	CU_ASSERT_EQUAL(r->bytes[offset_of(r, &head)], 7);
	CU_ASSERT_EQUAL(r->bytes[offset_of(r, &head) + 3 * GRANULE - 1], 7);
	CU_ASSERT_EQUAL(r->bytes[offset_of(r, &head) + 3 * GRANULE], 0);
	CU_ASSERT_TRUE(far_write(r, &head.remote, 8));
	rig_free(r);
}

static void a_given_head_waits_for_the_key_that_covers_it(void)
{
	struct rig *r = rig_new();
	struct xm_taken t, head, inner;

	join(r, 0);
	t = take(r, 0, 8 * GRANULE);
	ask_trim(r, 0, t.extent, 4 * GRANULE);
	settle(r);
	head = r->sent[0].u.taken;
	ask_trim(r, 0, head.extent, 2 * GRANULE);
	settle(r);
	inner = r->sent[0].u.taken;
	ask_give(r, 0, inner.extent);
	settle(r);
	ask_give(r, 0, head.extent);
	settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_GAVE);
	/* Both of their keys are dead, but the first one still opens them. */
	CU_ASSERT_EQUAL(pool_free(r), POOL - 8 * GRANULE);
	CU_ASSERT_TRUE(far_write(r, &t.remote, 1));
	ask_give(r, 0, t.extent);
	settle(r);
	CU_ASSERT_EQUAL(pool_free(r), POOL);
	CU_ASSERT_TRUE(is_zero(r, &t));
	rig_free(r);
}

static void trim_refuses_what_is_no_head(void)
{
	struct rig *r = rig_new();
	struct xm_taken t;

	join(r, 0);
	t = take(r, 0, 4 * GRANULE);
	CU_ASSERT(refused(ask_trim(r, 0, t.extent, 0), EINVAL, "multiple"));
	CU_ASSERT(refused(ask_trim(r, 0, t.extent, 1), EINVAL, "multiple"));
	CU_ASSERT(refused(ask_trim(r, 0, t.extent, 4 * GRANULE), EINVAL,
			  "less than"));
	CU_ASSERT(refused(ask_trim(r, 0, t.extent, UINT64_MAX), EINVAL, ""));
	ask_trim(r, 0, t.extent, GRANULE);
	CU_ASSERT(refused(ask_trim(r, 0, t.extent, GRANULE), EBUSY, "wait"));
	CU_ASSERT(refused(ask_give(r, 0, t.extent), EBUSY, "wait"));
	settle(r);
	ask_give(r, 0, t.extent);
	settle(r);
	CU_ASSERT_EQUAL(r->sent[0].kind, XM_GAVE);
	rig_free(r);
}

static void a_trim_that_fails_leaves_the_extent_whole(void)
{
	struct rig *r = rig_new();
	struct xm_taken t;

	join(r, 0);
	t = take(r, 0, 4 * GRANULE);
	far_write(r, &t.remote, 5);
	r->expose_status = -ENOSPC;
	ask_trim(r, 0, t.extent, GRANULE);
	settle(r);
	CU_ASSERT(refused(&r->sent[0], ENOSPC, "expose"));
	CU_ASSERT_EQUAL(r->service->extents_count, 1);
	CU_ASSERT_EQUAL(r->bytes[offset_of(r, &t)], 5);
	ask_give(r, 0, t.extent);
	settle(r);
	CU_ASSERT_EQUAL(pool_free(r), POOL);
	CU_ASSERT_TRUE(is_zero(r, &t));
	rig_free(r);
}

static void a_trim_whose_asker_is_gone_loses_no_bytes(void)
{
	struct rig *r = rig_new();
	struct xm_taken t;

	join(r, 0);
	t = take(r, 0, 4 * GRANULE);
	far_write(r, &t.remote, 5);
	ask_trim(r, 0, t.extent, GRANULE);
	down(r, 0);
	settle(r);
	CU_ASSERT_EQUAL(pool_free(r), POOL - 4 * GRANULE);
	CU_ASSERT_EQUAL(r->bytes[offset_of(r, &t)], 5);
	CU_ASSERT_TRUE(far_write(r, &t.remote, 6));
	rig_free(r);
}

/* --- the end -------------------------------------------------------------- */

static void draining_tells_all_and_takes_nobody(void)
{
	struct rig *r = rig_new();
	uint32_t i;

	for (i = 0; i < 3; i++)
		join(r, i);
	step(r, (struct xm_service_event){ .kind = XM_SERVICE_DRAIN,
					   .drain_ms = 4321 });
	while (r->effects.deadline_ns <= r->now_ns)
		tick(r);
	for (i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(r->sent[i].kind, XM_LEAVING);
		CU_ASSERT_EQUAL(r->sent[i].u.leaving.ms, 4321);
	}
	CU_ASSERT(refused(ask_take(r, 0, 1), ESHUTDOWN, "draining"));
	up(r, 5);
	CU_ASSERT(refused(say(r, 5, hello()), ESHUTDOWN, "draining"));
	CU_ASSERT_FALSE(r->effects.drained);
	for (i = 0; i < 3; i++)
		say_kind(r, i, XM_BYE);
	settle(r);
	CU_ASSERT_TRUE(r->effects.drained);
	rig_free(r);
}

static void a_new_lease_time_is_for_new_clients(void)
{
	struct rig *r = rig_new();

	join(r, 0);
	step(r, (struct xm_service_event){ .kind = XM_SERVICE_RELOAD,
					   .lease_ms = 10 * LEASE_MS });
	CU_ASSERT_EQUAL(join(r, 1).lease_ms, 10 * LEASE_MS);
	pass(r, LEASE_MS + 200);
	settle(r);
	CU_ASSERT_EQUAL(r->service->clients_count, 1);
	CU_ASSERT_TRUE(r->dropped[0]);
	CU_ASSERT_FALSE(r->dropped[1]);
	rig_free(r);
}

static void options_that_make_no_sense_are_named(void)
{
	struct rig *r = rig_new();
	struct xm_service_options o;
	char words[XM_WORDS_SIZE];

#define REFUSED(change, word)                                                 \
	do {                                                                  \
		o = r->options;                                               \
		o.change;                                                     \
		CU_ASSERT_EQUAL(xm_service_options_check(&o, words), -EINVAL);\
		CU_ASSERT_PTR_NOT_NULL(strstr(words, word));                  \
	} while (0)
	REFUSED(granule = 3000, "power of two");
	REFUSED(granule = 0, "power of two");
	REFUSED(pool_size = GRANULE + 1, "multiple");
	REFUSED(pool_size = 0, "above 0");
	REFUSED(clients_max = 0, "clients-max");
	REFUSED(clients_max = XM_SERVICE_SLOTS_MAX + 1, "clients-max");
	REFUSED(extents_max = 0, "extents-max");
	REFUSED(extents_per_client_max = 0, "extents-per-client");
	REFUSED(peers_max = CLIENTS - 1, "stream");
	REFUSED(lease_ms = 7, "lease");
	REFUSED(handshake_ns = 1, "handshake");
	REFUSED(zero_size_max = 0, "progress");
#undef REFUSED
	rig_free(r);
}

/* --- all of it, at random -------------------------------------------------- */

/* No key that works opens a byte that another client holds. */
static void check_isolation(struct rig *r)
{
	uint32_t i, j;

	for (i = 0; i < EXTENTS; i++) {
		const struct xm_service_extent *e = &r->service->extents[i];
		uint64_t owner;

		if (e->state != XM_EXTENT_EXPOSING &&
		    e->state != XM_EXTENT_LEASED)
			continue;
		owner = r->service->clients[e->client].number;
		for (j = 0; j < r->keys_count; j++) {
			const struct key *key = &r->keys[j];

			if (key->alive && key->client != owner &&
			    key->offset < e->offset + e->size &&
			    e->offset < key->offset + key->size)
				CU_FAIL_FATAL("a former owner's key works");
		}
	}
}

/* Mostly an extent of this peer's; now and then any number. */
static uint64_t random_extent(const struct rig *r, uint32_t peer)
{
	const struct xm_service *s = r->service;
	uint32_t i, at = (uint32_t)draw(EXTENTS);

	if (draw(10) == 0)
		return draw(UINT64_C(1) << 24);
	for (i = 0; i < EXTENTS; i++, at = (at + 1) % EXTENTS)
		if (s->extents[at].state == XM_EXTENT_LEASED &&
		    s->extents[at].client == s->peers[peer].client)
			break;
	return s->extents[at].number;
}

static void random_message(struct rig *r, uint32_t peer)
{
	uint64_t extent = random_extent(r, peer);
	struct xm_message m;

	bool known = r->service->peers[peer].state == XM_PEER_CLIENT;

	/* Mostly sense, so that the story gets somewhere. */
	switch (known ? draw(200) == 0 ? 13 : draw(12) : 12 + draw(20) / 19) {
	case 0: case 1: case 2: case 3:
		ask_take(r, peer, draw(12 * GRANULE));
		break;
	case 4: case 5: case 6:
		ask_give(r, peer, extent);
		break;
	case 7: case 8:
		ask_trim(r, peer, extent, draw(5) * GRANULE);
		break;
	case 9:
		say_kind(r, peer, XM_TICKET);
		break;
	case 10:
		say_kind(r, peer, draw(12) == 0 ? XM_BYE : XM_PING);
		break;
	case 11:
		say_kind(r, peer, XM_LIST);
		break;
	case 12:
		m = hello();
		if (draw(4) == 0)
			m.u.hello.client = draw(UINT64_C(1) << 23);
		say(r, peer, m);
		break;
	default:
		say_kind(r, peer, (enum xm_message_kind)
				  (1 + draw(XM_MESSAGE_KINDS - 1)));
	}
}

static void no_story_breaks_isolation(void)
{
	struct rig *r = malloc(sizeof(*r));
	uint32_t seed, i, j, taken;

	for (seed = 1; seed <= 40; seed++) {
		random_state = seed;
		rig_open(r);
		rig_start(r);
		for (i = 0, taken = 0; i < 4000 && r->keys_count < KEYS; i++) {
			uint32_t peer = (uint32_t)draw(PEERS);

			for (j = 0; j < r->keys_count; j++)
				if (r->keys[j].alive && draw(4) == 0)
					memset(r->bytes + r->keys[j].offset,
					       (int)r->keys[j].client | 1,
					       r->keys[j].size);
			if (r->service->peers[peer].state == XM_PEER_FREE)
				up(r, peer);
			else if (draw(40) == 0)
				down(r, peer);
			else
				random_message(r, peer);
			check_isolation(r);
			while (r->commands_count > 0 && draw(3) != 0) {
				struct xm_service_effect c = r->commands[0];
				uint64_t k;

				/* Fresh memory is zero, before any key. */
				for (k = 0; c.kind == XM_SERVICE_EXPOSE &&
					    k < c.size; k += 64)
					if (r->bytes[c.offset + k] != 0 &&
					    !r->service->extents[
						c.extent & 0xfffff].head)
						CU_FAIL_FATAL("not zero");
				taken += c.kind == XM_SERVICE_EXPOSE;
				r->expose_status = draw(20) == 0 ? -ENOSPC : 0;
				acknowledge(r);
				check_isolation(r);
			}
			if (r->zero_wanted && draw(2) == 0)
				zero_one(r);
			r->now_ns += draw(draw(10) == 0 ? 90 : 9) * XM_MS;
			tick(r);
		}
		/* All leave, and all comes back. */
		settle(r);
		for (i = 0; i < PEERS; i++)
			if (r->service->peers[i].state != XM_PEER_FREE)
				down(r, i);
		pass(r, 2 * LEASE_MS);
		settle(r);
		CU_ASSERT_EQUAL(pool_free(r), POOL);
		CU_ASSERT_EQUAL(r->service->clients_count, 0);
		CU_ASSERT_EQUAL(r->service->extents_count, 0);
		CU_ASSERT(taken > 100);
		for (i = 0; i < POOL; i++)
			if (r->bytes[i] != 0)
				break;
		CU_ASSERT_EQUAL(i, POOL);
		free(r->service);
	}
	free(r);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_client_is_told_the_terms),
		XM_TEST(a_version_that_does_not_meet_is_refused_with_both),
		XM_TEST(another_transport_is_refused_by_name),
		XM_TEST(nothing_goes_before_hello_and_no_hello_twice),
		XM_TEST(an_answer_from_a_client_ends_its_stream),
		XM_TEST(one_client_more_than_the_limit_is_refused),
		XM_TEST(a_client_resumes_with_its_secret_only),
		XM_TEST(resuming_drops_the_half_open_stream),
		XM_TEST(a_silent_client_loses_its_lease_and_its_memory_is_zeroed),
		XM_TEST(a_client_whose_stream_broke_has_the_rest_of_its_lease),
		XM_TEST(when_i_was_stopped_i_declare_nobody_dead),
		XM_TEST(a_stream_that_never_says_hello_is_dropped),
		XM_TEST(bye_gives_everything_back),
		XM_TEST(an_observer_asks_and_takes_nothing),
		XM_TEST(a_ticket_is_told_after_the_interface_knows_it),
		XM_TEST(tickets_under_way_and_unused_are_limited),
		XM_TEST(an_extent_is_told_after_it_is_exposed),
		XM_TEST(sizes_that_make_no_sense_are_refused),
		XM_TEST(a_fragmented_pool_says_what_can_be_had),
		XM_TEST(memory_on_its_way_back_is_said_to_come),
		XM_TEST(extents_are_limited_in_all_and_for_each_client),
		XM_TEST(anothers_extent_is_as_good_as_none),
		XM_TEST(an_extent_that_cannot_be_exposed_is_refused_and_free),
		XM_TEST(an_extent_whose_asker_is_gone_is_taken_back),
		XM_TEST(the_list_goes_on_at_its_cursor),
		XM_TEST(a_late_write_cannot_reach_the_next_owner),
		XM_TEST(without_revocation_the_owner_must_be_disconnected_first),
		XM_TEST(without_connections_quarantine_lasts_a_lease),
		XM_TEST(zeroing_goes_in_pieces),
		XM_TEST(trim_cuts_the_head_off),
		XM_TEST(a_given_head_waits_for_the_key_that_covers_it),
		XM_TEST(trim_refuses_what_is_no_head),
		XM_TEST(a_trim_that_fails_leaves_the_extent_whole),
		XM_TEST(a_trim_whose_asker_is_gone_loses_no_bytes),
		XM_TEST(draining_tells_all_and_takes_nobody),
		XM_TEST(a_new_lease_time_is_for_new_clients),
		XM_TEST(options_that_make_no_sense_are_named),
		XM_TEST(no_story_breaks_isolation),
		CU_TEST_INFO_NULL,
	};

	return xm_tests_run("service", tests);
}
