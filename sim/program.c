/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The programs that clients run: random operations over the whole client
 * interface, kept against a shadow.
 *
 * A program holds one region at a time, mapped, and its threads load, store,
 * read, write, sync, advise, pin and allocate in it. Of every page a few words
 * are watched: the shadow has the value of the last completed store or write,
 * and, after an operation whose outcome is unknown, what else it may be. A
 * load or read must give one of these, or fail. A region that is lost is given
 * back and another taken.
 *
 * A page is one thread's at a time where a thread waits in the middle of an
 * operation on it; loads and stores do not wait after the page is there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "touch.h"

#define WORDS 3 /* watched in each page */
#define OBJECTS_MAX 96
#define SPAN_MAX 4 /* pages of one explicit operation */

struct word {
	uint64_t value, maybe; /* maybe: another possible one */
	bool unsure;
};

struct shadow {
	bool busy; /* a thread is in the middle of something here */
	struct word words[WORDS];
};

struct object {
	uint64_t offset, size;
};

struct worker {
	struct program *program;
	uint32_t index, left; /* operations */
	struct xm_rand rand;  /* of the operation under way */
	const char *doing;
	uint64_t since_ns;
	bool ended;
};

static struct program {
	uint32_t index;
	struct process *process;
	extmem *x;
	extmem_region *region;
	uint64_t pages, pages_max;
	struct shadow *shadow;
	struct object objects[OBJECTS_MAX];
	uint32_t objects_count;
	uint32_t readers; /* threads in an operation on the region */
	bool changing;	  /* one changes the region itself */
	bool lost;
	uint32_t workers_ended;
	bool ended;
	struct worker workers[8];
	uint64_t stamp, lives;
	struct outcome_watch watch;
} programs[SIM_CLIENTS_MAX];

static bool finishing;

/* Every operation of a thread has numbers of its own, so that one more or less
 * of them changes no other. */
static void dice_cast(struct worker *w, uint64_t number)
{
	const struct program *p = w->program;

	xm_rand_split(world_rand(WORLD_WORK), "operation",
		      ((p->lives * SIM_CLIENTS_MAX + p->index) * 8 +
		       w->index) << 32 | number, &w->rand);
}

/* Of the worker whose fiber runs: nobody else rolls. */
static struct xm_rand *dice(void)
{
	return &((struct worker *)world_argument())->rand;
}

static uint64_t below(uint64_t n)
{
	return xm_rand_below(dice(), n);
}

static const uint64_t places[WORDS] = { 0, 2040, XM_PAGE - 8 };

/* --- the shadow -------------------------------------------------------------------- */

static void check_word(const struct program *p, uint64_t page, unsigned i,
		       uint64_t got, const char *how)
{
	struct word *w = &p->shadow[page].words[i];

	if (got == w->value) {
		w->unsure = false;
	} else if (w->unsure && got == w->maybe) {
		w->value = w->maybe;
		w->unsure = false;
	} else {
		world_broken("faithfulness", "client %u %s page %llu of its "
			     "region (arena page %llu), word %u: %016llx, not "
			     "%016llx%s", p->index, how,
			     (unsigned long long)page,
			     (unsigned long long)(page +
					p->region->address / XM_PAGE), i,
			     (unsigned long long)got,
			     (unsigned long long)w->value,
			     w->unsure ? " nor what it may be" : "");
	}
}

static void set_word(struct program *p, uint64_t page, unsigned i,
		     uint64_t value)
{
	p->shadow[page].words[i] = (struct word){ .value = value };
}

static uint64_t fresh_value(struct program *p)
{
	return (uint64_t)(p->index + 1) << 56 | ++p->stamp << 8 | 0x5a;
}

/* --- one operation at a time on the region, or several ----------------------------------- */

static void enter(struct program *p, bool alone)
{
	while (p->changing || (alone && p->readers > 0))
		world_wait(&p->readers, XM_NEVER);
	if (alone)
		p->changing = true;
	else
		p->readers++;
}

