/* SPDX-License-Identifier: BSD-3-Clause */
/* Explicit reads and writes that end before they return; see access.h. */
#include "core/client/access.h"

#include <errno.h>
#include <stdio.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/range.h"
#include "core/client/sharing.h"

int xm_access_check(const extmem_region *region, const char *call,
		    const struct extmem_iov *iov, size_t count)
{
	int rc = xm_region_usable(region, call);
	uint64_t end;

	if (rc != 0)
		return rc;
	end = region->size; /* it may be resized meanwhile */
	for (size_t i = 0; i < count && rc == 0; i++) {
		if (!xm_span_fits(iov[i].offset, iov[i].size, end))
			rc = xm_fail(-ERANGE, "%s: [%llu, +%zu) is outside the "
				     "region of %llu bytes", call,
				     (unsigned long long)iov[i].offset,
				     iov[i].size,
				     (unsigned long long)end);
	}
	return rc;
}

bool xm_access_bounces(extmem *x, const struct extmem_iov *iov)
{
	return iov->size > 0 &&
	       (xm_arena_overlaps(&x->arena, iov->buffer, iov->size) ||
		(atomic_load_explicit(&x->registered.needed,
				      memory_order_relaxed) &&
		 !xm_is_registered(&x->registered, iov->buffer, iov->size)));
}

static void failed(extmem_region *region, const char *call, int rc,
		   const struct extmem_iov *iov, size_t count)
{
	uint64_t first = UINT64_MAX, end = 0;
	char words[768];

	for (size_t i = 0; i < count; i++) {
		if (iov[i].size == 0)
			continue;
		first = xm_min(first, iov[i].offset);
		end = xm_max(end, iov[i].offset + iov[i].size);
	}
	if (rc == -ESTALE && atomic_load(&region->lacks)) {
		xm_fail(rc, "%s: region %s lacks bytes there: they were lost before it "
			"was copied, or on the disk of an appliance", call, region->name);
		return;
	}
	xm_lost_why(region->client, rc, (region->address + first) / XM_PAGE,
		    (region->address + end + XM_PAGE - 1) / XM_PAGE, words,
		    sizeof(words));
	xm_fail(rc, "%s: [%llu, +%zu)%s of region %s: %s", call,
		(unsigned long long)iov->offset, iov->size,
		count > 1 ? " and more" : "", region->name, words);
}

static int move_as(extmem_region *region, const char *call, bool write, bool zeroes,
		   const struct extmem_iov *iov, size_t count)
{
	extmem *x = region->client;
	int rc = xm_access_check(region, call, iov, count);
	uint64_t deadline_ns;

	if (rc == 0 && write)
		rc = xm_region_writable(region, call);
	if (rc != 0)
		return rc;
	deadline_ns = os_now_ns() + x->settings.timeout_ns;
	for (size_t i = 0, next; i < count && rc == 0; i = next) {
		struct xm_transfer t = { .bounced = xm_access_bounces(x, &iov[i]),
					 .zeroes = zeroes };

		/* Those that go the same way go together. */
		for (next = i + 1; next < count; next++) {
			if (xm_access_bounces(x, &iov[next]) != t.bounced)
				break;
		}
		rc = xm_transfer_begin(&t, region, write, iov + i, next - i,
				       deadline_ns);
		if (rc == 0)
			rc = xm_transfer_run(&t);
		if (rc != 0)
			failed(region, call, rc, iov + i, next - i);
	}
	return rc;
}

static int move(extmem_region *region, const char *call, bool write,
		const struct extmem_iov *iov, size_t count)
{
	return move_as(region, call, write, false, iov, count);
}

int xm_access_zero(extmem_region *region, uint64_t offset, const void *zeros,
		   size_t size)
{
	struct extmem_iov iov = { offset, (void *)(uintptr_t)zeros, size };

	return move_as(region, "extmem_write", true, true, &iov, 1);
}

int xm_access_by(extmem_region *region, bool write, uint64_t offset, void *bytes,
		 size_t size, uint64_t deadline_ns)
{
	struct extmem_iov iov = { offset, bytes, size };
	struct xm_transfer t = { .bounced = xm_access_bounces(region->client, &iov) };
	int rc = xm_transfer_begin(&t, region, write, &iov, 1, deadline_ns);

	return rc == 0 ? xm_transfer_run(&t) : rc;
}

int extmem_read(extmem_region *region, uint64_t offset, void *buffer,
		size_t size)
{
	struct extmem_iov iov = { offset, buffer, size };

	return move(region, "extmem_read", false, &iov, 1);
}

int extmem_write(extmem_region *region, uint64_t offset, const void *buffer,
		 size_t size)
{
	struct extmem_iov iov = { offset, (void *)(uintptr_t)buffer, size };

	return move(region, "extmem_write", true, &iov, 1);
}

int extmem_readv(extmem_region *region, const struct extmem_iov *iov,
		 size_t count)
{
	return move(region, "extmem_readv", false, iov, count);
}

int extmem_writev(extmem_region *region, const struct extmem_iov *iov,
		  size_t count)
{
	return move(region, "extmem_writev", true, iov, count);
}
