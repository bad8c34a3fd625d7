/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a miss costs in the engine and the pager alone: touches of pages, a quarter of
 * which are local, over a transport that completes all at the next poll and a mapper
 * that does nothing. `make miss-cost` counts the instructions of touch_all() with
 * callgrind, which do not depend on what else the machine does.
 *
 *	tests/unit/miss read|write|seq-read|seq-write [same]
 *
 * Fingerprints are taken where the pager asks for them. What is written has changed when it
 * is stored; with `same` it has not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/engine.h"
#include "core/skin/printer.h"

enum { PAGE = 4096, PAGES = 16384, TOUCHES = 40000, POSTS = 1024 };

/* --- a transport and a mapper that do nothing ------------------------------------- */

struct xm_transport {
	uint64_t tokens[POSTS]; /* a ring */
	uint32_t first, last;
	bool up; /* to be reported */
};

static void limits(struct xm_transport *t, struct xm_transport_limits *ret)
{
	(void)t;
	memset(ret, 0, sizeof(*ret));
	ret->size_max = XM_MIB;
	ret->depth_max = POSTS;
	ret->peers_max = 1;
	ret->scatter_max = XM_PAGER_SCATTER_MAX;
}

static int post(struct xm_transport *t, uint64_t token)
{
	t->tokens[t->last++ % POSTS] = token;
	return 0;
}

static int read_(struct xm_transport *t, uint32_t peer,
		 const struct xm_remote_mr *remote, uint64_t offset, void *local,
		 size_t size, uint64_t token)
{
	(void)peer;
	(void)remote;
	(void)offset;
	(void)local;
	(void)size;
	return post(t, token);
}

static int write_(struct xm_transport *t, uint32_t peer,
		  const struct xm_remote_mr *remote, uint64_t offset,
		  const void *local, size_t size, uint64_t token)
{
	(void)peer;
	(void)remote;
	(void)offset;
	(void)local;
	(void)size;
	return post(t, token);
}

static int scatter(struct xm_transport *t, uint32_t peer,
		   const struct xm_remote_mr *remote, const uint64_t *offsets,
		   uint32_t count, const void *local, size_t piece, uint64_t token)
{
	(void)peer;
	(void)remote;
	(void)offsets;
	(void)count;
	(void)local;
	(void)piece;
	return post(t, token);
}

static int poll_(struct xm_transport *t, struct xm_transport_event *ret, int count)
{
	int got = 0;

	if (t->up) {
		t->up = false;
		ret[got++] = (struct xm_transport_event){
			.kind = XM_TRANSPORT_UP };
	}
	while (got < count && t->first != t->last)
		ret[got++] = (struct xm_transport_event){
			.kind = XM_TRANSPORT_DONE,
			.token = t->tokens[t->first++ % POSTS] };
	return got;
}

static int connect_(struct xm_transport *t, const struct xm_locator *where,
		    const uint8_t *ticket, uint32_t *ret)
{
	(void)where;
	(void)ticket;
	t->up = true;
	*ret = 0;
	return 0;
}

static const struct xm_transport_ops transport_ops = {
	.limits = limits,
	.connect = connect_,
	.read = read_,
	.write = write_,
	.scatter = scatter,
	.poll = poll_,
};

static int install(struct xm_mapper *m, uint64_t page, uint64_t count,
		   const void *bytes, bool protect)
{
	(void)m;
	(void)page;
	(void)count;
	(void)bytes;
	(void)protect;
	return 0;
}

static int set(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	(void)m;
	(void)page;
	(void)count;
	return 0;
}

static uint32_t changes; /* 0: there are none */

static void copy(struct xm_mapper *m, uint64_t page, uint64_t count, void *ret)
{
	(void)m;
	(void)page;
	for (uint64_t i = 0; changes > 0 && i < count; i++) {
		changes++;
		memcpy((uint8_t *)ret + i * PAGE, &changes, sizeof(changes));
	}
}

static int drop(struct xm_mapper *m, const struct xm_page_range *ranges,
		uint32_t count)
{
	(void)m;
	(void)ranges;
	(void)count;
	return 0;
}

static const struct xm_mapper_ops mapper_ops = {
	.install = install,
	.protect = set,
	.unprotect = set,
	.copy = copy,
	.drop = drop,
};

/* --- a lane ------------------------------------------------------------------------ */

static struct xm_engine engine;
static struct xm_volume volume;
static struct xm_segment segments[4];
static struct xm_transport transport;
static uint64_t now = XM_SECOND;