static void leave(struct program *p, bool alone)
{
	if (alone)
		p->changing = false;
	else
		p->readers--;
	world_wake(&p->readers);
}

static bool claim(struct program *p, uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count; i++) {
		if (p->shadow[i].busy)
			return false;
	}
	for (uint64_t i = page; i < page + count; i++)
		p->shadow[i].busy = true;
	return true;
}

static void unclaim(struct program *p, uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count; i++)
		p->shadow[i].busy = false;
}

/* --- outcomes ------------------------------------------------------------------------ */

/* After what is not compared it takes a while until all is as before. */
#define SETTLES (5 * XM_SECOND)

/* When the last of each kind ends. */
static uint64_t trouble_ends_ns[OUTCOME_TROUBLES];

static void trouble_over(void *argument, uint64_t trouble)
{
	(void)argument;
	if (world_now() < trouble_ends_ns[trouble])
		return;
	for (uint32_t i = 0; i < sim_shape.clients; i++)
		outcome_end(&programs[i].watch,
			    (enum outcome_trouble)trouble);
}

void programs_trouble(enum outcome_trouble trouble, uint64_t ns)
{
	for (uint32_t i = 0; i < sim_shape.clients; i++)
		outcome_begin(&programs[i].watch, trouble);
	if (trouble == OUTCOME_OTHER)
		ns += SETTLES;
	trouble_ends_ns[trouble] = xm_max(trouble_ends_ns[trouble],
					  world_now() + ns);
	world_at(world_now() + ns, trouble_over, NULL, trouble);
}

static void outcome(struct program *p, enum outcome_call call,
		    enum outcome_result result)
{
	enum outcome_trouble worst = outcome_worst(&p->watch);

	sim_counts.outcomes[call][worst][result]++;
	if (call == OUTCOME_TAKE && result == OUTCOME_OK)
		outcome_taken(&p->watch);
	if (!outcome_listed(call, worst, result))
		world_note("outcome not in the list", call, worst, result);
}

/* What a call returned. */
static bool went(struct program *p, int rc)
{
	if (rc >= 0)
		return true;
	sim_counts.failed++;
	if (rc == -ESTALE)
		p->lost = true;
	world_note("program.failed: client {client}: a call failed: {error:error}", p->index, (uint64_t)-rc, 0);
	return false;
}

/* --- loads and stores ------------------------------------------------------------------- */

/* Returns false when the page is lost. A page that another thread writes
 * explicitly is left alone: what a load sees then is either. */
static bool load_store(struct program *p, uint64_t page, bool load, bool store)
{
	unsigned i = (unsigned)below(WORDS);
	uint64_t arena = p->region->address + page * XM_PAGE;
	uint64_t *at = (uint64_t *)(void *)(p->x->base + arena + places[i]);
	bool here;

	/* What is seen of one that is busy is anybody's guess. */
	if (p->shadow[page].busy)
		return below(4) != 0 ||
		       touch_page(p->x, arena / XM_PAGE, false);
	here = touch_page(p->x, arena / XM_PAGE, store && !load);
	outcome(p, load ? OUTCOME_LOAD : OUTCOME_STORE,
		here ? OUTCOME_OK : OUTCOME_SIGBUS);
	if (!here) {
		sim_counts.lost++;
		oracle_page_lost();
		return false;
	}
	if (p->shadow[page].busy)
		return true;
	if (load) {
		check_word(p, page, i, *at, "loaded");
		sim_counts.loads++;
	}
	if (!store)
		return true;
	/* Between the load and the store of a read-modify-write the page may
	 * go, and others may be there first. */
	if (load && !touch_page(p->x, arena / XM_PAGE, true)) {
		sim_counts.lost++;
		oracle_page_lost();
		return false;
	}
	if (p->shadow[page].busy)
		return true;
	*at = fresh_value(p);
	set_word(p, page, i, *at);
	sim_counts.stores++;
	return true;
}

