/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A view: a second mapping of a part of the pool that can be pulled away.
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
 * mremap(2) with an old size of 0 makes the second mapping.
 *
 * Floor: skin of the transport. No libfabric in here.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "transports/ofi/ofi.h"

int xm_ofi_view_open(void *memory, size_t size, struct ofi_view *view,
		     void **ret)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = (uintptr_t)memory & ~(uintptr_t)(page - 1);
	uintptr_t end = ((uintptr_t)memory + size + page - 1) &
			~(uintptr_t)(page - 1);
	void *base = mremap((void *)begin, 0, end - begin, MREMAP_MAYMOVE);

	if (base == MAP_FAILED)
		return -errno;
	view->base = base;
	view->size = end - begin;
	*ret = (uint8_t *)base + ((uintptr_t)memory - begin);
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