static void lane_open(void)
{
	static const struct xm_locator locator;
	static const uint8_t ticket[XM_TICKET_SIZE];
	const struct xm_segment segment = {
		.count = PAGES, .attached = true, .members_count = 1,
	};
	struct xm_engine_options o = {
		.pager = { .pages_max = PAGES, .frames_max = PAGES / 4,
			   .window_max = 64, .fetch_buffers = 16,
			   .writeback_buffers = 256, .pins_max = 16,
			   .scatter = XM_PAGER_SCATTER_MAX,
			   .reclaim = XM_RECLAIM_2Q },
		.page_size = PAGE,
		.block_pages = PAGES,
		.depth = 256,
		.loss_ns = 10 * XM_SECOND,
		.mapper_ops = &mapper_ops,
		.seal_ops = &xm_seal_plain,
		.code_ops = &xm_code_plain,
		.volume = &volume,
	};
	uint64_t staging = xm_pager_staging_pages(&o.pager);
	struct xm_printer *printer = NULL;
	void *memory;

	o.pager.prints = xm_printer_open(&o.print_ops, &printer) == 0;
	o.printer = printer;
	memory = calloc(1, xm_engine_memory_size(&o));

	o.staging = calloc(staging, PAGE);
	XM_ASSERT(memory != NULL && o.staging != NULL);
	xm_volume_init(&volume, XM_COUNT(segments), PAGE, segments);
	xm_engine_init(&engine, &o, memory, now);
	xm_engine_add(&engine, &transport_ops, &transport);
	XM_ASSERT(xm_volume_add(&volume, &segment) == 0);
	engine.peers[0].ready = true;
	while (!engine.peers[0].ask)
		xm_engine_turn(&engine, now += 5 * XM_MS);
	xm_engine_ticket(&engine, 0, &locator, ticket);
	xm_engine_turn(&engine, now);
	XM_ASSERT(engine.peers[0].path.state == XM_PATH_UP);
}

/* --- touches ------------------------------------------------------------------------ */

static void touch(uint64_t page, bool write)
{
	const struct xm_page *entry = &engine.pager.pages[page];
	uint64_t since_ns = xm_engine_clock(&engine);
	bool again = false;

	while (entry->state != XM_PAGE_DIRTY &&
	       (write || entry->state != XM_PAGE_CLEAN)) {
		enum xm_verdict verdict = xm_engine_fault(&engine, page, write,
							  again, since_ns);

		XM_ASSERT(verdict != XM_VERDICT_LOST);
		again = verdict == XM_VERDICT_WAIT;
		if (again)
			xm_engine_turn(&engine, now += 10 * XM_US);
	}
}

/* Not inlined: callgrind counts what happens in here. */
__attribute__((noinline)) static void touch_all(const uint32_t *pages, bool write)
{
	for (uint32_t i = 0; i < TOUCHES; i++)
		touch(pages[i], write);
}

int main(int argc, char *argv[])
{
	const char *pattern = argc >= 2 ? argv[1] : "";
	bool same = argc == 3 && strcmp(argv[2], "same") == 0;
	bool in_order = strncmp(pattern, "seq-", 4) == 0;
	bool write = strcmp(pattern + (in_order ? 4 : 0), "write") == 0;
	static uint32_t touched[TOUCHES];
	const struct xm_pager_counters *c = &engine.pager.counters;
	uint64_t misses, pages_read, stored;
	struct xm_rand r;

	if ((!write && strcmp(pattern + (in_order ? 4 : 0), "read") != 0) ||
	    (argc == 3 && !same)) {
		fprintf(stderr, "usage: miss read|write|seq-read|seq-write [same]\n");
		return 2;
	}
	changes = same ? 0 : 1;
	xm_rand_seed(&r, 1);
	for (uint32_t i = 0; i < TOUCHES; i++)
		touched[i] = in_order ? i % PAGES
				      : (uint32_t)xm_rand_below(&r, PAGES);
	lane_open();
	for (uint32_t i = 0; i < PAGES; i++)
		touch(i, true);
	misses = c->misses;
	pages_read = c->pages_read;
	stored = c->pages_written;
	touch_all(touched, write);
	printf("%s%s: %llu misses, %llu stored, %llu pages read\n", pattern,
	       same ? " same" : "", (unsigned long long)(c->misses - misses),
	       (unsigned long long)(c->pages_written - stored),
	       (unsigned long long)(c->pages_read - pages_read));
	return 0;
}