static void op_touch(struct program *p)
{
	uint64_t page = below(p->pages), count = 1 + below(12);
	int64_t step = 1;
	unsigned kind = (unsigned)below(3);

	switch (below(6)) {
	case 0: step = 1; break;
	case 1: step = -1; break;
	case 2: step = 1 + (int64_t)below(4); break;
	case 3: count = 1 + below(p->pages); break;
	default: step = 0; break;
	}
	for (uint64_t i = 0; i < count && !p->lost; i++) {
		if (step == 0) /* skewed: low pages are hot */
			page = below(1 + below(p->pages));
		if (!load_store(p, page, kind != 1, kind != 0))
			return;
		if ((step > 0 && page + (uint64_t)step >= p->pages) ||
		    (step < 0 && page < (uint64_t)-step))
			return;
		page += (uint64_t)step;
	}
}

/* --- explicit ----------------------------------------------------------------------------- */

/* A part of the region that is read or written, and the buffer for it, which no
 * one else fills meanwhile. */
struct part {
	uint64_t page, count; /* claimed */
	struct extmem_iov iov;
	bool write, registered;
	bool done; /* asynchronous: it has completed */
	int status;
};

static bool is_watched(const struct part *part, uint64_t page, unsigned k,
		       uint64_t *ret_at)
{
	uint64_t at = page * XM_PAGE + places[k];

	if (at < part->iov.offset ||
	    at + 8 > part->iov.offset + part->iov.size)
		return false;
	*ret_at = at - part->iov.offset;
	return true;
}

/* Until it is known: the old, or this. Two unknowns in a row are settled by
 * reading first. */
static bool part_fill(struct program *p, const struct part *part)
{
	uint64_t at;

	for (uint64_t i = part->page; i < part->page + part->count; i++) {
		for (unsigned k = 0; k < WORDS; k++) {
			if (is_watched(part, i, k, &at) &&
			    p->shadow[i].words[k].unsure)
				return false;
		}
	}
	for (uint64_t i = part->page; i < part->page + part->count; i++) {
		for (unsigned k = 0; k < WORDS; k++) {
			uint64_t value = fresh_value(p);
			struct word *w = &p->shadow[i].words[k];

			if (!is_watched(part, i, k, &at))
				continue;
			memcpy((uint8_t *)part->iov.buffer + at, &value, 8);
			w->maybe = value;
			w->unsure = true;
		}
	}
	return true;
}

static void part_close(struct program *p, struct part *part)
{
	if (part->registered) {
		int rc = extmem_deregister(p->x, part->iov.buffer,
					   part->iov.size);

		if (rc != 0)
			world_broken("promise", "memory that was registered "
				     "and is not lent stays so: %d", rc);
	}
	free(part->iov.buffer);
	unclaim(p, part->page, part->count);
}

/* False: not there, or not now. */
static bool part_open(struct program *p, bool write, bool enlist,
		      struct part *ret)
{
	struct part part = { .page = below(p->pages), .write = write };

	part.count = 1 + below(xm_min(SPAN_MAX, p->pages - part.page));
	part.iov.offset = part.page * XM_PAGE;
	part.iov.size = part.count * XM_PAGE;
	if (below(2) == 0) { /* not whole pages */
		uint64_t cut = 8 * below(8);

		part.iov.offset += cut;
		part.iov.size -= cut + 8 * below(4);
	}
	if (!claim(p, part.page, part.count))
		return false;
	part.iov.buffer = malloc(part.iov.size);
	XM_ASSERT(part.iov.buffer != NULL);
	memset(part.iov.buffer, 0xaa, part.iov.size);
	if (enlist) {
		int rc = extmem_register(p->x, part.iov.buffer, part.iov.size);

		part.registered = rc == 0;
		if (rc != 0 && rc != -ENOSPC)
			world_broken("promise", "memory cannot be registered: "
				     "%d", rc);
	}
	if (write && !part_fill(p, &part)) {
		part_close(p, &part);
		return false;
	}
	world_note(write ? "program.write: client {client} writes at {offset}, "
			   "{size:bytes}"
			 : "program.read: client {client} reads at {offset}, "
			   "{size:bytes}", p->index, part.iov.offset,
		   part.iov.size);
	*ret = part;
	return true;
}

