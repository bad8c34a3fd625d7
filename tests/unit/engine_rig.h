/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An engine over a transport and a mapper that do as they are told: refuse, cancel,
 * go down, be slow. Pages of the mapper hold one byte that is looked at. For each test
 * program its own; included from nowhere else.
 */
#ifndef XM_ENGINE_RIG_H
#define XM_ENGINE_RIG_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"
#include "core/engine/engine.h"

enum { PAGE = 64, PAGES = 256, BLOCK = 64, OPS = 256, APPLIANCES = 2 };

#define LOSS (400 * XM_MS)

/* --- a transport on strings ------------------------------------------------------ */

struct posted {
	bool write;
	uint64_t offset, token;
	uint8_t *local;
	size_t size;
	uint64_t others[3]; /* of a scattered write: where its pieces go */
	uint32_t count;	    /* of those */
};

struct xm_transport {
	int connect_status, post_status; /* what calls return */
	uint32_t connects, disconnects, peer;
	bool connected;
	struct posted ops[OPS];
	uint32_t ops_count, posts;
	struct xm_transport_event events[OPS];
	uint32_t events_count;
	uint8_t remote[2 * PAGES * PAGE];
};

static inline void fake_limits(struct xm_transport *t, struct xm_transport_limits *ret)
{
	(void)t;
	memset(ret, 0, sizeof(*ret));
	ret->size_max = 64 * PAGE;
	ret->depth_max = OPS;
	ret->peers_max = 1;
	ret->scatter_max = 2;
}

static inline void push(struct xm_transport *t, enum xm_transport_event_kind kind,
		 uint64_t token, int status)
{
	CU_ASSERT_FATAL(t->events_count < OPS);
	t->events[t->events_count++] = (struct xm_transport_event){
		.kind = kind, .peer = t->peer, .token = token,
		.status = status };
}

static inline int fake_connect(struct xm_transport *t, const struct xm_locator *l,
			const uint8_t *ticket, uint32_t *ret)
{
	(void)l;
	(void)ticket;
	t->connects++;
	if (t->connect_status != 0)
		return t->connect_status;
	CU_ASSERT_FALSE(t->connected);
	t->connected = true;
	*ret = ++t->peer;
	return 0;
}

static inline void fake_disconnect(struct xm_transport *t, uint32_t peer)
{
	CU_ASSERT_TRUE(t->connected && peer == t->peer);
	t->connected = false;
	t->disconnects++;
	for (uint32_t i = 0; i < t->ops_count; i++)
		push(t, XM_TRANSPORT_DONE, t->ops[i].token, -ECANCELED);
	t->ops_count = 0;
}

static inline int fake_post(struct xm_transport *t, struct posted op)
{
	CU_ASSERT_TRUE(t->connected);
	CU_ASSERT_TRUE(op.size > 0);
	t->posts++;
	if (t->post_status != 0)
		return t->post_status;
	CU_ASSERT_FATAL(t->ops_count < OPS);
	t->ops[t->ops_count++] = op;
	return 0;
}

static inline int fake_read(struct xm_transport *t, uint32_t peer,
		     const struct xm_remote_mr *remote, uint64_t offset, void *local,
		     size_t size, uint64_t token)
{
	(void)peer;
	(void)remote;
	return fake_post(t, (struct posted){
		.offset = offset, .token = token, .local = local, .size = size,
	});
}

static inline int fake_write(struct xm_transport *t, uint32_t peer,
		      const struct xm_remote_mr *remote, uint64_t offset,
		      const void *local, size_t size, uint64_t token)
{
	(void)peer;
	(void)remote;
	return fake_post(t, (struct posted){
		.write = true, .offset = offset, .token = token,
		.local = (uint8_t *)local, .size = size,
	});
}

static inline int fake_scatter(struct xm_transport *t, uint32_t peer,
			const struct xm_remote_mr *remote, const uint64_t *offsets,
			uint32_t count, const void *local, size_t piece,
			uint64_t token)
{
	struct posted op = { .write = true, .offset = offsets[0],
			     .token = token, .local = (uint8_t *)local,
			     .size = piece, .count = count };

	(void)peer;
	(void)remote;
	CU_ASSERT_FATAL(count >= 1 && count <= 3);
	memcpy(op.others, offsets, count * sizeof(offsets[0]));
	return fake_post(t, op);
}

