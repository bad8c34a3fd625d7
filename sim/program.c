/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients' programs: their threads, their regions, their lives and deaths; see
 * program.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/appliance.h"
#include "sim/counts.h"
#include "sim/durable.h"
#include "sim/fabric.h"
#include "sim/fibers.h"
#include "sim/laws.h"
#include "sim/mapper.h"
#include "sim/members.h"
#include "sim/memory.h"
#include "sim/notes.h"
#include "sim/outcomes.h"
#include "sim/plan.h"
#include "sim/oracle.h"
#include "sim/program.h"
#include "sim/programs.h"
#include "sim/seals.h"
#include "sim/shape.h"
#include "sim/touch.h"
#include "sim/weather.h"
#include "sim/world.h"

static struct program programs[SIM_CLIENTS_MAX];

static bool finishing;

/* --- trouble ------------------------------------------------------------------------ */

/* When the last of each kind ends. */
static uint64_t trouble_ends_ns[OUTCOME_TROUBLES];

static void trouble_over(void *argument, uint64_t trouble)
{
	(void)argument;
	if (world_now() < trouble_ends_ns[trouble])
		return;
	for (uint32_t i = 0; i < sim_shape.clients; i++)
		outcome_end(&programs[i].watch,
			    (enum outcome_trouble)trouble, world_now());
}

void programs_trouble(enum outcome_trouble trouble, uint64_t ns)
{
	for (uint32_t i = 0; i < sim_shape.clients; i++)
		outcome_begin(&programs[i].watch, trouble);
	trouble_ends_ns[trouble] = xm_max(trouble_ends_ns[trouble],
					  world_now() + ns);
	world_at(world_now() + ns, trouble_over, NULL, trouble);
}

void around_outcome(struct program *p, enum outcome_call call,
		    enum outcome_result result)
{
	enum outcome_trouble worst = outcome_worst(&p->watch);

	if (call == OUTCOME_TAKE && result == OUTCOME_OK)
		outcome_taken(&p->watch, world_now());
	/* The list is of regions that one appliance at a time can have. */
	if (sim_shape.stripes > 1 || sim_shape.copies > 1 ||
	    sim_shape.lies_ms > 0)
		return;
	sim_counts.outcomes[call][worst][result]++;
	if (!outcome_listed(call, worst, result))
		world_note("outcome not in the list", call, worst, result);
}

/* --- what is around ------------------------------------------------------------------ */

uint64_t around_clock(const struct program *p)
{
	return world_run_ns(p->process);
}

uint32_t around_members(void)
{
	return MEMBERS;
}

bool around_remote(const struct program *p, uint64_t page, uint32_t member,
		   struct remote_page *ret)
{
	const uint8_t *opened;
	struct member m;

	if (!members_find(p->x, around_page(p, page), member, &m))
		return false;
	ret->appliance = m.appliance;
	ret->bytes = members_bytes(&m, &ret->at);
	if (ret->bytes == NULL)
		return false;
	switch (seals_look(p->x, around_page(p, page), ret->bytes, NULL, &opened)) {
	case SEALS_PLAIN: return true;
	case SEALS_RIGHT: ret->bytes = opened; return true;
	/* What was found wrong is the law of pages to say. */
	default: return false;
	}
}

bool around_lacks(const struct program *p)
{
	return atomic_load(&p->region->lacks);
}

uint64_t around_progress(const struct program *p)
{
	return p->region == NULL ? 0 : durable_persists(&p->region->id);
}

const uint8_t *around_durable(const struct program *p, uint64_t page)
{
	struct member m;
	uint64_t at;

	if (!members_find(p->x, around_page(p, page), 0, &m) ||
	    members_bytes(&m, &at) == NULL)
		return NULL;
	return durable_bytes(m.appliance, at);
}

uint64_t around_page(const struct program *p, uint64_t page)
{
	return p->region->address / XM_PAGE + page;
}

enum xm_touched around_touch(const struct program *p, uint64_t page, bool write)
{
	return touch_page(p->x, around_page(p, page), write);
}

void around_look(const struct program *p, uint64_t page, bool *ret_here,
		 bool *ret_open)
{
	touch_state(p->x, around_page(p, page), ret_here, ret_open);
}

const char *around_address(uint32_t appliance)
{
	static char address[24];

	snprintf(address, sizeof(address), "sim:%u", appliance);
	return address;
}

void around_given(const struct program *p)
{
	oracle_all_given(p->index);
}

