/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmap(2) and its relatives, for private anonymous memory from the threshold on.
 *
 * External: readable and writable memory at any address. Local, as without us:
 * executable or (yet) inaccessible memory, stacks, huge pages, locked memory, and
 * memory at a fixed address. A MAP_NORESERVE mapping that is too large for external
 * memory stays local, too, since programs reserve far more than they use; it is
 * counted.
 *
 * External memory cannot be protected (mprotect), replaced (MAP_FIXED) or moved to
 * a fixed address. Such calls fail with errno and a line on stderr. They must not
 * reach the kernel, which would take pages away without the library's knowledge.
 * An unmapped page reads as zero, and is no segmentation fault, until its whole
 * mapping is unmapped.
 */
#include "preload/shim.h"

#include <stdarg.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MAP_32BIT /* of x86-64 alone */
#define MAP_32BIT 0
#endif

#define LOCAL_FLAGS                                                           \
	(MAP_SHARED | MAP_STACK | MAP_GROWSDOWN | MAP_HUGETLB | MAP_LOCKED |  \
	 MAP_32BIT | MAP_FIXED | MAP_FIXED_NOREPLACE)

uintptr_t map_arena;
uint64_t map_arena_size;

/* The library reserves the addresses of all its mappings at once. They are put
 * where nobody else's memory is: between what V8 and others choose at random
 * (below 2^46) and where programs and their heaps are loaded, so that a
 * pointer to external memory is known by its upper half (trap.c). The place
 * within differs from run to run, and no program has the place of one that it
 * comes from, whose filter still applies. */
#define ARENA_FIRST (UINT64_C(0x48) << 40)
#define ARENA_PLACES 256
#define ARENA_STRIDE (UINT64_C(0x14) << 36) /* 1 TiB, and the places */
#define ARENA_SIZE_MIN (UINT64_C(64) << 20)

static void *arena_hint(void)
{
	const uint32_t *random = (const uint32_t *)getauxval(AT_RANDOM);

	return (void *)(ARENA_FIRST + shim_options.nesting * ARENA_STRIDE +
			(random ? *random % ARENA_PLACES : 0) *
				(UINT64_C(1) << 30));
}

static void *reserve_arena(size_t size, int flags)
{
	void *p = shim_real()->mmap(sizeof(void *) == 8 ? arena_hint() : NULL,
				    size, PROT_NONE, flags, -1, 0);

	if (p != MAP_FAILED) {
		map_arena = (uintptr_t)p;
		map_arena_size = size;
	}
	return p;
}

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

static struct refusal fixed_over = {
	.error = ENOTSUP,
	.words = "mmap: MAP_FIXED over external memory is not possible; a "
		 "higher --threshold keeps such memory local",
};
static struct refusal moved = {
	.error = EINVAL,
	.words = "mremap: external memory cannot be moved to a fixed place or "
		 "be in two places",
};
static struct refusal moved_over = {
	.error = EINVAL,
	.words = "mremap: external memory cannot be replaced",
};
static struct refusal protected = {
	.error = EACCES,
	.words = "mprotect: external memory is always readable and writable, "
		 "and never executable; a higher --threshold keeps such "
		 "memory local",
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
	uintptr_t first = (uintptr_t)address, last = first + size - 1, base;
	uint64_t n;

	if (size == 0)
		return false;
	if (last < first)
		last = UINTPTR_MAX;
	if (map_arena_size != 0 && first < map_arena + map_arena_size &&
	    last >= map_arena)
		return true;
	if (last < atomic_load(&block_low) || first >= atomic_load(&block_high))
		return false;
	for (unsigned i = 0; block_region_at(i, &base, &n); i++)
		if (first < base + n && last >= base)
			return true;
	return false;
}

static bool is_within_region(const void *address, size_t size)
{
	uintptr_t at = (uintptr_t)address, base;
	uint64_t n;

	for (unsigned i = 0; block_region_at(i, &base, &n); i++)
		if (at >= base && at - base < n && size <= n - (at - base))
			return true;
	return false;
}

/* --- the kernel's calls -------------------------------------------------------- */

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

