/* SPDX-License-Identifier: BSD-3-Clause */
/* See service_rig.h. */
#include "tests/unit/service_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"

void rig_step(struct rig *r, struct xm_service_event event)
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
		case XM_SERVICE_COPY:
			memcpy(r->bytes + e->offset, r->bytes + e->from, e->size);
			break;
		case XM_SERVICE_STORE:
			CU_ASSERT_FATAL(r->told_count < XM_COUNT(r->told));
			r->told[r->told_count++] = r->effects.store;
			break;
		case XM_SERVICE_RETURN:
		case XM_SERVICE_TAKE:
			CU_ASSERT_EQUAL_FATAL(r->sizing.kind, 0);
			r->sizing = *e;
			break;
		case XM_SERVICE_LOG:
			memcpy(r->log, e->words, sizeof(r->log));
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

void rig_tick(struct rig *r)
{
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_TICK });
}

/* Lets time pass as the host would: tick by tick. */
void rig_pass(struct rig *r, uint64_t ms)
{
	uint64_t end_ns = r->now_ns + ms * XM_MS;

	while (r->now_ns < end_ns) {
		r->now_ns = xm_min(end_ns, r->now_ns + 50 * XM_MS);
		do
			rig_tick(r);
		while (r->effects.deadline_ns <= r->now_ns);
	}
}

void rig_zero(struct rig *r)
{
	r->zero_wanted = false;
	memset(r->bytes + r->zero.offset, 0, r->zero.size);
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_ZEROED,
					   .extent = r->zero.extent });
}

void rig_size(struct rig *r)
{
	struct xm_service_event event = { .kind = XM_SERVICE_RETURNED };

	if (r->sizing.kind == XM_SERVICE_RETURN) {
		memset(r->bytes + r->sizing.offset, 0, r->sizing.size);
		memset(r->returned + r->sizing.offset / GRANULE, 1,
		       r->sizing.size / GRANULE);
	} else {
		event.kind = XM_SERVICE_TAKEN;
		event.status = r->take_status;
		if (event.status == 0)
			memset(r->returned + r->sizing.offset / GRANULE, 0,
			       r->sizing.size / GRANULE);
	}
	r->sizing.kind = 0;
	rig_step(r, event);
}

/* The interface does the oldest command and reports. */
void rig_acknowledge(struct rig *r)
{
	struct xm_service_effect c = r->commands[0];
	struct xm_service_event event = { .grant = c.grant,
					  .place = c.place,
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
	case XM_SERVICE_RETRACT:
		event.kind = XM_SERVICE_RETRACTED;
		event.status = r->retract_status;
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
	rig_step(r, event);
}

void rig_settle(struct rig *r)
{
	while (r->commands_count > 0 || r->zero_wanted || r->sizing.kind != 0) {
		if (r->commands_count > 0)
			rig_acknowledge(r);
		else if (r->sizing.kind != 0)
			rig_size(r);
		else
			rig_zero(r);
	}
}

void rig_open(struct rig *r)
{
	char words[XM_WORDS_SIZE];

	memset(r, 0, sizeof(*r));
	r->now_ns = 77 * XM_SECOND;
	r->options = (struct xm_service_options){
		.name = "test",
		.zone = "rack 3",
		.transport = "loop",
		.incarnation = 5,
		.pool_size = POOL,
		.granule = GRANULE,
		.peers_max = PEERS,
		.clients_max = CLIENTS,
		.extents_max = EXTENTS,
		.extents_per_client_max = PER_CLIENT,
		.kept_percent = 100,
		.lease_ms = LEASE_MS,
		.handshake_ns = HANDSHAKE_MS * XM_MS,
		.zero_size_max = 2 * GRANULE,
		.revokes = true,
		.admits = true,
	};
	CU_ASSERT_EQUAL_FATAL(xm_service_options_check(&r->options, words), 0);
}

void rig_start(struct rig *r)
{
	void *memory = malloc(xm_service_size(&r->options));

	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	memset(memory, 0xa5, xm_service_size(&r->options));
	r->service = xm_service_init(&r->options, memory, r->now_ns);
}

struct rig *rig_new(void)
{
	struct rig *r = malloc(sizeof(*r));

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	rig_open(r);
	rig_start(r);
	return r;
}

void rig_free(struct rig *r)
{
	free(r->service);
	free(r);
}

/* --- what peers do -------------------------------------------------------- */

void rig_up_as(struct rig *r, uint32_t peer, const char *identity)
{
	r->dropped[peer] = false;
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_PEER_UP,
					   .peer = peer,
					   .identity = identity });
}