bool around_finishing(void)
{
	return finishing;
}

/* --- clients ------------------------------------------------------------------------- */

/* What a thread keeps at most when no region is left: a list, and a cache for each
 * of its places (core/client/objects.c). */
#define KEPT_MOST 9

/* A law: after a client was closed, the library holds none of its memory, but what its
 * threads keep until they end. */
static void leaks(const struct program *p)
{
	uint64_t kept = KEPT_MOST * world_owners(p->process);

	if (world_held(p->process) > kept)
		world_broken("bounds", "client %u leaves %llu pieces of memory "
			     "behind, %llu of them its threads', most",
			     p->index,
			     (unsigned long long)world_held(p->process),
			     (unsigned long long)kept);
}

#define PAUSE_MIN (200 * XM_MS)
#define PAUSE_MAX (4 * XM_SECOND)

#define TEXTS_MAX 12
#define TEXT_SIZE 96

/* But for the appliances. How many. */
static unsigned settings(const struct program *p, char (*texts)[TEXT_SIZE])
{
	static const char *const spreads[] = {
		[SIM_SPREAD_NOT] = "strategy=mirror %u, rank free",
		[SIM_SPREAD_ALWAYS] = "strategy=mirror %u, spread zone",
		[SIM_SPREAD_IF] = ("strategy=mirror %u, spread zone "
				   "else mirror %u, rank random of 2"),
	};
	unsigned n = 0;

	snprintf(texts[n++], TEXT_SIZE, "local=%llu",
		 (unsigned long long)sim_shape.local);
	snprintf(texts[n++], TEXT_SIZE, "lanes=%u", sim_shape.lanes);
	snprintf(texts[n++], TEXT_SIZE, "polling=%s",
		 (const char *[]){ "adaptive", "busy", "block" }[
			 sim_shape.polling]);
	snprintf(texts[n++], TEXT_SIZE, "arena=%llu",
		 (unsigned long long)sim_shape.arena);
	snprintf(texts[n++], TEXT_SIZE, "prefetch=%u", sim_shape.prefetch);
	snprintf(texts[n++], TEXT_SIZE, "reclaim=%s",
		 sim_shape.reclaim == 0 ? "clock" : "2q");
	snprintf(texts[n++], TEXT_SIZE, "timeout=%llums",
		 (unsigned long long)sim_shape.timeout_ms);
	snprintf(texts[n++], TEXT_SIZE, "loss_timeout=%llums",
		 (unsigned long long)sim_shape.loss_ms);
	snprintf(texts[n++], TEXT_SIZE, "name=client%u", p->index);
	if (sim_shape.stripes > 1)
		snprintf(texts[n++], TEXT_SIZE, "strategy=stripe %u x 64K",
			 sim_shape.stripes);
	if (sim_shape.copies > 1)
		snprintf(texts[n++], TEXT_SIZE, spreads[sim_shape.spread],
			 sim_shape.copies, sim_shape.copies);
	if (sim_shape.sealed)
		snprintf(texts[n++], TEXT_SIZE, "seal=all");
	return n;
}

/* After a failure it is tried again after a pause that doubles each time. */
bool around_open(struct program *p)
{
	char texts[TEXTS_MAX][TEXT_SIZE], addresses[SIM_APPLIANCES_MAX][32];
	char *list[SIM_APPLIANCES_MAX + TEXTS_MAX + 1];
	unsigned n;
	extmem *x;
	int rc;

	if (world_now() < p->pause_until_ns && !finishing)
		return false;
	n = settings(p, texts);
	for (unsigned i = 0; i < n; i++)
		list[i] = texts[i];
	for (uint32_t i = 0; i < sim_shape.appliances; i++) {
		snprintf(addresses[i], 32, "appliance=sim:%u", i);
		list[n++] = addresses[i];
	}
	list[n] = NULL;
	rc = CALL(extmem_open, (const char *const *)list, &x);
	if (rc == 0) {
		if (sim_shape.watches && CALL(law_watch, x) != 0)
			world_broken("promise", "client %u cannot watch: %s",
				     p->index, extmem_error());
		law_view_forget(p->index);
		law_members_forget(p->index);
		p->x = x;
		p->pause_ns = 0;
		return true;
	}
	p->pause_ns = xm_max(PAUSE_MIN, xm_min(2 * p->pause_ns, PAUSE_MAX));
	p->pause_until_ns = world_now() + p->pause_ns;
	if (rc == -EINVAL)
		world_broken("promise", "client %u's settings are refused: %s",
			     p->index, extmem_error());
	world_note("program.closed: client {client} could not open: "
		   "{error:error}", p->index, (uint64_t)-rc, 0);
	leaks(p);
	return false;
}