static long raw_result(long r)
{
	if (r < 0 && r >= -4095) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

static void *kernel_mmap(void *address, size_t size, int rights, int flags,
			 int fd, off64_t offset)
{
	if (!is_watched(address, size))
		return shim_real()->mmap(address, size, rights, flags, fd,
					 offset);
	return (void *)raw_result(shim_raw(SYS_mmap, (long)address, (long)size,
					   rights, flags, fd, offset));
}

static int kernel_munmap(void *address, size_t size)
{
	if (!is_watched(address, size))
		return shim_real()->munmap(address, size);
	return (int)raw_result(shim_raw(SYS_munmap, (long)address, (long)size,
					0, 0, 0, 0));
}

static void *kernel_mremap(void *address, size_t old_size, size_t size,
			   int flags, void *place)
{
	if (!is_watched(address, old_size) && !is_watched(place, size))
		return shim_real()->mremap(address, old_size, size, flags,
					   place);
	return (void *)raw_result(shim_raw(SYS_mremap, (long)address,
					   (long)old_size, (long)size, flags,
					   (long)place, 0));
}

static int kernel_madvise(void *address, size_t size, int advice)
{
	if (!is_watched(address, size))
		return shim_real()->madvise(address, size, advice);
	return (int)raw_result(shim_raw(SYS_madvise, (long)address, (long)size,
					advice, 0, 0, 0));
}

static int kernel_mprotect(void *address, size_t size, int rights)
{
	if (!is_watched(address, size))
		return shim_real()->mprotect(address, size, rights);
	return (int)raw_result(shim_raw(SYS_mprotect, (long)address, (long)size,
					rights, 0, 0, 0));
}

static int advise(void *address, size_t size, int advice);

/* --- mmap -------------------------------------------------------------------------- */

SHIM_EXPORT void *mmap64(void *address, size_t size, int rights, int flags,
			 int fd, off64_t offset)
{
	void *p;

	if (shim_inside && !address && rights == PROT_NONE &&
	    size >= ARENA_SIZE_MIN && map_arena_size == 0)
		return reserve_arena(size, flags);
	if ((flags & MAP_FIXED) != 0 && map_touches(address, size) &&
	    !SHIM_BYPASSED()) {
		if ((flags & MAP_ANONYMOUS) == 0 ||
		    (flags & MAP_SHARED) != 0 ||
		    rights != (PROT_READ | PROT_WRITE) ||
		    !is_within_region(address, size) ||
		    advise(address, size, MADV_DONTNEED) < 0)
			return map_refuse(&fixed_over);
		return address;
	}
	if (rights == (PROT_READ | PROT_WRITE) &&
	    (flags & MAP_ANONYMOUS) != 0 && (flags & LOCAL_FLAGS) == 0 &&
	    SHIM_WANTED(size)) {
		p = block_take(size, 0, BLOCK_MAP);
		if (p)
			return p;
		if ((flags & MAP_NORESERVE) != 0) {
			atomic_fetch_add(&shim_shared->overflow_count, 1);
			atomic_fetch_add(&shim_shared->overflow_bytes, size);
		} else if (!budget_overflow(size)) {
			errno = ENOMEM;
			return MAP_FAILED;
		}
	}
	return kernel_mmap(address, size, rights, flags, fd, offset);
}

SHIM_EXPORT void *mmap(void *address, size_t size, int rights, int flags,
		       int fd, off_t offset)
	__attribute__((alias("mmap64")));

#define ADDRESSES_END (UINT64_C(1) << 47)
#define MUNMAP_MAX (UINT64_C(1) << 40) /* its pages are looked at one by one */

SHIM_EXPORT int munmap(void *address, size_t size)
{
	uintptr_t at = (uintptr_t)address, end = at + size;

	if (!map_touches(address, size) || SHIM_BYPASSED())
		return kernel_munmap(address, size);
	if (at % SHIM_PAGE != 0 || at >= ADDRESSES_END ||
	    size > ADDRESSES_END - at || size > MUNMAP_MAX) {
		errno = EINVAL;
		return -1;
	}
	end = (end + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	while (at < end) {
		uintptr_t to = at + SHIM_PAGE;
		bool external = block_contains((void *)at, 1);

		while (to < end && block_contains((void *)to, 1) == external)
			to += SHIM_PAGE;
		if (external)
			block_give((void *)at, to - at);
		else if (!map_touches((void *)at, to - at) &&
			 kernel_munmap((void *)at, to - at) < 0)
			return -1;
		at = to;
	}
	return 0;
}

static void *external_remap(void *address, size_t old_size, size_t size,
			    int flags)
{
	uintptr_t at = (uintptr_t)address;
	struct block b;
	void *p;

	if ((flags & ~MREMAP_MAYMOVE) != 0 || old_size == 0)
		return map_refuse(&moved);
	if (at % SHIM_PAGE != 0 || size == 0 || size > ADDRESSES_END ||
	    old_size > ADDRESSES_END) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	old_size = (old_size + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	size = (size + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	if (!block_find(address, &b) ||
	    at + old_size > b.base + b.page_count * SHIM_PAGE) {
		errno = EFAULT;
		return MAP_FAILED;
	}
	if (size <= old_size) {
		if (size < old_size)
			block_give((char *)address + size, old_size - size);
		return address;
	}
	p = (flags & MREMAP_MAYMOVE) != 0 ? block_take(size, 0, BLOCK_MAP)
					  : NULL;
	if (!p && (flags & MREMAP_MAYMOVE) != 0 && budget_overflow(size)) {
		p = shim_real()->mmap(NULL, size, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			p = NULL;
	}
	if (!p) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	block_move(p, address, old_size);
	block_give(address, old_size);
	return p;
}

/* In a child the kernel would leave the new place without anybody to serve
 * it. */
static void *child_remap(void *address, size_t old_size, size_t size, int flags)
{
	void *p;

	if ((flags & ~MREMAP_MAYMOVE) != 0)
		return map_refuse(&moved);
	if (size <= old_size)
		return address;
	if ((flags & MREMAP_MAYMOVE) == 0) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	p = shim_real()->mmap(NULL, size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? p : memcpy(p, address, old_size);
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
		if (map_touches(place, size) && !SHIM_BYPASSED())
			return map_refuse(&moved_over);
	}
	if (block_contains(address, old_size) && atomic_load(&child_serves))
		return child_remap(address, old_size, size, flags);
	if (block_contains(address, old_size) && !SHIM_BYPASSED())
		return external_remap(address, old_size, size, flags);
	return kernel_mremap(address, old_size, size, flags, place);
}

/* As the kernel has it: whole pages, the last one by its first byte. */
static int advise(void *address, size_t size, int advice)
{
	int r;

	if ((uintptr_t)address % SHIM_PAGE != 0 || size > ADDRESSES_END) {
		errno = EINVAL;
		return -1;
	}
	size = (size + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	switch (advice) {
	case MADV_NORMAL:
		r = block_advise(address, size, EXTMEM_NORMAL);
		break;
	case MADV_RANDOM:
		r = block_advise(address, size, EXTMEM_RANDOM);
		break;
	case MADV_SEQUENTIAL:
		r = block_advise(address, size, EXTMEM_SEQUENTIAL);
		break;
	case MADV_WILLNEED:
	case 22: /* MADV_POPULATE_READ, newer than some headers */
	case 23: /* MADV_POPULATE_WRITE */
		r = block_advise(address, size, EXTMEM_WILLNEED);
		break;
	case MADV_DONTNEED:
	case MADV_FREE:
		r = block_advise(address, size, EXTMEM_DONTNEED);
		break;
	case 20: /* MADV_COLD */
	case 21: /* MADV_PAGEOUT */
		r = block_advise(address, size, EXTMEM_COLD);
		break;
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_DONTFORK:
		return 0; /* hints, or so already */
	default:
		r = -EINVAL;
	}
	if (r < 0) {
		errno = -r;
		return -1;
	}
	return 0;
}

SHIM_EXPORT int madvise(void *address, size_t size, int advice)
{
	if (block_contains(address, size) &&
	    (!SHIM_BYPASSED() || (atomic_load(&child_serves) && !shim_inside)))
		return advise(address, size, advice);
	return kernel_madvise(address, size, advice);
}

SHIM_EXPORT int posix_madvise(void *address, size_t size, int advice)
{
	if (!block_contains(address, size) || SHIM_BYPASSED())
		return shim_real()->posix_madvise(address, size, advice);
	if (advice == POSIX_MADV_DONTNEED)
		return 0; /* POSIX: contents stay */
	return advise(address, size, advice) < 0 ? errno : 0;
}

SHIM_EXPORT int mprotect(void *address, size_t size, int rights)
{
	if (!map_touches(address, size) || SHIM_BYPASSED())
		return kernel_mprotect(address, size, rights);
	if ((uintptr_t)address % SHIM_PAGE != 0) {
		errno = EINVAL;
		return -1;
	}
	if (rights == (PROT_READ | PROT_WRITE))
		return 0;
	map_refuse(&protected);
	return -1;
}

SHIM_EXPORT int pkey_mprotect(void *address, size_t size, int rights, int key)
{
	if (map_touches(address, size) && !SHIM_BYPASSED() && key == -1)
		return mprotect(address, size, rights);
	if (!map_touches(address, size) || SHIM_BYPASSED())
		return (int)raw_result(shim_raw(SYS_pkey_mprotect,
						(long)address, (long)size,
						rights, key, 0, 0));
	map_refuse(&protected);
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
	return (int)raw_result(
		shim_raw(SYS_mlock, (long)address, (long)size, 0, 0, 0, 0));
}

SHIM_EXPORT int mlock2(const void *address, size_t size, unsigned flags)
{
	if (map_touches(address, size) && !SHIM_BYPASSED()) {
		map_refuse(&locked);
		return -1;
	}
	return (int)raw_result(shim_raw(SYS_mlock2, (long)address, (long)size,
					(long)flags, 0, 0, 0));
}

SHIM_EXPORT int mlockall(int flags)
{
	if (!SHIM_BYPASSED()) {
		map_refuse(&all_locked);
		return -1;
	}
	return (int)raw_result(shim_raw(SYS_mlockall, flags, 0, 0, 0, 0, 0));
}

SHIM_EXPORT int msync(void *address, size_t size, int flags)
{
	if (map_touches(address, size) && !SHIM_BYPASSED())
		return 0; /* anonymous: nothing behind it */
	return shim_real()->msync(address, size, flags);
}
