/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fuzzer of the service machine, with a pool that is divided between two tenants: what
 * any client sends (tickets, tokens, leases), and what any interface process reports, may
 * come in any order and mean anything.
 *
 *	fuzz_service [-n MUTATIONS] [-s SEED] FILE...	see driver.h
 *
 * An input is a list of steps of three bytes: what, who, and how. What is promised: no
 * assertion breaks, and the laws of xm_service_check() hold after each step.
 */
#include <stdlib.h>
#include <string.h>

#include "appliance/service.h"
#include "core/pure/wire.h"
#include "tests/fuzz/driver.h"

#define GRANULE 4096
#define HALF (16 * GRANULE)
#define PEERS 6
#define CLIENTS 4
#define EXTENTS 8

static struct xm_service_place places[2];
static struct xm_service *s;
static struct xm_service_effects effects;
static struct xm_tenants tenants[2];
static uint64_t now_ns, draws;
static bool zero_wanted;
static uint64_t zero_extent;

static void step(struct xm_service_event event)
{
	event.now_ns = now_ns;
	for (size_t i = 0; i < sizeof(event.entropy); i += sizeof(draws)) {
		draws = draws * UINT64_C(6364136223846793005) + 1;
		memcpy(event.entropy + i, &draws, sizeof(draws));
	}
	xm_service_step(s, &event, &effects);
	for (uint32_t i = 0; i < effects.count; i++) {
		const struct xm_service_effect *e = &effects.effects[i];
		uint8_t bytes[XM_MESSAGE_SIZE_MAX];

		if (e->kind == XM_SERVICE_SEND)
			XM_ASSERT(xm_wire_encode(e->message, bytes) > 0);
		if (e->kind == XM_SERVICE_ZERO) {
			zero_wanted = true;
			zero_extent = e->extent;
		}
		if (e->kind == XM_SERVICE_EXPOSE)
			XM_ASSERT(xm_span_fits(e->offset, e->size, HALF));
	}
	XM_ASSERT(xm_service_check(s) == NULL);
}

static void say(uint32_t peer, const struct xm_message *m)
{
	static uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	static struct xm_message there;

	XM_ASSERT(xm_wire_decode(bytes, xm_wire_encode(m, bytes), &there) == 0);
	step((struct xm_service_event){ .kind = XM_SERVICE_MESSAGE, .peer = peer,
					.message = &there });
}

static uint64_t extent_of(uint8_t how)
{
	return s->extents[how % EXTENTS].number | (how >= 192 ? XM_READING : 0);
}

static void request(uint32_t peer, uint8_t what, uint8_t how)
{
	static struct xm_message m;

	memset(&m, 0, sizeof(m));
	m.request = draws & 7;
	switch (what) {
	case 0:
		m.kind = XM_ALLOC;
		m.u.alloc.size = (uint64_t)(how % 12) * GRANULE;
		break;
	case 1:
		m.kind = XM_TRIM;
		m.u.trim.extent = extent_of(how);
		m.u.trim.size = GRANULE * (1 + how / 64);
		break;
	case 2:
		m.kind = XM_FREE;
		m.u.free.extent = extent_of(how);
		break;
	case 3:
		m.kind = XM_TICKET;
		m.u.ticket.lane = how % 4;
		break;
	case 4:
	case 5:
		m.kind = what == 4 ? XM_OFFER : XM_GRANT;
		m.u.offer.extent = extent_of(how);
		m.u.offer.flags = what == 5 ? 0 : how >> 4 & 3;
		m.u.offer.ms = how % 3 * 1000;
		m.u.offer.token[0] = 1 + how % 2;
		break;
	case 6:
	case 7:
		m.kind = what == 6 ? XM_CLAIM : XM_OPEN;
		m.u.claim.after = how > 128 ? extent_of(how) : 0;
		m.u.claim.token[0] = 1 + how % 2;
		break;
	default:
		m.kind = how % 2 == 0 ? XM_LIST : how % 3 == 0 ? XM_STATUS
			: how % 5 == 0 ? XM_BYE : XM_PING;
	}
	say(peer, &m);
}

static void hello(uint32_t peer, uint8_t how)
{
	static struct xm_message m;
	const struct xm_service_client *c = &s->clients[how % CLIENTS];

	memset(&m, 0, sizeof(m));
	m.kind = XM_HELLO;
	m.request = 1;
	m.u.hello.version_min = XM_PROTOCOL_VERSION_MIN;
	m.u.hello.version_max = XM_PROTOCOL_VERSION;
	m.u.hello.flags = how >= 240 ? XM_HELLO_OBSERVER : 0;
	if (how >= 128 && how < 240) { /* it comes back */
		m.u.hello.client = c->number;
		memcpy(m.u.hello.secret, c->secret, sizeof(c->secret));
	}
	say(peer, &m);
}

