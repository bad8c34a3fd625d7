/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulated mapper: an arena of ordinary memory and the state of each of its
 * pages. A touch of a page that is not there, or a store to a protected one, calls the
 * client's handler, as the kernel would by SIGBUS; every promise of core/pure/mapper.h
 * is asserted.
 */
#include "core/pure/mapper.h"

#include <errno.h>
#include <string.h>

#include "core/client/client.h"
#include "sim/cost.h"
#include "sim/fibers.h"
#include "sim/laws.h"
#include "sim/mapper.h"
#include "sim/memory.h"
#include "sim/notes.h"
#include "sim/programs.h"
#include "sim/shape.h"
#include "sim/sparse.h"
#include "sim/touch.h"
#include "sim/weather.h"
#include "sim/world.h"

enum page { DETACHED, ABSENT, OPEN, PROTECTED, POISONED };

struct xm_mapper {
	struct xm_mapper *next;
	const struct process *process;
	struct sparse *arena;
	uint8_t *base, *states;
	uint64_t pages, page_size;
	uint64_t here; /* pages that are */
	struct xm_fault_handler handler;
};

/* Those of live processes. */
static struct xm_mapper *mappers;

/* Other threads run while the kernel works for this one, and may store meanwhile. */
#define PREEMPT 8

static void meanwhile(void)
{
	if (!cost.on && world_chance(WORLD_SCHEDULE, PREEMPT))
		world_yield();
}

#define LINE 64

/* Another thread stores into one of these pages, if it is mapped writable. */
#define RACE 6

static void race(const struct xm_mapper *m, uint64_t page, uint64_t count)
{
	if (!sim_shape.races || !world_chance(WORLD_SCHEDULE, RACE))
		return;
	page += xm_rand_below(world_rand(WORLD_SCHEDULE), count);
	if (m->states[page] == OPEN)
		program_races(world_current(), page);
}

/* Overwrites some lines of a page that is dropped, among them those of the words
 * that programs watch (word_places), so that a read of it is noticed. */
static void spoil(struct xm_mapper *m, uint64_t page, int byte)
{
	uint8_t *at = m->base + page * m->page_size;

	memset(at, byte, LINE);
	memset(at + 2040 / LINE * LINE, byte, LINE);
	memset(at + m->page_size - LINE, byte, LINE);
}

static int attach(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	XM_ASSERT(xm_span_fits(page, count, m->pages));
	for (uint64_t i = page; i < page + count; i++) {
		XM_ASSERT(m->states[i] == DETACHED);
		m->states[i] = ABSENT;
	}
	return 0;
}

static void detach(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	XM_ASSERT(xm_span_fits(page, count, m->pages));
	for (uint64_t i = page; i < page + count; i++) {
		if (m->states[i] == OPEN || m->states[i] == PROTECTED) {
			spoil(m, i, 0xee);
			m->here--;
		}
		m->states[i] = DETACHED;
	}
}

static int install(struct xm_mapper *m, uint64_t page, uint64_t count,
		   const void *bytes, bool protect)
{
	cost_spend_pages(cost.install, cost.install_page, count);
	for (uint64_t i = 0; i < count; i++) {
		uint8_t *at = m->base + (page + i) * m->page_size;

		XM_ASSERT(m->states[page + i] == ABSENT);
		if (bytes == NULL)
			sparse_clear(m->arena, (page + i) * m->page_size,
				     m->page_size);
		sparse_mark(m->arena, (page + i) * m->page_size, m->page_size);
		if (bytes != NULL)
			memcpy(at, (const uint8_t *)bytes + i * m->page_size,
			       m->page_size);
		m->states[page + i] = protect ? PROTECTED : OPEN;
		m->here++;
	}
	if (!protect)
		law_opened(m->process, m->base + page * m->page_size,
			   count * m->page_size);
	return 0;
}

