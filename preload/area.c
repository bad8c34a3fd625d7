/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Carries out what the machine of areas (common/areas.h) says about each request of the
 * program: with the library for external memory, with the kernel for the program's own
 * mappings among it. Remapping is in area_remap.c, children of fork() in area_child.c.
 *
 * One lock, from the question to the end of what follows from it, as the kernel has one
 * for a process's mappings. Appliances are asked under it when memory is needed; a touch
 * of external memory never needs it.
 */
#include "preload/area_parts.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#define AREAS_MAX 65530 /* as many as the kernel allows mappings */
#define HUGE_PAGES 512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
struct xm_areas area_table;

void area_lock(void)
{
	pthread_mutex_lock(&lock);
}

void area_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

bool area_touches(const void *address, size_t size)
{
	uintptr_t at = (uintptr_t)address;

	return reserve_base != 0 && size > 0 &&
	       at < reserve_base + reserve_pages * SHIM_PAGE &&
	       (at >= reserve_base || size > reserve_base - at);
}

bool area_holds(const void *address, size_t size)
{
	uint64_t at = (uintptr_t)address - reserve_base;
	uint64_t all = reserve_pages * SHIM_PAGE;

	return reserve_base != 0 && at < all && size <= all - at;
}

static bool begun(void)
{
	void *memory;

	if (area_table.max != 0)
		return true;
	if (!reserve_open())
		return false;
	memory = block_reserve(xm_areas_memory_size(AREAS_MAX));
	if (memory)
		xm_areas_init(&area_table, reserve_pages, AREAS_MAX, memory);
	return memory != NULL;
}

/* --- carrying out ---------------------------------------------------------------------- */

static enum xm_area_rights rights_of(int protection)
{
	return (protection & PROT_WRITE) != 0  ? XM_AREA_READ_WRITE
	       : (protection & PROT_READ) != 0 ? XM_AREA_READ
					       : XM_AREA_NONE;
}

/* A local mapping in place of external pages. What they hold is copied while nobody may
 * store; for a moment nobody may touch them at all. */
static int localize(const struct xm_area_step *s, int protection)
{
	size_t size = (s->limit - s->page) * SHIM_PAGE;
	void *at = reserve_at(s->page), *copy;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	long r;

	if (!s->was.used) {
		r = shim_raw(SYS_mmap, (long)at, (long)size, protection,
			     flags | MAP_FIXED, -1, 0);
	} else {
		copy = local_take(size);
		if (!copy)
			return -ENOMEM;
		r = reserve_protect(s->page, s->limit, XM_AREA_READ);
		if (r >= 0) {
			memcpy(copy, at, size);
			r = shim_raw(SYS_mprotect, (long)copy, (long)size,
				     protection, 0, 0, 0);
		}
		if (r >= 0)
			r = reserve_protect(s->page, s->limit, XM_AREA_NONE);
		if (r >= 0)
			r = reserve_discard(s->page, s->limit, XM_AREA_NONE);
		if (r >= 0)
			r = shim_raw(SYS_mremap, (long)copy, (long)size,
				     (long)size, MREMAP_MAYMOVE | MREMAP_FIXED,
				     (long)at, 0);
		else
			local_give(copy, size);
	}
	if (r < 0)
		return (int)r;
	reserve_planted(s->page, s->limit);
	return 0;
}

static int kernel(const struct xm_area_step *s, const struct area_request *request)
{
	long at = (long)reserve_at(s->page);
	long size = (long)((s->limit - s->page) * SHIM_PAGE);

	if (request->kind == XM_AREAS_RIGHTS || request->kind == XM_AREAS_EXECUTE)
		return (int)shim_raw(SYS_mprotect, at, size,
				     request->protection, 0, 0, 0);
	return (int)shim_raw(SYS_madvise, at, size, request->advice, 0, 0, 0);
}

static int carry_out(const struct xm_area_step *s,
		     const struct area_request *request)
{
	int r = 0;

	for (unsigned i = 0; i < XM_AREA_ACTIONS && r >= 0; i++) {
		switch ((enum xm_area_action)s->action[i]) {
		case XM_AREA_DISCARD:
			r = reserve_discard(s->page, s->limit,
					    (enum xm_area_rights)s->was.rights);
			break;
		case XM_AREA_OPEN:
			r = reserve_protect(s->page, s->limit,
					    (enum xm_area_rights)s->next.rights);
			break;
		case XM_AREA_CLOSE:
			r = reserve_protect(s->page, s->limit, XM_AREA_NONE);
			break;
		case XM_AREA_RESTORE:
			r = reserve_restore(s->page, s->limit);
			break;
		case XM_AREA_LOCALIZE:
			r = localize(s, request->protection);
			break;
		case XM_AREA_KERNEL:
			r = kernel(s, request);
			break;
		default: /* a hole, or what is done when all is */
			break;
		}
	}
	return r;
}