/* What became of it. */
static void part_settle(struct program *p, struct part *part, int rc)
{
	outcome(p, part->write ? OUTCOME_WRITE : OUTCOME_READ,
		outcome_result(rc));
	sim_counts.writes += part->write;
	sim_counts.reads += !part->write;
	for (uint64_t i = part->page;
	     went(p, rc) && i < part->page + part->count; i++) {
		for (unsigned k = 0; k < WORDS; k++) {
			uint64_t at, value;

			if (!is_watched(part, i, k, &at))
				continue;
			memcpy(&value, (uint8_t *)part->iov.buffer + at, 8);
			if (part->write)
				set_word(p, i, k, value);
			else
				check_word(p, i, k, value, "read");
		}
	}
	part_close(p, part);
}

static void op_explicit(struct program *p, bool write)
{
	struct part part;
	int rc;

	if (!part_open(p, write, below(4) == 0, &part))
		return;
	rc = write ? extmem_write(p->region, part.iov.offset, part.iov.buffer,
				  part.iov.size)
		   : extmem_read(p->region, part.iov.offset, part.iov.buffer,
				 part.iov.size);
	part_settle(p, &part, rc);
}

#define PARTS_MAX 12

static unsigned parts_open(struct program *p, bool write, bool enlist,
			   struct part parts[PARTS_MAX])
{
	unsigned count = 0, wanted = 1 + (unsigned)below(PARTS_MAX);

	for (unsigned i = 0; i < wanted; i++)
		count += part_open(p, write, enlist, &parts[count]);
	return count;
}

static void op_vector(struct program *p)
{
	struct part parts[PARTS_MAX];
	struct extmem_iov iov[PARTS_MAX];
	bool write = below(2) == 0;
	unsigned count = parts_open(p, write, below(4) == 0, parts);
	int rc;

	for (unsigned i = 0; i < count; i++)
		iov[i] = parts[i].iov;
	rc = write ? extmem_writev(p->region, iov, count)
		   : extmem_readv(p->region, iov, count);
	for (unsigned i = 0; i < count; i++)
		part_settle(p, &parts[i], rc);
}

/* Those that could be begun. */
static unsigned async_begin(struct program *p, struct part parts[PARTS_MAX])
{
	unsigned count = parts_open(p, below(2) == 0,
				    sim_shape.provider.enlists, parts);
	unsigned begun = 0;

	for (unsigned i = 0; i < count; i++) {
		struct part *part = &parts[begun];
		int rc;

		*part = parts[i];
		if (sim_shape.provider.enlists && !part->registered) {
			part_settle(p, part, -ENOSPC);
			continue;
		}
		rc = part->write
			? extmem_write_start(p->region, part->iov.offset,
					     part->iov.buffer, part->iov.size,
					     part)
			: extmem_read_start(p->region, part->iov.offset,
					    part->iov.buffer, part->iov.size,
					    part);
		if (rc == 0)
			begun++;
		else
			part_settle(p, part, rc);
	}
	return begun;
}

/* Whoever polls collects for all threads. */
static void async_end(struct program *p, struct part *parts, unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		struct extmem_completion all[4];
		int got = extmem_wait(p->x, all, XM_COUNT(all), 5);

		XM_ASSERT(got >= 0);
		for (int i = 0; i < got; i++) {
			struct part *part = all[i].context;

			if (part->done)
				world_broken("promise", "an asynchronous call "
					     "completes twice");
			part->done = true;
			part->status = all[i].status;
		}
		done = 0;
		for (unsigned i = 0; i < count; i++)
			done += parts[i].done;
	}
	for (unsigned i = 0; i < count; i++)
		part_settle(p, &parts[i], parts[i].status);
}