static int set(struct xm_mapper *m, uint64_t page, uint64_t count,
	       enum page state)
{
	for (uint64_t i = page; i < page + count; i++) {
		if (m->states[i] != OPEN && m->states[i] != PROTECTED) {
			XM_ASSERT(state == PROTECTED);
			continue;
		}
		m->states[i] = (uint8_t)state;
	}
	return 0;
}

static int protect(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	cost_spend_pages(cost.protect, cost.protect_page, count);
	meanwhile();
	race(m, page, count);
	/* Stores went into it until now. */
	sparse_mark(m->arena, page * m->page_size, count * m->page_size);
	return set(m, page, count, PROTECTED);
}

/* Stores reach the pages before this returns. */
static int unprotect(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	int rc;

	cost_spend_pages(cost.protect, cost.protect_page, count);
	law_opened(m->process, m->base + page * m->page_size,
		   count * m->page_size);
	rc = set(m, page, count, OPEN);
	race(m, page, count);
	return rc;
}

static void copy(struct xm_mapper *m, uint64_t page, uint64_t count, void *ret)
{
	for (uint64_t i = page; i < page + count; i++)
		XM_ASSERT(m->states[i] == OPEN || m->states[i] == PROTECTED);
	cost_spend_pages(cost.copy_page, cost.copy_page, count);
	memcpy(ret, m->base + page * m->page_size, count * m->page_size);
	race(m, page, count);
	meanwhile();
}

static int drop(struct xm_mapper *m, const struct xm_page_range *ranges,
		uint32_t count)
{
	uint64_t pages = 0;

	/* All by one call, where the kernel has one. */
	for (uint32_t i = 0; i < count; i++)
		pages += ranges[i].count;
	cost_spend_pages(cost.drop, cost.drop_page, pages);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t page = ranges[i].page;

		meanwhile();
		set(m, page, ranges[i].count, ABSENT);
		m->here -= ranges[i].count;
		for (uint64_t k = 0; k < ranges[i].count; k++)
			spoil(m, page + k, 0xdb);
	}
	return 0;
}

static void poison(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count; i++) {
		XM_ASSERT(m->states[i] == ABSENT || m->states[i] == POISONED);
		m->states[i] = POISONED;
	}
}

static void wake(struct xm_mapper *m, uint64_t page, uint64_t count)
{
	(void)m;
	(void)page;
	(void)count;
}

/* --- opening ------------------------------------------------------------------------ */

static void probe(struct xm_mapper_capabilities *ret)
{
	memset(ret, 0, sizeof(*ret));
}

static int open_mapper(const struct xm_mapper_options *o, char *words,
		       size_t words_size, struct xm_mapper **ret)
{
	struct xm_mapper *m;

	if (weather_no_memory()) {
		snprintf(words, words_size, "no memory, says the weather");
		return -ENOMEM;
	}
	m = world_alloc(sizeof(*m));
	m->pages = o->pages;
	m->page_size = o->page_size;
	m->arena = sparse_take(m->pages * m->page_size);
	m->base = m->arena->bytes;
	m->process = world_current();
	m->next = mappers;
	mappers = m;
	m->states = world_alloc(m->pages);
	*ret = m;
	return 0;
}

/* The rest of its memory is freed with the process. */
static void forget(struct xm_mapper *m)
{
	struct xm_mapper **link = &mappers;

	while (*link != m)
		link = &(*link)->next;
	*link = m->next;
	law_watch_forget(m->process);
	sparse_give(m->arena);
}

void mapper_process_died(const struct process *process)
{
	for (struct xm_mapper *m = mappers, *next; m != NULL; m = next) {
		next = m->next;
		if (m->process == process)
			forget(m);
	}
}

static void close_mapper(struct xm_mapper *m)
{
	XM_ASSERT(m->handler.serve == NULL);
	forget(m);
	world_free(m->states);
	world_free(m);
}

static void limits(const struct xm_mapper *m, struct xm_mapper_limits *ret)
{
	*ret = (struct xm_mapper_limits){
		.paging = "inline",
		.reason = "simulated",
		.base = m->base,
		.pages = m->pages,
		.page_size = m->page_size,
		.denies = true,
		.descriptor = -1,
	};
}

