/* SPDX-License-Identifier: BSD-3-Clause */
/* How the pager's effects are carried out; see engine.h. */
#include "core/engine/engine_parts.h"

#include <errno.h>

#include "core/pure/plant.h"

/* Drops carried out by one call. */
#define DROPS_MAX 64

static uint8_t *staging_at(const struct xm_engine *e, uint32_t index)
{
	return e->options.staging + index * e->options.page_size;
}

/* --- fetch and store -------------------------------------------------------- */

/* Posts the head of a fetch or store, as the volume has cut it; returns its
 * pages. Where it cannot be posted the pager hears so at once. */
static inline uint32_t issue(struct xm_engine *e, struct xm_move *r,
			     const struct xm_volume_posts *posts, int rc)
{
	/* Ranges lose their pages before they lose their segment. */
	XM_ASSERT(rc != -ERANGE);
	r->local = staging_at(e, r->staging_index);
	r->count = (uint32_t)(posts->size >> e->options.volume->page_shift);
	if (rc == 0)
		rc = xm_engine_issue(e, r, posts);
	e->again_reached |= rc != -ENOTCONN;
	if (rc != 0) {
		note(e, XM_TRACE_ENGINE_POST_FAILED, posts->page,
		     (uint64_t)(int64_t)rc, 0, 0);
		xm_engine_not_posted(e, r, rc);
	}
	return r->count;
}

static void fetch(struct xm_engine *e, const struct xm_pager_effect *effect)
{
	struct xm_move r = { .kind = XM_OPERATION_FETCH,
				.staging_index = effect->staging_index };
	uint64_t size = effect->count * e->options.page_size;
	struct xm_volume_posts posts;
	int rc = xm_volume_read(&e->io, effect->page, 0, size, &posts);
	uint32_t count = issue(e, &r, &posts, rc);

	/* A fetch fills one buffer and ends as one; the pager was told where
	 * its segment ends. */
	XM_ASSERT(count == effect->count);
}

/* How many pages of the staging area, from this one on and at most `count`, are to be
 * stored: up to the first that has not changed. */
static uint32_t changed_run(const struct xm_engine *e, uint32_t index,
			    uint32_t count)
{
	uint32_t run = 0;

	while (run < count &&
	       xm_pager_staged_page(&e->pager, index + run) != XM_NO_PAGE)
		run++;
	return run;
}

static void store(struct xm_engine *e, const struct xm_pager_effect *effect)
{
	struct xm_move r = { .kind = XM_OPERATION_STORE, .write = true,
				.staging_index = effect->staging_index };
	uint64_t page = effect->page, end = page + effect->count;
	struct xm_volume_posts posts;

	while (page < end) {
		uint32_t run = (uint32_t)(end - page);
		uint64_t size;
		int rc;

		if (effect->compare)
			run = changed_run(e, r.staging_index, run);
		if (run == 0) {
			r.staging_index++;
			page++;
			continue;
		}
		size = run * e->options.page_size;
		rc = xm_volume_write(&e->io, page, 0, size, &posts);
		run = issue(e, &r, &posts, rc);
		if (!XM_PLANTED(staging_not_advanced))
			r.staging_index += run;
		page += run;
	}
}

/* Pages that lie apart, as many of them by one write as the volume allows. */
static void store_scattered(struct xm_engine *e,
			    const struct xm_pager_effect *effect)
{
	struct xm_move r = { .kind = XM_OPERATION_STORE, .write = true,
				.scattered = true };
	struct xm_volume_posts posts;

	for (uint32_t n = 0; n < effect->count;) {
		uint64_t pages[XM_PAGER_SCATTER_MAX];
		uint32_t count = 0;
		int rc;

		r.staging_index = effect->staging_index + n;
		while (count < XM_PAGER_SCATTER_MAX &&
		       n + count < effect->count) {
			pages[count] = xm_pager_staged_page(
				&e->pager, r.staging_index + count);
			if (pages[count] == XM_NO_PAGE)
				break;
			count++;
		}
		if (count == 0) {
			n++;
			continue;
		}
		rc = xm_volume_scatter(&e->io, pages, count, &posts);
		n += issue(e, &r, &posts, rc);
	}
}

/* --- the mapper ------------------------------------------------------------- */

/* Drops that follow each other are one call. Returns how many effects those
 * were; 0: the mapper would not, and shall be asked one by one. */
static uint32_t carry_out_drops(struct xm_engine *e, uint32_t first)
{
	const struct xm_pager_effects *fx = &e->effects;
	struct xm_page_range ranges[DROPS_MAX];
	uint32_t count = 0;

	while (count < DROPS_MAX && first + count < fx->count &&
	       fx->list[first + count].kind == XM_DROP) {
		ranges[count].page = fx->list[first + count].page;
		ranges[count].count = fx->list[first + count].count;
		count++;
	}
	if (count < 2 || e->options.mapper_ops->drop(e->options.mapper,
						     ranges, count) != 0)
		return 0;
	return count;
}

/* Calls the watch before a store can reach pages that no store could reach. */
static void watch_change(const struct xm_engine *e, uint64_t page, uint64_t count,
			 const void *contents)
{
	const struct xm_engine_watch *w = e->watch;

	if (w != NULL)
		w->change(w->context, w->base + page * e->options.page_size,
			  contents, count);
}

static void watch_changed(const struct xm_engine *e)
{
	if (e->watch != NULL)
		e->watch->changed(e->watch->context);
}

/* Do the bytes come from a write-back buffer, whose pages are sealed? */
static bool in_writeback(const struct xm_engine *e,
			 const struct xm_pager_effect *effect)
{
	return effect->staging_index >= e->options.pager.fetch_buffers *
						e->options.pager.window_max;
}

