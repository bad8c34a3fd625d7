/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs' operations on the region itself: objects and slabs in it, what is counted,
 * mapping and size; see program.h. */
#include <errno.h>

#include "sim/counts.h"
#include "sim/notes.h"
#include "sim/oracle.h"
#include "sim/outcomes.h"
#include "sim/program.h"
#include "sim/seals.h"
#include "sim/shape.h"
#include "sim/weather.h"

/* A slab that begins here reads as zero; what is written to it does not shine
 * through when it is another's. */
static void slab_look(struct program *p, uint64_t offset, uint64_t pages)
{
	uint64_t page = offset / XM_PAGE + below(pages);
	uint64_t *at = (uint64_t *)(void *)page_address(p, page) +
		       below(XM_PAGE / 8);

	if (around_touch(p, page, true) != XM_TOUCHED_SERVED) {
		sim_counts.lost++;
		oracle_page_lost();
		return;
	}
	if (*at != 0)
		world_broken("isolation", "a fresh slab of client %u holds "
			     "%016llx", p->index, (unsigned long long)*at);
	*at = word_fresh(p);
}

/* Objects and slabs, in what the slab that is watched leaves of the region. Any
 * thread gives back what any has taken. */
static void beyond_slab(const struct program *p, uint64_t offset)
{
	if (offset < p->shadow->pages * XM_PAGE)
		world_broken("selection", "what is selected at %llu lies in a "
			     "slab", (unsigned long long)offset);
}

static void object_take(struct program *p)
{
	struct object o;

	/* Most are small. */
	if (extmem_object_alloc(p->region, 1 + below(20000 >> below(10)), 0,
				&o.offset) != 0)
		return;
	if (extmem_object_size(p->region, o.offset, &o.size) != 0)
		world_broken("selection", "an object that was taken has no "
			     "size");
	beyond_slab(p, o.offset);
	for (uint32_t i = 0; i < p->objects_count; i++) {
		const struct object *other = &p->objects[i];

		if (o.offset < other->offset + other->size &&
		    other->offset < o.offset + o.size)
			world_broken("selection", "an object at %llu lies in "
				     "another", (unsigned long long)o.offset);
	}
	/* Others may have filled the table meanwhile. */
	p->objects_moved++;
	if (p->objects_count < OBJECTS_MAX)
		p->objects[p->objects_count++] = o;
	else
		call_went(p, extmem_object_free(p->region, o.offset));
}

static void object_give(struct program *p)
{
	uint32_t i = (uint32_t)below(p->objects_count);
	struct object o = p->objects[i];

	p->objects[i] = p->objects[--p->objects_count];
	p->objects_moved++;
	call_went(p, extmem_object_free(p->region, o.offset));
	/* Another thread may have taken it meanwhile. */
	if (sim_shape.threads == 1 && below(8) == 0 &&
	    extmem_object_free(p->region, o.offset) != -EINVAL)
		world_broken("selection", "an object at %llu is given twice",
			     (unsigned long long)o.offset);
}

static void slab_take_and_give(struct program *p)
{
	uint64_t offset, pages = 1 + below(3);

	if (CALL(extmem_slab_alloc, p->region, pages * XM_PAGE, &offset) != 0)
		return;
	beyond_slab(p, offset);
	slab_look(p, offset, pages);
	call_went(p, CALL(extmem_slab_free, p->region, offset));
}

void op_select(struct program *p)
{
	bool more = below(2) == 0;

	for (uint64_t i = 1 + below(12); i > 0; i--) {
		if (p->objects_count < OBJECTS_MAX && (below(4) != 0) == more)
			object_take(p);
		else if (p->objects_count > 0)
			object_give(p);
	}
	if (below(2) == 0)
		slab_take_and_give(p);
}

/* What the library counts is what there is. Others are in the middle of
 * something: it may be counted here and not yet there. */