/* --- faults -------------------------------------------------------------------------- */

static int begin(struct xm_mapper *m, const struct xm_fault_handler *handler,
		 char *words, size_t words_size)
{
	(void)words;
	(void)words_size;
	XM_ASSERT(m->handler.serve == NULL);
	m->handler = *handler;
	return 0;
}

static void end(struct xm_mapper *m)
{
	XM_ASSERT(m->handler.serve != NULL);
	m->handler = (struct xm_fault_handler){ .context = NULL };
}

static int faults(struct xm_mapper *m, struct xm_fault *ret, int count)
{
	(void)m;
	(void)ret;
	(void)count;
	return 0;
}

static enum xm_touched touch(struct xm_mapper *m, uint64_t page, bool write)
{
	const uint8_t *state = &m->states[page];
	enum xm_touched touched;

	for (unsigned i = 0; i < 1000; i++) {
		if (*state == OPEN || (*state == PROTECTED && !write))
			return XM_TOUCHED_SERVED;
		if (*state == POISONED)
			return XM_TOUCHED_LOST;
		/* SIGSEGV: the program of a run never does that. */
		XM_ASSERT(*state != DETACHED);
		cost_spend(cost.deliver + cost.step);
		touched = m->handler.serve(m->handler.context, page, write);
		if (touched != XM_TOUCHED_SERVED)
			return touched;
	}
	world_broken("liveness", "page %llu was served 1000 times and is "
		     "still not there", (unsigned long long)page);
}

/* In reality the library's own access to a lost page is a SIGBUS, too, and ends the
 * process. Here the caller goes on with undefined bytes. */
static void each_page(struct xm_mapper *m, uint64_t offset, uint8_t *to,
		      const uint8_t *from, size_t size)
{
	while (size > 0) {
		size_t part = xm_min(size, m->page_size - offset % m->page_size);
		bool here = touch(m, offset / m->page_size, from != NULL) ==
			    XM_TOUCHED_SERVED;

		if (here && from != NULL)
			memcpy(m->base + offset, from, part);
		else if (here)
			memcpy(to, m->base + offset, part);
		offset += part;
		size -= part;
		if (from != NULL)
			from += part;
		else
			to += part;
	}
}

static void load(struct xm_mapper *m, uint64_t offset, void *ret, size_t size)
{
	each_page(m, offset, ret, NULL, size);
}

static void store(struct xm_mapper *m, uint64_t offset, const void *bytes,
		  size_t size)
{
	each_page(m, offset, NULL, bytes, size);
}

static const struct xm_mapper_ops ops = {
	.name = "sim",
	.probe = probe,
	.open = open_mapper,
	.close = close_mapper,
	.limits = limits,
	.begin = begin,
	.end = end,
	.faults = faults,
	.load = load,
	.store = store,
	.attach = attach,
	.detach = detach,
	.install = install,
	.protect = protect,
	.unprotect = unprotect,
	.copy = copy,
	.drop = drop,
	.poison = poison,
	.wake = wake,
};

const struct xm_mapper_ops *const xm_mappers[] = { &ops, NULL };

/* --- what the world sees ----------------------------------------------------------------- */

enum xm_touched touch_page(extmem *x, uint64_t page, bool write)
{
	return touch(x->arena.mapper, page, write);
}

uint64_t touch_changed(const extmem *x, uint64_t page)
{
	return sparse_changed(x->arena.mapper->arena, page * x->arena.mapper->page_size);
}

uint64_t touch_count(const extmem *x)
{
	return x->arena.mapper->here;
}

void touch_state(extmem *x, uint64_t page, bool *ret_here, bool *ret_open)
{
	*ret_here = x->arena.mapper->states[page] == OPEN ||
		    x->arena.mapper->states[page] == PROTECTED;
	*ret_open = x->arena.mapper->states[page] == OPEN;
}