static int install(struct xm_engine *e, const struct xm_pager_effect *effect)
{
	const struct xm_mapper_ops *ops = e->options.mapper_ops;
	uint64_t page = effect->page, count = effect->count;
	const void *bytes = effect->staging_index == XM_STAGING_ZERO
				    ? NULL
				    : staging_at(e, effect->staging_index);
	int rc;

	if (e->sealing && bytes != NULL && in_writeback(e, effect)) {
		XM_ASSERT(count == 1);
		bytes = xm_engine_open_copy(e, page, bytes);
	}

	if (effect->protect)
		return ops->install(e->options.mapper, page, count, bytes, true);
	if (!XM_PLANTED(watch_late))
		watch_change(e, page, count, bytes);
	if (effect->print > 0)
		xm_engine_print(e, page, effect->print, bytes);
	rc = ops->install(e->options.mapper, page, count, bytes, false);
	if (XM_PLANTED(watch_late))
		watch_change(e, page, count, bytes);
	watch_changed(e);
	return rc;
}

static int unprotect(struct xm_engine *e, const struct xm_pager_effect *effect)
{
	uint64_t page = effect->page, count = effect->count;
	int rc;

	if (!XM_PLANTED(print_late))
		xm_engine_print_mapped(e, page, effect->print);
	if (XM_PLANTED(watch_misses_unprotect))
		return e->options.mapper_ops->unprotect(e->options.mapper, page,
							count);
	if (e->watch != NULL)
		watch_change(e, page, count,
			     e->watch->base + page * e->options.page_size);
	rc = e->options.mapper_ops->unprotect(e->options.mapper, page, count);
	if (XM_PLANTED(print_late))
		xm_engine_print_mapped(e, page, effect->print);
	watch_changed(e);
	return rc;
}

/* What has not changed keeps its seal. */
static void seal(struct xm_engine *e, const struct xm_pager_effect *effect,
		 uint8_t *bytes)
{
	for (uint32_t i = 0; i < effect->count; i++) {
		if (!effect->compare ||
		    changed_run(e, effect->staging_index + i, 1) == 1)
			xm_engine_seal(e, effect->page + i, 1,
				       bytes + i * e->options.page_size);
	}
}

/* A write-back buffer holds sealed bytes from here on, so that a repeated store sends
 * the same. */
static void copy(struct xm_engine *e, const struct xm_pager_effect *effect)
{
	uint8_t *bytes = staging_at(e, effect->staging_index);

	e->options.mapper_ops->copy(e->options.mapper, effect->page,
				    effect->count, bytes);
	for (uint32_t i = 0; effect->compare && i < effect->count; i++)
		xm_engine_compare(e, effect->staging_index + i);
	if (e->sealing)
		seal(e, effect, bytes);
}

/* False: the mapper would not. */
static bool carry_out_one(struct xm_engine *e,
		      const struct xm_pager_effect *effect)
{
	const struct xm_mapper_ops *ops = e->options.mapper_ops;
	struct xm_mapper *mapper = e->options.mapper;
	uint64_t page = effect->page, count = effect->count;
	int rc = 0;

	switch ((enum xm_pager_effect_kind)effect->kind) {
	case XM_FETCH:
		fetch(e, effect);
		break;
	case XM_STORE:
		if (effect->scattered)
			store_scattered(e, effect);
		else
			store(e, effect);
		break;
	case XM_INSTALL:
		rc = install(e, effect);
		break;
	case XM_PROTECT:
		rc = ops->protect(mapper, page, count);
		break;
	case XM_UNPROTECT:
		rc = unprotect(e, effect);
		break;
	case XM_COPY:
		copy(e, effect);
		break;
	case XM_DROP:
		rc = ops->drop(mapper, &(struct xm_page_range){ page, count },
			       1);
		break;
	case XM_POISON:
		ops->poison(mapper, page, count);
		break;
	}
	return rc == 0;
}

/* The mapper would not, because the address range is not what it was: no thread
 * may be left looking at nothing there. Only the pages of this effect; others of
 * the same step are well. */
static void refused(struct xm_engine *e, const struct xm_pager_effect *effect)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_REFUSED, .now_ns = e->clock_ns,
		.page = effect->page, .limit = effect->page + effect->count,
	};

	e->counters.errors++;
	xm_pager_step(&e->pager, &ev, &e->nested);
	for (uint32_t i = 0; i < e->nested.count; i++) {
		XM_ASSERT(e->nested.list[i].kind == XM_POISON);
		carry_out_one(e, &e->nested.list[i]);
	}
}

/* PROTECTs of neighbours, by one call. Returns how many; 0: this is none, or it is to be
 * carried out by itself. */
static uint32_t carry_out_protects(struct xm_engine *e, uint32_t first)
{
	const struct xm_pager_effects *fx = &e->effects;
	uint64_t page = fx->list[first].page, end = page;
	uint32_t i = first;

	for (; i < fx->count && fx->list[i].kind == XM_PROTECT &&
	       fx->list[i].protect && fx->list[i].page == end; i++)
		end += fx->list[i].count;
	if (i < first + 2 || e->options.mapper_ops->protect(e->options.mapper, page,
							    end - page) != 0)
		return 0;
	return i - first;
}

void xm_engine_carry_out(struct xm_engine *e)
{
	struct xm_pager_effects *fx = &e->effects;
	uint32_t refused_count = 0;

	for (uint32_t i = 0; i < fx->count; i++) {
		uint32_t many = carry_out_drops(e, i);

		if (many == 0)
			many = carry_out_protects(e, i);
		if (many > 0)
			i += many - 1;
		else if (!carry_out_one(e, &fx->list[i]))
			fx->list[refused_count++] = fx->list[i];
	}
	for (uint32_t i = 0; i < refused_count; i++)
		refused(e, &fx->list[i]);
}