static inline int fake_poll(struct xm_transport *t, struct xm_transport_event *ret,
		     int count)
{
	int n = (int)xm_min(t->events_count, (uint64_t)count);

	memcpy(ret, t->events, (size_t)n * sizeof(*ret));
	t->events_count -= (uint32_t)n;
	memmove(t->events, t->events + n, t->events_count * sizeof(*ret));
	return n;
}

static const struct xm_transport_ops transport_ops = {
	.scheme = "fake",
	.limits = fake_limits,
	.connect = fake_connect,
	.disconnect = fake_disconnect,
	.read = fake_read,
	.write = fake_write,
	.scatter = fake_scatter,
	.poll = fake_poll,
};

/* --- a mapper on strings ------------------------------------------------------------ */

struct xm_mapper {
	enum { GONE, CLEAN, DIRTY, POISONED } how[PAGES];
	uint8_t byte[PAGES];
	int64_t refuse; /* INSTALL of this page; or DROP with refuse_drop */
	int64_t refuse_drop;
	unsigned drops; /* calls */
};

static struct xm_mapper mapper;

static inline int fake_install(struct xm_mapper *m, uint64_t page, uint64_t count,
			const void *bytes, bool protect)
{
	for (uint64_t i = 0; i < count; i++) {
		if ((int64_t)(page + i) == m->refuse)
			return -ENOENT;
	}
	for (uint64_t i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(m->how[page + i], GONE);
		m->how[page + i] = protect ? CLEAN : DIRTY;
		m->byte[page + i] =
			bytes == NULL ? 0 : ((const uint8_t *)bytes)[i * PAGE];
	}
	return 0;
}

static inline int fake_protect(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		m->how[page + i] = CLEAN;
	return 0;
}

static inline int fake_unprotect(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		m->how[page + i] = DIRTY;
	return 0;
}

static inline void fake_copy(struct xm_mapper *m, uint64_t page, uint64_t count,
		      void *ret)
{
	for (uint64_t i = 0; i < count; i++)
		((uint8_t *)ret)[i * PAGE] = m->byte[page + i];
}

static inline int fake_drop(struct xm_mapper *m, const struct xm_page_range *ranges,
		     uint32_t count)
{
	m->drops++;
	for (uint32_t i = 0; i < count; i++) {
		for (uint64_t k = 0; k < ranges[i].count; k++) {
			uint64_t page = ranges[i].page + k;

			if ((int64_t)page == m->refuse_drop)
				return -EINVAL;
			m->how[page] = GONE;
		}
	}
	return 0;
}

static inline void fake_poison(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		m->how[page + i] = POISONED;
}

static const struct xm_mapper_ops mapper_ops = {
	.name = "fake",
	.install = fake_install,
	.protect = fake_protect,
	.unprotect = fake_unprotect,
	.copy = fake_copy,
	.drop = fake_drop,
	.poison = fake_poison,
};

/* --- a lane ------------------------------------------------------------------------------ */

static struct xm_engine engine;
static struct xm_volume volume;
static struct xm_segment segments[8];
static struct xm_transport remote[APPLIANCES];
static uint8_t *stage;
static void *memory;
static uint64_t now;

static const struct xm_locator locator = { .size = 1 };
static const uint8_t ticket[XM_TICKET_SIZE];

static inline void turn(uint64_t pass_ns)
{
	now += pass_ns;
	xm_engine_turn(&engine, now);
}

/* Does every operation posted so far at an appliance. */
static inline void complete(uint32_t appliance, int status)
{
	struct xm_transport *t = &remote[appliance];

	for (uint32_t i = 0; i < t->ops_count; i++) {
		struct posted *op = &t->ops[i];

		for (uint32_t k = 0; status == 0 && k < op->count; k++)
			memcpy(t->remote + op->others[k], op->local + k * op->size,
			       op->size);
		if (status == 0 && op->write && op->count == 0)
			memcpy(t->remote + op->offset, op->local, op->size);
		else if (status == 0 && !op->write)
			memcpy(op->local, t->remote + op->offset, op->size);
		push(t, XM_TRANSPORT_DONE, op->token, status);
	}
	t->ops_count = 0;
	while (t->events_count > 0)
		turn(0);
}

