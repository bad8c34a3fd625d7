/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory an appliance lends; see pool.h. Floor: skin.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "appliance/pool.h"
#include "core/skin/os.h"

#define HUGE_PAGE_SIZE (2 * XM_MIB)
#define CHUNK_SIZE (256 * XM_MIB)
#define RESERVE 16 /* one part in so many is left to others */

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

/* The number behind `label` in a file of lines, or the file's first number
 * where the label is "". UINT64_MAX: not there. */
static uint64_t number_in(const char *path, const char *label)
{
	size_t size = strlen(label);
	uint64_t number = UINT64_MAX;
	char line[256];
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return UINT64_MAX;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, label, size) != 0)
			continue;
		if (sscanf(line + size, "%" SCNu64, &number) != 1)
			number = UINT64_MAX; /* "max" */
		break;
	}
	fclose(file);
	return number;
}

uint64_t xm_pool_available(void)
{
	uint64_t kib = number_in("/proc/meminfo", "MemAvailable:");
	uint64_t most = number_in("/sys/fs/cgroup/memory.max", "");
	uint64_t used = number_in("/sys/fs/cgroup/memory.current", "");
	uint64_t available = kib == UINT64_MAX ? kib : kib * XM_KIB;

	if (most != UINT64_MAX && used != UINT64_MAX)
		available = xm_min(available, most > used ? most - used : 0);
	/* What else runs here needs some, too. */
	return available == UINT64_MAX ? available
				       : available - available / RESERVE;
}

static int refuse_huge(uint64_t size, char *words, size_t words_size)
{
	uint64_t free = number_in("/proc/meminfo", "HugePages_Free:");
	uint64_t want = size / HUGE_PAGE_SIZE;

	snprintf(words, words_size,
		 "%" PRIu64 " huge pages of 2 MiB are needed, %" PRIu64
		 " are free: as root, sysctl vm.nr_hugepages=%" PRIu64
		 ", or leave --huge-pages out",
		 want, free == UINT64_MAX ? 0 : free, want);
	return -ENOMEM;
}

static uint64_t bank_size(uint64_t size, uint64_t page)
{
	uint64_t unit = xm_max(XM_BANK_SIZE_MIN, page);

	return xm_align_up(xm_max(size / XM_BANKS_MAX, unit), unit);
}

/* What bank `index` has; the last may be smaller than the others. */
static uint64_t bank_bytes(const struct xm_pool *p, uint32_t index)
{
	return xm_min(p->bank_size, p->size - index * p->bank_size);
}

static int bank_open(const struct xm_pool *p, uint32_t index, bool huge_pages,
		     int *ret)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	if (huge_pages)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	fd = memfd_create("extmem-bank", flags);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bank_bytes(p, index)) != 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	/* Whoever it is handed to could cut it off, and we would end by SIGBUS. */
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	*ret = fd;
	return 0;
}

static int refuse(const struct xm_pool *p, const char *what, int rc,
		  char *words, size_t words_size)
{
	if (p->page == HUGE_PAGE_SIZE && rc == -ENOMEM)
		return refuse_huge(p->size, words, words_size);
	snprintf(words, words_size, "cannot %s a pool of %" PRIu64 " MiB: %s%s",
		 what, p->size / XM_MIB, strerror(-rc),
		 rc == -EMFILE ? " (see ulimit -n)"
		 : rc == -ENOMEM ? " (see ulimit -v)" : "");
	return rc;
}