int area_apply(const struct area_request *request, uint64_t page, uint64_t limit)
{
	const struct xm_area_state like = {
		.rights = (uint8_t)rights_of(request->protection),
		.fork = (uint8_t)request->fork,
	};
	const bool stops = request->kind == XM_AREAS_RIGHTS ||
			   request->kind == XM_AREAS_EXECUTE;
	uint64_t used = area_table.used, first = page;
	bool hole = false, returns = false;
	int r = xm_areas_full(&area_table) ? -ENOMEM : 0;

	while (r >= 0 && page < limit && !(hole && stops)) {
		struct xm_area_step s;

		xm_areas_step(&area_table, request->kind, page, limit, like, &s);
		r = carry_out(&s, request);
		hole |= s.action[0] == XM_AREA_HOLE;
		for (unsigned i = 0; i < XM_AREA_ACTIONS; i++)
			returns |= s.action[i] == XM_AREA_RETURN;
		if (r >= 0 && (s.was.kind != XM_AREA_FREE ||
			       s.next.kind != XM_AREA_FREE))
			xm_areas_set(&area_table, s.page, s.limit, s.next);
		page = s.limit;
	}
	budget_live((int64_t)(area_table.used - used) * (int64_t)SHIM_PAGE);
	if (returns)
		reserve_return(&area_table, first, limit);
	return r < 0 ? r : hole ? -ENOMEM : 0;
}

/* External memory for the pages that are to have rights, where they have none yet. */
static int back(uint64_t page, uint64_t limit, bool over)
{
	uint64_t more = 0;
	int r = 0;

	for (uint64_t at = page; at < limit;) {
		struct xm_area a = xm_areas_at(&area_table, at, limit);

		more += a.is.used ? 0 : a.count;
		at += a.count;
	}
	if (budget_limited(more * SHIM_PAGE))
		return -ENOMEM;
	while (r >= 0 && page < limit) {
		struct xm_area a = xm_areas_at(&area_table, page, limit);

		if (over || a.is.kind == XM_AREA_EXTERNAL)
			r = reserve_back(page, page + a.count);
		page += a.count;
	}
	if (r >= 0)
		budget_follow(more * SHIM_PAGE);
	return r;
}

/* --- requests ------------------------------------------------------------------------- */

static void enter(struct shim_section *section)
{
	shim_section_begin(section);
	area_lock();
}

static void leave(const struct shim_section *section)
{
	area_unlock();
	shim_section_end(section);
}

uint64_t area_page(const void *address)
{
	return ((uintptr_t)address - reserve_base) / SHIM_PAGE;
}

/* With the lock held: where `pages` fit. */
bool area_place(const void *hint, uint64_t pages, uint64_t *ret)
{
	uint64_t page = area_page(hint);

	if (hint && area_holds(hint, pages * SHIM_PAGE) &&
	    xm_areas_free(&area_table, page, page + pages)) {
		*ret = page;
		return true;
	}
	/* Others are put close together, so that windows of memory are shared. */
	return xm_areas_place(&area_table, pages,
			      pages % HUGE_PAGES == 0 ? HUGE_PAGES : 1, ret);
}

int area_new(uint64_t page, uint64_t limit, int protection)
{
	const struct area_request request = { .kind = XM_AREAS_MAP,
					      .protection = protection };
	int r = 0;

	if (rights_of(protection) != XM_AREA_NONE)
		r = back(page, limit, true);
	return r < 0 ? r : area_apply(&request, page, limit);
}

static bool possible(int protection)
{
	return reserve_denies || rights_of(protection) == XM_AREA_READ_WRITE;
}

void *area_take(const void *hint, size_t size, int protection)
{
	uint64_t pages = size / SHIM_PAGE, page = 0;
	struct shim_section section;
	int r = -ENOMEM;

	enter(&section);
	if (begun() && possible(protection) && pages <= reserve_pages &&
	    area_place(hint, pages, &page))
		r = area_new(page, page + pages, protection);
	leave(&section);
	if (r >= 0 && rights_of(protection) != XM_AREA_NONE)
		budget_count(1, size);
	return r < 0 ? NULL : reserve_at(page);
}

int area_map(void *address, size_t size, int protection, bool over)
{
	uint64_t page = area_page(address), limit = page + size / SHIM_PAGE;
	struct shim_section section;
	int r;

	enter(&section);
	if (!over && !xm_areas_free(&area_table, page, limit))
		r = -EEXIST;
	else if (!possible(protection))
		r = -ENOTSUP;
	else
		r = area_new(page, limit, protection);
	leave(&section);
	return r;
}

