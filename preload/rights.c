/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls that are given memory without the right. Where the kernel has the memory
 * itself it answers EFAULT. What the shim copies for it is asked about here before, as the
 * shim's own touch would be SIGSEGV.
 *
 * Only what lies in the reserve can be without a right, and blocks of malloc() once one of
 * them was protected: for other memory nothing is asked.
 */
#include "preload/area.h"
#include "preload/reserve.h"

static atomic_bool blocks_deprived;

void rights_of_blocks(void)
{
	atomic_store(&blocks_deprived, true);
}

/* External memory of one kind. */
static size_t permitted(const void *address, size_t size, bool write)
{
	int64_t may;

	shim_enter();
	may = extmem_permits(shim_client, address, size, write);
	shim_leave();
	return may < 0 || (size_t)may > size ? size : (size_t)may;
}

size_t rights_permit(const void *address, size_t size, bool write)
{
	int error = errno;
	size_t done = 0;

	if (!block_contains(address, size) || !atomic_load(&shim_ready) ||
	    (!(reserve_denies && area_touches(address, size)) &&
	     !atomic_load_explicit(&blocks_deprived, memory_order_relaxed)))
		return size;
	while (done < size) {
		const char *at = (const char *)address + done;
		bool local;
		size_t n = reserve_alike(at, size - done, &local);
		size_t may = local ? n : permitted(at, n, write);

		done += may;
		if (may < n)
			break;
	}
	errno = error;
	return done;
}
