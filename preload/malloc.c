/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The malloc family: allocations of at least --threshold bytes are external, the
 * others are the next malloc's. libc's own allocations are local unless they are
 * large (whose.c).
 *
 * Which block or object an address belongs to is looked up in local memory, so
 * free() touches no external page. Blocks are zero when they are allocated, so
 * calloc() clears nothing. realloc() of a growing block allocates half as much
 * again, to move less often; unused pages cost addresses and no memory.
 *
 * Other names and ways lead here, too (redirect.c), so that a block is always freed
 * by whoever has it; a program with an allocator of its own keeps that (allocator.c).
 *
 * While the next malloc is being looked up, dlsym() itself allocates. These few
 * allocations come from a static buffer, and free() ignores its addresses.
 */
#include <malloc.h>

#include "preload/shim.h"

#define BOOTSTRAP_SIZE (64 << 10)
/* What the library or the loader asks for where another allocator has the rest. */
#define MUST_BE_LOCAL()                                                       \
	(allocator_passes &&                                                  \
	 (shim_inside || whose_is_loader(__builtin_return_address(0))))
#define WANTED(size) (!allocator_passes && SHIM_WANTED(size))
#define SHRINK_MOVES ((size_t)1 << 20) /* up to this, to where it fits */

static _Alignas(16) char bootstrap[BOOTSTRAP_SIZE];
static _Atomic size_t bootstrap_used;

static void *bootstrap_take(size_t size)
{
	size_t at;

	if (size > BOOTSTRAP_SIZE)
		return NULL;
	size = (size + 31) & ~(size_t)15; /* 16 for its size, before it */
	at = atomic_fetch_add(&bootstrap_used, size);
	if (size > BOOTSTRAP_SIZE || at > BOOTSTRAP_SIZE - size)
		return NULL;
	*(size_t *)(bootstrap + at) = size - 16;
	return bootstrap + at + 16;
}

static bool bootstrap_contains(const void *p)
{
	return (uintptr_t)p - (uintptr_t)bootstrap < BOOTSTRAP_SIZE;
}

_Noreturn void malloc_bad_pointer(const char *call, const void *p)
{
	shim_say("%s(%p): no allocation begins there", call, p);
	abort();
}

static void *external_take(size_t size, size_t alignment)
{
	if (size <= ARENA_SIZE_MAX && alignment <= SHIM_PAGE)
		return arena_take(size, alignment);
	return block_take(size, alignment);
}

static void external_give(void *p)
{
	struct block b;
	uint32_t owner;

	if (!atomic_load(&shim_ready))
		return; /* a forked child: it was the parent's */
	owner = block_owner(p);
	if ((owner & BLOCK_SPAN) != 0) {
		arena_give(p, owner);
	} else {
		if (!block_find(p, &b) || b.start != (uintptr_t)p)
			malloc_bad_pointer("free", p);
		block_give((void *)b.base, b.page_count * SHIM_PAGE);
	}
}

static size_t external_capacity(const char *call, const void *p)
{
	uint32_t owner = block_owner(p);
	struct block b;

	if ((owner & BLOCK_SPAN) != 0)
		return arena_size(call, p, owner);
	if (!block_find(p, &b) || b.start != (uintptr_t)p)
		malloc_bad_pointer(call, p);
	return block_capacity(&b);
}

/* Where another allocator has the rest, what is external and begins no block of
 * ours is part of memory that it has mapped. */
static bool is_ours(const void *p)
{
	return !allocator_passes && block_contains(p, 1);
}

static void other_give(void *p)
{
	if (allocator_passes && allocator_has_local(p))
		allocator_give(p);
	else
		shim_real()->free(p);
}

static void *take(size_t size, bool wanted)
{
	void *p;

	if (!wanted)
		return shim_real()->malloc(size);
	p = external_take(size, 0);
	if (!p && budget_overflow(size))
		p = shim_real()->malloc(size);
	if (!p)
		errno = ENOMEM;
	return p;
}

/* --- the family --------------------------------------------------------------- */

