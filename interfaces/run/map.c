/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmap and its relatives, for private anonymous memory from the threshold on.
 *
 * External: readable and writable, placed anywhere. Local, as before: what is
 * executable, not (yet) accessible, a stack, in huge pages, locked or at a
 * fixed place. A mapping without reserve that is too large for the external
 * memory stays local too, because it is a plan and not a need; it is counted.
 *
 * What external memory cannot do is refused, with errno and a line on stderr:
 * taking rights away (mprotect), and being replaced (MAP_FIXED) or moved to a
 * fixed place. Nothing of this may reach the kernel: it would take pages away
 * behind the library's back. A page that was unmapped reads as zero rather
 * than being a segmentation fault, until its whole mapping has gone.
 */
#include "shim.h"

#include <stdarg.h>
#include <sys/auxv.h>
#include <sys/mman.h>

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

	return (void *)(ARENA_FIRST + shim_nesting * ARENA_STRIDE +
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

static void *map_refuse(int error, const char *words)
{
	shim_say("%s", words);
	errno = error;
	return MAP_FAILED;
}

#define REGION_SIZE_MIN (UINT64_C(2) << 20)

/* True when any page of the range is external. Ranges may be large: a
 * region's bounds are compared, not pages. */
static bool touches(const void *address, size_t size)
{
	uintptr_t first = (uintptr_t)address, last = first + size;

	if (last <= atomic_load(&block_low) ||
	    first >= atomic_load(&block_high))
		return false;
	for (uintptr_t at = first; at < last; at += REGION_SIZE_MIN)
		if (block_contains((void *)at, 1))
			return true;
	return block_contains((void *)(last - 1), 1);
}

SHIM_EXPORT void *mmap64(void *address, size_t size, int rights, int flags,
			 int fd, off64_t offset)
{
	const struct shim_reals *real = shim_real();
	void *p;

	if (shim_inside && !address && rights == PROT_NONE &&
	    size >= ARENA_SIZE_MIN && map_arena_size == 0)
		return reserve_arena(size, flags);
	if ((flags & MAP_FIXED) != 0 && touches(address, size) &&
	    !SHIM_BYPASSED()) {
		if ((flags & MAP_ANONYMOUS) == 0 ||
		    rights != (PROT_READ | PROT_WRITE) ||
		    block_advise(address, size, EXTMEM_DONTNEED) < 0)
			return map_refuse(ENOTSUP,
					  "mmap: MAP_FIXED over external "
					  "memory is not possible; a higher "
					  "--threshold keeps such memory "
					  "local");
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
		} else if (!block_overflow(size)) {
			errno = ENOMEM;
			return MAP_FAILED;
		}
	}
	return real->mmap(address, size, rights, flags, fd, offset);
}

SHIM_EXPORT void *mmap(void *address, size_t size, int rights, int flags,
		       int fd, off_t offset)
	__attribute__((alias("mmap64")));

SHIM_EXPORT int munmap(void *address, size_t size)
{
	uintptr_t at = (uintptr_t)address, end = at + size;

	if (!touches(address, size) || SHIM_BYPASSED())
		return shim_real()->munmap(address, size);
	if (at % SHIM_PAGE != 0 || size == 0 || end < at) {
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
		else if (shim_real()->munmap((void *)at, to - at) < 0)
			return -1;
		at = to;
	}
	return 0;
}

static void *external_remap(void *address, size_t old_size, size_t size,
			    int flags)
{
	struct block b;
	void *p;

	old_size = (old_size + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	size = (size + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	if ((flags & ~MREMAP_MAYMOVE) != 0 || old_size == 0)
		return map_refuse(EINVAL,
				  "mremap: external memory cannot be moved to "
				  "a fixed place or be in two places");
	if ((uintptr_t)address % SHIM_PAGE != 0 || size == 0) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (!block_find(address, &b) ||
	    (uintptr_t)address + old_size > b.base + b.page_count * SHIM_PAGE) {
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
	if (!p && (flags & MREMAP_MAYMOVE) != 0 && block_overflow(size)) {
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
		return map_refuse(EINVAL,
				  "mremap: external memory cannot be moved to "
				  "a fixed place or be in two places");
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
		if (touches(place, size) && !SHIM_BYPASSED())
			return map_refuse(EINVAL, "mremap: external memory "
						  "cannot be replaced");
	}
	if (block_contains(address, old_size) && atomic_load(&child_serves))
		return child_remap(address, old_size, size, flags);
	if (block_contains(address, old_size) && !SHIM_BYPASSED())
		return external_remap(address, old_size, size, flags);
	return shim_real()->mremap(address, old_size, size, flags, place);
}

static int advise(void *address, size_t size, int advice)
{
	int r;

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
	return shim_real()->madvise(address, size, advice);
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
	if (!touches(address, size) || SHIM_BYPASSED())
		return shim_real()->mprotect(address, size, rights);
	if (rights == (PROT_READ | PROT_WRITE))
		return 0;
	map_refuse(EACCES, "mprotect: external memory is always readable and "
			   "writable, and never executable; a higher "
			   "--threshold keeps such memory local");
	return -1;
}

SHIM_EXPORT int mlock(const void *address, size_t size)
{
	if (!touches(address, size) || SHIM_BYPASSED())
		return shim_real()->mlock(address, size);
	map_refuse(ENOMEM, "mlock: external memory cannot be locked");
	return -1;
}

SHIM_EXPORT int msync(void *address, size_t size, int flags)
{
	if (touches(address, size) && !SHIM_BYPASSED())
		return 0; /* anonymous: nothing behind it */
	return shim_real()->msync(address, size, flags);
}
