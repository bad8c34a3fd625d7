/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stories: short scripted runs in the world, each of a fixed shape, with a
 * script for its clients. What the machines decide is compared, line by line
 * and with virtual times, with a trace that is kept (tests/sim/stories/NAME.txt).
 * After cowsql/raft, whose tests assert the messages and the state of a
 * cluster step by step.
 *
 * A story says two things: what came to pass (the kept trace) and what must
 * (expect()). The traces are written anew by --stories-write alone; who does
 * that reads the difference.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/client/client.h"
#include "sim/appliance.h"
#include "sim/fabric.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/plan.h"
#include "sim/programs.h"
#include "sim/run.h"
#include "sim/shape.h"
#include "sim/stories.h"
#include "sim/story.h"
#include "sim/world.h"

static const struct story *told; /* the one under way */
struct cast cast;

/* --- what stories are made of -------------------------------------------------- */

void story_expect(bool held, const char *what)
{
	if (!held)
		world_broken("the story", "%s: expected %s", told->name, what);
}

void rest(uint64_t ns)
{
	world_wait(&cast, ns);
}

static uint64_t page_of(const extmem_region *r, uint64_t page)
{
	return r->address / XM_PAGE + page;
}

static uint64_t *word_at(const extmem_region *r, uint64_t page)
{
	return (uint64_t *)(void *)(r->client->arena.base + r->address +
				    page * XM_PAGE + 8);
}

bool store(extmem_region *r, uint64_t page, uint64_t value)
{
	enum xm_touched touched = touch_page(r->client, page_of(r, page), true);
	bool here = touched == XM_TOUCHED_SERVED;

	if (here)
		*word_at(r, page) = value;
	world_note(here ? "story.store: page {page} has {value} now"
		   : touched == XM_TOUCHED_DENIED
			   ? "story.denied: a store to page {page} of {value}"
			   : "story.sigbus: a store to page {page} of {value}",
		   page, value, 0);
	return here;
}

uint64_t load(extmem_region *r, uint64_t page)
{
	enum xm_touched touched = touch_page(r->client, page_of(r, page), false);
	uint64_t value;

	if (touched == XM_TOUCHED_DENIED) {
		world_note("story.denied: a load from page {page}", page, 0, 0);
		return DENIED;
	}
	if (touched != XM_TOUCHED_SERVED) {
		world_note("story.sigbus: a load from page {page}", page, 0,
			   0);
		return LOST;
	}
	value = *word_at(r, page);
	world_note("story.load: page {page} has {value}", page, value, 0);
	return value;
}

int take(extmem *x, uint64_t size, extmem_region **ret)
{
	int rc = extmem_region_alloc(x, "r", size, ret);
	void *at;

	world_note("story.take: {size:bytes}: {error:error}", size,
		   (uint64_t)-rc, 0);
	return rc != 0 ? rc : extmem_map(*ret, 0, 0, &at);
}

static void said(const char *what, int rc)
{
	world_note(what, (uint64_t)(int64_t)rc, 0, 0);
}

int give(extmem_region *r)
{
	int rc = extmem_region_free(r);

	said("story.give: the region: {error:error}", rc);
	return rc;
}

int sync_pages(extmem_region *r)
{
	int rc = extmem_sync(r, 0, 0);

	said("story.sync: the region: {error:error}", rc);
	return rc;
}

int protect(extmem_region *r, uint64_t page, uint64_t count,
	    enum extmem_rights rights)
{
	int rc = extmem_protect(r, page * XM_PAGE, count * XM_PAGE, rights);

	said(rights == EXTMEM_READ_WRITE  ? "story.read_write: {error:error}"
	     : rights == EXTMEM_READ_ONLY ? "story.read_only: {error:error}"
					  : "story.no_access: {error:error}",
	     rc);
	return rc;
}

int advise(extmem_region *r, uint64_t page, uint64_t count,
	   enum extmem_advice advice)
{
	int rc = extmem_advise(r, page * XM_PAGE, count * XM_PAGE, advice);

	said(advice == EXTMEM_COLD ? "story.cold: {error:error}"
	     : advice == EXTMEM_DONTNEED ? "story.dontneed: {error:error}"
					 : "story.advise: {error:error}",
	     rc);
	return rc;
}

int write_pages(extmem_region *r, uint64_t page, uint64_t count,
		uint64_t value)
{
	static uint64_t words[64][XM_PAGE / 8];
	int rc;

	XM_ASSERT(count <= XM_COUNT(words));
	for (uint64_t i = 0; i < count; i++)
		words[i][1] = value + i;
	world_note("story.write: from page {page} on, {count} in all, {value} "
		   "and up", page, count, value);
	rc = extmem_write(r, page * XM_PAGE, words, count * XM_PAGE);
	said("story.write: done: {error:error}", rc);
	return rc;
}

int write_page(extmem_region *r, uint64_t page, uint64_t value)
{
	return write_pages(r, page, 1, value);
}

int read_page(extmem_region *r, uint64_t page, uint64_t *ret)
{
	uint64_t words[XM_PAGE / 8] = { 0, LOST };
	int rc = extmem_read(r, page * XM_PAGE, words, XM_PAGE);

	*ret = words[1];
	world_note("story.read: page {page}: {value}: {error:error}", page,
		   rc == 0 ? words[1] : 0, (uint64_t)(int64_t)rc);
	return rc;
}

