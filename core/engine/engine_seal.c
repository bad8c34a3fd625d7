/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the engine seals and opens the pages of sealed segments; see seal.h. */
#include "core/engine/engine_parts.h"

#include <errno.h>
#include <string.h>

/* False: the page's segment is not sealed, or there is none. */
static bool sealed_page(struct xm_engine *e, uint64_t page,
			struct xm_seal_page *ret)
{
	ret->lane = e->options.lane;
	return xm_volume_sealed_page(&e->io, page, ret);
}

void xm_engine_seal(struct xm_engine *e, uint64_t page, uint64_t count,
		    uint8_t *bytes)
{
	uint64_t size = e->options.page_size;
	struct xm_seal_page at;

	for (uint64_t i = 0; i < count; i++) {
		if (sealed_page(e, page + i, &at))
			e->options.seal_ops->seal(e->options.seal, &at,
						  bytes + i * size, size);
	}
}

/* -ESTALE: the page's segment is not sealed, or is gone. */
static int page_open(struct xm_engine *e, uint64_t page, uint8_t *bytes)
{
	struct xm_seal_page at;

	if (!sealed_page(e, page, &at))
		return -ESTALE;
	return e->options.seal_ops->open(e->options.seal, &at, bytes,
					 e->options.page_size);
}

int xm_engine_open_read(struct xm_engine *e, const struct xm_operation *op)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < op->count; i++) {
		/* A fetch may bring pages along that are present, and whose
		 * stores are under way. */
		if (op->kind == XM_OPERATION_FETCH &&
		    !xm_pager_fetches(&e->pager, op->staging_index,
				      op->page + i))
			continue;
		rc = page_open(e, op->page + i,
			       op->local + i * e->options.page_size);
	}
	return rc;
}

void xm_engine_open_written(struct xm_engine *e, uint64_t page, uint64_t count,
			    uint8_t *bytes)
{
	for (uint64_t i = 0; i < count; i++) {
		int rc = page_open(e, page + i,
				   bytes + i * e->options.page_size);

		/* These bytes have not left the client. */
		XM_ASSERT(rc == 0 || rc == -ESTALE);
	}
}

const uint8_t *xm_engine_open_copy(struct xm_engine *e, uint64_t page,
				   const uint8_t *bytes)
{
	memcpy(e->scratch, bytes, e->options.page_size);
	xm_engine_open_written(e, page, 1, e->scratch);
	return e->scratch;
}