void rig_up(struct rig *r, uint32_t peer)
{
	rig_up_as(r, peer, "");
}

void rig_down(struct rig *r, uint32_t peer)
{
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_PEER_DOWN,
					   .status = -ECONNRESET,
					   .peer = peer });
}

const struct xm_message *rig_say(struct rig *r, uint32_t peer,
				    struct xm_message m)
{
	m.request = ++r->requests;
	memset(&r->sent[peer], 0, sizeof(r->sent[peer]));
	rig_step(r, (struct xm_service_event){ .kind = XM_SERVICE_MESSAGE,
					   .peer = peer,
					   .message = &m });
	return &r->sent[peer];
}

const struct xm_message *rig_say_kind(struct rig *r, uint32_t peer,
					 enum xm_message_kind kind)
{
	return rig_say(r, peer, (struct xm_message){ .kind = kind });
}

struct xm_message rig_hello(void)
{
	struct xm_message m = { .kind = XM_HELLO };

	m.u.hello.version_min = XM_PROTOCOL_VERSION_MIN;
	m.u.hello.version_max = XM_PROTOCOL_VERSION;
	memcpy(m.u.hello.name, "here:1 test", 12);
	memcpy(m.u.hello.transport, "loop", 5);
	return m;
}

/* A new client on a new stream. */
struct xm_welcome rig_join(struct rig *r, uint32_t peer)
{
	const struct xm_message *m;

	rig_up(r, peer);
	m = rig_say(r, peer, rig_hello());
	CU_ASSERT_EQUAL_FATAL(m->kind, XM_WELCOME);
	CU_ASSERT_EQUAL(m->request, r->requests);
	return m->u.welcome;
}

const struct xm_message *rig_ask_alloc(struct rig *r, uint32_t peer,
					 uint64_t size)
{
	struct xm_message m = { .kind = XM_ALLOC };

	m.u.alloc.size = size;
	memcpy(m.u.alloc.region, "r", 2);
	return rig_say(r, peer, m);
}

struct xm_allocated rig_alloc(struct rig *r, uint32_t peer, uint64_t size)
{
	rig_ask_alloc(r, peer, size);
	rig_settle(r);
	CU_ASSERT_EQUAL_FATAL(r->sent[peer].kind, XM_ALLOCATED);
	return r->sent[peer].u.allocated;
}

const struct xm_message *rig_ask_trim(struct rig *r, uint32_t peer,
					 uint64_t extent, uint64_t size)
{
	struct xm_message m = { .kind = XM_TRIM };

	m.u.trim.extent = extent;
	m.u.trim.size = size;
	return rig_say(r, peer, m);
}

const struct xm_message *rig_ask_free(struct rig *r, uint32_t peer,
					 uint64_t extent)
{
	struct xm_message m = { .kind = XM_FREE };

	m.u.free.extent = extent;
	return rig_say(r, peer, m);
}

bool rig_refused(const struct xm_message *m, int code, const char *word)
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
bool rig_write(struct rig *r, const struct xm_remote_mr *remote, uint8_t value)
{
	struct key *key = &r->keys[remote->key];

	if (!key->alive)
		return false;
	memset(r->bytes + key->offset, value, key->size);
	return true;
}

uint64_t rig_offset(const struct rig *r, const struct xm_allocated *t)
{
	return r->keys[t->remote.key].offset;
}

bool rig_is_zero(const struct rig *r, const struct xm_allocated *t)
{
	uint64_t i;

	for (i = 0; i < t->size; i++)
		if (r->bytes[rig_offset(r, t) + i] != 0)
			return false;
	return true;
}

uint64_t rig_free_bytes(const struct rig *r)
{
	return r->service->pools[0].free;
}

uint64_t rig_returned(const struct rig *r)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < POOL / GRANULE; i++)
		count += r->returned[i];
	return count * GRANULE;
}