static void op_async(struct program *p)
{
	struct part parts[PARTS_MAX];
	unsigned count = async_begin(p, parts);

	/* A page whose bytes are under way can be touched. */
	if (count > 0 && below(3) == 0)
		touch_page(p->x, p->region->address / XM_PAGE + parts[0].page,
			   false);
	async_end(p, parts, count);
}

/* --- the rest of the interface --------------------------------------------------------------- */

static void op_sync(struct program *p)
{
	int rc = extmem_sync(p->region, 0, 0);

	outcome(p, OUTCOME_SYNC, outcome_result(rc));
	went(p, rc);
}

static void op_advise(struct program *p)
{
	static const enum extmem_advice kinds[] = {
		EXTMEM_NORMAL, EXTMEM_SEQUENTIAL, EXTMEM_RANDOM,
		EXTMEM_WILLNEED, EXTMEM_COLD, EXTMEM_DONTNEED,
	};
	enum extmem_advice advice = kinds[below(XM_COUNT(kinds))];
	uint64_t page = below(p->pages);
	uint64_t count = 1 + below(xm_min(16, p->pages - page));
	int rc;

	if (advice != EXTMEM_DONTNEED) {
		went(p, extmem_advise(p->region, page * XM_PAGE,
				      count * XM_PAGE, advice));
		return;
	}
	if (!claim(p, page, count))
		return;
	for (uint64_t i = page; i < page + count; i++) {
		for (unsigned k = 0; k < WORDS; k++) {
			struct word *w = &p->shadow[i].words[k];

			if (w->unsure) {
				unclaim(p, page, count);
				return;
			}
		}
	}
	rc = extmem_advise(p->region, page * XM_PAGE, count * XM_PAGE, advice);
	world_note("program.discard: from page {page} on, {count} in all: "
		   "{error:error}", page, count, (uint64_t)-rc);
	for (uint64_t i = page; i < page + count; i++) {
		for (unsigned k = 0; k < WORDS; k++) {
			struct word *w = &p->shadow[i].words[k];

			if (rc == 0) {
				set_word(p, i, k, 0);
			} else if (w->value != 0) {
				w->maybe = 0;
				w->unsure = true;
			}
		}
	}
	went(p, rc);
	unclaim(p, page, count);
}

static void op_pin(struct program *p)
{
	uint64_t page = below(p->pages);
	/* Now and then more than can be pinned. */
	uint64_t most = below(8) == 0 ? 200 : 3;
	uint64_t count = 1 + below(xm_min(most, p->pages - page));
	uint8_t *at = p->x->base + p->region->address + page * XM_PAGE;
	bool write = below(2) == 0;
	int64_t got;

	/* Who discards what another has pinned gets what he deserves. */
	if (!claim(p, page, count))
		return;
	got = extmem_pin(p->x, at, count * XM_PAGE, write);
	if (got == -ENOMEM || (got < 0 && !went(p, (int)got))) {
		unclaim(p, page, count);
		return;
	}
	for (uint64_t i = 0; i < (uint64_t)got / XM_PAGE; i++) {
		bool here, open;

		touch_state(p->x, (p->region->address / XM_PAGE) + page + i,
			    &here, &open);
		if (!here || (write && !open))
			world_broken("page truth", "a pinned page is %s",
				     here ? "protected" : "not there");
	}
	world_wait(p->process, below(2 * XM_MS));
	for (uint64_t i = 0; i < (uint64_t)got / XM_PAGE; i++) {
		bool here, open;

		touch_state(p->x, (p->region->address / XM_PAGE) + page + i,
			    &here, &open);
		if (!here || (write && !open))
			world_broken("page truth", "a page was pinned, and is "
				     "%s now", here ? "protected" : "gone");
	}
	if (got > 0)
		extmem_unpin(p->x, at, (size_t)got);
	unclaim(p, page, count);
}

