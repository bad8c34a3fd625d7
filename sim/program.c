/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients' programs: their threads, their regions, their lives and deaths; see
 * program.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

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

/* --- clients ------------------------------------------------------------------------- */

/* What a thread keeps at most when no region is left: a list, and a cache for each
 * of its places (core/objects.c). */
#define KEPT_MOST 9

/* All that the library took for a client is given back; what its threads keep goes
 * with them. */
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

/* Who could not open tries again in a while, and then in twice that. */
static bool open_client(struct program *p)
{
	char texts[10][96], addresses[SIM_APPLIANCES_MAX][32];
	char *list[SIM_APPLIANCES_MAX + 12];
	unsigned n = 0;
	extmem *x;
	int rc;

	if (world_now() < p->pause_until_ns && !finishing)
		return false;
	snprintf(texts[n++], 96, "local=%llu",
		 (unsigned long long)sim_shape.local);
	snprintf(texts[n++], 96, "lanes=%u", sim_shape.lanes);
	snprintf(texts[n++], 96, "polling=%s",
		 (const char *[]){ "adaptive", "busy", "block" }[
			 sim_shape.polling]);
	snprintf(texts[n++], 96, "arena=%llu",
		 (unsigned long long)sim_shape.arena);
	snprintf(texts[n++], 96, "prefetch=%u", sim_shape.prefetch);
	snprintf(texts[n++], 96, "reclaim=%s",
		 sim_shape.reclaim == 0 ? "clock" : "2q");
	snprintf(texts[n++], 96, "timeout=%llums",
		 (unsigned long long)sim_shape.timeout_ms);
	snprintf(texts[n++], 96, "loss_timeout=%llums",
		 (unsigned long long)sim_shape.loss_ms);
	snprintf(texts[n++], 96, "name=client%u", p->index);
	for (unsigned i = 0; i < n; i++)
		list[i] = texts[i];
	for (uint32_t i = 0; i < sim_shape.appliances; i++) {
		snprintf(addresses[i], 32, "appliance=sim:%u", i);
		list[n++] = addresses[i];
	}
	list[n] = NULL;
	rc = extmem_open((const char *const *)list, &x);
	if (rc == 0) {
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

/* Nobody looks into a client that is being closed. */
static void close_client(struct program *p)
{
	extmem *x = p->x;

	p->x = NULL;
	if (extmem_close(x) != 0)
		sim_counts.failed++;
	leaks(p);
}

/* --- regions ------------------------------------------------------------------------ */

static bool region_take(struct program *p)
{
	uint64_t granules = p->pages_max * XM_PAGE / sim_shape.granule;
	uint64_t size = (1 + below(granules)) * sim_shape.granule;
	struct part parts[PARTS_MAX];
	unsigned count = 0;
	void *at;
	int rc;

	if (p->x == NULL && !open_client(p))
		return false;
	rc = extmem_region_take(p->x, "r", size, &p->region);
	outcome_note(p, OUTCOME_TAKE, outcome_result(rc));
	if (rc == -ENOSPC)
		sim_counts.faults[SIM_FAULT_FULL]++;
	if (rc != 0) {
		world_note("program.refused: client {client}: no region: "
			   "{error:error}", p->index, (uint64_t)-rc, 0);
		p->region = NULL;
		return false;
	}
	sim_counts.regions++;
	world_note("program.take: client {client} has a region of {size:bytes}", p->index, size, 0);
	p->lost = false;
	p->objects_count = 0;
	memset(p->shadow, 0, p->pages_max * sizeof(*p->shadow));
	if (!slab_take(p))
		world_broken("selection", "a fresh region has no room");
	/* Explicit writes before the first mapping, sometimes, and not all of
	 * them over when it comes. */
	if (below(3) == 0) {
		op_explicit(p, true);
		op_explicit(p, false);
	}
	if (below(4) == 0)
		count = async_begin(p, parts);
	rc = extmem_map(p->region, 0, 0, &at);
	if (rc != 0 && rc != -ENOMEM && !(rc == -ETIMEDOUT && count > 0))
		world_broken("promise", "a fresh region is not mapped: %d",
			     rc);
	async_end(p, parts, count);
	p->lost |= rc != 0;
	return true;
}

/* Everything that is watched, read explicitly once more. */
static void verify(struct program *p)
{
	uint8_t *bytes = malloc(XM_PAGE);

	XM_ASSERT(bytes != NULL);
	for (uint64_t i = 0; i < p->pages && !p->lost; i++) {
		uint64_t began_ns = world_now();
		int rc;

		/* In clear weather a page is there, or lost for good and said
		 * to be. */
		do {
			rc = extmem_read(p->region, i * XM_PAGE, bytes,
					 XM_PAGE);
			if (rc == -ENOTCONN || rc == -ETIMEDOUT)
				world_wait(p, 100 * XM_MS);
		} while (finishing && (rc == -ENOTCONN || rc == -ETIMEDOUT) &&
			 world_now() - began_ns < 100 * XM_SECOND);
		if (finishing && (rc == -ENOTCONN || rc == -ETIMEDOUT))
			world_broken("liveness", "client %u cannot read page "
				     "%llu of its region, 100 s after the "
				     "weather cleared, and it is not lost",
				     p->index, (unsigned long long)i);
		if (!call_went(p, rc))
			break;
		for (unsigned k = 0; k < WORDS; k++) {
			uint64_t value;

			memcpy(&value, bytes + word_places[k], 8);
			word_check(p, i, k, value, "finally read");
		}
	}
	free(bytes);
}

static void region_give(struct program *p, bool look)
{
	int rc;

	if (look && !p->lost)
		verify(p);
	sim_counts.lost_regions += p->lost;
	rc = extmem_region_give(p->region);
	outcome_note(p, OUTCOME_GIVE, outcome_result(rc));
	call_went(p, rc);
	p->region = NULL;
}

/* The client goes, and another comes in its place, when it can; seldom, as that
 * takes us longer than all the rest of an operation. */
static void reopen(struct program *p)
{
	region_give(p, true);
	if (below(4) != 0)
		return;
	close_client(p);
	if (!finishing && open_client(p))
		region_take(p);
}

/* --- threads ------------------------------------------------------------------------ */

enum kind {
	KIND_TOUCH, KIND_READ, KIND_WRITE, KIND_VECTOR, KIND_ASYNC, KIND_SYNC,
	KIND_ADVISE, KIND_PIN, KIND_SELECT, KIND_STATS, KIND_REMAP,
	KIND_RESIZE, KIND_RENEW, KIND_REOPEN,
};

static const struct {
	const char *name;
	unsigned weight;
} kinds[] = {
	[KIND_TOUCH] = { "touch", 51 }, [KIND_READ] = { "read", 8 },
	[KIND_WRITE] = { "write", 8 }, [KIND_VECTOR] = { "vector", 4 },
	[KIND_ASYNC] = { "async", 6 }, [KIND_SYNC] = { "sync", 5 },
	[KIND_ADVISE] = { "advise", 6 }, [KIND_PIN] = { "pin", 4 },
	[KIND_SELECT] = { "select", 5 }, [KIND_STATS] = { "stats", 2 },
	[KIND_REMAP] = { "remap", 1 }, [KIND_RESIZE] = { "resize", 2 },
	[KIND_RENEW] = { "renew", 1 }, [KIND_REOPEN] = { "reopen", 1 },
};

const char *program_operation_name(uint32_t operation)
{
	return operation < XM_COUNT(kinds) ? kinds[operation].name : NULL;
}

static void operate(struct program *p, struct worker *w, bool idle)
{
	uint64_t roll = below(104);
	unsigned kind = 0;
	bool alone;

	while (roll >= kinds[kind].weight)
		roll -= kinds[kind++].weight;
	alone = kind >= KIND_REMAP;
	if (idle || sim_without(sim_kind_of_operation(kind)))
		goto replace;
	w->doing = kinds[kind].name;
	w->since_ns = world_now();
	program_enter(p, alone);
	sim_counts.operations++;
	if (p->region != NULL && p->lost && alone)
		region_give(p, false);
	if (p->region == NULL && alone)
		region_take(p);
	if (p->region == NULL || p->lost)
		kind = UINT32_MAX;
	switch (kind) {
	case KIND_TOUCH: op_touch(p); break;
	case KIND_READ: op_explicit(p, false); break;
	case KIND_WRITE: op_explicit(p, true); break;
	case KIND_VECTOR: op_vector(p); break;
	case KIND_ASYNC: op_async(p); break;
	case KIND_SYNC: op_sync(p); break;
	case KIND_ADVISE: op_advise(p); break;
	case KIND_PIN: op_pin(p); break;
	case KIND_SELECT: op_select(p); break;
	case KIND_STATS: op_stats(p); break;
	case KIND_REMAP: op_remap(p); break;
	case KIND_RESIZE: op_resize(p); break;
	case KIND_RENEW: region_give(p, true); break;
	case KIND_REOPEN: reopen(p); break;
	default: break;
	}
	program_leave(p, alone);
	w->doing = NULL;
replace:
	/* A lost region is replaced by whoever comes next, alone. */
	if (p->region == NULL || p->lost) {
		w->doing = "replace";
		w->since_ns = world_now();
		program_enter(p, true);
		if (p->region != NULL && p->lost)
			region_give(p, false);
		if (p->region == NULL && !finishing)
			region_take(p);
		program_leave(p, true);
		w->doing = NULL;
	}
}

static void worker_run(void *argument)
{
	struct worker *w = argument;
	struct program *p = w->program;

	while (w->left > 0 && !finishing) {
		uint64_t number = sim_shape.operations - w->left--;

		dice_cast(w, number);
		operate(p, w, !sim_mask_has(&sim_plan.operations_of, number));
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
	struct program *p = argument;
	struct worker *w = &p->workers[0];

	w->doing = "open";
	w->since_ns = world_now();
	while (!open_client(p)) {
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
		close_client(p);
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
	w->doing = "close";
	w->since_ns = world_now();
	if (p->region != NULL)
		region_give(p, true);
	if (p->x != NULL)
		close_client(p);
	w->doing = NULL;
	p->ended = true;
}

/* --- outside ------------------------------------------------------------------------ */

static void died(struct process *process)
{
	fabric_process_died(process);
	mapper_process_died(process);
}

void program_open(uint32_t client)
{
	struct program *p = &programs[client];
	uint64_t stamp = p->stamp, lives = p->lives;
	struct outcome_watch watch = p->watch;
	struct shadow *shadow = p->shadow;
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
	p->pages_max = sim_shape.pool_size / XM_PAGE;
	p->shadow = shadow != NULL
			    ? shadow
			    : malloc(p->pages_max * sizeof(*p->shadow));
	XM_ASSERT(p->shadow != NULL);
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
	world_fiber(p->process, program_run, p);
}

void program_close(uint32_t client)
{
	free(programs[client].shadow);
	memset(&programs[client], 0, sizeof(programs[client]));
}

/* One who is between two operations. */
static bool somebody_is_free(const struct program *p)
{
	for (uint32_t i = 0; i < sim_shape.threads; i++) {
		if (p->workers[i].doing == NULL && p->workers[i].left > 0)
			return true;
	}
	return false;
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
		if (page >= first && page - first < p->pages &&
		    !p->shadow[page - first].busy)
			op_race(p, page - first);
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
