/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mremap(2) of what lies in the reserve.
 *
 * External memory belongs to its addresses: what grows does so where it is, if what is
 * behind it is free, and else is copied, piece by piece, to where there is room. The
 * program's own mappings are moved by the kernel.
 */
#include "preload/area_parts.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#define MOVE_PAGES 256 /* copied, and discarded at the source */

struct move {
	uint64_t from, from_limit;
	uint64_t to, to_limit;
	bool stays; /* MREMAP_DONTUNMAP: the old pages, empty */
};

static int request(enum xm_areas_request kind, uint64_t page, uint64_t limit)
{
	const struct area_request request = { .kind = kind };

	return page < limit ? area_apply(&request, page, limit) : 0;
}

/* One piece of one state, which may be read by now. */
static int copy(uint64_t from, uint64_t to, uint64_t count)
{
	int r = 0;

	for (uint64_t done = 0; r >= 0 && done < count;) {
		uint64_t n = count - done < MOVE_PAGES ? count - done : MOVE_PAGES;

		memcpy(reserve_at(to + done), reserve_at(from + done),
		       n * SHIM_PAGE);
		/* So that what was moved is not in local memory twice. */
		r = reserve_discard(from + done, from + done + n, XM_AREA_READ);
		done += n;
	}
	return r;
}

/* The new pages are external, readable and writable: they get what the old ones have. */
static int move_piece(const struct move *m, const struct xm_area *a)
{
	const uint64_t to = m->to + (a->page - m->from);
	struct xm_area_state is = a->is;
	int r = 0;

	if (a->is.used)
		r = reserve_protect(a->page, a->page + a->count, XM_AREA_READ);
	if (r >= 0 && a->is.used)
		r = copy(a->page, to, a->count);
	if (a->is.used)
		reserve_protect(a->page, a->page + a->count,
				(enum xm_area_rights)a->is.rights);
	if (r >= 0 && a->is.rights != XM_AREA_READ_WRITE)
		r = reserve_protect(to, to + a->count,
				    (enum xm_area_rights)a->is.rights);
	is.used = true;
	if (r >= 0)
		xm_areas_set(&area_table, to, to + a->count, is);
	return r;
}

static int lengthen(uint64_t page, uint64_t limit, struct xm_area_state is)
{
	int r = 0;

	if (is.rights != XM_AREA_READ_WRITE)
		r = reserve_protect(page, limit, (enum xm_area_rights)is.rights);
	is.used = true;
	if (r >= 0)
		xm_areas_set(&area_table, page, limit, is);
	return r;
}

static int move(const struct move *m)
{
	const uint64_t count = m->to_limit - m->to;
	const uint64_t moved = m->from_limit - m->from < count
				       ? m->from_limit : m->from + count;
	int r = area_new(m->to, m->to_limit, PROT_READ | PROT_WRITE);

	for (uint64_t page = m->from; r >= 0 && page < moved;) {
		struct xm_area a = xm_areas_at(&area_table, page, moved);

		r = xm_areas_full(&area_table) ? -ENOMEM : move_piece(m, &a);
		page += a.count;
	}
	/* What it is longer by is as the last of it was. */
	if (r >= 0 && m->to + (moved - m->from) < m->to_limit)
		r = lengthen(m->to + (moved - m->from), m->to_limit,
			     xm_areas_at(&area_table, m->from_limit - 1,
					 m->from_limit).is);
	if (r < 0)
		return r;
	return request(m->stays ? XM_AREAS_DISCARD : XM_AREAS_UNMAP, m->from,
		       m->from_limit);
}