/* Objects, in what the slab that is watched leaves of the region. Any thread gives
 * back what any has taken. */
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
	if (o.offset < p->pages * XM_PAGE)
		world_broken("selection", "an object at %llu lies in a slab",
			     (unsigned long long)o.offset);
	for (uint32_t i = 0; i < p->objects_count; i++) {
		const struct object *other = &p->objects[i];

		if (o.offset < other->offset + other->size &&
		    other->offset < o.offset + o.size)
			world_broken("selection", "an object at %llu lies in "
				     "another", (unsigned long long)o.offset);
	}
	p->objects[p->objects_count++] = o;
}

static void object_give(struct program *p)
{
	uint32_t i = (uint32_t)below(p->objects_count);
	struct object o = p->objects[i];

	p->objects[i] = p->objects[--p->objects_count];
	went(p, extmem_object_free(p->region, o.offset));
	/* Another thread may have taken it meanwhile. */
	if (sim_shape.threads == 1 && below(8) == 0 &&
	    extmem_object_free(p->region, o.offset) != -EINVAL)
		world_broken("selection", "an object at %llu is given twice",
			     (unsigned long long)o.offset);
}

static void op_select(struct program *p)
{
	bool more = below(2) == 0;

	for (uint64_t i = 1 + below(12); i > 0; i--) {
		if (p->objects_count < OBJECTS_MAX && (below(4) != 0) == more)
			object_take(p);
		else if (p->objects_count > 0)
			object_give(p);
	}
}

static void op_stats(struct program *p)
{
	struct extmem_stats s = { .size = sizeof(s) };

	extmem_stats(p->x, &s);
	if (s.local_now > s.local_limit || s.local_peak > s.local_limit)
		world_broken("page truth", "client %u uses %llu bytes of local "
			     "memory, of %llu", p->index,
			     (unsigned long long)s.local_peak,
			     (unsigned long long)s.local_limit);
}

/* Unmapped, read where nothing is cached, mapped again. */
static void op_remap(struct program *p)
{
	void *at;

	if (!went(p, extmem_unmap(p->region, 0, 0)))
		return;
	op_explicit(p, false);
	op_explicit(p, true);
	if (!went(p, extmem_map(p->region, 0, 0, &at)))
		p->lost = true;
}

/* The slab that is watched: most of the region. */
static bool slab_take(struct program *p)
{
	uint64_t pages = extmem_region_size(p->region) / XM_PAGE, offset;

	p->pages = xm_max(pages - pages / 4, 1);
	if (extmem_slab_alloc(p->region, p->pages * XM_PAGE, &offset) != 0 ||
	    offset != 0) {
		/* Objects are in the way: another region, then. */
		p->lost = true;
		return false;
	}
	return true;
}

static void op_resize(struct program *p)
{
	uint64_t size = (1 + below(p->pages_max * XM_PAGE /
				   sim_shape.granule)) * sim_shape.granule;
	bool shrink = size < extmem_region_size(p->region);
	int rc;

	/* A slab in use is never cut off. */
	if (shrink && p->pages * XM_PAGE > size) {
		rc = extmem_region_resize(p->region, size);
		if (rc != -EBUSY)
			world_broken("selection", "a region was cut to %llu "
				     "bytes with a slab beyond", (unsigned
				     long long)size);
	}
	if (shrink) {
		if (!went(p, extmem_slab_free(p->region, 0)))
			return;
		memset(p->shadow, 0, p->pages_max * sizeof(*p->shadow));
	}
	if (shrink)
		weather_strike(p->index);
	rc = extmem_region_resize(p->region, size);
	outcome(p, OUTCOME_RESIZE, outcome_result(rc));
	world_note("program.resize: client {client} to {size:bytes}: {error:error}", p->index, size, (uint64_t)-rc);
	if (rc == -ENOSPC)
		sim_counts.faults[SIM_FAULT_FULL]++;
	else if (rc != -EBUSY && rc != -ENOMEM)
		went(p, rc);
	if (shrink)
		slab_take(p);
}

/* --- regions -------------------------------------------------------------------------------------- */