/* p->x is NULL first: the laws do not look into a client that is being closed. */
void around_close(struct program *p)
{
	extmem *x = p->x;

	p->x = NULL;
	p->reading = NULL; /* freed with it */
	if (CALL(extmem_close, x) != 0)
		sim_counts.failed++;
	leaks(p);
}

static void worker_run(void *argument)
{
	struct worker *w = argument;
	struct program *p = w->program;

	while (w->left > 0 && !finishing) {
		uint64_t number = sim_shape.operations - w->left--;

		dice_cast(w, number);
		program_operate(p, w, !sim_mask_has(&sim_plan.operations_of, number));
		world_wait(w, below(2 * sim_shape.think_ns + 1));
	}
	p->workers_ended++;
	world_wake(&p->workers_ended);
}

/* What clients do instead of random operations; NULL: random ones. */
static void (*script)(uint32_t client, extmem *);

void programs_script(void (*run)(uint32_t client, extmem *))
{
	script = run;
}

static void program_run(void *argument)
{
	struct worker *w = argument;
	struct program *p = w->program;

	w->doing = "open";
	w->since_ns = world_now();
	while (!around_open(p)) {
		if (finishing) {
			w->doing = NULL;
			p->ended = true;
			return;
		}
		world_wait(p, 200 * XM_MS);
		w->since_ns = world_now();
	}
	w->doing = NULL;
	if (script != NULL) {
		script(p->index, p->x);
		around_close(p);
		p->ended = true;
		return;
	}
	for (uint32_t i = 0; i < sim_shape.threads; i++) {
		p->workers[i] = (struct worker){
			.program = p, .index = i,
			.left = sim_shape.operations,
		};
		world_fiber(p->process, worker_run, &p->workers[i]);
	}
	while (p->workers_ended < sim_shape.threads)
		world_wait(&p->workers_ended, XM_NEVER);
	/* So that nobody keeps anything any more; see leaks(). */
	while (world_owners(p->process) > 0)
		world_wait(p, XM_MS);
	if (finishing && p->x != NULL) {
		w->doing = NULL;
		oracle_quiet(p->index);
	}
	w->doing = "close";
	w->since_ns = world_now();
	while (p->region != NULL)
		region_give(p, true);
	if (p->x != NULL)
		around_close(p);
	w->doing = NULL;
	p->ended = true;
}

/* --- outside ------------------------------------------------------------------------ */

static void died(struct process *process)
{
	fabric_process_died(process);
	mapper_process_died(process);
}

/* In a storm appliances have room for a spare, if they are not full for another reason; and
 * for the tables of what is shared. */
static uint64_t region_max(void)
{
	uint64_t share = sim_shape.pool_size / (2 * sim_shape.clients);

	if (sim_shape.shares)
		return xm_max(share, sim_row(&sim_shape));
	return sim_shape.storm ? share : sim_shape.pool_size;
}

void program_open(uint32_t client)
{
	struct program *p = &programs[client];
	uint64_t stamp = p->stamp, lives = p->lives;
	struct outcome_watch watch = p->watch;
	struct shadow *shadow = p->shadow, *twins = p->twin.shadow;
	char name[24];

	if (client == 0) {
		finishing = false;
		memset(trouble_ends_ns, 0, sizeof(trouble_ends_ns));
	}
	memset(p, 0, sizeof(*p));
	p->stamp = stamp;
	p->lives = lives + 1;
	p->watch = watch;
	p->index = client;
	p->twin.shadow = twins;
	p->shadow = shadow != NULL
			    ? shadow
			    : shadow_open(region_max() / XM_PAGE);
	snprintf(name, sizeof(name), "client %u", client);
	p->process = world_spawn(name, SIM_APPLIANCES_MAX + client);
	p->process->died = died;
	weather_clock(p->process);
	/* Trouble all along: links that lose, no memory, clocks that run apart,
	 * providers that do not tell, deadlines that are too short. */
	if (sim_shape.link.loss_permille > 0 || sim_shape.no_memory > 0 ||
	    sim_shape.no_memory_client > 0 || sim_shape.skew ||
	    sim_shape.provider.sticks || sim_shape.provider.late_ns > 0 ||
	    sim_shape.handshake_ms < 1000 || sim_shape.timeout_ms < 1000) {
		outcome_begin(&p->watch, OUTCOME_OTHER);
		trouble_ends_ns[OUTCOME_OTHER] = XM_NEVER;
	}
	world_note("world.client: client {client} begins", client, 0, 0);
	p->workers[0].program = p;
	world_fiber(p->process, program_run, &p->workers[0]);
}

