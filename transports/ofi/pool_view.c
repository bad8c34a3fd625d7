/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pool view: a second mapping of a part of the pool that can be pulled away.
 *
 * Closing a memory registration stops later requests, but not one that the
 * provider has begun: tcp looks a key up when a request's header arrives and
 * then copies the payload through the looked-up address for as long as the
 * sender cares to dribble it; a read's answer waits in a send queue as a bare
 * pointer. So what is registered is not the pool but a view of it, and
 * retiring the view replaces its pages by private zeros: what is still under
 * way then reads zeros, and writes to nobody. The addresses stay reserved
 * until the connection is gone, since a stale pointer must not meet whatever
 * would be mapped there next.
 *
 * A view needs memory that is mapped shared (a memfd, MAP_SHARED): for
 * anything else open says so, and the caller drops the connection instead.
 * mremap(2) with an old size of 0 makes the second mapping. A pool of several
 * files (banks) is viewed bank by bank.
 *
 * Floor: skin of the transport. No libfabric in here.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "transports/ofi/ofi.h"

/* [begin, end) of the pool a second time at `to`, bank by bank: mremap() takes
 * the pages of one mapping of one file. */
static int map_again(uint8_t *pool, uint64_t bank_size, uint64_t begin,
		     uint64_t end, uint8_t *to)
{
	while (begin < end) {
		uint64_t bank_end = bank_size == 0
			? end : (begin / bank_size + 1) * bank_size;
		size_t size = (size_t)(xm_min(end, bank_end) - begin);

		if (mremap(pool + begin, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			   to) == MAP_FAILED)
			return -errno;
		begin += size;
		to += size;
	}
	return 0;
}

int xm_ofi_view_open(uint8_t *pool, uint64_t bank_size, uint64_t offset,
		     size_t size, struct ofi_view *view, void **ret)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t begin = offset & ~(page - 1);
	uint64_t end = xm_align_up(offset + size, page);
	/* Reserved in one piece, so that the banks lie one behind the other. */
	void *base = mmap(NULL, end - begin, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int rc;

	if (base == MAP_FAILED)
		return -errno;
	rc = map_again(pool, bank_size, begin, end, base);
	if (rc != 0) {
		munmap(base, end - begin);
		return rc;
	}
	view->base = base;
	view->size = end - begin;
	*ret = (uint8_t *)base + (offset - begin);
	return 0;
}

int xm_ofi_view_retire(const struct ofi_view *view)
{
	void *base = mmap(view->base, view->size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
				  MAP_NORESERVE,
			  -1, 0);

	return base == MAP_FAILED ? -errno : 0;
}

void xm_ofi_view_close(struct ofi_view *view)
{
	if (view->base)
		munmap(view->base, view->size);
	view->base = NULL;
	view->size = 0;
}