SHIM_EXPORT void *malloc(size_t size)
{
	const struct shim_reals *real = shim_real();

	if (!real->malloc)
		return bootstrap_take(size);
	if (WANTED(size))
		return take(size, true);
	if (MUST_BE_LOCAL())
		return allocator_take(size, 0);
	return real->malloc(size);
}

SHIM_EXPORT void *calloc(size_t count, size_t size)
{
	const struct shim_reals *real = shim_real();
	size_t total;

	if (__builtin_mul_overflow(count, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	if (!real->calloc)
		return bootstrap_take(total); /* static: zero */
	if (WANTED(total)) {
		void *p = external_take(total, 0);

		if (p && total <= ARENA_SIZE_MAX)
			memset(p, 0, total);
		if (p)
			return p;
		if (!budget_overflow(total)) {
			errno = ENOMEM;
			return NULL;
		}
	}
	if (MUST_BE_LOCAL()) {
		void *p = allocator_take(total, 0);

		return p ? memset(p, 0, total) : NULL;
	}
	return real->calloc(count, size);
}

SHIM_EXPORT void free(void *p)
{
	if (!p || bootstrap_contains(p))
		return;
	if (is_ours(p))
		external_give(p);
	else
		other_give(p);
}

/* Gone from glibc's headers, still called by old programs. */
void cfree(void *);

SHIM_EXPORT void cfree(void *p)
{
	free(p);
}

/* From external memory to `size` bytes of whatever is right for that. */
static void *external_resize(void *p, size_t size)
{
	size_t capacity = external_capacity("realloc", p), more;
	void *q = NULL;

	if (!atomic_load(&shim_ready)) {
		/* A forked child: what it had it has, more is local. */
		if (size <= capacity)
			return p;
		q = shim_real()->malloc(size);
		return q ? memcpy(q, p, capacity) : NULL;
	}
	if (size <= capacity && size >= shim_options.threshold) {
		if (size > capacity / 2)
			return p;
		if (size > SHRINK_MOVES) {
			block_advise((char *)p + size, capacity - size,
				     EXTMEM_DONTNEED);
			return p;
		}
	}
	if (size < shim_options.threshold) {
		q = shim_real()->malloc(size);
	} else {
		more = capacity + capacity / 2;
		if (size > capacity && more > size && more > ARENA_SIZE_MAX)
			q = external_take(more, 0);
		if (!q)
			q = external_take(size, 0);
		if (!q && budget_overflow(size))
			q = shim_real()->malloc(size);
	}
	if (!q) {
		errno = ENOMEM;
		return NULL;
	}
	if (capacity > ARENA_SIZE_MAX)
		block_move(q, p, capacity < size ? capacity : size);
	else
		memcpy(q, p, capacity < size ? capacity : size);
	external_give(p);
	return q;
}

static void *resize(void *p, size_t size, bool wanted)
{
	const struct shim_reals *real = shim_real();
	void *q;
	size_t n;

	if (!p)
		return take(size, wanted);
	if (bootstrap_contains(p)) {
		n = ((size_t *)p)[-1];
		q = take(size, wanted);
		if (q)
			memcpy(q, p, n < size ? n : size);
		return q;
	}
	if (is_ours(p)) {
		if (size == 0) {
			external_give(p);
			return NULL;
		}
		return external_resize(p, size);
	}
	if (allocator_passes && allocator_has_local(p))
		return allocator_resize(p, size);
	if (!wanted)
		return real->realloc(p, size);
	n = real->malloc_usable_size(p);
	if (n >= size)
		return real->realloc(p, size);
	q = take(size, true);
	if (!q)
		return NULL;
	memcpy(q, p, n);
	real->free(p);
	return q;
}

SHIM_EXPORT void *realloc(void *p, size_t size)
{
	if (!shim_real()->realloc && !p)
		return bootstrap_take(size);
	if (!p && MUST_BE_LOCAL())
		return allocator_take(size, 0);
	return resize(p, size, WANTED(size));
}

/* As libc has it, by the realloc() of whoever has that. */
SHIM_EXPORT void *reallocarray(void *p, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, total);
}

/* --- aligned ------------------------------------------------------------------ */

static bool is_alignment(size_t alignment)
{
	return alignment != 0 && (alignment & (alignment - 1)) == 0;
}

/* 1: *ret is the answer; 0: ask the next malloc. */
static int aligned(size_t alignment, size_t size, bool wanted, bool local,
		   void **ret)
{
	*ret = NULL;
	if ((!wanted && !local) || !is_alignment(alignment))
		return 0; /* its own words for that */
	*ret = local ? allocator_take(size, alignment)
		     : external_take(size, alignment);
	if (*ret)
		return 1;
	if (wanted && budget_overflow(size))
		return 0;
	errno = ENOMEM;
	return 1;
}

#define ALIGNED(alignment, size, ret)                                         \
	aligned(alignment, size, WANTED(size), MUST_BE_LOCAL(), ret)

SHIM_EXPORT void *memalign(size_t alignment, size_t size)
{
	void *p;

	if (ALIGNED(alignment, size, &p))
		return p;
	return shim_real()->memalign(alignment, size);
}

SHIM_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	void *p;

	if (ALIGNED(alignment, size, &p))
		return p;
	return shim_real()->aligned_alloc(alignment, size);
}