void program_close(uint32_t client)
{
	if (client == 0)
		hands_close();
	if (client == 0)
		shares_close();
	free(programs[client].shadow);
	free(programs[client].twin.shadow);
	memset(&programs[client], 0, sizeof(programs[client]));
}

/* True: one of its threads is between two operations. */
static bool somebody_is_free(const struct program *p)
{
	for (uint32_t i = 0; i < sim_shape.threads; i++) {
		if (p->workers[i].doing == NULL && p->workers[i].left > 0)
			return true;
	}
	return false;
}

/* A store into a page that is open, by a thread that does nothing else. */
static void race(struct program *p, uint64_t page)
{
	unsigned i = (unsigned)xm_rand_below(world_rand(WORLD_SCHEDULE), WORDS);
	uint64_t arena = p->region->address + page * XM_PAGE;
	uint64_t *at = (uint64_t *)(void *)(p->x->arena.base + arena +
						 word_places[i]);

	rights_ask(p, page, true);
	*at = word_fresh(p);
	word_set(p, page, i, *at);
	sim_counts.stores++;
	world_note("program.race: client {client} stores into page {page} "
		   "meanwhile", p->index, arena / XM_PAGE, 0);
}

void program_races(const struct process *process, uint64_t page)
{
	for (uint32_t i = 0; i < sim_shape.clients; i++) {
		struct program *p = &programs[i];
		uint64_t first;

		if (p->process != process || p->region == NULL || p->lost ||
		    p->changing || !somebody_is_free(p))
			continue;
		first = p->region->address / XM_PAGE;
		if (page >= first && page - first < p->shadow->pages &&
		    (!p->shadow->page[page - first].busy ||
		     p->shadow->page[page - first].turning))
			race(p, page - first);
	}
}

struct process *program_process(uint32_t client)
{
	return programs[client].process;
}

static void begin_again(void *argument, uint64_t client)
{
	(void)argument;
	if (!finishing && script == NULL)
		program_open((uint32_t)client);
	else
		programs[client].ended = true;
}

void program_kill(uint32_t client, uint64_t pause_ns)
{
	struct program *p = &programs[client];

	if (p->process == NULL || !p->process->alive || p->ended)
		return;
	world_note("world.kill: client {client} is killed", client, 0, 0);
	p->x = NULL;
	world_kill(p->process);
	/* Another may live in its place before it begins again. */
	p->process = NULL;
	p->x = NULL;
	world_at(world_now() + pause_ns, begin_again, NULL, client);
}

void programs_finish(void)
{
	finishing = true;
}

bool programs_ended(void)
{
	for (uint32_t i = 0; i < sim_shape.clients; i++) {
		if (!programs[i].ended)
			return false;
	}
	return true;
}

extmem *program_client(uint32_t client)
{
	struct program *p = &programs[client];

	return p->process != NULL && p->process->alive && !p->ended ? p->x
								    : NULL;
}

void programs_ask(void)
{
	for (uint32_t i = 0; i < sim_shape.clients; i++) {
		struct program *p = &programs[i];

		if (p->process == NULL || !p->process->alive || p->ended)
			continue;
		for (uint32_t k = 0; k < XM_COUNT(p->workers); k++)
			call_ask(&p->workers[k]);
	}
}

void programs_stuck(char *ret, size_t size)
{
	size_t used = 0;

	ret[0] = '\0';
	for (uint32_t i = 0; i < sim_shape.clients; i++) {
		for (uint32_t k = 0; k < sim_shape.threads; k++) {
			const struct worker *w = &programs[i].workers[k];

			if (programs[i].ended || w->doing == NULL ||
			    used + 64 > size)
				continue;
			used += (size_t)snprintf(
				ret + used, size - used,
				" client %u thread %u: %s since %llu ms;", i,
				k, w->doing,
				(unsigned long long)((world_now() -
						      w->since_ns) / XM_MS));
		}
	}
}