static inline void come_up(uint32_t appliance)
{
	struct xm_lane_peer *peer = &engine.peers[appliance];

	peer->ready = true;
	for (unsigned i = 0; i < 200 && !peer->ask; i++)
		turn(5 * XM_MS);
	CU_ASSERT_TRUE_FATAL(peer->ask);
	peer->ask = false;
	xm_engine_ticket(&engine, appliance, &locator, ticket);
	push(&remote[appliance], XM_TRANSPORT_UP, 0, 0);
	turn(0);
	CU_ASSERT_EQUAL_FATAL(peer->path.state, XM_PATH_UP);
}

static inline void add_segment(uint64_t page, uint64_t count, uint32_t appliance,
			uint64_t remote_offset)
{
	struct xm_segment s = {
		.page = page, .count = count, .attached = true,
		.members_count = 1,
		.members = { { .appliance = appliance,
			       .offset = remote_offset } },
	};

	CU_ASSERT_EQUAL_FATAL(xm_volume_add(&volume, &s), 0);
}

#define FRAMES 8
static uint32_t frames = FRAMES;

/* What new engines seal with. */
static const struct xm_seal_ops *seal_ops = &xm_seal_plain;
static struct xm_seal *seal_state;
static struct xm_seal_entry seal_table[PAGES];
static uint8_t aside[XM_ENGINE_ASIDE_PAGES * PAGE];

/* Pages 0..31 at appliance 0, 32..95 at 1, 96..127 at 0. */
static inline void open_engine(void)
{
	struct xm_engine_options o = {
		.pager = { .pages_max = PAGES, .frames_max = frames,
			   .window_max = 4, .fetch_buffers = 3, .writeback_buffers = 8,
			   .pins_max = 2, .scatter = 4 },
		.page_size = PAGE,
		.block_pages = BLOCK,
		.depth = 4,
		.loss_ns = LOSS,
		.mapper_ops = &mapper_ops,
		.seal_ops = seal_ops,
		.seal = seal_state,
		.seal_table = seal_table,
		.aside = aside,
		.code_ops = &xm_code_plain,
		.mapper = &mapper,
		.volume = &volume,
	};

	free(stage);
	free(memory);
	memset(remote, 0, sizeof(remote));
	memset(&mapper, 0, sizeof(mapper));
	mapper.refuse = mapper.refuse_drop = -1;
	stage = calloc(xm_pager_staging_pages(&o.pager), PAGE);
	memory = calloc(1, xm_engine_memory_size(&o));
	o.staging = stage;
	now = 77 * XM_SECOND;
	memset(segments, 0, sizeof(segments));
	xm_volume_init(&volume, XM_COUNT(segments), PAGE, segments);
	xm_engine_init(&engine, &o, memory, now);
	for (uint32_t i = 0; i < APPLIANCES; i++)
		xm_engine_add(&engine, &transport_ops, &remote[i]);
	add_segment(0, 32, 0, 0);
	add_segment(32, 64, 1, 16 * PAGE);
	add_segment(96, 32, 0, 32 * PAGE);
}

static inline void open_and_up(void)
{
	open_engine();
	come_up(0);
	come_up(1);
}

static inline enum xm_verdict event(enum xm_pager_event_kind kind, uint64_t page,
			     uint64_t limit)
{
	struct xm_pager_event ev = { .kind = kind, .page = page,
				     .limit = limit, .reach = XM_REACH_UP };

	return xm_engine_event(&engine, &ev);
}

static inline enum xm_verdict fault(uint64_t page, bool write)
{
	return xm_engine_fault(&engine, page, write, false,
			       xm_engine_clock(&engine));
}

static inline void write_byte(uint64_t page, uint8_t byte)
{
	CU_ASSERT_EQUAL_FATAL(fault(page, true), XM_VERDICT_DONE);
	CU_ASSERT_EQUAL_FATAL(mapper.how[page], DIRTY);
	mapper.byte[page] = byte;
}

static inline enum xm_verdict flushed(uint64_t page, uint64_t limit)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_FLUSHED, .page = page,
				     .limit = limit, .seq = UINT64_MAX };

	return xm_engine_event(&engine, &ev);
}

#endif