/* With the lock held. */
static long plant(uint64_t page, uint64_t limit, int protection, int flags, int fd,
		  off64_t offset)
{
	const struct area_request request = { .kind = XM_AREAS_PLANT };
	long r = area_apply(&request, page, limit);

	if (r < 0)
		return r;
	flags = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
	r = shim_raw(SYS_mmap, (long)reserve_at(page),
		     (long)((limit - page) * SHIM_PAGE), protection, flags, fd,
		     offset);
	if (r >= 0) {
		reserve_planted(page, limit);
	} else {
		reserve_restore(page, limit);
		xm_areas_set(&area_table, page, limit,
			     (struct xm_area_state){ .kind = XM_AREA_FREE });
	}
	return r;
}

void *area_plant(void *address, size_t size, int protection, int flags, int fd,
		 off64_t offset)
{
	uint64_t page = area_page(address), limit = page + size / SHIM_PAGE;
	struct shim_section section;
	long r = -EEXIST;

	enter(&section);
	if ((flags & MAP_FIXED_NOREPLACE) == 0 ||
	    xm_areas_free(&area_table, page, limit))
		r = plant(page, limit, protection, flags, fd, offset);
	leave(&section);
	return (void *)r;
}

int area_unmap(void *address, size_t size)
{
	const struct area_request request = { .kind = XM_AREAS_UNMAP };
	uint64_t page = area_page(address);
	struct shim_section section;
	int r;

	enter(&section);
	r = area_apply(&request, page, page + size / SHIM_PAGE);
	leave(&section);
	return r;
}

int area_protect(void *address, size_t size, int protection)
{
	struct area_request request = { .kind = XM_AREAS_RIGHTS,
					.protection = protection };
	uint64_t page = area_page(address), limit = page + size / SHIM_PAGE;
	struct shim_section section;
	int r = 0;

	enter(&section);
	if ((protection & PROT_EXEC) != 0 || !possible(protection))
		request.kind = XM_AREAS_EXECUTE;
	else if (rights_of(protection) != XM_AREA_NONE)
		r = back(page, limit, false);
	if (r < 0 && budget_overflow(size)) {
		request.kind = XM_AREAS_EXECUTE; /* local, then */
		r = 0;
	}
	r = r < 0 ? -ENOMEM : area_apply(&request, page, limit);
	leave(&section);
	return r;
}

int area_mapped(const void *address, size_t size)
{
	uint64_t page = area_page(address);
	struct shim_section section;
	bool all;

	enter(&section);
	all = xm_areas_taken(&area_table, page, page + size / SHIM_PAGE);
	leave(&section);
	return all ? 0 : -ENOMEM;
}

bool area_misses(const void *address)
{
	uint64_t page = area_page(address);
	struct shim_section section;
	bool free;

	if (!area_holds(address, 1))
		return false;
	enter(&section);
	free = xm_areas_free(&area_table, page, page + 1);
	leave(&section);
	return free;
}

/* --- advice --------------------------------------------------------------------------- */

#ifndef MADV_KEEPONFORK
#define MADV_WIPEONFORK 18
#define MADV_KEEPONFORK 19
#endif

static const struct {
	int advice;
	enum xm_areas_request kind;
	enum xm_area_fork fork;
} changes[] = {
	{ MADV_DONTNEED, XM_AREAS_DISCARD, 0 },
	{ MADV_FREE, XM_AREAS_DISCARD, 0 },
	{ MADV_DONTFORK, XM_AREAS_FORK, XM_AREA_ABSENT },
	{ MADV_DOFORK, XM_AREAS_FORK, XM_AREA_KEEP },
	{ MADV_WIPEONFORK, XM_AREAS_FORK, XM_AREA_WIPED },
	{ MADV_KEEPONFORK, XM_AREAS_FORK, XM_AREA_KEEP },
};

/* What helps, and may be done or not; holes are told. */
static int hint(uint64_t page, uint64_t limit, int advice)
{
	int r = 0;

	while (page < limit) {
		struct xm_area a = xm_areas_at(&area_table, page, limit);
		int means = map_advice_meaning(advice);

		if (a.is.kind == XM_AREA_LOCAL)
			shim_raw(SYS_madvise, (long)reserve_at(page),
				 (long)(a.count * SHIM_PAGE), advice, 0, 0, 0);
		else if (a.is.kind == XM_AREA_FREE)
			r = -ENOMEM;
		else if (a.is.used && means >= 0)
			reserve_advise(page, page + a.count,
				       (enum extmem_advice)means);
		page += a.count;
	}
	return r;
}

int area_advise(void *address, size_t size, int advice)
{
	uint64_t page = area_page(address), limit = page + size / SHIM_PAGE;
	struct area_request request = { .advice = advice };
	struct shim_section section;
	bool change = false;
	int r;

	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if (changes[i].advice == advice) {
			request.kind = changes[i].kind;
			request.fork = changes[i].fork;
			change = true;
		}
	enter(&section);
	r = change ? area_apply(&request, page, limit)
		   : hint(page, limit, advice);
	leave(&section);
	return r;
}
