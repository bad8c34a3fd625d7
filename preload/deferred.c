/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that the program frees while a child can see it: it stays as it is,
 * and is freed in earnest when the last such child has ended. Which pages
 * those are the snapshot machine decides, and it remembers them.
 */
#include "preload/fork.h"

static _Thread_local bool giving __attribute__((tls_model("initial-exec")));

/* Without children, and with nothing deferred, there is nothing to ask. */
static bool is_idle(void)
{
	return atomic_load(&fork_readers) == 0 && snapshots_runs() == 0;
}

void fork_allocated(unsigned region, uint64_t page, uint64_t count)
{
	if (is_idle())
		return;
	xm_snapshot_allocated(snapshots_lock(), region, page, count);
	snapshots_unlock();
}

uint64_t fork_free(unsigned region, uint64_t page, uint64_t count,
		   bool *ret_kept)
{
	uint64_t n;

	*ret_kept = false;
	if (giving || is_idle())
		return count;
	n = xm_snapshot_free(snapshots_lock(), region, page, count, ret_kept);
	snapshots_unlock();
	return n;
}

void deferred_give_back(void)
{
	/* A thread that was stopped may have a lock of block.c's. */
	while (!thread_stopping()) {
		uint32_t region;
		uint64_t page, count, size;
		uintptr_t base;
		bool any;

		any = xm_snapshot_next_free(snapshots_lock(), &region, &page,
					    &count);
		snapshots_unlock();
		if (!any || !block_region_at(region, &base, &size))
			return;
		giving = true;
		block_give((void *)(base + page * SHIM_PAGE),
			   count * SHIM_PAGE);
		giving = false;
	}
}