SHIM_EXPORT int posix_memalign(void **ret, size_t alignment, size_t size)
{
	void *p;

	if (alignment % sizeof(void *) == 0 && ALIGNED(alignment, size, &p)) {
		if (!p)
			return ENOMEM;
		*ret = p;
		return 0;
	}
	return shim_real()->posix_memalign(ret, alignment, size);
}

SHIM_EXPORT void *valloc(size_t size)
{
	void *p;

	if (ALIGNED(SHIM_PAGE, size, &p))
		return p;
	return shim_real()->valloc(size);
}

SHIM_EXPORT void *pvalloc(size_t size)
{
	void *p;

	if (ALIGNED(SHIM_PAGE, size, &p))
		return p;
	return shim_real()->pvalloc(size);
}

SHIM_EXPORT size_t malloc_usable_size(void *p)
{
	if (!p)
		return 0;
	if (bootstrap_contains(p))
		return ((size_t *)p)[-1];
	if (is_ours(p))
		return external_capacity("malloc_usable_size", p);
	if (allocator_passes && allocator_has_local(p))
		return allocator_size(p);
	return shim_real()->malloc_usable_size(p);
}

/* --- libc's other names ---------------------------------------------------------- */

/* Where another allocator has the rest, they are its own, or what it stands on. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);
void *__libc_memalign(size_t, size_t);
void *__libc_valloc(size_t);
void *__libc_pvalloc(size_t);

SHIM_EXPORT void *__libc_malloc(size_t size)
{
	return WANTED(size) ? take(size, true)
			    : shim_real()->__libc_malloc(size);
}

SHIM_EXPORT void *__libc_calloc(size_t count, size_t size)
{
	return allocator_passes ? shim_real()->__libc_calloc(count, size)
				: calloc(count, size);
}

SHIM_EXPORT void *__libc_realloc(void *p, size_t size)
{
	return allocator_passes ? shim_real()->__libc_realloc(p, size)
				: resize(p, size, WANTED(size));
}

SHIM_EXPORT void __libc_free(void *p)
{
	if (p && is_ours(p))
		external_give(p);
	else if (!bootstrap_contains(p))
		shim_real()->__libc_free(p);
}

SHIM_EXPORT void *__libc_memalign(size_t alignment, size_t size)
{
	void *p;

	if (WANTED(size) && aligned(alignment, size, true, false, &p))
		return p;
	return shim_real()->__libc_memalign(alignment, size);
}

SHIM_EXPORT void *__libc_valloc(size_t size)
{
	return __libc_memalign(SHIM_PAGE, size);
}

SHIM_EXPORT void *__libc_pvalloc(size_t size)
{
	return __libc_memalign(SHIM_PAGE, (size + SHIM_PAGE - 1) &
						  ~(SHIM_PAGE - 1));
}