/* A mapping of the program's own, as a whole; `place` is NULL: anywhere. */
static long move_local(uint64_t from, uint64_t limit, size_t size, int flags,
		       void *place)
{
	bool into = place && area_holds(place, size);
	uint64_t to = area_page(place), to_limit = to + size / SHIM_PAGE;
	long r = 0;

	if ((flags & MREMAP_DONTUNMAP) != 0)
		return -EOPNOTSUPP;
	if (into)
		r = request(XM_AREAS_PLANT, to, to_limit);
	if (r >= 0)
		r = shim_raw(SYS_mremap, (long)reserve_at(from),
			     (long)((limit - from) * SHIM_PAGE), (long)size,
			     MREMAP_MAYMOVE | (place ? MREMAP_FIXED : 0),
			     (long)place, 0);
	if (into && r >= 0)
		reserve_planted(to, to_limit);
	else if (into)
		reserve_restore(to, to_limit);
	if (into && r < 0)
		xm_areas_set(&area_table, to, to_limit,
			     (struct xm_area_state){ .kind = XM_AREA_FREE });
	if (r < 0)
		return r;
	reserve_restore(from, limit);
	xm_areas_set(&area_table, from, limit,
		     (struct xm_area_state){ .kind = XM_AREA_FREE });
	return r;
}

static enum xm_area_kind kind_of(uint64_t page, uint64_t limit)
{
	struct xm_area first = xm_areas_at(&area_table, page, limit);
	enum xm_area_kind kind = (enum xm_area_kind)first.is.kind;

	while (page < limit) {
		struct xm_area a = xm_areas_at(&area_table, page, limit);

		if (a.is.kind != kind)
			return XM_AREA_FREE;
		page += a.count;
	}
	return kind;
}

/* Where it is: 0, or -ENOMEM if it cannot be. */
static int resize(uint64_t page, uint64_t limit, uint64_t new_limit)
{
	struct xm_area last = xm_areas_at(&area_table, limit - 1, limit);
	const int protection = last.is.rights == XM_AREA_READ_WRITE
				       ? PROT_READ | PROT_WRITE
			       : last.is.rights == XM_AREA_READ ? PROT_READ
								: PROT_NONE;

	if (new_limit <= limit)
		return request(XM_AREAS_UNMAP, new_limit, limit);
	if (last.is.kind != XM_AREA_EXTERNAL || new_limit > reserve_pages ||
	    new_limit < page || !xm_areas_free(&area_table, limit, new_limit))
		return -ENOMEM;
	return area_new(limit, new_limit, protection);
}

static int fixed(uint64_t page, uint64_t limit, void *place, size_t size,
		 struct move *ret)
{
	uint64_t to = area_page(place);

	if (!area_holds(place, size))
		return -EOPNOTSUPP;
	if (to < limit && page < to + size / SHIM_PAGE)
		return -EINVAL;
	ret->to = to;
	return request(XM_AREAS_UNMAP, to, to + size / SHIM_PAGE);
}

/* With the lock held. */
static long remap(uint64_t page, uint64_t limit, size_t size, int flags, void *place)
{
	struct move m = { .from = page, .from_limit = limit,
			  .stays = (flags & MREMAP_DONTUNMAP) != 0 };
	bool moves = (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0;
	/* What only becomes shorter may have holes. */
	bool less = !moves && page + size / SHIM_PAGE <= limit;
	enum xm_area_kind kind = kind_of(page, less ? page + 1 : limit);
	int r;

	if (kind == XM_AREA_FREE)
		return -EFAULT;
	r = moves ? -ENOMEM : resize(page, limit, page + size / SHIM_PAGE);
	if (r != -ENOMEM || (flags & MREMAP_MAYMOVE) == 0)
		return r < 0 ? r : (long)reserve_at(page);
	if (kind == XM_AREA_LOCAL)
		return move_local(page, limit, size, flags,
				  (flags & MREMAP_FIXED) != 0 ? place : NULL);
	if ((flags & MREMAP_FIXED) != 0)
		r = fixed(page, limit, place, size, &m);
	else
		r = area_place(NULL, size / SHIM_PAGE, &m.to) ? 0 : -ENOMEM;
	m.to_limit = m.to + size / SHIM_PAGE;
	if (r >= 0)
		r = move(&m);
	return r < 0 ? r : (long)reserve_at(m.to);
}

void *area_remap(void *address, size_t old_size, size_t size, int flags, void *place)
{
	uint64_t page = area_page(address);
	struct shim_section section;
	long r;

	shim_section_begin(&section);
	area_lock();
	r = remap(page, page + old_size / SHIM_PAGE, size, flags, place);
	area_unlock();
	shim_section_end(&section);
	return (void *)r;
}