static bool region_take(struct program *p)
{
	uint64_t granules = p->pages_max * XM_PAGE / sim_shape.granule;
	uint64_t size = (1 + below(granules)) * sim_shape.granule;
	struct part parts[PARTS_MAX];
	unsigned count = 0;
	void *at;
	int rc = extmem_region_take(p->x, "r", size, &p->region);

	outcome(p, OUTCOME_TAKE, outcome_result(rc));
	if (rc == -ENOSPC)
		sim_counts.faults[SIM_FAULT_FULL]++;
	if (rc != 0) {
		world_note("program.refused: client {client}: no region: {error:error}", p->index, (uint64_t)-rc, 0);
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
	XM_ASSERT(rc == 0 || (rc == -ETIMEDOUT && count > 0));
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
		if (!went(p, rc))
			break;
		for (unsigned k = 0; k < WORDS; k++) {
			uint64_t value;

			memcpy(&value, bytes + places[k], 8);
			check_word(p, i, k, value, "finally read");
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
	outcome(p, OUTCOME_GIVE, outcome_result(rc));
	went(p, rc);
	p->region = NULL;
}

/* --- threads ---------------------------------------------------------------------------------------- */

enum kind {
	KIND_TOUCH, KIND_READ, KIND_WRITE, KIND_VECTOR, KIND_ASYNC, KIND_SYNC,
	KIND_ADVISE, KIND_PIN, KIND_SELECT, KIND_STATS, KIND_REMAP,
	KIND_RESIZE, KIND_RENEW,
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
	[KIND_RENEW] = { "renew", 1 },
};

const char *program_operation_name(uint32_t operation)
{
	return operation < XM_COUNT(kinds) ? kinds[operation].name : NULL;
}

static void operate(struct program *p, struct worker *w, bool idle)
{
	uint64_t roll = below(103);
	unsigned kind = 0;
	bool alone;

	while (roll >= kinds[kind].weight)
		roll -= kinds[kind++].weight;
	alone = kind >= KIND_REMAP;
	if (idle || sim_without(sim_kind_of_operation(kind)))
		goto replace;
	w->doing = kinds[kind].name;
	w->since_ns = world_now();
	enter(p, alone);
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
	default: break;
	}
	leave(p, alone);
	w->doing = NULL;
replace:
	/* A lost region is replaced by whoever comes next, alone. */
	if (p->region == NULL || p->lost) {
		w->doing = "replace";
		w->since_ns = world_now();
		enter(p, true);
		if (p->region != NULL && p->lost)
			region_give(p, false);
		if (p->region == NULL && !finishing)
			region_take(p);
		leave(p, true);
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
	w->ended = true;
	p->workers_ended++;
	world_wake(&p->workers_ended);
}

static bool open_client(struct program *p)
{
	char texts[10][96], addresses[SIM_APPLIANCES_MAX][32];
	char *list[SIM_APPLIANCES_MAX + 12];
	unsigned n = 0;
	int rc;

	snprintf(texts[n++], 96, "local=%llu",
		 (unsigned long long)sim_shape.local);
	snprintf(texts[n++], 96, "lanes=%u", sim_shape.lanes);
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
	rc = extmem_open((const char *const *)list, &p->x);
	if (rc != 0)
		world_note("program.closed: client {client} could not open: {error:error}", p->index, (uint64_t)-rc, 0);
	return rc == 0;
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
		extmem_close(p->x);
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
	w->doing = "close";
	w->since_ns = world_now();
	if (p->region != NULL)
		region_give(p, true);
	if (extmem_close(p->x) != 0)
		sim_counts.failed++;
	w->doing = NULL;
	p->ended = true;
}

/* --- outside ------------------------------------------------------------------------------------------- */

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
	/* Trouble all along: links that lose, appliances without memory,
	 * deadlines that are too short. */
	if (sim_shape.link.loss_permille > 0 || sim_shape.no_memory > 0 ||
	    sim_shape.timeout_ms < 1000) {
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
