/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's calls about mappings, and where the library's addresses are; see map.h. */
#include "preload/map.h"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

uintptr_t map_arena;
uint64_t map_arena_size;

/* The library reserves the addresses of all its mappings at once. They are put
 * where nobody else's memory is: between where programs and their heaps are
 * loaded and what the kernel maps from the end downwards, so that a pointer to external memory is known by its upper half (trap.c). The place
 * within differs from run to run, and no program has the place of one that it
 * comes from, whose filter still applies. */
#define ARENA_FIRST (UINT64_C(0x58) << 40)
#define ARENA_PLACES 256
#define ARENA_STRIDE (UINT64_C(0x24) << 36) /* 2 TiB, and the places */
#define ARENA_SIZE_MIN (UINT64_C(64) << 20)

static void *arena_hint(void)
{
	const uint32_t *random = (const uint32_t *)getauxval(AT_RANDOM);

	return (void *)(ARENA_FIRST + shim_options.nesting * ARENA_STRIDE +
			(random ? *random % ARENA_PLACES : 0) *
				(UINT64_C(1) << 30));
}

static bool early; /* they are there, and the library has not asked for them yet */

static void *reserve_arena(size_t size, int flags)
{
	void *p;

	if (early && size <= map_arena_size) {
		early = false;
		return (void *)map_arena;
	}
	p = shim_real()->mmap(sizeof(void *) == 8 ? arena_hint() : NULL, size,
			      PROT_NONE, flags, -1, 0);
	if (p != MAP_FAILED) {
		map_arena = (uintptr_t)p;
		map_arena_size = size;
	}
	return p;
}

/* As much as the library asks for, if it is not told otherwise. */
bool map_reserve(void)
{
	early = reserve_arena((size_t)2 << 40,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE) !=
		MAP_FAILED;
	return early;
}

bool map_reserves(const void *address, size_t size, int rights, int flags,
		  void **ret)
{
	if (!shim_inside || address || rights != PROT_NONE ||
	    size < ARENA_SIZE_MIN || (map_arena_size != 0 && !early))
		return false;
	*ret = reserve_arena(size, flags);
	return true;
}

/* Whether the filter (trap.c) would trap this call if libc made it. Here the call
 * itself is wanted; and inside the library, where signals are blocked, a trap
 * would end the process. The filter compares only the upper halves of addresses,
 * hence the slack. */
static bool is_watched(const void *address, size_t size)
{
	const uintptr_t slack = UINT64_C(2) << 32;
	uintptr_t at = (uintptr_t)address;

	return map_arena_size != 0 && at < map_arena + map_arena_size + slack &&
	       (at + size >= map_arena - slack || at + size < at);
}

long map_raw_result(long r)
{
	if (r < 0 && r >= -4095) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

void *map_kernel(void *address, size_t size, int rights, int flags, int fd,
		 off64_t offset)
{
	if (!is_watched(address, size))
		return shim_real()->mmap(address, size, rights, flags, fd,
					 offset);
	return (void *)map_raw_result(shim_raw(SYS_mmap, (long)address,
					       (long)size, rights, flags, fd,
					       offset));
}

int map_kernel_unmap(void *address, size_t size)
{
	if (!is_watched(address, size))
		return shim_real()->munmap(address, size);
	return (int)map_raw_result(shim_raw(SYS_munmap, (long)address,
					    (long)size, 0, 0, 0, 0));
}

void *map_kernel_remap(void *address, size_t old_size, size_t size, int flags,
		       void *place)
{
	if (!is_watched(address, old_size) && !is_watched(place, size))
		return shim_real()->mremap(address, old_size, size, flags,
					   place);
	return (void *)map_raw_result(shim_raw(SYS_mremap, (long)address,
					       (long)old_size, (long)size,
					       flags, (long)place, 0));
}

int map_kernel_advise(void *address, size_t size, int advice)
{
	if (!is_watched(address, size))
		return shim_real()->madvise(address, size, advice);
	return (int)map_raw_result(shim_raw(SYS_madvise, (long)address,
					    (long)size, advice, 0, 0, 0));
}

int map_kernel_protect(void *address, size_t size, int rights)
{
	if (!is_watched(address, size))
		return shim_real()->mprotect(address, size, rights);
	return (int)map_raw_result(shim_raw(SYS_mprotect, (long)address,
					    (long)size, rights, 0, 0, 0));
}
