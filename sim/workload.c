/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program does with its regions, one operation after the other: the
 * generator of random operations over the whole client interface. The simulator
 * runs it (program.c), and so do real processes (tests/api/reality.c); see
 * program.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/counts.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/outcomes.h"
#include "sim/plan.h"
#include "sim/program.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/world.h"

#define PATIENT_MS 5000 /* a request that may last so long outlives any quota's refusals */

/* --- regions ------------------------------------------------------------------------ */

static bool region_take(struct program *p)
{
	uint64_t rows = p->shadow->pages_max * XM_PAGE / sim_row(&sim_shape);
	uint64_t size = (1 + below(rows)) * sim_row(&sim_shape);
	struct extmem_request request = {
		.size = sizeof(request), .region_size = size, .name = "r",
		.flags = shape_is_fixed(&sim_shape) ? EXTMEM_SEALED_DURABLE : 0,
	};
	struct part parts[PARTS_MAX];
	unsigned count = 0;
	void *at;
	int rc;

	if (p->x == NULL && !around_open(p))
		return false;
	if (sim_shape.hands && hand_adopt(p))
		return true;
	rc = CALL(extmem_region_request, p->x, &request, &p->region);
	around_outcome(p, OUTCOME_TAKE, outcome_of_more(rc));
	if (rc == -ENOSPC)
		sim_counts.faults[SIM_FAULT_FULL]++;
	/* A law: who has asked too often waits, and is not told. */
	if (rc == -EDQUOT && sim_shape.timeout_ms >= PATIENT_MS)
		world_broken("promise", "client %u is told that it has asked too often",
			     p->index);
	if (rc != 0) {
		world_note("program.refused: client {client}: no region: "
			   "{error:error}", p->index, (uint64_t)-rc, 0);
		p->region = NULL;
		around_given(p);
		return false;
	}
	sim_counts.regions++;
	world_note("program.take: client {client} has a region of {size:bytes}", p->index, size, 0);
	p->lost = p->durable = false;
	p->objects_count = 0;
	shadow_clear(p->shadow);
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
	rc = CALL(extmem_map, p->region, 0, 0, &at);
	around_outcome(p, OUTCOME_MAP, outcome_result(rc));
	if (rc != 0 && rc != -ENOMEM && !(rc == -ETIMEDOUT && count > 0))
		world_broken("promise", "a fresh region is not mapped: %d",
			     rc);
	async_end(p, parts, count);
	p->lost |= rc != 0;
	return true;
}

