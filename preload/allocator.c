/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that brings an allocator of its own (jemalloc, mimalloc, tcmalloc, linked
 * to it or preloaded) keeps it.
 *
 * Such an allocator has more ways to its blocks than malloc's: operator delete, and
 * functions of its own (sdallocx, mi_free). A block of ours would end there. So where
 * the next malloc is not libc's, malloc and its family pass everything on, and
 * external is what the allocator asks of the system, by mmap(). tcmalloc would ask
 * sbrk() first: it is told ENOMEM, and then asks mmap(). Where not every system call can
 * be served, all of it is local, since what small things are carved from holds
 * what the kernel is given.
 *
 * What must be local all the same (the library's, and what the loader keeps, threads'
 * own variables among it) has a heap here, known by its addresses.
 *
 * An allocator in the program itself stands in front of us, and libraries find it: for
 * those that the library uses see redirect.c. What libc allocates on their threads is
 * its.
 *
 * Bounds: 4 GiB for what must be local.
 */
#include "config.h"

#include "common/extent.h"
#include "common/heap.h"
#include "preload/shim.h"
#include "preload/symbols.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <sys/mman.h>

#define LOCAL_SIZE (UINT64_C(4) << 30)
#define RANGES_MAX (UINT32_C(1) << 16)
#define DISCARDS (UINT64_C(1) << 20) /* pages of what is freed, from here on */

bool allocator_passes, allocator_in_front;
static struct whose_span span; /* of the other allocator's code */
static pthread_mutex_t local_lock = PTHREAD_MUTEX_INITIALIZER;
static struct xm_extent local_extent;
static struct xm_heap local_heap;
static uintptr_t local_base; /* 0: none yet */
static bool local_failed;

/* Whether the object that has this code calls it so. A program that is linked to fixed
 * addresses and takes that of malloc() has an entry of its table of calls there, which
 * leads to us. */
static bool is_defined(const void *code, const char *name)
{
	struct symbols object;

	return symbols_find(code, &object) && symbols_code(&object, name) == code;
}

/* The program itself defines some of the family: those are the next ones in line for
 * what goes by us. Found like this, since a program's own functions may be hidden from
 * RTLD_NEXT, but not from the loader. */
static void look_in_front(void)
{
	struct symbols mine;

	if (!symbols_find((const void *)look_in_front, &mine))
		return;
#define LOOK(name)                                                            \
	do {                                                                  \
		void *first = dlsym(RTLD_DEFAULT, #name);                     \
                                                                              \
		if (first && first != symbols_code(&mine, #name) &&           \
		    is_defined(first, #name)) {                               \
			*(void **)&shim_reals.name = first;                   \
			allocator_in_front = true;                            \
		}                                                             \
	} while (0)
	LOOK(malloc);
	LOOK(calloc);
	LOOK(realloc);
	LOOK(free);
	LOOK(memalign);
	LOOK(posix_memalign);
	LOOK(aligned_alloc);
	LOOK(valloc);
	LOOK(pvalloc);
	LOOK(malloc_usable_size);
#undef LOOK
}

void allocator_start(void)
{
	struct symbols libc, next;
	int rights;

	look_in_front();
	allocator_passes =
		shim_reals.malloc &&
		symbols_find((const void *)gnu_get_libc_version, &libc) &&
		symbols_find((const void *)shim_reals.malloc, &next) &&
		next.base != libc.base &&
		symbols_segment(&next, (const void *)shim_reals.malloc,
				&span.first, &span.last, &rights);
}

/* Or the library would load it in the middle of its work, and what it takes from one
 * allocator would be given to the other. */
void allocator_load(void)
{
	if (allocator_in_front && dlopen(XM_FI_LIBRARY, RTLD_NOW | RTLD_LOCAL))
		whose_learn();
}

static bool is_allocator(const void *caller)
{
	return (uintptr_t)caller - span.first < span.last - span.first;
}

bool allocator_keeps_local(const void *caller)
{
	return !trap_installed && !shim_kernel_faults && is_allocator(caller);
}

SHIM_EXPORT void *sbrk(intptr_t more)
{
	const struct shim_reals *real = shim_real();

	if (more > 0 && allocator_passes && !allocator_in_front &&
	    is_allocator(__builtin_return_address(0))) {
		errno = ENOMEM;
		return (void *)-1;
	}
	return real->sbrk(more);
}

/* --- what must be local ------------------------------------------------------------ */

/* With the lock held. */
static bool local_open(void)
{
	size_t heap_size = xm_heap_memory_size(LOCAL_SIZE);
	void *base, *ranges, *heap;

	if (local_base || local_failed)
		return local_base != 0;
	base = block_reserve(LOCAL_SIZE);
	ranges = block_reserve(xm_extent_memory_size(RANGES_MAX));
	heap = block_reserve(heap_size);
	if (!base || !ranges || !heap) { /* ulimit -v */
		local_failed = true;
		return false;
	}
	xm_extent_init(&local_extent, LOCAL_SIZE, XM_HEAP_PAGE, RANGES_MAX,
		       ranges);
	xm_heap_init(&local_heap, &local_extent, LOCAL_SIZE, heap);
	local_base = (uintptr_t)base;
	return true;
}

bool allocator_has_local(const void *p)
{
	return local_base != 0 && (uintptr_t)p - local_base < LOCAL_SIZE;
}

void *allocator_take(size_t size, size_t alignment)
{
	uint64_t offset = 0;
	int r = -ENOMEM;

	pthread_mutex_lock(&local_lock);
	if (local_open())
		r = xm_heap_alloc(&local_heap, size ? size : 1, alignment,
				  &offset);
	pthread_mutex_unlock(&local_lock);
	if (r >= 0)
		return (void *)(local_base + offset);
	errno = ENOMEM;
	return NULL;
}

size_t allocator_size(const void *p)
{
	uint64_t size = 0;
	int r;

	pthread_mutex_lock(&local_lock);
	r = xm_heap_size(&local_heap, (uintptr_t)p - local_base, &size);
	pthread_mutex_unlock(&local_lock);
	if (r < 0)
		malloc_bad_pointer("malloc_usable_size", p);
	return size;
}

void allocator_give(void *p)
{
	struct xm_heap_freed freed = { 0 };
	int r;

	pthread_mutex_lock(&local_lock);
	r = xm_heap_free(&local_heap, (uintptr_t)p - local_base, &freed);
	if (r >= 0 && freed.slab_size >= DISCARDS)
		shim_real()->madvise((void *)(local_base + freed.slab_offset),
				     freed.slab_size, MADV_DONTNEED);
	pthread_mutex_unlock(&local_lock);
	if (r < 0)
		malloc_bad_pointer("free", p);
}

void *allocator_resize(void *p, size_t size)
{
	size_t before = allocator_size(p);
	void *q;

	if (size <= before)
		return p;
	q = allocator_take(size, 0);
	if (!q)
		return NULL;
	memcpy(q, p, before);
	allocator_give(p);
	return q;
}

void allocator_lock(void)
{
	pthread_mutex_lock(&local_lock);
}

void allocator_unlock(void)
{
	pthread_mutex_unlock(&local_lock);
}