/* --- threads of a client ---------------------------------------------------------- */

static void thread_main(void *argument)
{
	struct thread *t = argument;

	t->run(t->region);
	t->ended = true;
	world_wake(t);
}

void begin(struct thread *t, void (*run)(extmem_region *), extmem_region *r)
{
	*t = (struct thread){ .run = run, .region = r };
	world_fiber(world_current(), thread_main, t);
}

void join(struct thread *t)
{
	while (!t->ended)
		world_wait(t, XM_NEVER);
}

/* --- weather ------------------------------------------------------------------------- */

static uint32_t node_of(uint32_t client)
{
	return SIM_APPLIANCES_MAX + client;
}

void answers_blocked(uint32_t client, bool blocked)
{
	world_note(blocked ? "story.block: nothing comes from appliance 0 to "
			     "client {client}"
			   : "story.open: appliance 0 reaches client {client}",
		   client, 0, 0);
	fabric_block(appliance_node(0), node_of(client), blocked);
}

void requests_blocked(uint32_t client, bool blocked)
{
	world_note(blocked ? "story.block: nothing of client {client} comes "
			     "to appliance 0"
			   : "story.open: client {client} reaches appliance 0",
		   client, 0, 0);
	fabric_block(node_of(client), appliance_node(0), blocked);
}

void link_blocked(uint32_t client, bool blocked)
{
	requests_blocked(client, blocked);
	answers_blocked(client, blocked);
}

/* --- telling one ------------------------------------------------------------------------ */

static void quiet_shape(struct sim_shape *s)
{
	*s = (struct sim_shape){
		.appliances = 1, .clients = 1, .threads = 1, .lanes = 1,
		.granule = 64 * XM_KIB, .pool_size = 256 * XM_KIB,
		.arena = 64 * XM_MIB, .prefetch = 64, .lease_ms = 2000,
		.timeout_ms = 3000, .loss_ms = 1500, .extents_max = 16,
		.extents_each = 16, .zero_size = 64 * XM_KIB,
		.kept_percent = 100,
		.handshake_ms = 5000, .clients_max = 4,
		.streams_max = 16,
		.provider = {
			.revokes = true, .admits = true, .reports_death = true,
			.depth = 2000, .size_max = XM_GIB, .scatter = 4,
		},
		.link = { .latency_ns = 10 * XM_US, .bytes_per_us = 12000 },
	};
}

static void script(uint32_t client, extmem *x)
{
	cast.x[client] = x;
	told->script(client, x);
}

static bool ask_until_ended(void)
{
	oracle_ask();
	return programs_ended();
}

#define STORY_MOST (120 * XM_SECOND)

static void live(uint64_t seed)
{
	quiet_shape(&sim_shape);
	sim_shape.seed = seed;
	if (told->shape != NULL)
		told->shape(&sim_shape);
	sim_shape.local = sim_shape.lanes * XM_MIB;
	memset(&cast, 0, sizeof(cast));
	fabric_open();
	for (uint32_t i = 0; i < sim_shape.appliances; i++)
		appliance_open(i);
	programs_script(script);
	for (uint32_t i = 0; i < sim_shape.clients; i++)
		program_open(i);
	world_run(world_now() + STORY_MOST, ask_until_ended);
	story_expect(programs_ended(), "an end");
}

const char *story_name(uint32_t index)
{
	return index < stories_count ? stories[index].name : NULL;
}

bool story_run(uint32_t index, FILE *trace)
{
	struct sim_plan plan = sim_plan;
	struct sim_result result;

	memset(&sim_plan, 0, sizeof(sim_plan));
	sim_plan.show = trace;
	told = &stories[index];
	sim_live(1, told->live != NULL ? told->live : live, &result);
	programs_script(NULL);
	sim_plan = plan;
	return result.held;
}

/* --- and all ------------------------------------------------------------------------------ */

/* Prints the first line that is not as it was. */
static bool compare(const char *name, FILE *now, FILE *kept)
{
	char new[512], old[512];

	for (unsigned line = 1;; line++) {
		bool more = fgets(new, sizeof(new), now) != NULL;
		bool was = fgets(old, sizeof(old), kept) != NULL;

		if (!more && !was)
			return true;
		if (more && was && strcmp(new, old) == 0)
			continue;
		fprintf(stderr, "%s: line %u is another:\nwas %snow %s", name,
			line, was ? old : "the end\n",
			more ? new : "the end\n");
		return false;
	}
}

static bool story_held(uint32_t index, const char *folder, bool write)
{
	char path[512];
	FILE *kept, *now;
	bool held;

	snprintf(path, sizeof(path), "%s/%s.txt", folder, stories[index].name);
	kept = fopen(path, write ? "w" : "r");
	if (kept == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	if (write) {
		held = story_run(index, kept);
	} else {
		now = tmpfile();
		XM_ASSERT(now != NULL);
		held = story_run(index, now);
		rewind(now);
		held = held && compare(stories[index].name, now, kept);
		fclose(now);
	}
	fclose(kept);
	return held;
}

int stories_run(const char *folder, bool write)
{
	unsigned passed = 0, failed = 0;

	for (uint32_t i = 0; i < stories_count; i++) {
		bool held = story_held(i, folder, write);

		printf("%s: %s\n", held ? "passed" : "FAILED",
		       stories[i].name);
		passed += held;
		failed += !held;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}