static void check_stats(const struct program *p)
{
	struct extmem_stats s = { .size = sizeof(s) };
	uint64_t objects = p->objects_count, moved = p->objects_moved;
	uint64_t size = extmem_region_size(p->region), regions = 1;

	if (p->twin.region != NULL) {
		size += extmem_region_size(p->twin.region);
		regions++;
		objects += p->twin.objects_count;
	}

	extmem_stats(p->x, &s);
	if (s.local_now > s.local_limit || s.local_peak > s.local_limit)
		world_broken("page truth", "client %u uses %llu bytes of local "
			     "memory, of %llu", p->index,
			     (unsigned long long)s.local_peak,
			     (unsigned long long)s.local_limit);
	if (p->reading != NULL) {
		size += extmem_region_size(p->reading);
		regions++;
	}
	if (s.regions != regions || s.region_bytes != size)
		world_broken("counters", "client %u counts %llu regions of "
			     "%llu bytes, and has %llu of %llu", p->index,
			     (unsigned long long)s.regions,
			     (unsigned long long)s.region_bytes,
			     (unsigned long long)regions,
			     (unsigned long long)size);
	/* Of what others did while it counted nothing is known. */
	if (p->objects_moved == moved &&
	    (s.objects + sim_shape.threads < objects ||
	     s.objects > objects + sim_shape.threads))
		world_broken("counters", "client %u counts %llu objects, and "
			     "has %llu", p->index,
			     (unsigned long long)s.objects,
			     (unsigned long long)objects);
	if (s.latency[0] == UINT64_MAX || extmem_latency_ns(&s, 999) == 0)
		world_note("program.fresh: client {client} has served no "
			   "fault", p->index, 0, 0);
}

/* What appliances say of themselves adds up. */
/* A tenant sees what it has and what it could have, and not the rest. */
static bool adds_up(const struct extmem_status *s)
{
	uint64_t sum = s->free + s->leased + s->quarantined;

	if (s->free_run > s->free)
		return false;
	/* Pools may shrink; what is on its way to the host is neither. */
	if (sim_shape.tenants > 0 || sim_shape.drains)
		return sum <= sim_shape.pool_size &&
		       s->pool <= sim_shape.pool_size;
	return sum == s->pool && s->pool == sim_shape.pool_size;
}

static void check_status(struct program *p)
{
	struct extmem_status s = { .size = sizeof(s) };
	struct extmem_region_entry entries[4];
	const char *address =
		around_address((uint32_t)below(sim_shape.appliances));
	int got;

	if (CALL_WITHIN(500 * XM_MS, extmem_status, address, 500, &s) == 0 &&
	    !adds_up(&s))
		world_broken("counters", "%s has %llu bytes free, %llu leased "
			     "and %llu in quarantine, of %llu", address,
			     (unsigned long long)s.free,
			     (unsigned long long)s.leased,
			     (unsigned long long)s.quarantined,
			     (unsigned long long)s.pool);
	got = CALL(extmem_region_list, p->x, below(3), entries,
		   XM_COUNT(entries));
	for (int i = 0; i < got; i++) {
		if (entries[i].size == 0 ||
		    entries[i].size % sim_shape.granule != 0)
			world_broken("counters", "a region in the list has "
				     "%llu bytes",
				     (unsigned long long)entries[i].size);
	}
}

static void renew(struct program *p)
{
	int rc = CALL_WITHIN(600 * XM_SECOND, extmem_seal_renew, p->x);

	world_note("program.renewal: client {client} has another key: "
		   "{error:error}", p->index, (uint64_t)-rc, 0);
	if (rc == -EINVAL)
		world_broken("renewal", "client %u: %s", p->index, extmem_error());
}

void op_stats(struct program *p)
{
	struct extmem_info info = { .size = sizeof(info) };

	check_stats(p);
	/* Others go on meanwhile; when it fails both keys stay, and the next goes on. */
	if (seals_renews())
		renew(p);
	if (below(4) == 0)
		check_status(p);
	if (extmem_info(p->x, sim_shape.appliances, &info) != -ERANGE ||
	    extmem_info(p->x, 0, &info) != 0 || info.lanes != sim_shape.lanes)
		world_broken("counters", "client %u is wrongly informed",
			     p->index);
	if (extmem_contains(p->x, page_address(p, 0)) != 1)
		world_broken("counters", "client %u does not know its region",
			     p->index);
}