/* Reads all watched words explicitly once more. */
static void verify(struct program *p)
{
	uint8_t *bytes = malloc(XM_PAGE);

	XM_ASSERT(bytes != NULL);
	for (uint64_t i = 0; i < p->shadow->pages && !p->lost; i++) {
		uint64_t began_ns = world_now();
		int rc;

		/* Without faults each page is present, or reported lost. */
		do {
			rc = CALL(extmem_read, p->region, i * XM_PAGE, bytes,
				  XM_PAGE);
			if (rc == -ENOTCONN || rc == -ETIMEDOUT)
				world_wait(p, 100 * XM_MS);
		} while (around_finishing() && (rc == -ENOTCONN || rc == -ETIMEDOUT) &&
			 world_now() - began_ns < 100 * XM_SECOND);
		if (around_finishing() && (rc == -ENOTCONN || rc == -ETIMEDOUT))
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

/* What is dirty can be stored when nothing is in its way. */
static void settle(struct program *p)
{
	uint64_t began_ns = world_now();
	int rc;

	while (!p->lost) {
		rc = CALL(extmem_sync, p->region, 0, 0);
		if (rc != -ENOTCONN && rc != -ETIMEDOUT) {
			call_went(p, rc);
			return;
		}
		if (world_now() - began_ns >= 100 * XM_SECOND)
			world_broken("liveness", "client %u cannot sync its "
				     "region, 100 s after the weather cleared, "
				     "and it is not lost", p->index);
		world_wait(p, 100 * XM_MS);
	}
}

void region_give(struct program *p, bool look)
{
	int rc;

	if (look && !p->lost && around_finishing())
		settle(p);
	if (look && !p->lost)
		verify(p);
	sim_counts.lost_regions += p->lost;
	share_given(p);
	rc = CALL(extmem_region_free, p->region);
	around_outcome(p, OUTCOME_GIVE, outcome_result(rc));
	call_went(p, rc);
	p->region = NULL;
	if (p->twin.region != NULL)
		twin_swap(p);
	else
		around_given(p);
}

/* The region is freed and now and then the client closed and opened again: seldom,
 * because that takes longer than all other operations. */
static void reopen(struct program *p)
{
	region_give(p, true);
	if (below(4) != 0)
		return;
	if (p->region != NULL)
		region_give(p, true);
	around_close(p);
	if (!around_finishing() && around_open(p))
		region_take(p);
}

/* --- threads ------------------------------------------------------------------------ */

enum kind {
	KIND_TOUCH, KIND_READ, KIND_WRITE, KIND_VECTOR, KIND_ASYNC, KIND_SYNC,
	KIND_ADVISE, KIND_PIN, KIND_SELECT, KIND_STATS, KIND_REMAP,
	KIND_RESIZE, KIND_RENEW, KIND_REOPEN,
	KIND_PROTECT, /* of runs with rights alone */
	KIND_HAND, /* of runs in which regions change hands */
	KIND_DURABLE, /* of runs in which they are made durable */
	KIND_SHARE, /* of runs in which they are shared */
	KIND_COPY, /* of runs in which regions are copied */
};

/* Of those before: not in place of others, so that runs without rights are as they were. */
#define PROTECT_SHARE 6
#define HAND_SHARE 40
#define DURABLE_SHARE 8
#define SHARE_SHARE 5
#define SPLIT_SHARE 2
#define COPY_SHARE 12

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
	[KIND_PROTECT] = { "protect", 0 }, [KIND_HAND] = { "hand", 0 },
	[KIND_DURABLE] = { "durable", 0 },
	[KIND_SHARE] = { "share", 0 },
	[KIND_COPY] = { "copy", 0 },
};

uint64_t program_kinds_draw(struct xm_rand *r)
{
	uint64_t some;

	if (xm_rand_below(r, 3) != 0)
		return (UINT64_C(1) << KIND_PROTECT) - 1;
	do
		some = xm_rand_below(r, UINT64_C(1) << KIND_PROTECT);
	while (some == 0);
	return some;
}

uint64_t program_kinds_explicit(void)
{
	return UINT64_C(1) << KIND_READ | UINT64_C(1) << KIND_WRITE |
	       UINT64_C(1) << KIND_VECTOR | UINT64_C(1) << KIND_ASYNC |
	       UINT64_C(1) << KIND_SYNC | UINT64_C(1) << KIND_RESIZE |
	       UINT64_C(1) << KIND_RENEW;
}

const char *program_operation_name(uint32_t operation)
{
	return operation < XM_COUNT(kinds) ? kinds[operation].name : NULL;
}

/* One of the kinds of this run, by weight. */
static unsigned kind_draw(void)
{
	unsigned weights[XM_COUNT(kinds)], kind = 0;
	uint64_t sum = 0, roll;

	if (sim_shape.rights && below(PROTECT_SHARE) == 0)
		return KIND_PROTECT;
	if (sim_shape.hands && below(HAND_SHARE) == 0)
		return KIND_HAND;
	if (sim_shape.durable && below(DURABLE_SHARE) == 0)
		return KIND_DURABLE;
	if (sim_shape.shares && below(sim_shape.splits ? SPLIT_SHARE : SHARE_SHARE) == 0)
		return KIND_SHARE;
	if (sim_shape.clones && below(COPY_SHARE) == 0)
		return KIND_COPY;
	for (unsigned i = 0; i < XM_COUNT(kinds); i++) {
		weights[i] = (sim_shape.kinds >> i & 1) != 0 ? kinds[i].weight
							     : 0;
		sum += weights[i];
	}
	roll = below(sum);
	while (roll >= weights[kind])
		roll -= weights[kind++];
	return kind;
}

void program_operate(struct program *p, struct worker *w, bool idle)
{
	unsigned kind = kind_draw();
	bool alone = kind >= KIND_REMAP && kind != KIND_PROTECT &&
		     kind != KIND_DURABLE;

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
	case KIND_PROTECT: op_protect(p); break;
	case KIND_HAND: op_hand(p); break;
	case KIND_DURABLE: op_durable(p); break;
	case KIND_SHARE: op_share(p); break;
	case KIND_COPY: op_copy(p); break;
	default: break;
	}
	program_leave(p, alone);
	w->doing = NULL;
replace:
	/* The next thread that comes by replaces a lost region. */
	if (p->region == NULL || p->lost) {
		w->doing = "replace";
		w->since_ns = world_now();
		program_enter(p, true);
		if (p->region != NULL && p->lost)
			region_give(p, false);
		if (p->region == NULL && !around_finishing())
			region_take(p);
		program_leave(p, true);
		w->doing = NULL;
	}
}