int xm_pool_map(struct xm_pool *p, char *words, size_t words_size)
{
	/* One span first, so that the banks lie one behind the other; with room
	 * to align it: huge pages want it, and only Linux 6.7 and later align
	 * by themselves. */
	size_t room = p->page == HUGE_PAGE_SIZE ? HUGE_PAGE_SIZE : 0;
	void *span = mmap(NULL, p->size + room, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t base, end;

	if (span == MAP_FAILED)
		return refuse(p, "map", -errno, words, words_size);
	base = (uintptr_t)xm_align_up((uintptr_t)span, room > 0 ? room : 1);
	end = (uintptr_t)span + p->size + room;
	if (base > (uintptr_t)span)
		munmap(span, base - (uintptr_t)span);
	if (end > base + p->size)
		munmap((void *)(base + p->size), end - base - p->size);
	p->base = (uint8_t *)base;
	for (uint32_t i = 0; i < p->banks_count; i++) {
		if (mmap(p->base + i * p->bank_size, bank_bytes(p, i),
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 p->banks[i], 0) == MAP_FAILED)
			return refuse(p, "map", -errno, words, words_size);
	}
	/* Clients' bytes do not belong into a core file. */
	(void)madvise(p->base, p->size, MADV_DONTDUMP);
	return 0;
}

int xm_pool_open(uint64_t size, bool huge_pages, char *words,
		 size_t words_size, struct xm_pool *ret)
{
	uint64_t available = xm_pool_available();
	struct xm_pool pool = { .size = size };
	int rc = 0;

	if (!os_page_fits(words, words_size))
		return -ENOTSUP;
	pool.page = huge_pages ? HUGE_PAGE_SIZE
			       : (uint64_t)sysconf(_SC_PAGESIZE);
	XM_ASSERT(size > 0 && size % pool.page == 0);
	if (!huge_pages && size > available) {
		snprintf(words, words_size,
			 "memory: %" PRIu64 " MiB asked for, but only %" PRIu64
			 " MiB can be had on this machine now: ask for less",
			 size / XM_MIB, available / XM_MIB);
		return -ENOMEM;
	}
	pool.bank_size = bank_size(size, pool.page);
	while (rc == 0 && pool.banks_count * pool.bank_size < size) {
		rc = bank_open(&pool, pool.banks_count, huge_pages,
			       &pool.banks[pool.banks_count]);
		pool.banks_count += rc == 0;
	}
	if (rc != 0)
		rc = refuse(&pool, "make", rc, words, words_size);
	else
		rc = xm_pool_map(&pool, words, words_size);
	if (rc != 0) {
		xm_pool_close(&pool);
		return rc;
	}
	*ret = pool;
	return 0;
}

int xm_pool_prepare(struct xm_pool *p, xm_pool_progress *progress,
		    void *context, char *words, size_t words_size)
{
	uint64_t done = 0;
	bool populate = true;

	while (done < p->size) {
		uint64_t size = xm_min(CHUNK_SIZE, p->size - done);
		uint64_t at;

		/* Between pieces too: others take memory meanwhile. */
		if (p->page != HUGE_PAGE_SIZE && size > xm_pool_available()) {
			snprintf(words, words_size,
				 "memory ran out with %" PRIu64 " of %" PRIu64
				 " MiB prepared: ask for less",
				 done / XM_MIB, p->size / XM_MIB);
			return -ENOMEM;
		}
		if (populate &&
		    madvise(p->base + done, size, MADV_POPULATE_WRITE) != 0) {
			if (errno != EINVAL) {
				snprintf(words, words_size,
					 "memory ran out with %" PRIu64
					 " of %" PRIu64 " MiB prepared (%s):"
					 " ask for less",
					 done / XM_MIB, p->size / XM_MIB,
					 strerror(errno));
				return -ENOMEM;
			}
			populate = false; /* an older kernel */
		}
		for (at = 0; !populate && at < size; at += p->page)
			((volatile uint8_t *)p->base)[done + at] = 0;
		done += size;
		progress(context, done, p->size);
	}
	return 0;
}

void xm_pool_release(struct xm_pool *p, uint64_t offset, uint64_t size)
{
	uint64_t end = (offset + size) & -p->page;

	for (uint64_t at = xm_align_up(offset, p->page); at < end;) {
		uint64_t bank = at / p->bank_size, in = at % p->bank_size;
		uint64_t piece = xm_min(end - at, p->bank_size - in);

		/* An older kernel on hugetlbfs: they are kept, and zero. */
		if (fallocate(p->banks[bank],
			      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)in, (off_t)piece) != 0)
			memset(p->base + at, 0, piece);
		at += piece;
	}
}

int xm_pool_take(struct xm_pool *p, uint64_t offset, uint64_t size)
{
	uint64_t end = offset + size;

	if (!p->filed && p->page != HUGE_PAGE_SIZE && size > xm_pool_available())
		return -ENOMEM;
	for (uint64_t at = offset; at < end;) {
		uint64_t bank = at / p->bank_size, in = at % p->bank_size;
		uint64_t piece = xm_min(end - at, p->bank_size - in);

		/* It allocates what is a hole, and leaves the rest as it is. */
		if (fallocate(p->banks[bank], FALLOC_FL_KEEP_SIZE, (off_t)in,
			      (off_t)piece) != 0)
			return -ENOMEM;
		at += piece;
	}
	return 0;
}

void xm_pool_close(struct xm_pool *p)
{
	if (p->base != NULL)
		munmap(p->base, p->size);
	for (uint32_t i = 0; i < p->banks_count; i++)
		close(p->banks[i]);
	if (p->filed && p->lock >= 0)
		close(p->lock);
	p->filed = false;
	p->base = NULL;
	p->banks_count = 0;
}