static bool region_map(struct program *p, uint64_t offset, uint64_t size,
		       void **ret)
{
	int rc = CALL(extmem_map, p->region, offset, size, ret);

	around_outcome(p, OUTCOME_MAP, outcome_result(rc));
	return call_went(p, rc);
}

static bool region_unmap(struct program *p, uint64_t offset, uint64_t size)
{
	int rc = CALL(extmem_unmap, p->region, offset, size);

	around_outcome(p, OUTCOME_UNMAP, outcome_result(rc));
	return call_went(p, rc);
}

/* Unmapped, read where nothing is cached, mapped again; sometimes a part stays
 * mapped meanwhile. */
void op_remap(struct program *p)
{
	uint64_t offset = below(p->shadow->pages) * XM_PAGE;
	uint8_t *part = NULL, *all;

	if (below(2) == 0 && region_map(p, offset, XM_PAGE, (void **)&part) &&
	    part != (uint8_t *)extmem_region_address(p->region) + offset)
		world_broken("selection", "a part is mapped somewhere else");
	if (!region_unmap(p, 0, 0))
		return;
	if (part == NULL)
		rights_forget(p);
	op_explicit(p, false);
	op_explicit(p, true);
	if (!region_map(p, 0, 0, (void **)&all))
		p->lost = true;
	if (part != NULL)
		region_unmap(p, offset, XM_PAGE);
}

/* The slab that is watched: most of the region. */
bool slab_take(struct program *p)
{
	uint64_t pages = xm_min(extmem_region_size(p->region) / XM_PAGE,
				p->shadow->pages_max);
	uint64_t offset;

	p->shadow->pages = xm_max(pages - pages / 4, 1);
	if (extmem_slab_alloc(p->region, p->shadow->pages * XM_PAGE, &offset) != 0 ||
	    offset != 0) {
		/* Objects are in the way: another region, then. */
		p->lost = true;
		return false;
	}
	return true;
}

void op_resize(struct program *p)
{
	uint64_t rows = p->shadow->pages_max * XM_PAGE / sim_row(&sim_shape);
	/* Now and then more than there are addresses for behind the region. */
	uint64_t most = below(8) == 0 ? 20 * rows : rows;
	uint64_t size = (1 + below(most)) * sim_row(&sim_shape);
	bool shrink = size < extmem_region_size(p->region);
	int rc;

	/* What is sealed and durable, or changes hands, keeps its size. */
	if (share_is_on(p) || shape_is_fixed(&sim_shape))
		return;
	/* A slab in use is never cut off. */
	if (shrink && p->shadow->pages * XM_PAGE > size) {
		rc = CALL(extmem_region_resize, p->region, size);
		if (rc != -EBUSY)
			world_broken("selection", "a region was cut to %llu "
				     "bytes with a slab beyond", (unsigned
				     long long)size);
	}
	if (shrink) {
		if (!call_went(p, CALL(extmem_slab_free, p->region, 0)))
			return;
		shadow_clear(p->shadow);
	}
	if (shrink)
		weather_strike(p->index);
	rc = CALL(extmem_region_resize, p->region, size);
	around_outcome(p, OUTCOME_RESIZE,
		       shrink ? outcome_result(rc) : outcome_of_more(rc));
	world_note("program.resize: client {client} to {size:bytes}: "
		   "{error:error}", p->index, size, (uint64_t)-rc);
	if (rc == -ENOSPC)
		sim_counts.faults[SIM_FAULT_FULL]++;
	else if (rc != -EBUSY && rc != -ENOMEM)
		call_went(p, rc);
	/* Of one whose end is not known some will have no more. */
	if ((rc == -ETIMEDOUT || rc == -ENOTCONN) && below(2) == 0)
		p->lost = true;
	if (shrink)
		slab_take(p);
}
