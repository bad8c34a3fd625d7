/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory an appliance lends; see pool.h. Floor: skin.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "appliance/pool.h"

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
	/* The machine has to live on. */
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

int xm_pool_open(uint64_t size, bool huge_pages, char *words,
		 size_t words_size, struct xm_pool *ret)
{
	uint64_t available = xm_pool_available();
	struct xm_pool pool = { .size = size, .fd = -1 };
	int r;

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
	pool.fd = memfd_create("extmem-pool",
			       MFD_CLOEXEC | (huge_pages ? MFD_HUGETLB |
								   MFD_HUGE_2MB
							 : 0));
	if (pool.fd < 0 || ftruncate(pool.fd, (off_t)size) != 0) {
		r = -errno;
		if (huge_pages)
			r = refuse_huge(size, words, words_size);
		else
			snprintf(words, words_size,
				 "cannot make a pool of %" PRIu64 " MiB: %s",
				 size / XM_MIB, strerror(-r));
		goto fail;
	}
	pool.base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 pool.fd, 0);
	if (pool.base == MAP_FAILED) {
		r = -errno;
		pool.base = NULL;
		if (huge_pages)
			r = refuse_huge(size, words, words_size);
		else
			snprintf(words, words_size,
				 "cannot map a pool of %" PRIu64 " MiB: %s"
				 " (see ulimit -v)",
				 size / XM_MIB, strerror(-r));
		goto fail;
	}
	/* Others' bytes do not belong into a core file. */
	(void)madvise(pool.base, size, MADV_DONTDUMP);
	*ret = pool;
	return 0;
fail:
	if (pool.fd >= 0)
		close(pool.fd);
	return r;
}

int xm_pool_prepare(struct xm_pool *p, xm_pool_progress *progress,
		    void *context, char *words, size_t words_size)
{
	uint8_t *base = p->base;
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
		    madvise(base + done, size, MADV_POPULATE_WRITE) != 0) {
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
			((volatile uint8_t *)base)[done + at] = 0;
		done += size;
		progress(context, done, p->size);
	}
	return 0;
}

void xm_pool_close(struct xm_pool *p)
{
	if (p->base != NULL)
		munmap(p->base, p->size);
	if (p->fd >= 0)
		close(p->fd);
	p->base = NULL;
	p->fd = -1;
}