/* By the right interface, or by the other. */
static void report(uint8_t who, uint8_t how)
{
	static const enum xm_service_event_kind kinds[] = {
		XM_SERVICE_EXPOSED, XM_SERVICE_CONCEALED, XM_SERVICE_ADMITTED,
		XM_SERVICE_RETRACTED, XM_SERVICE_EXPELLED, XM_SERVICE_CONNECTIONS,
	};

	step((struct xm_service_event){
		.kind = kinds[how % XM_COUNT(kinds)],
		.place = who >> 7,
		.grant = s->grants[who % xm_service_grants_max(&s->options)].number,
		.client = s->clients[who % CLIENTS].number,
		.cookie = who % 4,
		.connections = how >> 6,
		.status = how >= 224 ? -12 : 0,
		.remote = { .key = draws },
	});
}

static void around(uint8_t who, uint8_t how)
{
	static struct xm_locator locator;

	switch (who % 6) {
	case 0:
		step((struct xm_service_event){ .kind = XM_SERVICE_INTERFACE_LOST,
						.place = how % 2 });
		break;
	case 1:
		step((struct xm_service_event){ .kind = XM_SERVICE_INTERFACE_BACK,
						.place = how % 2,
						.locator = &locator });
		break;
	case 2:
		step((struct xm_service_event){ .kind = XM_SERVICE_TENANTS,
						.tenants = &tenants[how % 2] });
		break;
	case 3:
		step((struct xm_service_event){ .kind = how % 2 == 0
							? XM_SERVICE_DRAIN
							: XM_SERVICE_STAY });
		break;
	default:
		now_ns += how * XM_MS * (how % 7 == 0 ? 100 : 1);
		step((struct xm_service_event){ .kind = XM_SERVICE_TICK });
	}
}

static void one(uint8_t what, uint8_t who, uint8_t how)
{
	static const char *const identities[] = { "a", "b", "c", "" };
	uint32_t peer = who % PEERS;

	if (what % 16 < 9 && s->peers[peer].state != XM_PEER_FREE) {
		request(peer, what % 16, how);
	} else if (what % 16 < 11) {
		if (s->peers[peer].state == XM_PEER_FREE)
			step((struct xm_service_event){ .kind = XM_SERVICE_PEER_UP,
							.peer = peer,
							.identity = identities[how % 4] });
		hello(peer, how);
	} else if (what % 16 < 14) {
		report(who, how);
	} else if (what % 16 == 14 && zero_wanted) {
		zero_wanted = false;
		step((struct xm_service_event){ .kind = XM_SERVICE_ZEROED,
						.extent = zero_extent });
	} else if (how % 4 == 0 && s->peers[peer].state != XM_PEER_FREE) {
		step((struct xm_service_event){ .kind = XM_SERVICE_PEER_DOWN,
						.peer = peer });
	} else {
		around(who, how);
	}
}

static void begin(void)
{
	static const char *const names[] = { "a", "b", "c" };
	struct xm_service_options o = {
		.name = "fuzz", .incarnation = 5, .pool_size = 2 * HALF,
		.granule = GRANULE, .peers_max = PEERS, .clients_max = CLIENTS,
		.extents_max = EXTENTS, .extents_per_client_max = 5,
		.kept_percent = 50, .lease_ms = 800, .handshake_ns = 400 * XM_MS,
		.zero_size_max = 4 * GRANULE, .admits = true,
		.places = places, .places_count = 2,
	};
	char words[XM_WORDS_SIZE];
	uint32_t other;
	void *memory;

	for (uint32_t i = 0; i < 2; i++) {
		memcpy(places[i].tenant, names[i], 2);
		places[i].offset = i * HALF;
		places[i].size = HALF;
		xm_tenants_begin(&tenants[i]);
		for (uint32_t k = 0; k < 3; k++) {
			XM_ASSERT(xm_tenants_add(&tenants[i], names[k]) == (int)k);
			/* The other file has them the other way round. */
			XM_ASSERT(xm_tenants_match(&tenants[i], k, names[(k + i) % 3],
						   &other) == 0);
		}
		tenants[i].list[1].bytes = 6 * GRANULE;
	}
	XM_ASSERT(xm_service_options_check(&o, words) == 0);
	memory = malloc(xm_service_size(&o));
	XM_ASSERT(memory != NULL);
	now_ns = 9 * XM_SECOND;
	draws = 1;
	zero_wanted = false;
	s = xm_service_init(&o, memory, now_ns);
	step((struct xm_service_event){ .kind = XM_SERVICE_TENANTS,
					.tenants = &tenants[0] });
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	begin();
	for (size_t i = 0; i + 3 <= size && i < 3 * 400; i += 3)
		one(bytes[i], bytes[i + 1], bytes[i + 2]);
	free(s);
	return 0;
}

#ifndef XM_LIBFUZZER

void fuzz_mend(uint8_t *bytes, size_t size)
{
	/* A client comes, somewhere. */
	if (size >= 3)
		bytes[size / 2 / 3 * 3] = 9;
}

int main(int argc, char **argv)
{
	return fuzz_main(argc, argv);
}

#endif
