/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmap(2) and its relatives.
 *
 * External: private anonymous memory from the threshold on, whatever rights it has or
 * gets, but to execute. It lies in the reserve, where area.c knows what is mapped; so a
 * program may reserve addresses without rights, give parts of them rights, map over them,
 * and take all of that back. A MAP_NORESERVE mapping that is readable, and too large for
 * external memory, stays local, since programs reserve far more than they use; it is
 * counted.
 *
 * Local, as without us: executable and shared memory, files, stacks, huge pages, locked
 * memory. At addresses of the reserve such a mapping is put in the place of external
 * memory.
 *
 * Memory of malloc() is not the program's to map over, unmap or move: such calls fail
 * with errno and a line on stderr. They must not reach the kernel, which would take pages
 * away without the library's knowledge. Its rights can be changed.
 */
#include "preload/map.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "preload/area.h"
#include "preload/reserve.h"

#ifndef MAP_32BIT /* of x86-64 alone */
#define MAP_32BIT 0
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define LOCAL_FLAGS                                                           \
	(MAP_SHARED | MAP_STACK | MAP_GROWSDOWN | MAP_HUGETLB | MAP_LOCKED |  \
	 MAP_32BIT)
#define FIXED_FLAGS (MAP_FIXED | MAP_FIXED_NOREPLACE)
#define ADDRESSES_END (UINT64_C(1) << 47)

/* A refusal is counted: a program may try again and again, and a message is
 * printed the first time, then at 10, 100, 1000, ... */
struct refusal {
	int error;
	const char *words;
	_Atomic uint64_t count;
};

static void *map_refuse(struct refusal *r)
{
	uint64_t count = atomic_fetch_add(&r->count, 1) + 1, power = 1;

	while (power < count)
		power *= 10;
	if (count == 1)
		shim_say("%s", r->words);
	else if (count == power)
		shim_say("%s (%llu times so far)", r->words,
			 (unsigned long long)count);
	errno = r->error;
	return MAP_FAILED;
}

static struct refusal over_heap = {
	.error = ENOTSUP,
	.words = "mmap: MAP_FIXED over memory of malloc() is not possible; a "
		 "higher --threshold keeps such memory local",
};
static struct refusal moved = {
	.error = EINVAL,
	.words = "mremap: external memory cannot be moved to this place, or be "
		 "in two places",
};
static struct refusal heap_protected = {
	.error = EACCES,
	.words = "mprotect: memory of malloc() cannot be executable here; a "
		 "higher --threshold keeps such memory local",
};
static struct refusal keyed = {
	.error = EINVAL,
	.words = "pkey_mprotect: external memory has no protection keys; a "
		 "higher --threshold keeps such memory local",
};
static struct refusal locked = {
	.error = ENOMEM,
	.words = "mlock: external memory cannot be locked",
};
static struct refusal all_locked = {
	.error = ENOMEM,
	.words = "mlockall: external memory cannot be locked, nor can all "
		 "memory be while some is external",
};

/* The addresses that are reserved for more count too. */
bool map_touches(const void *address, size_t size)
{
	uintptr_t first = (uintptr_t)address, last = first + size - 1;

	if (size == 0)
		return false;
	if (last < first)
		last = UINTPTR_MAX;
	return map_arena_size != 0 && first < map_arena + map_arena_size &&
	       last >= map_arena;
}

static int fail(int error)
{
	errno = error;
	return -1;
}

/* Whole pages, the last one by its first byte, as the kernel has it. False: EINVAL. */
static bool rounded(const void *address, size_t *size)
{
	if ((uintptr_t)address % SHIM_PAGE != 0 || *size > ADDRESSES_END)
		return fail(EINVAL) == 0;
	*size = (*size + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	return true;
}

/* --- mmap -------------------------------------------------------------------------- */

/* Over addresses of the arena. */
static void *map_over(void *address, size_t size, int rights, int flags, int fd,
		      off64_t offset)
{
	bool over = (flags & MAP_FIXED_NOREPLACE) == 0;
	void *p;
	int r;

	if (size == 0 || !rounded(address, &size))
		return (void *)(intptr_t)fail(EINVAL);
	if (!area_holds(address, size))
		return map_refuse(&over_heap);
	if ((flags & MAP_ANONYMOUS) != 0 && (flags & LOCAL_FLAGS) == 0 &&
	    (rights & PROT_EXEC) == 0) {
		r = area_map(address, size, rights, over);
		if (r >= 0)
			return address;
		if (r == -EEXIST || (r != -ENOTSUP && !budget_overflow(size)))
			return (void *)(intptr_t)fail(r == -EEXIST ? EEXIST
								   : ENOMEM);
	}
	if (!rest_allows(size, rights, flags))
		return (void *)(intptr_t)fail(ENOMEM);
	p = area_plant(address, size, rights, flags, fd, offset);
	return (void *)map_raw_result((long)p);
}

SHIM_EXPORT void *mmap64(void *address, size_t size, int rights, int flags,
			 int fd, off64_t offset)
{
	bool can_be = (flags & MAP_ANONYMOUS) != 0 &&
		      (flags & (LOCAL_FLAGS | FIXED_FLAGS)) == 0 &&
		      (rights & PROT_EXEC) == 0,
	     external = can_be && SHIM_WANTED(size);
	size_t all = size;
	void *p;

	if (map_reserves(address, size, rights, flags, &p))
		return p;
	if ((flags & FIXED_FLAGS) != 0 && map_touches(address, size)) {
		if (!SHIM_BYPASSED())
			return map_over(address, size, rights, flags, fd,
					offset);
		p = map_kernel(address, size, rights, flags, fd, offset);
		if (p != MAP_FAILED && !shim_inside && rounded(p, &all))
			area_child_planted(p, all);
		return p;
	}
	if (external && size != 0 && rounded(NULL, &all)) {
		p = area_take((uintptr_t)address % SHIM_PAGE == 0 ? address
								  : NULL,
			      all, rights);
		if (p)
			return p;
		if (rights != (PROT_READ | PROT_WRITE))
			; /* of no weight, wherever it is */
		else if ((flags & MAP_NORESERVE) != 0) {
			atomic_fetch_add(&shim_shared->overflow_count, 1);
			atomic_fetch_add(&shim_shared->overflow_bytes, size);
		} else if (!budget_overflow(size)) {
			errno = ENOMEM;
			return MAP_FAILED;
		}
	}
	if (!rest_allows(size, rights, flags)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	if (can_be && !shim_inside)
		opening_mapped(size);
	return map_kernel(address, size, rights, flags, fd, offset);
}

SHIM_EXPORT void *mmap(void *address, size_t size, int rights, int flags,
		       int fd, off_t offset)
	__attribute__((alias("mmap64")));

/* The end of the part of [at, end) that lies in the reserve, or does not. */
static uintptr_t part_end(uintptr_t at, uintptr_t end, bool *ret_in)
{
	uintptr_t first = reserve_base;
	uintptr_t last = first + reserve_pages * SHIM_PAGE;

	*ret_in = first != 0 && at >= first && at < last;
	if (*ret_in)
		return end < last ? end : last;
	return first != 0 && at < first && end > first ? first : end;
}

/* --- munmap ------------------------------------------------------------------------- */

/* Of the arena, but not of the reserve: it is malloc()'s, or nobody's. */
static int unmap_heap(uintptr_t at, uintptr_t end)
{
	for (; at < end; at += SHIM_PAGE)
		if (block_contains((void *)at, 1))
			return fail(EINVAL);
	return 0;
}

static int unmap_part(uintptr_t at, uintptr_t end, bool in)
{
	int r;

	if (!in)
		return map_touches((void *)at, end - at)
			       ? unmap_heap(at, end)
			       : map_kernel_unmap((void *)at, end - at);
	r = area_unmap((void *)at, end - at);
	return r < 0 ? fail(-r) : 0;
}

SHIM_EXPORT int munmap(void *address, size_t size)
{
	uintptr_t at = (uintptr_t)address, end;
	size_t all = size;
	bool in;
	int r = 0;

	if (!map_touches(address, size) || SHIM_BYPASSED()) {
		r = map_kernel_unmap(address, size);
		if (r == 0 && !shim_inside && rounded(address, &all))
			area_child_unmapped(address, all);
		return r;
	}
	if (at >= ADDRESSES_END || size > ADDRESSES_END - at ||
	    !rounded(address, &all))
		return fail(EINVAL);
	for (end = at + all; at < end && r == 0;) {
		uintptr_t to = part_end(at, end, &in);

		r = unmap_part(at, to, in);
		at = to;
	}
	return r;
}

/* --- mremap ------------------------------------------------------------------------- */

/* In a child the kernel would leave the new place without anybody to serve
 * it. */
static void *child_remap(void *address, size_t old_size, size_t size, int flags)
{
	void *p;

	if ((flags & ~MREMAP_MAYMOVE) != 0)
		return map_refuse(&moved);
	if (size <= old_size) {
		if (size < old_size)
			munmap((char *)address + size, old_size - size);
		return address;
	}
	if ((flags & MREMAP_MAYMOVE) == 0) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	p = shim_real()->mmap(NULL, size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return p;
	memcpy(p, address, old_size);
	munmap(address, old_size);
	return p;
}

static void *external_remap(void *address, size_t old_size, size_t size,
			    int flags, void *place)
{
	bool fixed = (flags & MREMAP_FIXED) != 0;
	void *p;

	if (old_size == 0)
		return map_refuse(&moved); /* a second place of shared memory */
	if (!rounded(address, &old_size) || !rounded(fixed ? place : NULL, &size) ||
	    size == 0 ||
	    (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0 ||
	    ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0 &&
	     (flags & MREMAP_MAYMOVE) == 0) ||
	    ((flags & MREMAP_DONTUNMAP) != 0 && size != old_size))
		return (void *)(intptr_t)fail(EINVAL);
	if (!area_holds(address, old_size))
		return (void *)(intptr_t)fail(EFAULT);
	p = area_remap(address, old_size, size, flags, place);
	if (p == (void *)-EOPNOTSUPP)
		return map_refuse(&moved);
	return (void *)map_raw_result((long)p);
}

/* The program's own memory, from elsewhere into the reserve. */
static void *remap_into(void *address, size_t old_size, size_t size, int flags,
			void *place)
{
	if (!rounded(place, &size) || size == 0 || !area_holds(place, size))
		return map_refuse(&moved);
	/* A mapping that the kernel can put the other over. */
	if (area_plant(place, size, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) !=
	    place)
		return (void *)(intptr_t)fail(ENOMEM);
	return map_kernel_remap(address, old_size, size, flags, place);
}

SHIM_EXPORT void *mremap(void *address, size_t old_size, size_t size, int flags,
			 ...)
{
	void *place = NULL;
	va_list arguments;

	if ((flags & MREMAP_FIXED) != 0) {
		va_start(arguments, flags);
		place = va_arg(arguments, void *);
		va_end(arguments);
	}
	if (block_contains(address, old_size) && atomic_load(&child_serves))
		return child_remap(address, old_size, size, flags);
	if (SHIM_BYPASSED())
		return map_kernel_remap(address, old_size, size, flags, place);
	if (map_touches(address, old_size ? old_size : 1))
		return external_remap(address, old_size, size, flags, place);
	if (place && map_touches(place, size))
		return remap_into(address, old_size, size, flags, place);
	return map_kernel_remap(address, old_size, size, flags, place);
}

/* --- madvise ------------------------------------------------------------------------ */

int map_advice_meaning(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
		return EXTMEM_NORMAL;
	case MADV_RANDOM:
		return EXTMEM_RANDOM;
	case MADV_SEQUENTIAL:
		return EXTMEM_SEQUENTIAL;
	case MADV_WILLNEED:
	case 22: /* MADV_POPULATE_READ, newer than some headers */
	case 23: /* MADV_POPULATE_WRITE */
		return EXTMEM_WILLNEED;
	case MADV_DONTNEED:
	case MADV_FREE:
		return EXTMEM_DONTNEED;
	case 20: /* MADV_COLD */
	case 21: /* MADV_PAGEOUT */
		return EXTMEM_COLD;
	default:
		return -1;
	}
}

/* What is a hint, and nothing must come of it. */
static bool is_hint(int advice)
{
	return advice == MADV_HUGEPAGE || advice == MADV_NOHUGEPAGE ||
	       advice == MADV_MERGEABLE || advice == MADV_UNMERGEABLE ||
	       advice == MADV_DONTDUMP || advice == MADV_DODUMP;
}

/* What decides what a child of fork() has; of malloc()'s memory it cannot be decided. */
static bool is_for_forks(int advice)
{
	return advice == MADV_DONTFORK || advice == MADV_DOFORK ||
	       advice == 18 || advice == 19; /* WIPEONFORK, KEEPONFORK */
}

static int advise(void *address, size_t size, int advice)
{
	bool in_child = atomic_load(&child_serves);
	int r = -EINVAL;

	if (!rounded(address, &size))
		return -1;
	if (!in_child && area_holds(address, size) &&
	    (map_advice_meaning(advice) >= 0 || is_hint(advice) || is_for_forks(advice)))
		r = area_advise(address, size, advice);
	else if (map_advice_meaning(advice) >= 0)
		r = block_advise(address, size,
				 (enum extmem_advice)map_advice_meaning(advice));
	else if (is_hint(advice) || advice == MADV_DOFORK)
		r = 0;
	return r < 0 ? fail(-r) : 0;
}

SHIM_EXPORT int madvise(void *address, size_t size, int advice)
{
	if (map_touches(address, size) &&
	    (!SHIM_BYPASSED() || (atomic_load(&child_serves) && !shim_inside &&
				  block_contains(address, size))))
		return advise(address, size, advice);
	return map_kernel_advise(address, size, advice);
}

SHIM_EXPORT int posix_madvise(void *address, size_t size, int advice)
{
	if (!map_touches(address, size) || SHIM_BYPASSED())
		return shim_real()->posix_madvise(address, size, advice);
	if (advice == POSIX_MADV_DONTNEED)
		return 0; /* POSIX: contents stay */
	return advise(address, size, advice) < 0 ? errno : 0;
}

/* --- rights, locks ------------------------------------------------------------------ */

static int protect_part(uintptr_t at, uintptr_t end, bool in, int rights)
{
	void *address = (void *)at;
	int r;

	if (in)
		r = area_protect(address, end - at, rights);
	else if (!map_touches(address, 1))
		return map_kernel_protect(address, end - at, rights);
	else if ((rights & PROT_EXEC) != 0)
		r = -ENOTSUP;
	else
		r = block_protect(address, end - at, rights);
	if (r == -ENOTSUP) {
		map_refuse(&heap_protected);
		return -1;
	}
	return r < 0 ? fail(-r) : 0;
}

SHIM_EXPORT int mprotect(void *address, size_t size, int rights)
{
	uintptr_t at = (uintptr_t)address, end;
	bool in;
	int r = 0;

	if (!map_touches(address, size) || SHIM_BYPASSED())
		return map_kernel_protect(address, size, rights);
	if ((rights & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) != 0 ||
	    !rounded(address, &size))
		return fail(EINVAL);
	for (end = at + size; at < end && r == 0;) {
		uintptr_t to = part_end(at, end, &in);

		r = protect_part(at, to, in, rights);
		at = to;
	}
	return r;
}

SHIM_EXPORT int pkey_mprotect(void *address, size_t size, int rights, int key)
{
	if (map_touches(address, size) && !SHIM_BYPASSED() && key == -1)
		return mprotect(address, size, rights);
	if (!map_touches(address, size) || SHIM_BYPASSED())
		return (int)map_raw_result(shim_raw(SYS_pkey_mprotect,
						    (long)address, (long)size,
						    rights, key, 0, 0));
	map_refuse(&keyed);
	return -1;
}

/* A locked page cannot be evicted; with MCL_FUTURE that is true of later pages,
 * too. */
SHIM_EXPORT int mlock(const void *address, size_t size)
{
	if (map_touches(address, size) && !SHIM_BYPASSED()) {
		map_refuse(&locked);
		return -1;
	}
	return (int)map_raw_result(
		shim_raw(SYS_mlock, (long)address, (long)size, 0, 0, 0, 0));
}

SHIM_EXPORT int mlock2(const void *address, size_t size, unsigned flags)
{
	if (map_touches(address, size) && !SHIM_BYPASSED()) {
		map_refuse(&locked);
		return -1;
	}
	return (int)map_raw_result(shim_raw(SYS_mlock2, (long)address,
					    (long)size, (long)flags, 0, 0, 0));
}

SHIM_EXPORT int mlockall(int flags)
{
	if (!SHIM_BYPASSED()) {
		map_refuse(&all_locked);
		return -1;
	}
	return (int)map_raw_result(
		shim_raw(SYS_mlockall, flags, 0, 0, 0, 0, 0));
}

/* Anonymous memory has nothing behind it. */
SHIM_EXPORT int msync(void *address, size_t size, int flags)
{
	if (!map_touches(address, size) || SHIM_BYPASSED())
		return shim_real()->msync(address, size, flags);
	if (!rounded(address, &size) ||
	    (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) != 0)
		return fail(EINVAL);
	return area_holds(address, size) && area_mapped(address, size) < 0
		       ? fail(ENOMEM) : 0;
}

/* What is in local memory, as the kernel knows; of what is not mapped nothing is. */
SHIM_EXPORT int mincore(void *address, size_t size, unsigned char *ret)
{
	unsigned char some[1024];
	size_t pages;
	long r = 0;

	if (!rounded(address, &size))
		return -1;
	if (!SHIM_BYPASSED() && area_holds(address, size) &&
	    area_mapped(address, size) < 0)
		return fail(ENOMEM);
	pages = size / SHIM_PAGE;
	/* A place that is no memory of ours is the kernel's to judge. */
	if (!block_contains(ret, pages))
		return (int)map_raw_result(shim_raw(SYS_mincore, (long)address,
						    (long)size, (long)ret, 0, 0, 0));
	if (rights_permit(ret, pages, true) < pages)
		return fail(EFAULT);
	for (size_t at = 0; at < pages && r >= 0; at += sizeof(some)) {
		size_t n = pages - at < sizeof(some) ? pages - at : sizeof(some);

		r = shim_raw(SYS_mincore, (long)address + (long)(at * SHIM_PAGE),
			     (long)(n * SHIM_PAGE), (long)some, 0, 0, 0);
		if (r >= 0)
			memcpy(ret + at, some, n);
	}
	return (int)map_raw_result(r);
}
